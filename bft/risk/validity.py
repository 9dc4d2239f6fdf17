"""Rules 7 and 8: is the symbol tradable here, and is the order sound in itself.

Source: executor specification, section 4.
"""

from collections.abc import Iterator
from decimal import Decimal

from bft.domain.encoding import money_text as shown
from bft.domain.exit_bounds import beyond
from bft.domain.orders import OrderRequest, OrderType, Side
from bft.domain.trading import Instrument, SignalKind
from bft.risk.case import Case
from bft.risk.finding import PASSED, Finding, blocked, missing
from bft.risk.numbers import positive


def symbol(case: Case) -> Finding:
    """7: not in the profile, restricted, not unique, corporate action open, halted."""
    facts, quote = case.context.symbol, case.context.quote
    for what, found, wanted, note in _standing(case):
        if found is not wanted:
            return missing(what) if found is None else blocked(note, facts.underlying)
    if quote is not None and quote.halted:
        return blocked(f"trading in {facts.underlying} is halted", facts.underlying)
    return _price_band(case)


def validation(case: Case) -> Finding:
    """8: bad numbers, no stop distance, a level on the wrong side, off tick, not allowed."""
    order = case.order
    problem = _not_allowed(case) or _bad_number(order)
    wrong = blocked(problem) if problem else _bad_exits(order)
    if wrong is not None:
        return wrong
    if case.tick is None or case.multiplier is None:
        return missing("contract with tick and multiplier")
    if case.price is None:
        return missing("price")
    problem = _off_tick(order, case.tick) or _wrong_side(case)
    if problem:
        return blocked(problem, case.price)
    if case.distance_usd is None:
        return missing("stop distance")
    return PASSED


def _standing(case: Case) -> Iterator[tuple[str, bool | None, bool, str]]:
    """Input, as found, as wanted, and what is said where it is otherwise."""
    facts, profile = case.context.symbol, case.profile
    name, count = facts.underlying, facts.contract_matches
    if case.order.instrument is Instrument.FUTURE:
        roots = ", ".join(sorted(profile.roots)) or "no futures"
        note = f"{name} is not what profile {profile.name} trades: {roots}"
        yield "profile", name in profile.roots, True, note
    else:
        note = f"{name} is not in the night's universe, which profile {profile.name} trades"
        yield "universe of the night", facts.in_universe, True, note
    yield "restriction", facts.restricted, False, f"{name} is restricted by the settings"
    unique = None if count is None else count == 1
    fits = f"{count} contracts fit" if count else "no contract fits"
    yield "contract", unique, True, f"{fits} {case.order.symbol}: one has to"
    action = f"{name} splits after the prices of the night; wait for the next night"
    yield "corporate action", facts.action_open, False, action
    yield "halt of trading", facts.halted, False, f"trading in {name} is halted"
    split = f"the prices of {name} look like a split that no source tells: bft validate names it"
    yield "suspected split", facts.suspected_split, False, split


def _price_band(case: Case) -> Finding:
    low, high = case.profile.min_price_usd, case.profile.max_price_usd
    if low is None and high is None:
        return PASSED
    band = "-".join("" if end is None else shown(end) for end in (low, high))
    if case.price is None:
        return missing("price", band)
    below = low is not None and case.price < low
    above = high is not None and case.price > high
    return blocked("price outside the profile's", case.price, band) if below or above else PASSED


def _not_allowed(case: Case) -> str:
    order, profile = case.order, case.profile
    if order.kind is not SignalKind.ENTRY:
        return "an exit is no opening order"
    if order.instrument not in profile.instruments:
        return f"instrument {order.instrument} is not in profile {profile.name}"
    if order.side is Side.SELL and (order.instrument.is_option or not profile.short_allowed):
        return f"selling to open is not in profile {profile.name}"
    if order.qty < 0 or (order.qty == 0 and not order.is_signal):
        return f"quantity {order.qty}"
    return ""


def _prices(order: OrderRequest) -> Iterator[tuple[str, Decimal]]:
    named = (
        ("price", order.limit_price_usd),
        ("trigger_price", order.trigger_price_usd),
        ("stop_price", order.stop_price_usd),
        ("target_price", order.target_price_usd),
    )
    return ((name, value) for name, value in named if value is not None)


def _bad_number(order: OrderRequest) -> str:
    for name, value in (*_prices(order), ("ref_price", order.ref_price_usd)):
        if value is not None and positive(value) is None:
            return f"{name} {shown(value)} is no price"
    if order.order_type is OrderType.LIMIT and not order.is_signal and not order.limit_price_usd:
        return "LIMIT without price"
    if order.order_type is OrderType.STOP and not (
        order.trigger_price_usd or order.limit_price_usd
    ):
        return "STOP without price"
    if order.order_type is OrderType.STOP_LIMIT and not (
        order.trigger_price_usd and order.limit_price_usd
    ):
        return "STOP_LIMIT without price and trigger_price"
    return ""


def _bad_exits(order: OrderRequest) -> Finding | None:
    found = beyond(order.exits) if order.exits is not None else None
    if found is None:
        return None
    note = f"exits: {found.name} {found.value} is not {found.limit}"
    return blocked(note, found.value, found.limit)


def _off_tick(order: OrderRequest, tick: Decimal) -> str:
    if order.is_signal or order.instrument.is_option:
        named = [("price", order.limit_price_usd)] if not order.is_signal else []
    else:
        named = list(_prices(order))
    for name, value in named:
        if value is not None and value % tick:
            return f"{name} {shown(value)} is off the tick of {shown(tick)}"
    return ""


def _wrong_side(case: Case) -> str:
    order, price, sign = case.order, case.price, case.order.side.sign
    if order.instrument.is_option or price is None:
        return ""  # levels of options lie on the underlying
    stop = case.stop if case.stop is not None else order.stop_price_usd
    if stop is not None and sign * (price - stop) <= 0:
        return f"stop {shown(stop)} is not on the losing side of {shown(price)}"
    target, entry = order.target_price_usd, price
    if order.limit_price_usd is None or order.order_type is OrderType.STOP:
        entry = case.planned or price  # how much worse a fill may be nobody named
    if target is not None and sign * (target - entry) <= 0:
        return f"target {shown(target)} is not on the winning side of {shown(entry)}"
    return ""
