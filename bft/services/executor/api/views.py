"""Orders, positions and decisions as the API shows them.

Source: executor specification, section 1.2.
"""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, Field

from bft.domain.encoding import money_text
from bft.domain.orders import Intent, IntentState, Leg
from bft.domain.ticks import micro
from bft.ledger.records import Trade
from bft.services.executor.desk import Desk

STATUS = {
    IntentState.RESERVED: "PENDING",
    IntentState.SENT: "SUBMITTED",
    IntentState.ACKED: "SUBMITTED",
    IntentState.CANCEL_PENDING: "SUBMITTED",
    IntentState.UNKNOWN: "SUBMITTED",
    IntentState.PARTIAL: "PARTIALLY_FILLED",
    IntentState.FILLED: "FILLED",
    IntentState.CANCELLED: "CANCELLED",
    IntentState.LAPSED: "CANCELLED",
    IntentState.REJECTED: "REJECTED",
    IntentState.EXPIRED: "EXPIRED",
}
"""What people read; `state` says more."""


class BracketView(BaseModel):
    """Levels that protect an order; money is decimal text."""

    stop: str | None = None
    target: str | None = None


class OrderView(BaseModel):
    """An order as the API shows it; money is decimal text."""

    id: str
    status: str = Field(description="PENDING, SUBMITTED, PARTIALLY_FILLED, FILLED, CANCELLED, ...")
    state: str = Field(description="as in the executor's table of states")
    symbol: str
    underlying: str | None = Field(default=None, description="null: only in the trade log")
    sec_type: str | None = Field(default=None, description="STK, OPT or FUT; null likewise")
    side: str
    quantity: int
    filled_quantity: int
    avg_fill_price: str | None = None
    order_type: str
    price: str | None = None
    bracket: BracketView
    strategy_id: str
    signal_id: str
    mode: str
    simulated: bool
    is_backfill: bool
    created_at: datetime | None = None
    decision: str | None = Field(default=None, description="id for /v1/why")
    request_id: str | None = None


def money(value: Decimal | None) -> str | None:
    """Decimal text, or None."""
    return None if value is None else money_text(value)


def amount(value: Decimal | None) -> str | None:
    """An amount of USD to the micro-USD, as the ledger books it; None where it is unknown.

    Prices are told by `money` as they are.
    """
    if value is None or not value.is_finite():
        return money(value)
    return money_text(micro(value))


def order_view(desk: Desk, intent: Intent) -> dict[str, Any]:
    """An entry with its levels and fills."""
    trade = desk.state.trades.get(intent.intent_id)
    return {
        "id": intent.intent_id,
        "status": STATUS[intent.state],
        "state": intent.state.value,
        "symbol": intent.contract.local_symbol.replace(" ", "") or intent.contract.symbol,
        "underlying": intent.contract.symbol,
        "sec_type": intent.contract.sec_type,
        "side": intent.side.value,
        "quantity": intent.qty,
        "filled_quantity": intent.filled_qty,
        "avg_fill_price": money(trade.entry_price) if trade else None,
        "order_type": intent.order_type.value,
        "price": money(intent.limit_price_usd or intent.stop_price_usd),
        "bracket": _bracket(desk, trade, desk.state.intents.legs(intent.intent_id)),
        "strategy_id": intent.strategy_id,
        "signal_id": intent.signal_id,
        "mode": intent.mode,
        "simulated": trade.simulated if trade else desk.broker.simulated,
        "is_backfill": False,
        "created_at": _text(intent.created_at),
        "decision": None,
        "request_id": None,
    }


def backfill_view(trade: Trade) -> dict[str, Any]:
    """A row that is only in the trade log."""
    return {
        "id": trade.id,
        "status": "FILLED",
        "state": IntentState.FILLED.value,
        "symbol": trade.symbol,
        "side": trade.side.value,
        "quantity": int(trade.qty),
        "filled_quantity": int(trade.qty),
        "avg_fill_price": money(trade.entry_price),
        "order_type": "MARKET",
        "price": money(trade.entry_price),
        "bracket": {"stop": money(trade.stop_price), "target": money(trade.target_price)},
        "strategy_id": trade.strategy_id,
        "signal_id": trade.signal_id,
        "mode": trade.mode,
        "simulated": trade.simulated,
        "is_backfill": True,
        "created_at": _text(trade.created_at),
        "decision": None,
        "request_id": None,
    }


def resting_price(desk: Desk, leg: Intent) -> Decimal | None:
    """Price of a stop or target as the broker last acknowledged it; before that, as it left."""
    told = desk.state.orders.get((leg.epoch or 0, leg.client_id or 0, leg.order_id or 0))
    if leg.leg is Leg.STOP:
        return (told.stop_price_usd if told else None) or leg.stop_price_usd
    return (told.limit_price_usd if told else None) or leg.limit_price_usd


def _bracket(desk: Desk, trade: Trade | None, legs: Iterable[Intent]) -> dict[str, Any]:
    """Where the newest leg of each kind rests, as the broker last said; else what was asked."""
    stop = trade.stop_price if trade else None
    target = trade.target_price if trade else None
    for leg in sorted(legs, key=lambda leg: leg.attempt):
        if leg.leg is Leg.STOP:
            stop = resting_price(desk, leg)
        elif leg.leg is Leg.TARGET:
            target = resting_price(desk, leg)
    return {"stop": money(stop), "target": money(target)}


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
