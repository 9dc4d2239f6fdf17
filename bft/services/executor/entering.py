"""The bracket of an accepted order: entry, target and stop as intents, and its cover.

Source: executor specification, sections 5 and 6; strategies specification, sections 3.1 and 7.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from bft import exits
from bft.domain.errors import DataError
from bft.domain.orders import (
    Contract,
    Decision,
    Identity,
    Intent,
    Leg,
    OrderRequest,
    OrderType,
    Side,
)
from bft.domain.stops import policy_with_stop
from bft.domain.trading import Direction, ExitPolicy, Instrument
from bft.domain.trading_days import trading_day
from bft.ledger.records import TradeFacts
from bft.risk.context import Context
from bft.risk.prices import planned_entry, touch_of
from bft.services.executor.brackets import LegTerms, closing_leg
from bft.services.executor.covers import Cover
from bft.services.executor.desk import Desk
from bft.services.executor.underlying import under_of

_PREMIUM_STOP, _PREMIUM_TARGET = 0.60, 0.80  # strategies specification, section 7


class Decided(NamedTuple):
    """A decision and what it was made from."""

    decision: Decision
    context: Context


def bracket(
    desk: Desk, order: OrderRequest, contract: Contract, decided: Decided
) -> tuple[list[Intent], Cover]:
    """Entry, target, stop: parent first, the stop transmits.

    Raises:
        DataError: no stop level can be made of the order's exits.
    """
    entry = entry_of(desk, order, contract, decided.decision)
    cover = _cover(desk, order, entry, decided.context)
    price = _planned(entry, order, decided.context)
    levels = exits.initial_levels(
        price,
        cover.policy,
        direction=cover.direction,
        atr_usd=cover.atr_usd,
        tick_usd=contract.tick_usd,
        stop_usd=cover.stop_usd,
    )
    terms = [_terms(Leg.STOP, entry, levels.stop_usd)]
    target = cover.target_usd or levels.target_usd
    if target is not None:
        terms.insert(0, _terms(Leg.TARGET, entry, target))
    legs = [entry, *(closing_leg(entry, each) for each in terms)]
    return legs, replace(cover, planned_stop_usd=levels.stop_usd)


def _terms(leg: Leg, entry: Intent, price_usd: Decimal) -> LegTerms:
    return LegTerms(leg=leg, qty=entry.qty, price_usd=price_usd, day=entry.trading_day)


def entry_of(desk: Desk, order: OrderRequest, contract: Contract, decision: Decision) -> Intent:
    """The entry of an order, sized and priced as decided; attempt 0, always."""
    day = trading_day(desk.now, sec_type=contract.sec_type)
    identity = Identity(
        signal_id=order.signal_id,
        account=desk.account,
        con_id=contract.con_id,
        side=order.side,
        leg=Leg.ENTRY,
        day=day,
    )
    kind, limit, stop = _prices(order, decision)
    return Intent(
        intent_id=identity.intent_id,
        signal_id=order.signal_id,
        account=desk.account,
        contract=contract,
        side=order.side,
        leg=Leg.ENTRY,
        trading_day=day,
        attempt=0,
        qty=decision.qty,
        order_type=kind,
        limit_price_usd=limit,
        stop_price_usd=stop,
        time_in_force=order.time_in_force,
        mode=desk.route.mode,
        strategy_id=order.strategy_id,
        reason="entry",
    )


def _prices(
    order: OrderRequest, decision: Decision
) -> tuple[OrderType, Decimal | None, Decimal | None]:
    """Type, limit and trigger; a market order that the profile collars is a limit."""
    kind, limit = order.order_type, decision.limit_price_usd
    trigger = order.trigger_price_usd
    if kind is OrderType.MARKET and limit is not None:
        kind = OrderType.LIMIT
    if kind is OrderType.STOP:
        return kind, None, trigger or order.limit_price_usd
    if kind is OrderType.STOP_LIMIT:
        return kind, limit, trigger
    return kind, limit if kind is OrderType.LIMIT else None, None


def _cover(desk: Desk, order: OrderRequest, entry: Intent, context: Context) -> Cover:
    policy = policy_with_stop(order.exits, named=order.stop_price_usd is not None)
    if order.strategy_type == "day_trade" and not policy.same_session:
        policy = replace(policy, same_session=True)
    under = under_of(desk, order, entry.contract, context.symbol.atr_14_usd)
    return Cover(
        entry=entry.intent_id,
        account=entry.account,
        contract=entry.contract,
        direction=Direction.LONG if entry.side is Side.BUY else Direction.SHORT,
        policy=_premium_guards(policy, order.instrument),
        strategy_id=order.strategy_id,
        opened_at=desk.now,
        atr_usd=context.symbol.atr_14_usd,
        stop_usd=None if under else order.stop_price_usd,
        target_usd=None if under else order.target_price_usd,
        under=under,
    )


def trade_facts(
    desk: Desk, order: OrderRequest, legs: Sequence[Intent], context: Context
) -> TradeFacts:
    """What the trade log says beyond the order; levels are those of the bracket as it leaves."""
    mid = context.quote.mid_usd if context.quote else None
    stop = next((leg.stop_price_usd for leg in legs if leg.leg is Leg.STOP), None)
    target = next((leg.limit_price_usd for leg in legs if leg.leg is Leg.TARGET), None)
    return TradeFacts(
        stop_price_usd=stop,
        target_price_usd=target,
        ref_price_usd=mid or order.ref_price_usd,
        features=order.features,
        notes=order.notes,
        model_score=order.model_score,
        model_version=order.model_version,
        profile=desk.profile.name,
        simulated=desk.broker.simulated or desk.reference.simulated,
        source=order.source,
    )


def has_target(order: OrderRequest) -> bool:
    """Whether a target goes out with the entry; options always have a guard on their premium."""
    policy = order.exits or ExitPolicy()
    named = policy.target_frac or policy.target_atr or policy.target_risk
    return bool(order.target_price_usd or named or order.instrument.is_option)


def _premium_guards(policy: ExitPolicy, instrument: Instrument) -> ExitPolicy:
    """Options rest on their premium; levels on the underlying are never attached to it."""
    if instrument not in {Instrument.CALL, Instrument.PUT}:
        return policy
    return replace(
        policy,
        stop_frac=_PREMIUM_STOP,
        stop_atr=None,
        target_frac=_PREMIUM_TARGET,
        target_atr=None,
        target_risk=None,
        trail_frac=None,
        trail_atr=None,
        partials=(),
    )


def _planned(entry: Intent, order: OrderRequest, context: Context) -> Decimal:
    """Price that the bracket's levels start from, as risk reckoned it; the fill settles them."""
    touch, close = touch_of(context.quote), context.symbol.last_close_usd
    found = planned_entry(order, entry.limit_price_usd, touch, close)
    if found is None:
        raise DataError("no price is known to place a stop from")
    return found
