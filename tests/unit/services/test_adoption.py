"""Orders that state lost, taken back by what one look at the broker brings."""

from dataclasses import replace
from typing import Any

import pytest
from books import AAPL, ACCOUNT, AT, booked, fill
from desk_cases import Case, case
from executors import reference, row, usd

from bft.domain.broker import BrokerOrder, BrokerPosition, Snapshot
from bft.domain.orders import IntentState, Side
from bft.services.executor.adoption import Adoption
from bft.services.executor.guard import Guard

REF = "bft1.LOST"


def order(**given: Any) -> BrokerOrder:
    """A buy of 100 AAPL at 100 under our reference."""
    values: dict[str, Any] = {
        "order_ref": REF,
        "perm_id": 5,
        "order_id": 0,
        "client_id": 10,
        "account": ACCOUNT,
        "contract": AAPL,
        "side": Side.BUY,
        "qty": usd(100),
        "order_type": "LMT",
        "status": "Filled",
        "limit_price_usd": usd(100),
    }
    return BrokerOrder(**{**values, **given})


def look(*orders: BrokerOrder, is_open: bool = False, qty: int = 100) -> Snapshot:
    held = BrokerPosition(account=ACCOUNT, contract=AAPL, qty=usd(qty), average_cost_usd=usd(100))
    return Snapshot(
        epoch=1,
        account=ACCOUNT,
        at=AT,
        positions=(held,) if qty else (),
        open_orders=orders if is_open else (),
        completed=() if is_open else orders,
        executions=(fill(None, 100, "100", id="x.01", order_ref=REF),),
    )


def adopted(held: Case, snapshot: Snapshot) -> Guard:
    guard = Guard(held.desk, None, None)  # type: ignore[arg-type]
    assert Adoption(held.desk, guard).take(snapshot)
    return guard


@pytest.mark.parametrize(
    ("qty", "is_open", "state"),
    [
        (100, False, IntentState.FILLED),
        (150, False, IntentState.PARTIAL),
        (150, True, IntentState.PARTIAL),
    ],
)
def test_fill_heard_before_the_look_is_the_adopted_orders_own(
    qty: int, is_open: bool, state: IntentState
) -> None:
    """It was booked as nobody's while the lists were on their way."""
    held = case(booked(fill(None, 100, "100", id="x.01", order_ref=REF)))
    guard = adopted(held, look(order(qty=usd(qty)), is_open=is_open))
    (entry,) = held.desk.state.intents.values()
    assert (entry.order_ref, entry.state, entry.filled_qty) == (REF, state, 100)
    assert [cover.entry for cover in guard.covers.values()] == [entry.intent_id]
    stored = [item.kind for page in held.writer.pages for item in page.entries]
    assert held.broker.watched == [AAPL]
    assert {"intents", "bracket"} <= set(stored)  # what memory holds is on its way to the book


def test_fill_of_the_look_itself_leaves_the_order_unknown_until_it_is_booked() -> None:
    held = case()
    adopted(held, look(order()))
    (entry,) = held.desk.state.intents.values()
    assert (entry.state, entry.filled_qty) == (IntentState.UNKNOWN, 0)


def test_average_range_of_an_adopted_share_is_that_of_its_new_name() -> None:
    """It is AAPL in the order; the night's tables call it APPL."""
    night = replace(reference("APPL"), renames={"AAPL": "APPL"})
    held = case(booked(fill(None, 100, "100", id="x.01", order_ref=REF)), reference=night)
    (cover,) = adopted(held, look(order())).covers.values()
    assert cover.atr_usd == row("APPL").atr_14_usd is not None
