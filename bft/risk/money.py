"""Rules 25 to 32: how much, against every cap on size, exposure, risk, cash and margin.

Source: executor specification, section 4; options: strategies specification, section 7.
"""

from collections.abc import Iterator
from decimal import Decimal

from bft.domain.encoding import money_text as shown
from bft.domain.orders import OrderType
from bft.domain.trading import Instrument
from bft.risk import options
from bft.risk.case import (
    CASH_FRAC,
    Case,
    open_risk_cap_usd,
    option_cap,
    spendable_usd,
    terms_of,
)
from bft.risk.context import OptionFacts
from bft.risk.exposure import Exposure
from bft.risk.finding import PASSED, Finding, blocked, judged, missing, passed
from bft.risk.numbers import number, positive
from bft.risk.sizing import risk_usd_of

MARGIN_FRAC = Decimal("0.90")
LIVE = "live"

_RULED: frozenset[str] = frozenset(
    {"daily_volume", "symbol", "sector", "max_gross", "open_risk", "cash"}
)
_POSITION = frozenset({"max_weight", "cap_usd", "max_units"})

Cap = tuple[str, Decimal | None, Decimal]


def sized(case: Case) -> Finding:
    """25: nothing fits even an empty book, or the notional is below the minimum.

    Where the book, the day or the cash leave nothing, the rule of that cap says so.
    """
    if case.sized is None or case.notional_usd is None or case.unit_usd is None:
        return missing(_not_sized(case))
    if case.sized.reason == "no_volatility":
        return missing("volatility, which this sizing rests on")
    qty, wanted, least = case.sized.qty, case.sized.wanted, case.profile.min_order_usd
    if qty < 1:
        cap = case.sized.cap or "risk"
        worth = wanted >= 1 and wanted * case.unit_usd >= least
        note = f"{cap} leaves none of {wanted}" if wanted else _too_risky(case)
        return (passed if worth and cap in _capped_elsewhere(case) else blocked)(note, qty, 1)
    note = f"{case.notional_usd:.2f} USD, below the minimum order of {least:f} USD"
    return judged(case.notional_usd >= least, case.notional_usd, least, note)


def max_position(case: Case) -> Finding:
    """26: order or resulting position above a cap; an order, unlike a signal, above its size."""
    qty, exposure, base, notional = case.tested_qty, case.exposure, case.base_usd, case.notional_usd
    if qty is None or exposure is None or base is None or case.sized is None:
        return missing("quantity, book or equity", case.profile.max_units)
    if notional is None or exposure.held_usd is None:
        return missing("notional")
    if not case.order.is_signal and qty > case.sized.qty:
        note = f"quantity above what sizing admits ({case.sized.cap or 'risk'})"
        return blocked(note, qty, case.sized.qty)
    units = exposure.held_units + qty
    if units > case.profile.max_units:
        return blocked("units above the cap", units, case.profile.max_units)
    after = exposure.held_usd + notional
    fraction = case.profile.position_frac_for(case.order.strategy_type)
    caps = [base * fraction] if fraction is not None else []
    caps += [usd for usd in (case.profile.position_cap_usd,) if usd is not None]
    limit = min(caps, default=None)
    return judged(limit is None or after <= limit, after, limit, "position above the cap")


def daily_volume(case: Case) -> Finding:
    """27: opening notional today with this order above the cap."""
    fraction = case.profile.opening_per_day_frac
    if fraction is None:
        return PASSED
    today = number(case.context.book.opening_notional_today_usd)
    if today is None or case.base_usd is None or case.notional_usd is None:
        return missing("opening notional today or equity")
    after, cap = today + case.notional_usd, case.base_usd * fraction
    return judged(after <= cap, after, cap, "opening notional of the day above the cap")


def exposed(case: Case) -> Finding:
    """28: symbol, sector or gross exposure after the fill above its cap."""
    if case.exposure is None or case.base_usd is None or case.notional_usd is None:
        return missing("book, quantity or equity")
    for name, on_usd, cap in _exposure_caps(case, case.exposure, case.base_usd):
        if on_usd is None:
            return missing(f"{name} exposure", cap)
        if on_usd + case.notional_usd > cap:
            return blocked(f"{name} exposure above the cap", on_usd + case.notional_usd, cap)
    return PASSED


def open_risk(case: Case) -> Finding:
    """29: open initial risk with this order's above the cap."""
    on_usd = case.exposure.risk_usd if case.exposure is not None else None
    cap = open_risk_cap_usd(case)
    if on_usd is None or case.risk_usd is None or case.base_usd is None:
        return missing("open risk, this order's or equity", cap)
    after = on_usd + case.risk_usd
    return judged(cap is None or after <= cap, after, cap, "open risk above the cap")


def cash(case: Case) -> Finding:
    """30: cost above 0.995 of available funds less pending entries."""
    spendable = spendable_usd(case)
    if spendable is None or case.tested_qty is None or case.cost_usd is None:
        return missing("available funds, pending entries or cost")
    cost, cap = case.tested_qty * case.cost_usd, spendable * CASH_FRAC
    return judged(cost <= cap, cost, cap, "cost above available funds")


def option_rules(case: Case) -> Finding:
    """31: rows of the option expression, one position per symbol, expiry, VIX."""
    if not case.order.instrument.is_option:
        return PASSED
    facts = case.context.option
    if facts is None:
        return missing("option chain")
    for name, holds in _option_rows(case, facts):
        if holds is None:
            return missing(options.lacking(facts, name))
        if not holds:
            return blocked(name)
    return PASSED


def margin(case: Case) -> Finding:
    """32: initial margin after the order above 90 % of equity with loan, or no answer."""
    wanted = case.profile.what_if
    if wanted is None:
        wanted = case.context.mode.mode == LIVE
    if not wanted:
        return PASSED
    found = case.context.what_if
    if found is None:
        return missing("what-if margin")
    after = number(found.initial_margin_after_usd)
    equity = positive(found.equity_with_loan_after_usd)
    if after is None or equity is None:
        return missing("what-if margin or equity with loan")
    cap = equity * MARGIN_FRAC
    return judged(after <= cap, after, cap, "initial margin above 90 % of equity with loan")


def _too_risky(case: Case) -> str:
    """What one unit risks and what a trade may, where that leaves none; a market order's margin."""
    terms, distance, multiplier = terms_of(case), case.distance_usd, case.multiplier
    if terms is None or case.base_usd is None or distance is None or multiplier is None:
        return "risk leaves none"
    unit = "share" if case.order.instrument is Instrument.STOCK else "contract"
    risks, may = distance * multiplier, risk_usd_of(case.base_usd, terms)
    vix = case.context.option.vix if case.context.option else None
    if not may and vix is not None:
        return f"VIX at {shown(vix)} leaves none"
    note = f"1 {unit} risks {risks:.2f} USD, a trade may risk {may:.2f}"
    if case.limit is None and case.order.order_type is OrderType.MARKET:
        note += f"; a fill at {case.price:.2f}, 0.5 % from the touch, is allowed for: give a limit"
    return note


def _not_sized(case: Case) -> str:
    """Which input of sizing is missing, where that can be told."""
    facts = case.context.option
    if case.order.instrument.is_option and options.vix_factor(facts) is None:
        return options.lacking(facts, "vix")
    return "an input of sizing"


def _capped_elsewhere(case: Case) -> frozenset[str]:
    """Caps whose rule (26 to 30) blocks at the least quantity when they leave nothing."""
    held = case.exposure is not None and bool(case.exposure.held_usd or case.exposure.held_units)
    if not held:
        return _RULED
    return _RULED | ({"max_weight", "cap_usd"} if case.order.instrument.is_option else _POSITION)


def _exposure_caps(case: Case, exposure: Exposure, base: Decimal) -> Iterator[Cap]:
    profile = case.profile
    caps = (
        ("symbol", exposure.symbol_usd, profile.symbol_frac),
        ("sector", exposure.sector_usd, profile.sector_frac),
        ("gross", exposure.gross_usd, profile.gross_frac),
    )
    for name, on_usd, fraction in caps:
        if fraction is not None:
            yield name, on_usd, base * fraction


def _option_rows(case: Case, facts: OptionFacts) -> Iterator[options.Row]:
    yield from options.chain_rows(facts, case.touch)
    yield options.expiry_row(facts, case.context.at, case.order.strategy_type)
    yield "one_per_symbol", _free_of_options(case)
    factor = options.vix_factor(facts)
    yield "vix", None if factor is None else factor > 0
    budget = option_cap(case)
    qty = case.tested_qty
    yield "option_budget", None if budget is None or qty is None else qty <= budget
    yield "option_risk", _option_risk_holds(case)


def _free_of_options(case: Case) -> bool | None:
    book, name = case.context.book, case.context.symbol.underlying
    if book.positions is None or book.pending is None:
        return None
    every = (*book.positions, *book.pending)
    return not any(h.instrument.is_option and h.underlying == name for h in every)


def _option_risk_holds(case: Case) -> bool | None:
    on_usd = case.exposure.risk_usd if case.exposure is not None else None
    risk, base = case.risk_usd, case.base_usd
    if on_usd is None or risk is None or base is None:
        return None
    alone = risk <= base * options.POSITION_RISK_FRAC
    return alone and on_usd + risk <= base * options.OPEN_RISK_FRAC
