"""Rules 13 to 16: is the price near the market, the market deep, the signal good enough.

Source: executor specification, section 4.
"""

from collections.abc import Iterator
from decimal import Decimal

from bft.domain.encoding import money_text as shown
from bft.domain.orders import OrderType, Side
from bft.risk import options
from bft.risk.case import Case
from bft.risk.finding import PASSED, Finding, blocked, judged, missing, passed
from bft.risk.numbers import number, positive
from bft.risk.prices import filling_at, trigger_of
from bft.risk.profiles import DAY_TRADE

MAX_MODEL_AGE_DAYS = 90

Bound = tuple[str, Decimal | int | None, Decimal | int, bool]


def price_collar(case: Case) -> Finding:
    """13: limit or signal price above the mid (a sale's below) by more than the collar.

    A signal with a reference is measured by it, and its own limit by the reference; without a
    limit to protect it, on both sides. Before the open the last close of gold stands for the mid.
    And a stop between the market and the worst fill allowed: it would leave at once. And an order's
    trigger that the market has passed; a signal's within the collar fills at the market, as
    specified (strategies, 4.2).
    """
    collar = case.profile.collar_frac
    if case.anchor is None:
        return missing("last close" if case.pre_open else "mid", collar)
    distances = list(_distances(case, case.anchor))
    away, note = max(distances, default=(None, "no price to hold against the market"))
    if away is not None and away > collar:
        return blocked(note, away, collar)
    told = passed(note) if away is None else passed("", away, collar)
    return _passed_trigger(case) or _beyond_market(case) or told


def _passed_trigger(case: Case) -> Finding | None:
    """Denies an order's trigger at or behind the price it would fill at: it waits for nothing."""
    order, trigger = case.order, trigger_of(case.order)
    market = case.anchor if case.pre_open else filling_at(order.side, case.touch)
    if order.is_signal or trigger is None or market is None:
        return None
    if order.side.sign * (trigger - market) > 0:
        return None
    return _at_once("trigger", trigger, market)


def _at_once(name: str, level: Decimal, market: Decimal) -> Finding:
    text = f"{name} {shown(level)} lies beyond the market at {shown(market)}: it would act at once"
    return blocked(text, level, market)


def _beyond_market(case: Case) -> Finding | None:
    """Denies a stop on the market's other side; of options levels lie on the underlying."""
    stop, market = case.stop, _market(case)
    if stop is None or market is None or case.order.instrument.is_option:
        return None
    if case.order.side.sign * (market - stop) > 0:
        return None
    return _at_once("stop", stop, market)


def _market(case: Case) -> Decimal | None:
    """Where the stop would begin to work: at the trigger, the limit, or the mid of now.

    What was decided at a close is planned from that close; the market may have left it since.
    """
    waits = case.order.order_type in {OrderType.STOP, OrderType.STOP_LIMIT}
    if case.planned is None or waits or case.touch.mid is None or case.pre_open:
        return case.planned
    return (min if case.order.side is Side.BUY else max)(case.planned, case.touch.mid)


def liquidity(case: Case) -> Finding:
    """14: spread, daily volume, option volume or open interest out of bounds."""
    wide = _spread(case)
    if wide[0] != PASSED[0]:
        return wide
    for name, value, limit, holds in _volumes(case):
        if value is None:
            told = case.context.option
            return missing(name if name == "adv_20" else options.lacking(told, name), limit)
        if not holds:
            return blocked(f"{name} too low", value, limit)
    return wide


def confidence(case: Case) -> Finding:
    """15: confidence below the minimum, or missing where one is set."""
    least = case.profile.min_confidence
    if least is None:
        return PASSED
    value = number(case.order.confidence)
    if value is None:
        return missing("confidence", least)
    return judged(least <= value <= 1, value, least, "confidence below the minimum or above 1")


def model_gate(case: Case) -> Finding:
    """16: where the gate is on, a score or model age out of bounds."""
    if not case.profile.require_model_gate:
        return PASSED
    score, age = number(case.order.model_score), case.order.model_age_days
    age = case.context.data.model_age_days if age is None else age
    if score is None or age is None:
        return missing("model score" if score is None else "model age")
    if age > MAX_MODEL_AGE_DAYS:
        return blocked("model too old", age, MAX_MODEL_AGE_DAYS)
    least = case.profile.min_model_score
    return judged(least <= score <= 1, score, least, "model score too low or above 1")


def _distances(case: Case, anchor: Decimal) -> Iterator[tuple[Decimal, str]]:
    """How far prices lie on the adverse side, as fractions."""
    order, sign, at = case.order, case.order.side.sign, shown(anchor)
    ref, given = positive(order.ref_price_usd), positive(order.limit_price_usd)
    yield from _trigger_distance(case, anchor)
    if order.order_type is OrderType.STOP:
        return
    if case.limit is None:
        if ref is not None:
            yield max(ref / anchor, anchor / ref) - 1, f"signal price {shown(ref)} against {at}"
    elif ref is None or not order.is_signal:
        yield sign * (case.limit / anchor - 1), f"limit {shown(case.limit)} against {at}"
    else:
        yield sign * (ref / anchor - 1), f"signal price {shown(ref)} against {at}"
        if given is not None:
            yield (
                sign * (given / ref - 1),
                f"limit {shown(given)} against signal price {shown(ref)}",
            )


def _trigger_distance(case: Case, anchor: Decimal) -> Iterator[tuple[Decimal, str]]:
    """Of a signal's trigger on both sides: where the market has passed it, it fills there."""
    order, trigger = case.order, trigger_of(case.order)
    if trigger is None:
        return
    note = f"trigger {shown(trigger)} against {shown(anchor)}"
    if order.is_signal:
        yield max(trigger / anchor, anchor / trigger) - 1, note
    elif order.order_type is OrderType.STOP:
        yield order.side.sign * (trigger / anchor - 1), note


def _spread(case: Case) -> Finding:
    touch, profile = case.touch, case.profile
    if case.pre_open:
        return passed("pre_open")
    if touch.mid is None or touch.bid is None or touch.ask is None:
        return missing("spread")
    wide_usd = touch.ask - touch.bid
    if profile.max_spread_frac is not None:
        share = wide_usd / touch.mid
        if share > profile.max_spread_frac:
            return blocked("spread too wide", share, profile.max_spread_frac)
    if profile.max_spread_ticks is not None:
        if case.tick is None:
            return missing("tick", profile.max_spread_ticks)
        ticks = wide_usd / case.tick
        if ticks > profile.max_spread_ticks:
            return blocked("spread too wide in ticks", ticks, profile.max_spread_ticks)
    return PASSED


def _volumes(case: Case) -> Iterator[Bound]:
    profile, option = case.profile, case.context.option
    if profile.min_adv_20 is not None:
        adv = number(case.context.symbol.adv_20)
        yield "adv_20", adv, profile.min_adv_20, adv is not None and adv >= profile.min_adv_20
    least = profile.min_option_volume
    if case.order.strategy_type == DAY_TRADE:
        least = profile.min_option_volume_day_trade
    if least is not None:
        volume = option.volume if option is not None else None
        yield "option volume", volume, least, volume is not None and volume >= least
    least = profile.min_open_interest
    if least is not None:
        interest = option.open_interest if option is not None else None
        yield "open interest", interest, least, interest is not None and interest >= least
