"""Transitions and trading days as tables; what memory lets go; the JSON of values."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from books import ACCOUNT, AT, FACTS, after, booked, fill, intent, round_trip

from bft.domain.encoding import decode, encode, money_text
from bft.domain.errors import DataError
from bft.domain.orders import IntentState, OrderRequest, OrderType, Side
from bft.domain.trading import ExitPolicy, Instrument, SignalKind
from bft.domain.trading_days import trading_day
from bft.ledger import entries, trim
from bft.ledger.fold import apply
from bft.ledger.state import BookState
from bft.ledger.transitions import may_move

TABLE = {  # executor specification, section 3, read off by hand
    "RESERVED": "SENT LAPSED UNKNOWN",
    "SENT": "ACKED PARTIAL FILLED REJECTED UNKNOWN",
    "ACKED": "PARTIAL FILLED CANCEL_PENDING CANCELLED EXPIRED UNKNOWN",
    "PARTIAL": "PARTIAL FILLED CANCEL_PENDING CANCELLED EXPIRED UNKNOWN",
    "CANCEL_PENDING": "CANCELLED PARTIAL FILLED UNKNOWN",
    "UNKNOWN": "ACKED PARTIAL FILLED CANCEL_PENDING CANCELLED EXPIRED REJECTED",
}


@pytest.mark.parametrize("old", IntentState)
@pytest.mark.parametrize("new", IntentState)
def test_moves_are_those_of_the_specification(old: IntentState, new: IntentState) -> None:
    assert may_move(old, new) == (new is old or new.value in TABLE.get(old, "").split())


@pytest.mark.parametrize(
    ("at", "stock", "future"),
    [
        ("2026-01-05T15:00", "2026-01-05", "2026-01-05"),
        ("2026-01-05T22:59", "2026-01-05", "2026-01-05"),  # 16:59 Chicago
        ("2026-01-05T23:00", "2026-01-05", "2026-01-06"),  # 17:00 Chicago
        ("2026-01-06T04:59", "2026-01-05", "2026-01-06"),  # 23:59 New York
        ("2026-01-09T23:30", "2026-01-09", "2026-01-12"),  # Friday evening
        ("2026-01-11T23:30", "2026-01-12", "2026-01-12"),  # Sunday evening
        ("2026-07-06T22:00", "2026-07-06", "2026-07-07"),  # 17:00 Chicago in summer
        ("2026-12-25T15:00", "2026-12-28", "2026-12-28"),  # a holiday
    ],
)
def test_trading_day(at: str, stock: str, future: str) -> None:
    instant = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert trading_day(instant) == date.fromisoformat(stock)
    assert trading_day(instant, sec_type="FUT") == date.fromisoformat(future)


def test_money_as_text_has_one_form() -> None:
    told = ["1E+2", "100.000", "-0.00", "0.5000", "-12"]
    assert [money_text(Decimal(text)) for text in told] == ["100", "100", "0", "0.5", "-12"]


def test_a_request_survives_its_json() -> None:
    request = OrderRequest(
        signal_id="s",
        kind=SignalKind.ENTRY,
        symbol="AAPL",
        side=Side.BUY,
        instrument=Instrument.STOCK,
        qty=0,
        order_type=OrderType.LIMIT,
        created_at=AT,
        asof=AT.date(),
        limit_price_usd=Decimal("10.5"),
        exits=ExitPolicy(partials=((0.5, 0.1),)),
        features={"rsi": 31.5},
    )
    assert replace(decode(OrderRequest, encode(request)), exits=request.exits) == request
    assert tuple(tuple(p) for p in encode(request.exits)["partials"]) == ((0.5, 0.1),)


def test_memory_lets_go_after_thirty_days_and_keeps_what_is_open() -> None:
    state, held = BookState(), intent(signal="held")
    for entry in round_trip():
        apply(state, entry)
    apply(state, entries.intents(AT, intents=(held,), facts=FACTS))
    apply(state, booked(fill(held, 100, "9", id="h.01", at=after(60))))
    apply(state, entries.epoch(AT + timedelta(days=30), number=1))
    assert len(state.trades) == 2
    apply(state, entries.epoch(AT + timedelta(days=32), number=2))
    assert list(state.trades) == [held.intent_id]
    assert list(state.executions) == ["h.01"]
    assert state.position_qty(ACCOUNT, held.contract.con_id) == 100
    assert state.entry_signals == {"s1", "held"}
    assert state.limits == {}


def many(state: BookState, count: int) -> None:
    for n in range(count):
        start = AT + timedelta(seconds=10 * n)
        for entry in round_trip(f"s{n}", start=start, order_id=1 + 3 * n):
            apply(state, entry)


def test_a_flood_of_orders_does_not_fill_memory_nor_is_booked_twice() -> None:
    state = BookState(trim_above=200)
    many(state, 120)
    assert len(state.intents) < 300
    row = state.limits["account", ACCOUNT, AT.date()]
    assert (row.entries, row.realised_usd) == (120, -503 * 120)
    assert state.forgotten
    again = round_trip("s0")
    assert apply(state, again[4]) == ()
    corrected = again[4].body["execution"] | {"exec_id": "s0.e1.02"}
    with pytest.raises(DataError, match="corrects one that memory no longer holds"):
        apply(state, replace(again[4], body={"execution": corrected}))
    assert state.order_ids[10] == 360


def test_a_late_fill_of_an_order_let_go_comes_with_its_row() -> None:
    state = BookState(trim_above=50)
    many(state, 40)
    first = intent(signal="s0", qty=120)
    assert first.intent_id not in state.intents
    old = replace(first, filled_qty=100, state=IntentState.CANCELLED, ended_at=AT)
    told = fill(old, 20, "9", id="late.01", at=AT + timedelta(days=1))
    apply(state, entries.execution(told.at, execution=told, intent=old))
    assert state.intents[first.intent_id].filled_qty == 120
    assert state.intents[first.intent_id].state is IntentState.FILLED
    assert state.position_qty(ACCOUNT, first.contract.con_id) == 20
    assert trim.MANY == 5000
