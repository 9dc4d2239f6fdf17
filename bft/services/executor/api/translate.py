"""Bodies to orders: identity, kind, exits and times filled in from what was sent.

Source: executor specification, section 1.2; strategies specification, section 1; record 0030.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from bft.domain import sessions
from bft.domain.orders import OrderRequest, OrderType, Side, TimeInForce
from bft.domain.stops import ATR_STOP
from bft.domain.trading import Direction, ExitPolicy, SignalKind, bar_end, signal_id
from bft.services.executor.api.order_body import OrderBody, SignalBody

CLOSE_DECIDED = frozenset({"close", "nightly"})
_ENTRY_ORDERS = {
    "market": OrderType.MARKET,
    "collar": OrderType.LIMIT,
    "limit": OrderType.LIMIT,
    "stop": OrderType.STOP,
}
_SOURCES = (  # what a User-Agent holds -> source
    ("bft-cli", "cli"),
    ("bft-test", "test"),
    ("testclient", "test"),
    ("backfill", "backfill_script"),
    ("telegram", "telegram"),
    ("mozilla", "ui"),
    ("curl", "manual_json"),
    ("httpx", "manual_json"),
    ("requests", "manual_json"),
    ("postman", "manual_json"),
)

Held = Callable[[str, str], int]
"""Signed units of a symbol that are open (for a strategy; `manual` asks for all)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """When and how a body arrived; `key` names the request, `held` tells what is open.

    `written_at`: when its text was written, of what a messenger may deliver late; None: just now.
    """

    now: datetime
    key: str
    user_agent: str
    held: Held
    written_at: datetime | None = None


def order_of(body: OrderBody, received: Received) -> OrderRequest:
    """The order that a person's or program's body asks for."""
    symbol, instrument = body.traded()
    strategy = body.value("strategy_id") or "manual"
    side = Side(body.value("side"))
    kind = _kind(body, side, received.held(symbol, strategy))
    made = OrderRequest(
        signal_id="",
        kind=kind,
        symbol=symbol,
        side=side,
        instrument=instrument,
        qty=body.value("quantity") or 0,
        order_type=_order_type(body),
        created_at=received.now,
        decided_at=_decided(body, received),
        expires_at=body.expires_at,
        limit_price_usd=body.value("price"),
        trigger_price_usd=body.trigger_price,
        stop_price_usd=body.value("stop_price"),
        target_price_usd=body.value("target_price"),
        time_in_force=TimeInForce(body.time_in_force or "DAY"),
        exits=_exits(body),
        strategy_id=strategy,
        strategy_type=body.strategy_type or "swing_trade",
        close_decided=body.strategy_type in CLOSE_DECIDED,
        confidence=body.confidence,
        model_score=body.model_score,
        model_version=body.model_version,
        source=body.source or source_of(received.user_agent),
        client_order_id=body.client_order_id,
        is_signal=isinstance(body, SignalBody),
        paper=body.paper,
        notes=body.notes or "",
        features=body.features,
        metadata=body.metadata,
    )
    made = _signal(body, made) if isinstance(body, SignalBody) else made
    return replace(made, signal_id=body.signal_id or _identity(body, made, received.key))


def source_of(user_agent: str) -> str:
    """Who sent it, from the User-Agent."""
    known = user_agent.lower()
    return next((source for part, source in _SOURCES if part in known), "unknown")


def direction_of(order: OrderRequest) -> Direction:
    """Side of the position that the order opens or closes."""
    opens = order.kind is SignalKind.ENTRY
    return Direction.LONG if (order.side is Side.BUY) == opens else Direction.SHORT


def _kind(body: OrderBody, side: Side, held: int) -> SignalKind:
    """Entry or exit, as told; else an exit where the other side is held."""
    if isinstance(body, SignalBody) and body.kind:
        return SignalKind(body.kind)
    return SignalKind.EXIT if held * side.sign < 0 else SignalKind.ENTRY


def _order_type(body: OrderBody) -> OrderType:
    if body.order_type:
        return OrderType(body.order_type)
    if isinstance(body, SignalBody) and body.entry_order:
        return _ENTRY_ORDERS[body.entry_order]
    priced = body.value("price") is not None
    if isinstance(body, SignalBody):
        priced = priced or body.ref_price_usd is not None or body.limit_price_usd is not None
    return OrderType.LIMIT if priced else OrderType.MARKET


def _exits(body: OrderBody) -> ExitPolicy:
    """The policy of an order's own fields; without any stop it is 2 x ATR."""
    stop = _float(body.value("stop_frac"))
    named = stop or body.value("stop_price")
    return ExitPolicy(
        stop_frac=stop or None,
        stop_atr=None if named else ATR_STOP,
        target_frac=_float(body.value("target_frac")) or None,
        trail_frac=_float(body.value("trail_frac")) or None,
        activation_frac=_float(body.value("activation_frac")) or 0.0,
        max_hold_days=body.max_hold_days or None,
        same_session=body.strategy_type == "day_trade",
    )


def _decided(body: OrderBody, received: Received) -> datetime | None:
    """When it was decided, as far as the body says: no text is younger than its writing."""
    told = (body.entered_at, received.written_at)
    return min((at for at in told if at is not None), default=None)


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def _signal(body: SignalBody, made: OrderRequest) -> OrderRequest:
    """What a signal says beyond an order."""
    close_decided = made.close_decided and not body.provisional
    bar = bar_end(body.bar_key or "")
    return replace(
        made,
        close_decided=close_decided,
        decided_at=body.decided_at or made.decided_at or bar,
        asof=body.asof,
        bar_ends_at=bar,
        expires_at=body.expires_at or _expiry(body.asof, close_decided),
        limit_price_usd=_first(made.limit_price_usd, body.limit_price_usd),
        trigger_price_usd=_first(made.trigger_price_usd, body.stop_price_usd),
        ref_price_usd=body.ref_price_usd,
        exits=body.policy() or made.exits,
        set_digest=body.set_digest,
        model_age_days=body.model_age_days,
        notes=made.notes or body.reason or "",
        features=made.features or body.evidence,
    )


def _first(*values: Decimal | None) -> Decimal | None:
    return next((value for value in values if value is not None), None)


def _expiry(asof: date | None, close_decided: bool) -> datetime | None:  # noqa: FBT001  one fact
    """Close decisions live until the close of the next session."""
    if not close_decided or asof is None:
        return None
    return sessions.close_at(sessions.shift(sessions.on_or_before(asof), 1))


def _identity(body: OrderBody, made: OrderRequest, key: str) -> str:
    """The id of the decision; of a person's order, its idempotency key stands for the bar."""
    bar = body.bar_key or _bar(made) if isinstance(body, SignalBody) else f"key:{key}"
    return signal_id(
        kind=made.kind,
        strategy_id=made.strategy_id,
        symbol=made.symbol,
        direction=direction_of(made),
        bar_key=bar,
        instrument=made.instrument,
    )


def _bar(made: OrderRequest) -> str:
    """The session a signal counts to."""
    if made.asof is not None:
        return made.asof.isoformat()
    at = made.decided_at or made.created_at
    return sessions.on_or_after(at.astimezone(sessions.NEW_YORK).date()).isoformat()
