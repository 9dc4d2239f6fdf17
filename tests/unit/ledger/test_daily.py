"""Results by day: fees to the micro-USD that the P&L holds, futures on their own days."""

from datetime import date, timedelta
from decimal import Decimal

from books import AT, MNQ, booked, fill
from desk_cases import case

from bft.domain.journal import Entry
from bft.ledger import entries
from bft.ledger.daily import Result, results


def made(*told: Entry) -> list[Result]:
    state = case(*told).desk.state
    return results(state.lots.values(), state.trades, since=date.min)


def test_fees_of_the_parts_are_the_fee_that_was_paid() -> None:
    """1 USD over 3 shares, sold one by one: 0.333333, 0.333334 and 0.333333, as booked."""
    told = [booked(fill(None, 3, "100", id="a.01"))]
    told.append(entries.fee(AT, exec_id="a.01", fee_usd=Decimal(1)))
    for n in (1, 2, 3):
        at = AT + timedelta(minutes=n)
        told.append(booked(fill(None, 1, "100", id=f"s{n}.01", side="SELL", at=at)))
    (day,) = made(*told)
    assert str(day.fees_usd) == "1.000000"
    assert day.realised_usd == -day.fees_usd


def test_trade_in_futures_ends_on_the_day_of_its_last_close() -> None:
    """Left at 18:30 in New York: the trading day that began at 17:00 in Chicago."""
    evening = AT.replace(hour=23, minute=30)
    bought = fill(None, 1, "20000", id="a.01", contract=MNQ)
    sold = fill(None, 1, "20010", id="b.01", contract=MNQ, side="SELL", at=evening)
    (day,) = made(booked(bought), booked(sold))
    tomorrow = AT.date() + timedelta(days=1)
    assert (day.day, day.closes, day.trades) == (tomorrow, 1, 1)
    assert day.realised_usd == 10 * MNQ.multiplier
