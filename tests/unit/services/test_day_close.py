"""The close of a session: bars to the exit engine, each once; marks to the book."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from books import AAPL, ACCOUNT, AT, CALL, booked, fill
from desk_cases import Case, bought, case
from executors import usd

from bft.domain import sessions
from bft.domain.broker import Quote
from bft.domain.trading import ExitPolicy
from bft.ledger import entries
from bft.ledger.records import Adjustment
from bft.services.executor.day_change import unknown, unrealised_change_usd
from bft.services.executor.day_close import DayClose
from bft.services.executor.guard import Guard
from bft.services.executor.reference import DayBar, Reference

DAY = date(2026, 1, 5)
TRAILING = ExitPolicy(stop_frac=0.07, target_frac=0.12, trail_frac=0.05, activation_frac=0.03)
BARS = [  # strategies specification, section 10, sessions 1 to 3
    ("100", "102", "99", "101"),
    ("101", "104.5", "100.5", "104"),
    ("104.5", "110", "103.5", "109"),
]


def gold(*bars: tuple[str, ...] | None, symbol: str = "AAPL") -> Reference:
    """Bars of the days from the entry on; None is a session that gold has not."""
    found = [
        DayBar(session=sessions.shift(DAY, n), **dict(zip(_NAMES, map(usd, bar), strict=True)))
        for n, bar in enumerate(bars)
        if bar is not None
    ]
    return Reference(bars={symbol: tuple(found)})


_NAMES = ("open_usd", "high_usd", "low_usd", "close_usd")


def evening(n: int) -> datetime:
    """After the close of the nth session from the entry on."""
    return sessions.close_at(sessions.shift(DAY, n)) + timedelta(hours=8)


class Held:
    """A position of one entry with its day close."""

    def __init__(self, policy: ExitPolicy = TRAILING, **given: Any) -> None:
        told, cover = bought(policy=policy, **given)
        self.case: Case = case(*told)
        self.guard = Guard(self.case.desk, None, None)  # type: ignore[arg-type]
        self.entry = cover.entry
        self.closes = DayClose(self.case.desk, self.guard)

    @property
    def state(self) -> Any:
        return self.guard.covers[self.entry].state

    def at(self, now: datetime, night: Reference | None = None) -> "Held":
        self.case.clock.at = now
        if night is not None:
            self.case.desk.reference = night
        self.closes.turn()
        return self

    def quote(self, now: datetime, price: str) -> None:
        self.case.clock.at = now
        mid = usd(price)
        contract = self.state.entry and self.guard.covers[self.entry].contract
        self.closes.quoted(Quote(contract=contract, at=now, bid_usd=mid, ask_usd=mid))


@pytest.mark.parametrize(
    ("sessions_seen", "trail", "held"), [(1, None, 1), (2, "99.72", 2), (3, "106.64", 3)]
)
def test_trail_moves_as_in_the_golden_example(
    sessions_seen: int, trail: str | None, held: int
) -> None:
    position = Held(price="100")
    position.at(evening(sessions_seen - 1), gold(*BARS[:sessions_seen]))
    for _ in range(3):
        position.closes.turn()
    assert position.state.trail_usd == (usd(trail) if trail else None)
    assert position.state.held_days == held


def test_session_that_gold_never_had_does_not_stop_the_later_ones() -> None:
    """A missing bar is no check and holds stand still; the next session counts again."""
    position = Held(ExitPolicy(stop_frac=0.07, max_hold_days=2))
    position.at(evening(0), gold(BARS[0]))
    position.at(evening(1), gold(BARS[0]))
    assert (position.state.held_days, position.state.scheduled) == (1, None)
    position.at(evening(2), gold(BARS[0], None, BARS[2]))
    assert (position.state.held_days, position.state.scheduled) == (2, "time")


def test_quotes_of_the_day_stand_in_an_hour_before_the_next_open() -> None:
    position = Held(contract=AAPL, price="100")
    for minute, price in ((30, "101"), (60, "104.5"), (90, "104")):
        position.quote(AT + timedelta(minutes=minute), price)
    following = sessions.open_at(sessions.shift(DAY, 1))
    position.at(following - timedelta(minutes=61))
    assert position.state.held_days == 0
    position.at(following - timedelta(minutes=60))
    assert position.state.held_days == 1
    # entered inside the day: only its close is known to come after; 104 x (1 - 0.05 x 0.94444)
    assert (position.state.best_usd, position.state.trail_usd) == (usd("104"), usd("99.09"))


def test_minute_that_began_before_the_fill_counts_with_its_last_price_alone() -> None:
    policy = ExitPolicy(stop_frac=0.07, trail_frac=0.05, same_session=True)
    position = Held(policy, price="100")
    position.quote(AT - timedelta(seconds=10), "109")
    position.quote(AT + timedelta(seconds=20), "101")
    position.quote(AT + timedelta(seconds=55), "102")
    assert position.state.best_usd == usd("101")
    position.quote(AT + timedelta(seconds=70), "103")
    position.quote(AT + timedelta(seconds=120), "102")
    assert position.state.best_usd == usd("103")


def marks(held: Case) -> list[str]:
    return [entry.body["price_usd"] for entry in held.told("mark")]


def test_mark_is_the_last_quote_until_gold_knows_the_close() -> None:
    position = Held()
    close = sessions.close_at(DAY)
    position.quote(close - timedelta(seconds=5), "103")
    position.at(close - timedelta(seconds=1))
    assert marks(position.case) == []
    position.at(close + timedelta(seconds=1)).closes.turn()
    assert marks(position.case) == ["103"]
    position.at(close + timedelta(hours=5), gold(BARS[0])).closes.turn()
    assert marks(position.case) == ["103", "101"]


def test_mark_of_a_close_that_nobody_saw_is_golds_once_the_night_is_built() -> None:
    position = Held()
    price = {"price_of": lambda _: usd("103")}
    morning = sessions.open_at(sessions.shift(DAY, 1)) + timedelta(minutes=30)
    position.at(morning, gold())
    assert list(unknown(position.case.desk, **price))
    position.at(morning, gold(BARS[0]))
    assert marks(position.case) == ["101"]
    assert list(unknown(position.case.desk, **price)) == []
    assert unrealised_change_usd(position.case.desk, **price) == 200


def test_mark_follows_a_split_that_is_booked() -> None:
    position = Held()
    position.at(evening(0), gold(BARS[0]))
    split = Adjustment(
        adjustment_id="split",
        at=evening(0) + timedelta(hours=4),
        account=ACCOUNT,
        contract=AAPL,
        by="executor",
        note="",
        ratio=usd(4),
    )
    position.case.desk.note(entries.split(split))
    position.at(evening(0) + timedelta(hours=5), gold(BARS[0])).closes.turn()
    (held,) = position.case.desk.state.positions.values()
    assert marks(position.case) == ["101"]
    assert held.mark_usd == usd("25.25")


def test_option_is_marked_by_its_quotes_and_never_by_the_share() -> None:
    told = booked(fill(None, 1, "5", id="o.01", contract=CALL))
    held = case(told)
    closes = DayClose(held.desk, Guard(held.desk, None, None))  # type: ignore[arg-type]
    held.desk.reference = gold(BARS[0], symbol=CALL.symbol)
    held.clock.at = sessions.close_at(DAY) - timedelta(minutes=1)
    closes.quoted(Quote(contract=CALL, at=held.clock.at, bid_usd=usd(7), ask_usd=usd(7)))
    held.clock.at = evening(0)
    closes.turn()
    assert marks(held) == ["7"]


def test_touch_too_wide_to_read_moves_no_trail() -> None:
    """Half way between 103 and 163 is 133: a trail from there would lie above the market."""
    position = Held(contract=AAPL, price="100")
    position.at(evening(0), gold(BARS[0]))
    next_day = sessions.open_at(sessions.shift(DAY, 1))
    position.quote(next_day + timedelta(minutes=1), "103")
    position.case.clock.at = at = next_day + timedelta(minutes=2)
    wide = {"bid_usd": usd(103), "ask_usd": usd(163), "last_usd": usd("103.5")}
    position.closes.quoted(Quote(contract=AAPL, at=at, **wide))
    position.quote(next_day + timedelta(minutes=3), "104")
    position.at(sessions.open_at(sessions.shift(DAY, 2)) - timedelta(minutes=30))
    assert position.state.best_usd == usd(104)
