"""What a position gained or lost today: from yesterday's mark, or from today's cost."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from books import AAPL, ACCOUNT, AT, booked, fill
from desk_cases import Case, bought, case, facts_of
from executors import reference, usd

from bft.domain import sessions
from bft.domain.orders import Contract
from bft.ledger import entries
from bft.ledger.records import Adjustment
from bft.risk.profiles import FUTURES_NQ
from bft.services.executor.day_change import open_entry_fees_usd, unrealised_change_usd
from bft.services.executor.reference import Reference, Split

TUESDAY = AT + timedelta(days=1)
CLOSED = sessions.close_at(date(2026, 1, 5))


def mark(price: str, at: datetime = CLOSED) -> Any:
    return entries.mark(at, account=ACCOUNT, con_id=AAPL.con_id, price_usd=usd(price))


def change(held: Case, price: object) -> Any:
    return unrealised_change_usd(held.desk, lambda _: None if price is None else usd(price))


def test_position_of_today_counts_from_its_cost() -> None:
    assert change(case(*bought()[0]), 97) == -300


def test_gain_of_earlier_days_does_not_hide_the_loss_of_today() -> None:
    """Bought at 100, closed at 150, now 120: today lost 30 a share."""
    assert change(case(*bought()[0], mark("150"), at=TUESDAY), 120) == -3000


def test_loss_of_earlier_days_is_not_lost_again_today() -> None:
    assert change(case(*bought()[0], mark("60"), at=TUESDAY), 61) == 100


def test_units_added_today_count_from_what_they_cost() -> None:
    more = fill(None, 50, "140", id="m.01", at=TUESDAY)
    held = case(*bought()[0], mark("150"), booked(more), at=TUESDAY)
    assert change(held, 145) == -5 * 100 + 5 * 50


def test_short_position_gains_as_the_price_falls() -> None:
    sold = fill(None, 10, "100", id="m.01", side="SELL")
    assert change(case(booked(sold)), 90) == 100
    assert change(case(booked(sold), mark("120"), at=TUESDAY), 130) == -100


@pytest.mark.parametrize(
    ("marks", "price"),
    [
        ([], 120),  # nobody noted the prior close
        ([mark("150", CLOSED - timedelta(days=3))], 120),  # a close before the prior one
        ([mark("150")], None),
    ],
)
def test_missing_mark_or_price_is_unknown(marks: list[Any], price: object) -> None:
    assert change(case(*bought()[0], *marks, at=TUESDAY), price) is None


NQ = Contract(con_id=7, symbol="NQ", sec_type="FUT", multiplier=usd(20), local_symbol="NQH6")
KEPT = "no price of AAPL at the close of 2026-01-05 was kept: "
SPLIT = Split(symbol="AAPL", ex_date=TUESDAY.date(), ratio=usd(4))


@pytest.mark.parametrize(
    ("night", "given", "words"),
    [
        (
            reference("AAPL"),
            {},
            KEPT + "build that night (bft run nightly --asof 2026-01-05) "
            "or close it (bft close --symbol AAPL)",
        ),
        (
            reference("MSFT"),
            {},
            KEPT + "it counts again from the next close, or close it (bft close --symbol AAPL)",
        ),
        (
            reference("AAPL"),
            {"disputed": frozenset({"AAPL"})},
            "AAPL is held in other numbers at the broker than in the book",
        ),
        (
            Reference(splits=(SPLIT,)),
            {},
            "AAPL splits today and the book does not have it yet",
        ),
    ],
)
def test_unknown_change_names_the_symbol_what_is_missing_and_what_helps(
    night: Reference, given: dict[str, Any], words: str
) -> None:
    held = case(*bought()[0], at=TUESDAY, reference=night, **given)
    held.price(AAPL, 120)
    assert facts_of(held.desk).shut()[0] == f"day loss is unknown: {words} (rule 21)"


def test_future_without_a_mark_counts_again_from_the_next_close() -> None:
    """Held over the weekend from the trading day of Friday; nobody was there at its close."""
    told = booked(fill(None, 1, "100", id="n.01", contract=NQ, at=AT - timedelta(days=3)))
    held = case(told, at=AT, profile=FUTURES_NQ)
    held.price(NQ, 120)
    (words,) = facts_of(held.desk).book("").unpriced
    assert words.startswith("no price of NQH6 at the close of 2026-01-02 was kept: it counts")


def test_split_not_yet_in_the_book_is_no_loss() -> None:
    split = Split(symbol="AAPL", ex_date=TUESDAY.date(), ratio=usd(4))
    held = case(*bought()[0], mark("100"), at=TUESDAY, reference=Reference(splits=(split,)))
    assert change(held, 25) is None
    assert change(case(*bought()[0], mark("100"), at=TUESDAY), 25) == -7500
    by_hand = Adjustment(
        adjustment_id="a",
        at=TUESDAY,
        account=ACCOUNT,
        contract=AAPL,
        by="ada",
        note="split",
        ratio=usd(4),
    )
    told = [*bought()[0], mark("100"), entries.split(by_hand)]
    held = case(*told, at=TUESDAY, reference=Reference(splits=(split,)))
    assert change(held, 25) == 0
    held = case(*bought()[0], mark("100"), at=TUESDAY, disputed=frozenset({"AAPL"}))
    assert change(held, 25) is None


def test_fees_of_what_was_opened_today_are_spent_already() -> None:
    """Of 2 USD for 100 shares that are open, half goes with the half that is sold."""
    told = [*bought()[0], entries.fee(AT, exec_id="s1.01", fee_usd=usd(2))]
    assert open_entry_fees_usd(case(*told).desk) == 2
    assert open_entry_fees_usd(case(*told, at=TUESDAY).desk) == 0
    sold = booked(fill(None, 50, "100", id="m.01", side="SELL"))
    held = case(*told, sold)
    assert open_entry_fees_usd(held.desk) == 1
    held.price(AAPL, 100)
    assert facts_of(held.desk).book("").realised_usd == -2
