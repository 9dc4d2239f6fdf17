"""A line names its contract alike whatever order its reports came in."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from books import AAPL, ACCOUNT, AT

from bft.ledger.lots import Line, LineEvent

FULL = replace(AAPL, primary_exchange="NASDAQ")


def event(number: int, *, ratio: Decimal | None = None) -> LineEvent:
    return LineEvent(
        at=AT + timedelta(seconds=number),
        rank=0,
        event_id=str(number),
        trade_id="t",
        reason="",
        qty=Decimal(0) if ratio else Decimal(10),
        price_usd=None if ratio else Decimal(100),
        ratio=ratio,
    )


@pytest.mark.parametrize("first", [0, 1])
def test_contract_is_that_of_the_earliest_event(first: int) -> None:
    """After a restart a fill may tell less of its contract than the one before did."""
    told = [(event(0), FULL), (event(1), AAPL)]
    line = Line(account=ACCOUNT, contract=AAPL)
    for one in (told[first], told[1 - first]):
        line.put(*one)
    assert line.contract == FULL
    assert Line.of(ACCOUNT, told).contract == FULL
    line.forget(1)
    assert line.contract == AAPL


def test_newest_split_names_the_contract_anew() -> None:
    renamed = replace(AAPL, symbol="APPL")
    line = Line.of(ACCOUNT, [(event(0), FULL), (event(1, ratio=Decimal(4)), renamed)])
    line.put(event(2), AAPL)
    assert line.contract == renamed
