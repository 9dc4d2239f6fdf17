"""Closing orders: one in flight, in the group, then outside of it; never more than is held."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from books import AAPL, AT, CALL, acked, booked, fill
from desk_cases import Case, bought, case
from virtual_time import run

from bft.domain.broker import Priority, SessionState
from bft.domain.orders import Intent, IntentState, Leg, OrderType, Side
from bft.exits import Reason
from bft.ledger import entries
from bft.services.executor.covers import Cover, counted, parted
from bft.services.executor.leaving import Leave, Leaving

OPEN, PREOPEN = AT, AT - timedelta(minutes=70)


class Sender:
    """Commits at once, and tells what was asked of the broker."""

    def __init__(self, held: Case) -> None:
        self.case, self.sent, self.cancelled = held, list[Intent](), list[str]()

    async def leave_to_send(self, _count: int, _priority: Priority) -> None:
        return None

    async def dispatch(self, legs: list[Intent]) -> None:
        self.sent += legs
        now = self.case.clock.at
        numbered = [
            replace(leg, order_id=500 + len(self.sent), client_id=10, epoch=1) for leg in legs
        ]
        self.case.desk.note(entries.intents(now, intents=numbered, facts=None))
        self.case.desk.note(entries.sent(now, intent_ids=[leg.intent_id for leg in legs]))

    async def cancel(self, leg: Intent, *, why: str) -> None:
        self.cancelled.append(f"{leg.leg}: {why}")

    async def amend(self, leg: Intent, *, remaining: int, price_usd: Decimal) -> None:
        self.cancelled.append(f"{leg.leg}: {remaining} at {price_usd}")


class Exit:
    """A position of 100 in one bracket, `part` of which was asked for, and what makes it leave."""

    def __init__(self, part: int = 0, **given: Any) -> None:
        told, bare = bought(**given)
        self.cover = parted(bare, part, Reason.MANUAL) if part else bare
        self.case = case(*told)
        self.sender = Sender(self.case)
        self.leaving = Leaving(self.case.desk, self.sender)  # type: ignore[arg-type]
        self.wanted = Leave(
            signal_id="s1",
            contract=self.cover.contract,
            side=Side.SELL,
            qty=100,
            reason="time",
            parent_id=self.cover.entry,
            group=self.cover.oca_group,
        )

    def ask(self, **changes: Any) -> None:
        self.leaving.leave(replace(self.wanted, **changes))

    def move(self, state: IntentState, which: int = -1) -> None:
        told = entries.moved(
            self.case.clock.at,
            intent_id=self.sender.sent[which].intent_id,
            state=state,
            evidence="test",
        )
        self.case.desk.note(told)

    def refuse(self) -> None:
        """The newest attempt, unless it has been refused."""
        newest = self.case.desk.state.intents[self.sender.sent[-1].intent_id]
        if not newest.state.terminal:
            self.move(IntentState.REJECTED)

    def over(self, leg: Leg) -> None:
        for one in list(self.case.desk.state.live_intents()):
            for state in (IntentState.UNKNOWN, IntentState.CANCELLED) if one.leg is leg else ():
                told = entries.moved(
                    self.case.clock.at, intent_id=one.intent_id, state=state, evidence="test"
                )
                self.case.desk.note(told)

    def fill(self, qty: int) -> None:
        """The newest exit fills whole, and its cover is counted."""
        (order,) = self.sender.sent
        told = fill(order, qty, "100", id=f"{order.intent_id}.01", side=Side.SELL)
        self.case.desk.note(booked(told))
        state = self.case.desk.state
        legs = state.intents.legs(self.cover.entry)
        self.cover = counted(self.cover, state.intents[self.cover.entry], list(legs), [])

    def cut(self, qty: int) -> None:
        """The broker tells that stop and target are down to so many units."""
        for leg in list(self.case.desk.state.live_intents()):
            self.case.desk.note(acked(leg, perm_id=leg.order_id, qty=qty))

    def groups(self) -> list[tuple[int, str | None]]:
        return [(order.qty, order.oca_group) for order in self.sender.sent]

    def shown(self) -> tuple[int, bool]:
        """Units and target that the guard still protects."""
        cover: Cover = self.leaving.left_to_protect(self.cover)
        return cover.open_qty, bool(cover.state and cover.state.target_usd)


def test_exit_leaves_once_in_the_group_of_its_bracket() -> None:
    exit_ = Exit()
    for _ in range(3):
        exit_.ask()
    assert exit_.groups() == [(100, exit_.cover.oca_group)]
    (order,) = exit_.sender.sent
    assert (order.order_type, order.side, order.reason) == (OrderType.MARKET, Side.SELL, "time")
    assert exit_.shown() == (100, True)


def test_part_in_flight_counts_and_the_rest_follows() -> None:
    exit_ = Exit()
    exit_.ask(qty=40)
    exit_.ask(qty=40)
    exit_.ask(qty=100)
    assert [order.qty for order in exit_.sender.sent] == [40, 60]
    assert len({order.intent_id for order in exit_.sender.sent}) == 2


def test_part_leaves_beside_the_group_once_its_protection_made_room() -> None:
    exit_ = Exit(part=40)
    exit_.ask(qty=40, keeps_qty=60)
    assert (exit_.groups(), exit_.shown()) == ([], (60, True))  # first they step aside
    exit_.cut(60)
    exit_.ask(qty=40, keeps_qty=60)
    assert (exit_.groups(), exit_.shown()) == ([(40, None)], (60, True))
    exit_.fill(40)
    assert exit_.shown() == (60, True)  # nobody has asked since


def test_part_whose_exit_is_not_answered_is_told_after_2_s() -> None:
    exit_ = Exit(part=40)
    exit_.cut(60)
    for waits_s in (0, 2, 1):
        exit_.case.wait(seconds=waits_s)
        assert not exit_.case.alerts()
        exit_.ask(qty=40, keeps_qty=60)
    assert exit_.case.alerts() == ["ProtectionMissing"]


def test_part_that_may_not_leave_gives_its_protection_back() -> None:
    exit_ = Exit(part=40)
    exit_.ask(qty=40, keeps_qty=60)
    exit_.case.broker.state = SessionState.LOST
    exit_.ask(qty=40, keeps_qty=60)
    assert (exit_.groups(), exit_.shown()) == ([], (100, True))


def test_part_for_which_no_room_is_made_joins_the_group() -> None:
    exit_ = Exit(part=40)
    for _ in range(5):
        exit_.ask(qty=40, keeps_qty=60)
        assert exit_.groups() == []
        exit_.case.wait(seconds=1)
    for _ in range(2):
        exit_.ask(qty=40, keeps_qty=60)
    assert (exit_.groups(), exit_.shown()) == ([(40, exit_.cover.oca_group)], (100, True))


def test_whole_beside_a_part_in_flight_leaves_with_the_rest_in_the_group() -> None:
    exit_ = Exit(part=40)
    exit_.cut(60)
    exit_.ask(qty=40, keeps_qty=60)
    exit_.ask()
    assert exit_.groups() == [(40, None), (60, exit_.cover.oca_group)]
    assert exit_.shown() == (60, True)


@pytest.mark.parametrize(
    ("at", "state", "leaves"),
    [
        (OPEN, SessionState.ARMED, True),
        (OPEN, SessionState.RECONCILING, True),
        (OPEN, SessionState.LOST, False),
        (PREOPEN, SessionState.ARMED, True),
        (PREOPEN - timedelta(minutes=6), SessionState.ARMED, False),
        (AT + timedelta(hours=6), SessionState.ARMED, False),
        (AT + timedelta(days=5), SessionState.ARMED, False),
    ],
)
def test_exit_waits_for_the_session_or_the_auction(
    at: Any, state: SessionState, leaves: bool
) -> None:
    exit_ = Exit()
    exit_.case.clock.at, exit_.case.broker.state = at, state
    exit_.ask()
    assert bool(exit_.sender.sent) is leaves


def test_exit_never_sells_more_than_book_and_in_a_dispute_broker_hold() -> None:
    exit_ = Exit()
    exit_.case.desk.note(booked(fill(None, 30, "100", id="m.01", side=Side.SELL)))
    exit_.ask()
    assert exit_.groups() == [(70, exit_.cover.oca_group)]
    exit_ = Exit()
    exit_.case.desk.disputed = frozenset({"AAPL"})
    exit_.case.desk.broker_qty = {AAPL.con_id: Decimal(10)}
    exit_.ask()
    assert exit_.groups()[0][0] == 10
    exit_ = Exit()
    exit_.ask(side=Side.BUY)
    assert exit_.sender.sent == []


def test_two_that_ask_for_the_same_units_while_leave_is_awaited_sell_them_once() -> None:
    """A person closes what the guard closes as an overfill; both wait for the pacer."""
    sold = list[int]()

    class Slow(Sender):
        async def leave_to_send(self, _count: int, _priority: Priority) -> None:
            await asyncio.sleep(0.1)

    async def story() -> None:
        held = case(booked(fill(None, 100, "100", id="m.01")))
        sender = Slow(held)
        leaving = Leaving(held.desk, sender)  # type: ignore[arg-type]
        for name in ("close:1", "overfill:1"):
            sale = {"side": Side.SELL, "qty": 100, "reason": "manual"}
            leaving.leave(Leave(signal_id=name, contract=AAPL, **sale))
        await asyncio.sleep(1)
        sold.extend(order.qty for order in sender.sent)

    run(story())
    assert sold == [100]


def test_refused_in_the_group_the_target_goes_first_and_the_stop_last() -> None:
    exit_ = Exit()
    exit_.ask()
    exit_.move(IntentState.REJECTED)
    exit_.ask()
    assert exit_.sender.cancelled == ["target: makes room for an exit"]
    assert len(exit_.sender.sent) == 1
    assert exit_.shown() == (100, False)  # the stop stays
    exit_.over(Leg.TARGET)
    exit_.ask()
    assert exit_.groups()[1] == (100, None)
    assert exit_.shown() == (100, False)  # not acknowledged yet
    exit_.move(IntentState.ACKED)
    exit_.ask()
    assert exit_.shown() == (0, False)  # now the stop goes
    exit_.case.wait(seconds=30)
    assert exit_.shown() == (0, True)  # nobody asks any more, but it still works
    exit_.move(IntentState.CANCELLED)
    assert exit_.shown() == (100, True)


def test_target_that_does_not_go_keeps_nobody_waiting_beyond_two_seconds() -> None:
    exit_ = Exit()
    exit_.ask()
    exit_.move(IntentState.REJECTED)
    for seconds in (0, 1, 1.5):
        exit_.case.wait(seconds=seconds - (exit_.case.clock.timer()))
        exit_.ask()
    assert len(exit_.sender.sent) == 1
    exit_.case.wait(seconds=0.6)
    exit_.ask()
    assert exit_.groups()[1:] == [(100, None)]


def test_third_attempt_waits_ten_seconds() -> None:
    exit_ = Exit()
    exit_.over(Leg.TARGET)
    for _ in range(2):
        exit_.ask()
        exit_.move(IntentState.REJECTED)
    exit_.case.wait(seconds=9)
    exit_.ask()
    assert len(exit_.sender.sent) == 2
    exit_.case.wait(seconds=1.5)
    exit_.ask()
    assert len(exit_.sender.sent) == 3


def test_unknown_exit_is_cancelled_after_five_seconds_and_doubled() -> None:
    exit_ = Exit()
    exit_.ask()
    exit_.move(IntentState.UNKNOWN)
    exit_.ask()
    exit_.case.wait(seconds=4)
    exit_.ask()
    assert len(exit_.sender.sent) == 1
    exit_.case.wait(seconds=2)
    exit_.ask()
    assert exit_.sender.cancelled == ["exit: unknown for 5 s"]
    assert [order.qty for order in exit_.sender.sent] == [100, 100]


def test_option_begins_at_the_mid_then_crosses_then_goes_to_the_market() -> None:
    exit_ = Exit(contract=CALL, qty=2, price="5")
    bid, ask = Decimal("4.80"), Decimal("5.00")
    exit_.case.price(CALL, "4.90")
    quote = exit_.case.broker.quotes[CALL.con_id]
    exit_.case.broker.quotes[CALL.con_id] = replace(quote, bid_usd=bid, ask_usd=ask)
    exit_.ask(qty=2)
    (order,) = exit_.sender.sent
    assert (order.order_type, order.limit_price_usd) == (OrderType.LIMIT, Decimal("4.90"))
    exit_.move(IntentState.ACKED)
    for seconds, told in ((9, []), (2, ["exit: 2 at 4.80"])):
        exit_.case.wait(seconds=seconds)
        exit_.ask(qty=2)
        assert exit_.sender.cancelled == told
    exit_.case.wait(seconds=10)
    exit_.ask(qty=2)
    assert exit_.sender.cancelled[-1] == "exit: limit did not fill"
    exit_.move(IntentState.CANCELLED)
    exit_.ask(qty=2)
    assert exit_.sender.sent[-1].order_type is OrderType.MARKET


def test_exit_that_sticks_pages_after_five_minutes_of_open_market() -> None:
    exit_ = Exit()
    exit_.ask()
    exit_.move(IntentState.ACKED)
    exit_.ask()
    exit_.case.wait(seconds=299)
    exit_.ask()
    assert exit_.case.alerts() == []
    exit_.case.wait(seconds=1)
    exit_.ask()
    assert exit_.case.alerts() == ["ExitStuck"]


def test_exit_that_is_refused_again_and_again_pages_after_five_minutes() -> None:
    """Each attempt is 10 s old at most; none is unfilled for 5 min."""
    exit_ = Exit()
    for second in range(330):
        exit_.ask()
        exit_.over(Leg.TARGET)
        if exit_.sender.sent and second % 2:
            exit_.refuse()
        if second == 290:
            assert exit_.case.alerts() == []
        exit_.case.wait(seconds=1)
    assert exit_.case.alerts() == ["ExitStuck"]
    (told,) = exit_.case.told("alert")
    assert told.body["message"] == "AAPL: 100 units shall leave, every exit was refused for 5 min"


def test_time_in_which_nothing_could_leave_is_none_of_refusals() -> None:
    exit_ = Exit()
    exit_.ask()
    exit_.refuse()
    for minutes in (6, 0):  # an outage
        exit_.ask()
        exit_.case.wait(minutes=minutes)
    assert exit_.case.alerts() == []


def resting_call() -> Exit:
    """Two calls to sell at a limit of 4.90 that rests."""
    exit_ = Exit(contract=CALL, qty=2, price="5")
    exit_.case.price(CALL, "4.90")
    exit_.ask(qty=2)
    exit_.move(IntentState.ACKED)
    exit_.ask(qty=2)
    return exit_


def test_limit_that_an_outage_kept_for_minutes_still_goes_to_the_market() -> None:
    """Nobody looks while no order may leave: the first look may come after the five minutes."""
    exit_ = resting_call()
    exit_.case.wait(seconds=400)
    exit_.ask(qty=2)
    assert exit_.case.alerts() == ["ExitStuck"]
    assert exit_.sender.cancelled == ["exit: limit did not fill"]


def test_ladder_asks_again_after_two_seconds_however_often_it_is_looked_at() -> None:
    """A refusal is a report, and a report brings the next look: it must not bring an order."""
    exit_ = resting_call()
    exit_.case.price(CALL, "4.80")
    for waited, told in ((10, ["exit: 2 at 4.80"]), (2, ["exit: 2 at 4.80"] * 2)):
        exit_.case.wait(seconds=waited)
        for _ in range(5):
            exit_.ask(qty=2)
        assert exit_.sender.cancelled == told
    exit_.case.wait(seconds=8)
    for _ in range(5):
        exit_.ask(qty=2)
    assert exit_.sender.cancelled[2:] == ["exit: limit did not fill"]


def test_exit_of_an_option_is_priced_on_the_step_of_its_price() -> None:
    """A contract as the broker tells it names its smallest step, which holds below 3 alone."""
    steps = ((Decimal(0), Decimal("0.05")), (Decimal(3), Decimal("0.10")))
    told = replace(CALL, tick_usd=Decimal("0.05"), increments=steps)
    exit_ = Exit(contract=told, qty=2, price="5")
    exit_.case.price(told, "4.95")
    exit_.ask(qty=2)
    assert exit_.sender.sent[0].limit_price_usd == Decimal("5.0")


def test_unknown_exit_that_nobody_asks_for_any_more_blocks_others_for_five_seconds_only() -> None:
    """A person closed 40 without a bracket, then sold them elsewhere; the bracket has to leave."""
    exit_ = Exit()
    exit_.case.desk.note(booked(fill(None, 40, "100", id="m.01")))
    bare = {"signal_id": "close:1", "parent_id": None, "group": None, "qty": 40}
    exit_.ask(**bare)
    exit_.move(IntentState.UNKNOWN)
    exit_.case.desk.note(booked(fill(None, 40, "100", id="n.01", side=Side.SELL)))
    exit_.ask()
    assert [order.qty for order in exit_.sender.sent] == [40, 60]
    exit_.case.wait(seconds=6)
    exit_.ask()
    assert exit_.sender.cancelled == ["exit: unknown for 5 s"]
    assert [order.qty for order in exit_.sender.sent] == [40, 60, 40]
