"""What a unit is worth by a top of book."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from bft.domain.broker import Quote
from bft.domain.orders import Contract


def mark(bid: object, ask: object, last: object) -> Decimal | None:
    bid_usd, ask_usd, last_usd = (
        None if side is None else Decimal(str(side)) for side in (bid, ask, last)
    )
    at, contract = datetime(2026, 1, 5, 15, tzinfo=UTC), Contract(con_id=1, symbol="AAPL")
    quote = Quote(contract=contract, at=at, bid_usd=bid_usd, ask_usd=ask_usd, last_usd=last_usd)
    return quote.mark_usd


@pytest.mark.parametrize(
    ("bid", "ask", "last", "worth"),
    [
        (99, 101, 90, 100),
        (50, 150, 90, 90),  # too wide to read
        (50, 150, 40, 50),
        (50, 150, None, 100),
        (None, None, 90, 90),
        (None, 70, 100, 70),  # nobody bids, and it is offered at 70: 100 was before the fall
        (0, 70, 100, 70),
        (None, 70, 60, 60),
        (120, None, 100, 120),
        (80, None, 100, 100),
        (None, 70, None, None),
        (60, 59, 100, None),  # crossed: some of it is wrong
        ("NaN", 70, 100, 70),
        ("Infinity", "-1", "NaN", None),
    ],
)
def test_mark_lies_inside_what_is_bid_and_asked(
    bid: object, ask: object, last: object, worth: object
) -> None:
    assert mark(bid, ask, last) == worth
