"""When an exit that was decided is due."""

import asyncio
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from books import AAPL, AT, CALL, acked, booked, fill, intent
from desk_cases import bought, case
from executors import usd
from virtual_time import run

from bft.domain import sessions
from bft.domain.broker import Quote, SessionState
from bft.domain.journal import Entry
from bft.domain.orders import Contract, Intent, IntentState, Leg, OrderType, Side
from bft.domain.trading import ExitPolicy
from bft.exits import Reason
from bft.ledger import entries
from bft.services.executor.covers import parted
from bft.services.executor.day_close import DayClose
from bft.services.executor.guard import Guard
from bft.services.executor.leaving import Leave
from bft.services.executor.leaving import Leaving as RealLeaving


class Leaving:
    def __init__(self) -> None:
        self.reasons: list[str] = []

    def leave(self, wanted: Leave) -> None:
        self.reasons.append(wanted.reason)

    def left_to_protect(self, cover: Any) -> Any:
        return cover


def test_intraday_policy_leaves_at_the_bar() -> None:
    """A hold of two minutes ends inside the session, of which bars have been closed already."""
    policy = ExitPolicy(stop_frac=0.05, max_hold_s=120, same_session=True)
    held, leaving = case(*bought(policy=policy)[0]), Leaving()
    stop = next(i for i in held.desk.state.intents.values() if i.leg is Leg.STOP)
    held.desk.note(acked(stop, perm_id=12, broker_status="PreSubmitted"))
    guard = Guard(held.desk, None, leaving)  # type: ignore[arg-type]
    closes = DayClose(held.desk, guard)
    for seconds in (0, 61, 119, 125):
        assert leaving.reasons == []
        held.clock.at = AT + timedelta(seconds=seconds)
        closes.quoted(Quote(contract=AAPL, at=held.clock.at, bid_usd=usd(100), ask_usd=usd(100)))
        guard.turn()
    assert leaving.reasons == ["time"]


def test_price_beyond_a_level_is_named_by_the_level() -> None:
    """Its orders did not fill; `stop_gap` would let other strategies buy back at once."""
    held, leaving = case(*bought()[0]), Leaving()
    stop = next(i for i in held.desk.state.intents.values() if i.leg is Leg.STOP)
    held.desk.note(acked(stop, perm_id=12, broker_status="PreSubmitted"))
    guard = Guard(held.desk, None, leaving)  # type: ignore[arg-type]
    for _ in range(2):
        held.price(AAPL, 90)
        guard.turn()
        held.wait(seconds=11)
    assert leaving.reasons == ["stop"]


def test_look_at_one_contract_does_not_put_off_the_look_at_all() -> None:
    turns = list[float]()

    async def story() -> None:
        timer = asyncio.get_running_loop().time
        held, began = case(timer=timer), timer()
        held.desk.took = lambda _what, _seconds: turns.append(round(timer() - began, 1))
        guard = Guard(held.desk, None, None)  # type: ignore[arg-type]
        watching = asyncio.ensure_future(guard.watch())
        await asyncio.sleep(0.9)
        guard.touch(1)
        await asyncio.sleep(0.6)
        watching.cancel()

    run(story())
    assert turns == [0.0, 0.9, 1.0]


def test_stop_that_the_broker_cancels_at_once_is_not_placed_at_its_speed() -> None:
    held = case(*bought()[0])
    stop = next(i for i in held.desk.state.intents.values() if i.leg is Leg.STOP)
    sent = list[Intent]()

    def cancelled(intent_id: str) -> list[Entry]:
        states = (IntentState.ACKED, IntentState.CANCELLED)
        at = held.clock.at
        return [entries.moved(at, intent_id=intent_id, state=s, evidence="told") for s in states]

    class Sender:
        async def send(self, orders: list[Intent], **_: Any) -> None:
            ids = [order.intent_id for order in orders]
            held.desk.note(entries.intents(held.clock.at, intents=orders, facts=None))
            held.desk.note(entries.sent(held.clock.at, intent_ids=ids))
            held.desk.note(*(told for name in ids for told in cancelled(name)))
            sent.extend(order for order in orders if order.leg is Leg.STOP)

    guard = Guard(held.desk, Sender(), Leaving())  # type: ignore[arg-type]
    held.desk.note(*cancelled(stop.intent_id))
    for _ in range(50):
        guard.turn()
        held.wait(seconds=0.1)
    assert 1 <= len(sent) <= 3


@pytest.mark.parametrize(
    ("parent", "sold", "cancelled"), [(True, 40, 1), (False, 100, 1), (True, 0, 0)]
)
def test_exit_that_rests_for_more_than_is_left_is_cancelled_within_two_seconds(
    *, parent: bool, sold: int, cancelled: int
) -> None:
    """It waits for the auction while a person sells: at the open it would sell short."""
    told, cover = bought()
    leave = intent(
        Leg.EXIT,
        order_type=OrderType.MARKET,
        parent_id=cover.entry if parent else None,
        order_id=50,
        client_id=10,
        epoch=1,
    )
    sent = entries.sent(AT, intent_ids=[leave.intent_id])
    made = entries.intents(AT, intents=[leave], facts=None)
    held = case(*told, made, sent, acked(leave, perm_id=50))
    if sold:
        held.desk.note(booked(fill(None, sold, "100", id="m.01", side=Side.SELL)))
    gone = list[str]()

    class Sender:
        async def cancel(self, leg: Intent, **_: Any) -> None:
            gone.append(leg.intent_id)

        async def send(self, orders: list[Intent], **_: Any) -> None:
            return None

    guard = Guard(held.desk, Sender(), Leaving())  # type: ignore[arg-type]
    guard.turn()
    assert leave.intent_id not in gone, "its group may cut it"
    held.wait(seconds=1.1)
    guard.turn()
    assert gone.count(leave.intent_id) == cancelled


@pytest.mark.parametrize(
    ("day", "minute", "told"),
    [
        (date(2026, 1, 5), "20:56:59", False),  # 15:57 New York, 3 min before the close
        (date(2026, 1, 5), "20:57:00", True),
        (date(2026, 1, 5), "21:00:00", False),
        (date(2026, 11, 27), "17:56:59", False),  # the half day after Thanksgiving
        (date(2026, 11, 27), "17:57:00", True),
        (date(2026, 11, 2), "20:57:00", True),  # the Monday after clocks went back
        (date(2026, 3, 9), "19:57:00", True),  # and forward
    ],
)
def test_day_trade_left_three_minutes_before_the_close_pages(
    day: date, minute: str, *, told: bool
) -> None:
    """Also while no exit may leave, and whatever becomes of its orders."""
    bought_at = sessions.open_at(day) + timedelta(hours=1)
    policy = ExitPolicy(stop_frac=0.05, same_session=True)
    at = datetime.fromisoformat(f"{day}T{minute}+00:00")
    held, leaving = case(*bought(policy=policy, at=bought_at)[0], at=at), Leaving()
    held.broker.state = SessionState.DOWN
    Guard(held.desk, None, leaving).turn()  # type: ignore[arg-type]
    assert held.alerts() == ["ExitStuck"] * told


@pytest.mark.parametrize(("minutes", "told"), [(59, True), (61, False), (120, True)])
def test_day_trade_of_a_future_pages_while_it_trades(minutes: int, *, told: bool) -> None:
    """From 16:00 New York an hour more, and again from 18:00."""
    at = sessions.close_at(AT.date()) + timedelta(minutes=minutes)
    policy = ExitPolicy(stop_frac=0.05, same_session=True)
    future = Contract(con_id=7, symbol="NQ", sec_type="FUT", local_symbol="NQH6")
    held = case(*bought(policy=policy, contract=future)[0], at=at)
    Guard(held.desk, None, Leaving()).turn()  # type: ignore[arg-type]
    assert ("ExitStuck" in held.alerts()) == told


def test_day_trade_left_over_night_is_told_with_its_own_day() -> None:
    """Its share was halted at the close; trading goes on the next morning."""
    policy = ExitPolicy(stop_frac=0.05, same_session=True)
    at = AT + timedelta(hours=23, minutes=30, seconds=1)
    held = case(*bought(policy=policy)[0], at=at)
    Guard(held.desk, None, Leaving()).turn()  # type: ignore[arg-type]
    (told,) = (e.body["message"] for e in held.told("alert") if e.body["name"] == "ExitStuck")
    assert told == (
        "AAPL: 100 units of a day trade are left; its end of day began at 2026-01-05 15:50 New York"
    )


def test_limit_of_a_part_goes_to_the_market_though_the_stop_sold_as_much_meanwhile() -> None:
    """Two of four calls: one leaves at a limit of 4.90 and has no stop, the stop sold another."""
    told, cover = bought(contract=CALL, qty=4, price="5")
    terms = {"contract": CALL, "qty": 1, "limit_price_usd": usd("4.90"), "order_id": 50}
    leave = intent(Leg.EXIT, parent_id=cover.entry, client_id=10, epoch=1, **terms)
    made = [
        entries.intents(AT, intents=[leave], facts=None),
        entries.sent(AT, intent_ids=[leave.intent_id]),
        acked(leave, perm_id=50),
    ]
    held, gone = case(*told, *made), list[str]()
    stop = next(i for i in held.desk.state.intents.values() if i.leg is Leg.STOP)
    held.desk.note(acked(stop, perm_id=51, qty=3))

    class Sender:
        async def cancel(self, _leg: Intent, *, why: str) -> None:
            gone.append(why)

        async def amend(self, _leg: Intent, **_: Any) -> None:
            return None

    leaving = RealLeaving(held.desk, Sender())  # type: ignore[arg-type]
    guard = Guard(held.desk, Sender(), leaving)  # type: ignore[arg-type]
    guard.put(parted(cover, 1, Reason.MANUAL))
    held.desk.note(booked(fill(stop, 1, "4.75", id="s.01")))
    for _ in range(22):
        held.price(CALL, "4.80")
        guard.turn()
        held.wait(seconds=1)
    assert guard.covers[cover.entry].part_qty == 0
    assert gone == ["limit did not fill"]
