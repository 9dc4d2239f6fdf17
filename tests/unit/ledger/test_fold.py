"""The fold on hand-worked lives: orders, fills, corrections, late words, controls."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from books import (
    AAPL,
    ACCOUNT,
    AT,
    CALL,
    DAY,
    FACTS,
    MemoryTables,
    acked,
    after,
    booked,
    bracket_orders,
    fill,
    intent,
    round_trip,
)

from bft.domain.errors import DataError
from bft.domain.journal import Entry
from bft.domain.orders import FillSource, IntentState, Leg, Side
from bft.ledger import entries
from bft.ledger.fold import apply, replay
from bft.ledger.load import load
from bft.ledger.records import Adjustment, Bracket, Halt, TradeOutcome
from bft.ledger.state import BookState

D = Decimal


def reserved(*orders: object) -> BookState:
    made = orders or (intent(),)
    return replay([entries.intents(AT, intents=made, facts=FACTS)])  # type: ignore[arg-type]


def test_a_stopped_round_trip_in_numbers() -> None:
    state = replay(round_trip())
    # 100 bought at 100, sold at 95: -500; fees 1 and 2: -503. Risk 5 a unit: R = -503/500.
    (trade,) = state.trades.values()
    assert (trade.outcome, trade.pnl_usd, trade.fees_usd) == (TradeOutcome.STOP, D(-503), D(3))
    assert (trade.r_multiple, trade.entry_price, trade.exit_price) == (D("-1.006"), 100, 95)
    assert (trade.entered_at, trade.exited_at) == (after(3), after(6))
    assert (trade.submitted_at, trade.slippage_bps, trade.exit_reason) == (after(1), 0, "stop")
    assert state.positions == {}
    row = state.limits["account", ACCOUNT, DAY]
    assert (row.orders, row.entries, row.notional_usd) == (1, 1, 10_000)
    assert (row.realised_usd, row.fees_usd, row.streak) == (-503, 3, 1)
    assert state.limits["symbol", f"{ACCOUNT}/AAPL", DAY].realised_usd == -503
    entry = state.intents[trade.id]
    assert (entry.state, entry.filled_qty, entry.ended_at) == (IntentState.FILLED, 100, after(4))


def test_position_carries_average_cost_and_multiplier() -> None:
    call = intent(contract=CALL, qty=3)
    state = reserved(call)
    apply(state, booked(fill(call, 1, "2.50", id="a.01")))
    apply(state, booked(fill(call, 2, "2.80", id="b.01", at=after(1), fee_usd=D("1.30"))))
    held = state.positions[ACCOUNT, CALL.con_id]
    # (250 + 560) / 300 = 2.70 a unit of the quote
    assert (held.qty, held.average_cost_usd, held.cost_usd) == (3, D("2.7"), D(810))
    assert held.multiplier == 100
    apply(
        state, booked(fill(None, 2, "3.00", id="c.01", at=after(2), contract=CALL, side=Side.SELL))
    )
    (trade,) = state.trades.values()
    # first in, first out: (3.00 - 2.50) and (3.00 - 2.80), times 100, less half of 1.30
    assert trade.pnl_usd == D(50) + D(20) - D("0.65")
    assert (trade.outcome, trade.closed_qty) == (TradeOutcome.PARTIAL, 2)


def test_short_sale_and_flip() -> None:
    short = intent(side=Side.SELL, qty=10)
    state = reserved(short)
    apply(state, booked(fill(short, 10, "50", id="a.01")))
    apply(state, booked(fill(None, 15, "48", id="b.01", at=after(5), fee_usd=D(3))))
    held = state.positions[ACCOUNT, AAPL.con_id]
    assert (held.qty, held.average_cost_usd, held.opened_at) == (5, 48, AT)  # held since
    trade = state.trades[short.intent_id]
    assert trade.pnl_usd == D(20) - D(2)  # two thirds of the fee of 3 belong to the closing part
    assert (trade.outcome, trade.exit_reason) == (TradeOutcome.MANUAL_EXIT, "manual")
    assert state.trades["manual:b"].fees_usd == 1


def test_correction_replaces_and_reopens() -> None:
    order = intent(qty=100)
    state = reserved(order)
    apply(state, booked(fill(order, 100, "10", id="x.01")))
    assert state.intents[order.intent_id].state is IntentState.FILLED
    apply(state, booked(fill(order, 80, "11", id="x.02")))
    assert state.intents[order.intent_id].state is IntentState.PARTIAL
    assert state.intents[order.intent_id].filled_qty == 80
    assert state.positions[ACCOUNT, AAPL.con_id].cost_usd == 880
    assert state.executions["x.01"].superseded_by == "x.02"
    assert apply(state, booked(fill(order, 100, "10", id="x.01"))) == ()


@pytest.mark.parametrize(
    ("end", "filled", "state"),
    [
        (IntentState.CANCELLED, 40, IntentState.CANCELLED),
        (IntentState.CANCELLED, 100, IntentState.FILLED),
        (IntentState.EXPIRED, 100, IntentState.FILLED),
        (IntentState.LAPSED, 40, IntentState.CANCELLED),
        (IntentState.REJECTED, 100, IntentState.FILLED),
    ],
)
def test_late_execution_is_booked_on_a_terminal_order(
    end: IntentState, filled: int, state: IntentState
) -> None:
    order = replace(intent(), state=end, ended_at=AT)
    book = reserved(order)
    apply(book, booked(fill(order, filled, "10", id="x.01", at=after(9))))
    assert book.intents[order.intent_id].state is state
    assert book.intents[order.intent_id].filled_qty == filled
    assert book.positions[ACCOUNT, AAPL.con_id].qty == filled


def test_execution_of_nobody_is_manual_until_its_order_is_adopted() -> None:
    order, state = intent(), BookState()
    apply(state, booked(fill(order, 100, "10", id="x.01")))
    assert state.executions["x.01"].execution.source is FillSource.MANUAL
    assert list(state.trades) == ["manual:x"]
    apply(state, entries.intents(after(1), intents=(order,), facts=FACTS))
    assert state.executions["x.01"].intent_id == order.intent_id
    assert list(state.trades) == [order.intent_id]
    assert state.intents[order.intent_id].filled_qty == 100


def test_perm_id_and_full_key_find_the_order_a_bare_order_id_does_not() -> None:
    entry, target, stop = bracket_orders()
    state = reserved(entry, target, stop)
    apply(state, acked(entry, perm_id=900))
    by_perm = fill(None, 1, "10", id="a.01", perm_id=900)
    apply(state, booked(by_perm))
    by_key = fill(None, 1, "10", id="b.01", order_id=1, client_id=10)
    apply(state, entries.execution(AT, execution=by_key, epoch=1))
    bare = fill(None, 1, "10", id="c.01", order_id=1, client_id=10)
    apply(state, booked(bare))
    assert [state.executions[n].intent_id for n in ("a.01", "b.01", "c.01")] == [
        entry.intent_id,
        entry.intent_id,
        None,
    ]
    assert state.order_ids == {10: 3}


def test_fee_may_come_before_and_long_after_its_execution() -> None:
    order = intent(qty=10)
    early = [
        entries.intents(AT, intents=(order,), facts=FACTS),
        entries.fee(AT, exec_id="x.01", fee_usd=D("1.5")),
        booked(fill(order, 10, "10", id="x.01")),
    ]
    late = [early[0], early[2], early[1]]
    assert replay(early).lots == replay(late).lots
    state = replay(early)
    assert state.fees == {}
    assert state.lots["x"].fee_usd == D("1.5")


def test_illegal_move_is_refused_and_changes_nothing() -> None:
    order = intent()
    state = reserved(order)
    with pytest.raises(DataError, match="is RESERVED and cannot become ACKED"):
        apply(
            state,
            entries.moved(AT, intent_id=order.intent_id, state=IntentState.ACKED, evidence="none"),
        )
    assert state.intents[order.intent_id].state is IntentState.RESERVED


def test_unknown_kind_and_repeated_identity_are_refused() -> None:
    with pytest.raises(DataError, match="unknown kind 'nonsense'"):
        apply(BookState(), Entry(kind="nonsense", at=AT, body={}))
    state = reserved()
    with pytest.raises(DataError, match="never sent twice"):
        apply(state, entries.intents(AT, intents=(intent(),), facts=FACTS))


def test_unfilled_entries_free_their_place_but_stay_orders() -> None:
    order = intent(qty=100)
    state = reserved(order)
    apply(state, entries.lapsed(AT, intent_ids=[order.intent_id], reason="kill"))
    row = state.limits["profile", f"{ACCOUNT}/equities", DAY]
    assert (row.orders, row.entries, row.notional_usd) == (1, 0, 0)
    assert state.trades[order.intent_id].outcome is TradeOutcome.CANCELLED
    assert state.trades[order.intent_id].exit_reason == "lapsed"


def test_split_rescales_lots_position_levels_and_mark() -> None:
    order = intent(qty=100)
    state = reserved(order)
    apply(state, booked(fill(order, 100, "100", id="x.01", at=after(1))))
    apply(state, entries.mark(after(2), account=ACCOUNT, con_id=AAPL.con_id, price_usd=D(104)))
    split = Adjustment(
        adjustment_id="split:1",
        at=after(3),
        account=ACCOUNT,
        contract=AAPL,
        by="bft",
        note="4:1, confirmed by the actions table",
        ratio=D(4),
    )
    apply(state, entries.split(split))
    assert apply(state, entries.split(split)) == ()
    held = state.positions[ACCOUNT, AAPL.con_id]
    assert (held.qty, held.average_cost_usd, held.cost_usd) == (400, 25, 10_000)
    assert held.mark_usd == 26
    trade = state.trades[order.intent_id]
    assert (trade.qty, trade.stop_price, trade.target_price) == (400, D("23.75"), D("28.75"))
    assert trade.slippage_bps == 0
    out = fill(None, 400, "26", id="y.01", at=after(4), side=Side.SELL)
    apply(state, booked(out))
    assert state.trades[order.intent_id].pnl_usd == 400


def test_adjustment_without_a_price_realises_nothing() -> None:
    order = intent(qty=100)
    state = reserved(order)
    apply(state, booked(fill(order, 100, "10", id="x.01")))
    signed = Adjustment(
        adjustment_id="adj:1",
        at=after(1),
        account=ACCOUNT,
        contract=AAPL,
        by="ann",
        note="transferred out",
        qty=D(-30),
    )
    apply(state, entries.adjustment(signed))
    assert state.positions[ACCOUNT, AAPL.con_id].qty == 70
    assert state.trades[order.intent_id].pnl_usd == 0


def test_loss_streak_counts_back_to_a_win_or_its_halt() -> None:
    state = BookState()
    for n, price in enumerate(("115", "95", "95", "95")):
        start = AT + timedelta(minutes=n)
        for entry in round_trip(f"s{n}", start=start, exit_price=price, order_id=1 + 3 * n):
            apply(state, entry)
    place = ("account", ACCOUNT, DAY)
    assert state.limits[place].streak == 3
    halt = Halt(
        halt_id="h1",
        scope="account",
        key=ACCOUNT,
        rule="loss_streak",
        reason="3 losing trades in a row",
        set_by="bft",
        set_at=AT + timedelta(minutes=9),
        until=AT + timedelta(days=1),
    )
    apply(state, entries.halt(halt))
    assert state.limits[place].streak == 0
    assert state.active_halts(AT + timedelta(hours=1)) == [halt]
    assert state.active_halts(AT + timedelta(days=1)) == []


def test_kill_switch_counts_generations() -> None:
    state = BookState()
    apply(state, entries.kill(AT, source="api", by="ann", reason="drill"))
    apply(state, entries.kill(AT, source="file", by="root", reason="drill"))
    assert (state.kill.generation, state.kill.sources) == (1, ("api", "file"))
    with pytest.raises(DataError, match="at generation 1, not 7"):
        apply(state, entries.unkill(AT, by="bob", generation=7))
    apply(state, entries.unkill(AT, by="bob", generation=1))
    assert not state.kill.latched
    apply(state, entries.kill(AT, source="api", by="ann", reason="again"))
    assert state.kill.generation == 2


def test_acknowledged_amend_changes_quantity_and_price() -> None:
    entry, target, stop = bracket_orders()
    state = reserved(entry, target, stop)
    apply(state, entries.sent(AT, intent_ids=[stop.intent_id]))
    apply(state, acked(stop, perm_id=5, qty=100, stop_price_usd=D(95)))
    apply(state, acked(stop, perm_id=5, at=after(1), qty=60, stop_price_usd=D(97)))
    now = state.intents[stop.intent_id]
    assert (now.qty, now.stop_price_usd, now.state) == (60, 97, IntentState.ACKED)
    assert state.orders[1, 10, 3].revision == 1
    completed = replace(stop, epoch=7, order_id=0)  # a later session tells no order id
    apply(state, acked(completed, perm_id=5, at=after(2), broker_status="Cancelled"))
    assert state.orders[1, 10, 3].broker_status == "Cancelled"
    assert len(state.orders) == 3
    assert now.leg is Leg.STOP


def test_stop_is_named_by_its_level_until_it_begins_to_fill() -> None:
    """A trail took over, then half was filled, then the stop was the tighter one again."""
    entry, target, stop = bracket_orders()
    bracket = Bracket(
        account=ACCOUNT,
        con_id=AAPL.con_id,
        entry=entry.intent_id,
        at=AT,
        opened_at=AT,
        exit_state={},
    )
    told = [
        entries.intents(AT, intents=(entry, target, stop), facts=FACTS),
        entries.sent(AT, intent_ids=[leg.intent_id for leg in (entry, target, stop)]),
        booked(fill(entry, 100, "100", id="e.01")),
        entries.bracket(bracket, stop_reason="trail"),
        booked(fill(stop, 50, "104", id="x.01", at=after(60))),
        entries.bracket(bracket, stop_reason="stop"),
        booked(fill(stop, 50, "104", id="y.01", at=after(61))),
    ]
    state = replay(told)
    (trade,) = state.trades.values()
    assert (trade.exit_reason, trade.outcome) == ("trail", "stop")
    again = load(MemoryTables(told), at=after(61))
    assert again.lots == state.lots
    assert again.intents[stop.intent_id].reason == "trail"
