"""Equity of the day: its start, its peak, what happens at the flatten figure."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from books import AAPL, ACCOUNT, AT, booked, fill
from desk_cases import Case, bought, case, facts_of
from executors import usd

from bft.domain.broker import Quote
from bft.domain.orders import Contract, Reason
from bft.exits import Reason as Exit
from bft.ledger import entries
from bft.services.executor.cancelling import Cancelling
from bft.services.executor.closing import ALL, Closing, Selection
from bft.services.executor.equity import Equity
from bft.services.executor.guard import Guard
from bft.services.executor.leaving import Leave
from bft.services.executor.opening import loss_halt

NIGHT = datetime(2026, 1, 6, 5, 0, 1, tzinfo=AT.tzinfo)  # a second after midnight in New York


class Asked:
    """Notes what is closed."""

    def __init__(self) -> None:
        self.asked: list[tuple[Selection, Exit, datetime]] = []

    def close(self, selection: Selection, reason: Exit, *, held_at: datetime) -> None:
        self.asked.append((selection, reason, held_at))


class Watched:
    """Equity on a desk that holds 100 AAPL at 100."""

    def __init__(self, **given: Any) -> None:
        self.case: Case = case(*bought()[0], **given)
        self.closing = Asked()
        self.facts = facts_of(self.case.desk)
        self.equity = Equity(self.case.desk, self.facts, self.closing)  # type: ignore[arg-type]

    def turn(self, equity: object, price: object = 100) -> None:
        self.case.equity(equity)
        self.case.price(AAPL, price)
        self.equity.turn()

    @property
    def today(self) -> Any:
        desk = self.case.desk
        day = max(key[2] for key in desk.state.limits if key[:2] == ("account", ACCOUNT))
        return desk.state.limits_of("account", ACCOUNT, day, at=desk.now)


def test_day_starts_with_its_first_equity_and_keeps_it() -> None:
    watched = Watched()
    for equity in (100_000, 99_000, 101_000):
        watched.turn(equity)
    assert watched.today.day_start_equity_usd == 100_000
    watched.case.clock.at = NIGHT
    watched.turn(98_000)
    assert (watched.today.trading_day.day, watched.today.day_start_equity_usd) == (6, 98_000)


def test_peak_is_noted_once_a_minute_and_never_falls() -> None:
    watched = Watched()
    for equity, seconds in ((100_000, 0), (100_500, 30), (101_000, 61), (90_000, 200)):
        watched.case.clock.at = AT + timedelta(seconds=seconds)
        watched.turn(equity)
    assert watched.today.peak_equity_usd == 101_000
    assert [e.body["peak_equity_usd"] for e in watched.case.told("limits")] == ["100000", "101000"]


@pytest.mark.parametrize("equity", ["NaN", "Infinity", 0, -1])
def test_equity_that_is_no_number_starts_no_day(equity: object) -> None:
    watched = Watched()
    watched.turn(equity)
    assert watched.case.told("limits") == []


@pytest.mark.parametrize(
    ("price", "alerts", "closed"),
    [
        (86, [], 0),  # 1,400 lost; the cap is 2 % of 100,000, near it from 1,500
        (85, ["DayLossNear"], 0),
        (50.01, ["DayLossNear"], 0),  # 4,999; all is closed at 5 %
        (50, ["DayLossNear", "DayLossHalt"], 1),
    ],
)
def test_loss_alerts_and_then_closes_everything(
    price: object, alerts: list[str], closed: int
) -> None:
    watched = Watched()
    watched.turn(100_000)
    watched.turn(95_000, price)
    assert watched.case.alerts() == alerts
    assert watched.closing.asked == [(ALL, Exit.RISK, AT)] * closed
    halts = watched.case.desk.state.active_halts(watched.case.desk.now)
    assert [halt.rule for halt in halts] == ["daily_loss"] * closed


def test_closing_is_repeated_every_two_seconds_and_the_halt_is_set_once() -> None:
    watched = Watched()
    watched.turn(100_000)
    for seconds in range(5):
        watched.case.clock.at = AT + timedelta(seconds=seconds)
        watched.turn(95_000, 40)
    assert [held_at for _, _, held_at in watched.closing.asked] == [AT] * 3, (
        "what a person buys afterwards is theirs"
    )
    (halt,) = watched.case.told("halt")
    assert halt.body["halt"]["until"].startswith("2026-01-06T05:00")


@pytest.mark.parametrize("what", ["quote", "start"])
def test_unknown_loss_closes_nothing(what: str) -> None:
    watched = Watched()
    watched.case.price(AAPL, 40)
    if what == "quote":
        watched.turn(100_000)
        watched.case.broker.quotes.clear()
    watched.equity.turn()
    assert watched.closing.asked == []


def test_peak_starts_anew_when_a_person_ends_a_drawdown() -> None:
    watched = Watched()
    watched.turn(100_000)
    watched.case.clock.at = AT + timedelta(days=1)
    watched.turn(89_000)
    assert watched.facts.peak_equity_usd(watched.today.trading_day) == 100_000
    halt = loss_halt(Reason.DRAWDOWN, watched.case.desk)
    watched.case.desk.note(entries.halt(halt))
    told = entries.resume(watched.case.desk.now, halt_id=halt.halt_id, by="ada", note="")
    watched.case.desk.note(told)
    watched.equity.start_anew()
    assert watched.facts.peak_equity_usd(watched.today.trading_day) == 89_000


def test_restart_after_the_flatten_closes_what_was_held_then_and_nothing_bought_since() -> None:
    """Of 30 MSFT held then and 20 bought ten minutes later, 30 leave."""
    msft, nvda = Contract(con_id=9, symbol="MSFT"), Contract(con_id=10, symbol="NVDA")
    watched, leaves = Watched(), list[Leave]()
    desk = watched.case.desk
    for contract in (msft, nvda):
        watched.case.price(contract, 50)
    desk.note(booked(fill(None, 30, "50", id="m.01", contract=msft)))
    watched.turn(100_000)
    watched.turn(95_000, 40)
    later = watched.case.clock.at = AT + timedelta(minutes=10)
    desk.note(booked(fill(None, 20, "50", id="m2.01", contract=msft, at=later)))
    desk.note(booked(fill(None, 20, "50", id="n.01", contract=nvda, at=later)))

    class Leaving:
        def leave(self, wanted: Leave) -> None:
            leaves.append(wanted)

    guard = Guard(desk, None, Leaving())  # type: ignore[arg-type]
    cancelling = Cancelling(desk, None)  # type: ignore[arg-type]
    closing = Closing(desk, cancelling, guard, Leaving())  # type: ignore[arg-type]
    watched.equity = Equity(desk, watched.facts, closing)
    for contract in (msft, nvda):
        watched.case.price(contract, 50)
    watched.turn(95_000, 40)
    assert [(leave.contract.symbol, leave.qty) for leave in leaves] == [("MSFT", 30)]


@pytest.mark.parametrize(("last", "closed"), [("99.50", 0), ("40", 1)])
def test_touch_too_wide_to_read_is_judged_by_the_last_trade_inside_it(
    last: str, closed: int
) -> None:
    """Half way, at 50, 5,000 would be lost, and all would be sold into it."""
    watched = Watched()
    watched.turn(100_000)
    wide = {"bid_usd": usd("0.02"), "ask_usd": usd("99.98"), "last_usd": usd(last)}
    watched.case.broker.quotes[AAPL.con_id] = Quote(contract=AAPL, at=AT, **wide)
    watched.equity.turn()
    assert len(watched.closing.asked) == closed
