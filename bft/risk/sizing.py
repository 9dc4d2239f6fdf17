"""The one sizer: equity, stop distance and caps to whole units, or the reason for none."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum


class Sizing(StrEnum):
    """How the first quantity is found."""

    FIXED = "fixed"
    RISK = "risk"
    ATR = "atr"
    VOL = "vol"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What is there to spend: capital base, free cash and gross exposure already on, in USD.

    `held_usd` and `held_units` are the position and pending entries in the contract itself;
    `headrooms` what further caps leave, by name; `risk_headroom_usd` what open risk may still grow.
    """

    equity_usd: Decimal
    cash_usd: Decimal
    gross_usd: Decimal = Decimal(0)
    held_usd: Decimal = Decimal(0)
    held_units: int = 0
    headrooms_usd: tuple[tuple[str, Decimal], ...] = ()
    risk_headroom_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Sizing mode and caps; None drops a term. `scale` is the product of streak and VIX factors.

    Source: strategies specification, section 4.4; executor specification, section 5.
    """

    mode: Sizing = Sizing.FIXED
    position_frac: Decimal = Decimal("0.10")
    risk_frac: Decimal | None = Decimal("0.005")
    risk_usd: Decimal | None = None
    scale: Decimal = Decimal(1)
    atr_frac: Decimal = Decimal("0.004")
    max_weight_frac: Decimal | None = Decimal("0.10")
    cap_usd: Decimal | None = None
    max_units: int | None = None
    participation_frac: Decimal | None = Decimal("0.01")
    max_gross_frac: Decimal | None = Decimal("1.0")
    cash_frac: Decimal = Decimal("0.995")
    min_order_usd: Decimal = Decimal(100)
    max_positions: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One candidate: reference price, stop distance, ATR in USD; yearly volatility; shares a day.

    `adv_20` None is unknown: participation is then not capped here. `unit_cost_usd` is what one
    unit takes of the cash, price x multiplier unless given. `requested_qty` 0: as many as fit.
    """

    ref_price_usd: Decimal
    stop_distance_usd: Decimal
    atr_14_usd: Decimal
    volatility_frac: Decimal | None = None
    adv_20: Decimal | None = None
    multiplier: Decimal = Decimal(1)
    unit_cost_usd: Decimal | None = None
    requested_qty: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """Whole units, and why there are none or which cap bound.

    None for `min_order`, `no_stop`, `no_volatility`. `wanted` is the quantity before any cap, `cap`
    the one that bound.
    """

    qty: int
    reason: str | None = None
    wanted: int = 0
    cap: str | None = None


def size(setup: Setup, account: Account, terms: Terms) -> Sized:
    """Quantity of an order: the mode's, then the tightest cap, then the minimum order."""
    if setup.stop_distance_usd <= 0:
        return Sized(qty=0, reason="no_stop")
    if terms.mode is Sizing.VOL and setup.volatility_frac is None:
        return Sized(qty=0, reason="no_volatility")
    wanted = _wanted(setup, account.equity_usd, terms)
    qty, bound = wanted, None
    for name, cap in _caps(setup, account, terms):
        if cap < qty:
            qty, bound = cap, name
    whole, before = (max(0, int(q.to_integral_value(ROUND_FLOOR))) for q in (qty, wanted))
    if whole * setup.ref_price_usd * setup.multiplier < terms.min_order_usd:
        return Sized(qty=0, reason="min_order", wanted=before, cap=bound)
    return Sized(qty=whole, reason=bound, wanted=before, cap=bound)


def _caps(setup: Setup, account: Account, terms: Terms) -> Iterator[tuple[str, Decimal]]:
    unit = setup.ref_price_usd * setup.multiplier
    if terms.max_weight_frac is not None:
        cap_usd = account.equity_usd * terms.max_weight_frac
        yield "max_weight", (cap_usd - account.held_usd) / unit
    if setup.adv_20 is not None and terms.participation_frac is not None:
        yield "participation", setup.adv_20 * terms.participation_frac
    if terms.max_gross_frac is not None:
        cap_usd = account.equity_usd * terms.max_gross_frac
        yield "max_gross", (cap_usd - account.gross_usd) / unit
    yield "cash", account.cash_usd * terms.cash_frac / (setup.unit_cost_usd or unit)
    yield from ((name, left_usd / unit) for name, left_usd in account.headrooms_usd)
    yield from _further_caps(setup, account, terms)


def _further_caps(setup: Setup, account: Account, terms: Terms) -> Iterator[tuple[str, Decimal]]:
    if terms.cap_usd is not None:
        unit = setup.ref_price_usd * setup.multiplier
        yield "cap_usd", (terms.cap_usd - account.held_usd) / unit
    if terms.max_units is not None:
        yield "max_units", Decimal(terms.max_units - account.held_units)
    if account.risk_headroom_usd is not None:
        risk_usd = setup.stop_distance_usd * setup.multiplier
        yield "open_risk", account.risk_headroom_usd / risk_usd
    if setup.requested_qty > 0:
        yield "requested", Decimal(setup.requested_qty)


def _wanted(setup: Setup, equity: Decimal, terms: Terms) -> Decimal:
    unit = setup.ref_price_usd * setup.multiplier
    if terms.mode is Sizing.RISK:
        return risk_usd_of(equity, terms) / (setup.stop_distance_usd * setup.multiplier)
    if terms.mode is Sizing.ATR:
        floor = Decimal("0.005") * setup.ref_price_usd
        at_risk = max(setup.atr_14_usd, floor) * setup.multiplier
        return equity * terms.atr_frac * terms.scale / at_risk
    if terms.mode is Sizing.VOL and setup.volatility_frac is not None:
        root = Decimal(terms.max_positions).sqrt()
        calm = Decimal("0.10") / (max(setup.volatility_frac, Decimal("0.05")) * root)
        return equity * min(Decimal("0.10"), calm) * terms.scale / unit
    return equity * terms.position_frac * terms.scale / unit


def risk_usd_of(equity_usd: Decimal, terms: Terms) -> Decimal:
    """Risk of one trade; of an amount and a fraction the tighter."""
    fraction = None if terms.risk_frac is None else equity_usd * terms.risk_frac
    amounts = [usd for usd in (fraction, terms.risk_usd) if usd is not None]
    return min(amounts, default=Decimal(0)) * terms.scale
