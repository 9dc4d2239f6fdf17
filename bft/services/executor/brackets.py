"""Legs of a bracket: what protects an entry, as intents."""

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Decimal

from bft.domain.orders import (
    Contract,
    Identity,
    Intent,
    IntentState,
    Leg,
    OrderType,
    Side,
    TimeInForce,
)
from bft.services.executor.desk import Desk

STOP_LIMIT_FRAC, STOP_LIMIT_TICKS = Decimal("0.10"), 2  # option stops; executor specification, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class LegTerms:
    """What distinguishes one leg of a bracket from another."""

    leg: Leg
    qty: int
    price_usd: Decimal
    day: date
    attempt: int = 0
    reason: str | None = None  # what it stands for; None: its leg's name


def closing_leg(entry: Intent, terms: LegTerms) -> Intent:
    """A stop or target of an entry, good until cancelled, in the bracket's group."""
    side, contract = entry.side.opposite, entry.contract
    stop = terms.leg is Leg.STOP
    option_stop = stop and contract.sec_type == "OPT"
    identity = Identity(
        signal_id=entry.signal_id,
        account=entry.account,
        con_id=contract.con_id,
        side=side,
        leg=terms.leg,
        day=terms.day,
        attempt=terms.attempt,
    )
    limit = stop_limit_usd(terms.price_usd, contract, side) if option_stop else None
    return Intent(
        intent_id=identity.intent_id,
        signal_id=entry.signal_id,
        account=entry.account,
        contract=contract,
        side=side,
        leg=terms.leg,
        trading_day=terms.day,
        attempt=terms.attempt,
        qty=terms.qty,
        order_type=_type(stop=stop, option=option_stop),
        limit_price_usd=limit if stop else terms.price_usd,
        stop_price_usd=terms.price_usd if stop else None,
        time_in_force=TimeInForce.GTC,
        parent_id=entry.intent_id,
        oca_group=f"bft1.{entry.intent_id}",
        mode=entry.mode,
        strategy_id=entry.strategy_id,
        reason=terms.reason or terms.leg.value,
        state=IntentState.RESERVED,
    )


def stop_limit_usd(stop_usd: Decimal, contract: Contract, side: Side) -> Decimal:
    """Limit of an option's stop: beyond it by the larger of 10 % and 2 ticks, one tick at least."""
    tick = contract.tick_usd
    away = max(stop_usd * STOP_LIMIT_FRAC, STOP_LIMIT_TICKS * tick)
    price = stop_usd + side.sign * away
    return max(tick, (price / tick).to_integral_value(ROUND_FLOOR) * tick)


def next_attempt(desk: Desk, signal_id: str, contract: Contract, leg: Leg) -> int:
    """Number of a new attempt: one above every earlier one of this leg."""
    earlier = (
        intent.attempt
        for intent in desk.state.intents.of_signal(signal_id)
        if intent.leg is leg and intent.contract.con_id == contract.con_id
    )
    return max(earlier, default=-1) + 1


def _type(*, stop: bool, option: bool) -> OrderType:
    if not stop:
        return OrderType.LIMIT
    return OrderType.STOP_LIMIT if option else OrderType.STOP
