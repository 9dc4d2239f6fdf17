"""Prices of an entry: on the tick, from the quote or the last close, with the stop's distance.

Source: executor specification, section 5; strategies specification, sections 3.1 and 4.2.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bft.domain.broker import Quote
from bft.domain.exit_bounds import beyond
from bft.domain.orders import OrderRequest, OrderType, Side
from bft.domain.stops import policy_with_stop, stop_distance_usd
from bft.domain.ticks import rounded
from bft.risk.context import Context
from bft.risk.numbers import positive
from bft.risk.profiles import Entry
from bft.risk.windows import new_york_date, session_bounds

MARKET_MARGIN_FRAC = Decimal("0.005")
OPTION_STOP_FRAC = Decimal("0.60")


def entry_on_tick(price_usd: Decimal, tick_usd: Decimal, side: Side) -> Decimal:
    """An entry price on its step: a buy's down, a sale's up."""
    return rounded(price_usd, up=side is Side.SELL, tick_usd=tick_usd)


def stop_on_tick(level_usd: Decimal, tick_usd: Decimal, side: Side) -> Decimal:
    """The stop of an entry of `side`, on its step to the tighter side: a long's up."""
    return rounded(level_usd, up=side is Side.BUY, tick_usd=tick_usd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Touch:
    """Usable sides of a quote in USD; None: no number above zero. `mid` needs both, uncrossed."""

    bid: Decimal | None = None
    ask: Decimal | None = None
    mid: Decimal | None = None


NO_TOUCH = Touch()


def touch_of(quote: Quote | None) -> Touch:
    """The sides of a quote that can be reckoned with."""
    if quote is None:
        return NO_TOUCH
    bid, ask = positive(quote.bid_usd), positive(quote.ask_usd)
    mid = None if bid is None or ask is None or bid > ask else (bid + ask) / 2
    return Touch(bid=bid, ask=ask, mid=mid)


def is_pre_open(order: OrderRequest, at: datetime) -> bool:
    """Whether the order was decided at a close and rests for an auction that is yet to come."""
    bounds = session_bounds(new_york_date(at)) if order.close_decided else None
    return bounds is not None and at < bounds[0]


def entry_limit(
    order: OrderRequest, context: Context, anchor: Decimal | None, tick_usd: Decimal | None
) -> Decimal | None:
    """The limit to send, or None for an order without one (or whose price is unknown).

    `anchor` is the mid, before the open the last close. A signal's price is rounded to the tick,
    and one that follows from its reference never lies beyond the market's own collar; the price
    of an order stays as it was given.
    """
    if order.order_type is OrderType.STOP:
        return None
    given = positive(order.limit_price_usd)
    if given is not None and not order.is_signal:
        return given
    wanted = given if given is not None else _unpriced(order, context, anchor)
    if wanted is None or tick_usd is None:
        return wanted
    follows = given is None or order.ref_price_usd is not None
    if follows and context.profile.entry is Entry.COLLAR and anchor is not None:
        bound = anchor * (1 + order.side.sign * context.profile.collar_frac)
        wanted = (min if order.side is Side.BUY else max)(wanted, bound)
    return entry_on_tick(wanted, tick_usd, order.side)


def expected_price(
    order: OrderRequest, limit: Decimal | None, market: Decimal | None
) -> Decimal | None:
    """Price to size with: the limit, else 0.5 % beyond `market`, where an order would fill now.

    A stop order's: beyond the worse of trigger and market, which may have passed the trigger.
    """
    if limit is not None:
        return limit
    start = market
    if order.order_type is OrderType.STOP:
        trigger = trigger_of(order)
        known = [price for price in (trigger, market) if price is not None]
        start = None if trigger is None else (max if order.side is Side.BUY else min)(known)
    return None if start is None else start * (1 + order.side.sign * MARKET_MARGIN_FRAC)


def trigger_of(order: OrderRequest) -> Decimal | None:
    """Price at which a stop order begins to work; None: it is no stop order, or names none."""
    if order.order_type is OrderType.STOP:
        return positive(order.trigger_price_usd or order.limit_price_usd)
    return positive(order.trigger_price_usd) if order.order_type is OrderType.STOP_LIMIT else None


def filling_at(side: Side, touch: Touch) -> Decimal | None:
    """The side of the quote at which an order of `side` fills."""
    return touch.ask if side is Side.BUY else touch.bid


def planned_entry(
    order: OrderRequest, limit: Decimal | None, touch: Touch, last_close: Decimal | None
) -> Decimal | None:
    """Price from which the bracket's levels are reckoned until the fill settles them.

    The trigger of a stop order, else the market's price, or the limit where that is better: a stop
    reckoned from a limit beyond the market could lie on its other side, and sell at once.
    """
    if order.order_type in {OrderType.STOP, OrderType.STOP_LIMIT}:
        return trigger_of(order)
    market = (None if order.close_decided else touch.mid) or positive(order.ref_price_usd)
    market = market or touch.mid or positive(last_close)
    known = [price for price in (market, limit) if price is not None]
    if not known:
        return None
    return min(known) if order.side is Side.BUY else max(known)


def stop_level(
    order: OrderRequest, price: Decimal, atr: Decimal | None, tick_usd: Decimal | None
) -> Decimal | None:
    """Level of the protective stop for an entry at `price`; None: nothing tells one.

    The order's own, else the policy's nearest, else 2 x ATR. Options: the premium guard, because
    their levels lie on the underlying.
    """
    if order.instrument.is_option:
        level: Decimal | None = price * (1 - OPTION_STOP_FRAC)
    elif order.stop_price_usd is not None:
        level = positive(order.stop_price_usd)
    else:
        policy = policy_with_stop(order.exits, named=False)
        usable = beyond(policy) is None
        distance = stop_distance_usd(price, policy, atr) if usable else None
        level = None if distance is None else price - order.side.sign * distance
    if level is None or tick_usd is None or level <= 0:
        return None
    return stop_on_tick(level, tick_usd, order.side)


def _unpriced(order: OrderRequest, context: Context, anchor: Decimal | None) -> Decimal | None:
    if context.profile.entry is Entry.AS_GIVEN:
        return None
    if context.profile.entry is Entry.MID:
        return anchor
    ref = positive(order.ref_price_usd) or anchor
    return None if ref is None else ref * (1 + order.side.sign * context.profile.collar_frac)
