"""Dividends in the levels of covers: when, from which close, once. Oracle: by hand from 3.1."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from books import AT
from desk_cases import bought, case
from executors import usd

from bft.domain import sessions
from bft.domain.trading import ExitPolicy
from bft.services.executor.day_close import DayClose
from bft.services.executor.guard import Guard
from bft.services.executor.reference import DayBar, Dividend, Reference

DAY = sessions.on_or_after(AT.date())
EX_DATE = sessions.shift(DAY, 1)
PLAIN = ExitPolicy(stop_frac=0.05, target_frac=0.15)
TRAILING = ExitPolicy(stop_frac=0.07, target_frac=0.3, trail_frac=0.05, activation_frac=0.03)
PAID = Dividend(symbol="AAPL", ex_date=EX_DATE, amount_usd=usd(20))


def bar(session: Any, high: object, low: object, close: object) -> DayBar:
    prices = {"open_usd": close, "high_usd": high, "low_usd": low, "close_usd": close}
    return DayBar(session=session, **{name: usd(price) for name, price in prices.items()})


class Held:
    """100 AAPL bought at 100 on Monday; what the night says is `bars` and `PAID`."""

    def __init__(self, *bars: DayBar, at: datetime, policy: ExitPolicy = PLAIN) -> None:
        night = Reference(bars={"AAPL": bars}, dividends=(PAID,))
        told, self.plan = bought(policy=policy)
        self.case = case(*told, at=at, reference=night)
        self.guard = Guard(self.case.desk, None, None)  # type: ignore[arg-type]
        self.day_close = DayClose(self.case.desk, self.guard)

    def turn(self) -> Any:
        self.day_close.turn()
        (cover,) = self.guard.covers.values()
        return cover


MONDAY = bar(DAY, 101, 99, 100)


def test_levels_move_in_the_morning_of_the_ex_date_once() -> None:
    held = Held(MONDAY, at=sessions.open_at(EX_DATE) - timedelta(hours=4))
    for _ in range(2):
        cover = held.turn()
        assert (cover.state.stop_usd, cover.state.target_usd) == (usd(76), usd(92))
        assert cover.state.entry.price_usd == 100
        assert cover.rebased_at == held.case.desk.now
    told = [e.body["message"] for e in held.case.told("event") if e.body["name"] == "dividend"]
    assert told == [f"AAPL: dividend of 20 USD after the close of {DAY}: levels moved"]


def test_levels_move_once_though_the_ticker_changes() -> None:
    """The next night tells the dividend under the new name; a book of before keeps the old key."""
    held = Held(MONDAY, at=sessions.open_at(EX_DATE) - timedelta(hours=4))
    cover, desk = held.turn(), held.case.desk
    desk.reference = Reference(
        bars={"APPL": (MONDAY,)},
        dividends=(replace(PAID, symbol="APPL"),),
        renames={"AAPL": "APPL"},
        universe=frozenset({"APPL"}),
    )
    assert held.turn() == cover
    named = replace(cover.state, actions=(f"dividend:AAPL:{EX_DATE}",))
    held.guard.put(replace(cover, state=named))
    assert held.turn().state.stop_usd == 76


def test_levels_stand_until_the_ex_date() -> None:
    held = Held(MONDAY, at=sessions.close_at(DAY) + timedelta(hours=1))
    assert held.turn().state.stop_usd == 95


def test_unknown_close_moves_nothing() -> None:
    held = Held(at=sessions.open_at(EX_DATE) - timedelta(hours=4))
    assert held.turn().state.stop_usd == 95


@pytest.mark.parametrize("together", [True, False])
def test_bars_of_each_side_are_judged_on_their_own_basis(together: bool) -> None:
    """Of the day of the entry its close counts, 108, which is 88 without the 20; then 90."""
    bars = [bar(DAY, 110, 100, 108), bar(EX_DATE, 90, 87, 89)]
    at = sessions.close_at(EX_DATE) + timedelta(hours=3)
    held = Held(*bars, at=at if together else at - timedelta(hours=12), policy=TRAILING)
    if not together:
        assert held.turn().state.best_usd == 88
        held.case.clock.at = at
    assert held.turn().state.best_usd == 90


def test_late_bar_of_the_day_before_says_nothing_of_the_new_basis() -> None:
    """The close is known from the quotes; gold's bar of Monday comes after the levels moved."""
    held = Held(at=sessions.open_at(EX_DATE) - timedelta(hours=4), policy=TRAILING)
    night = held.case.desk.reference
    bars = {"AAPL": (bar(DAY, 110, 100, 108),)}
    held.case.desk.reference = Reference(bars=bars, dividends=night.dividends)
    assert held.turn().state.best_usd < 90
    bars = {"AAPL": (bar(DAY, 120, 100, 108),)}
    held.case.desk.reference = Reference(bars=bars, dividends=night.dividends)
    assert held.turn().state.best_usd < 90
