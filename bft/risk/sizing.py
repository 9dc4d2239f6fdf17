"""The one sizer: equity, stop distance and caps to whole shares, or the reason for none."""

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
    """What is there to spend: equity and free cash in USD, gross exposure already on."""

    equity_usd: Decimal
    cash_usd: Decimal
    gross_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Sizing mode and caps. Source: strategies specification, section 4.4."""

    mode: Sizing = Sizing.FIXED
    position_frac: Decimal = Decimal("0.10")
    risk_frac: Decimal = Decimal("0.005")
    atr_frac: Decimal = Decimal("0.004")
    max_weight_frac: Decimal = Decimal("0.10")
    participation_frac: Decimal = Decimal("0.01")
    max_gross_frac: Decimal = Decimal("1.0")
    cash_frac: Decimal = Decimal("0.995")
    min_order_usd: Decimal = Decimal(100)
    max_positions: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """One candidate: reference price, stop distance, ATR in USD; yearly volatility; shares a day.

    `adv_20` None is unknown: participation is then not capped here.
    """

    ref_price_usd: Decimal
    stop_distance_usd: Decimal
    atr_14_usd: Decimal
    volatility_frac: Decimal | None = None
    adv_20: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """Whole shares, and why there are none (`min_order`, `no_stop`) or which cap bound."""

    qty: int
    reason: str | None = None


def size(setup: Setup, account: Account, terms: Terms) -> Sized:
    """Quantity of an order; caps in order weight, participation, gross, cash."""
    if setup.stop_distance_usd <= 0:
        return Sized(qty=0, reason="no_stop")
    ref, equity = setup.ref_price_usd, account.equity_usd
    wanted = _wanted(setup, equity, terms)
    caps = {
        "max_weight": equity * terms.max_weight_frac / ref,
        "participation": None if setup.adv_20 is None else setup.adv_20 * terms.participation_frac,
        "max_gross": (equity * terms.max_gross_frac - account.gross_usd) / ref,
        "cash": account.cash_usd * terms.cash_frac / ref,
    }
    qty, bound = wanted, None
    for name, cap in caps.items():
        if cap is not None and cap < qty:
            qty, bound = cap, name
    whole = max(0, int(qty.to_integral_value(ROUND_FLOOR)))
    if whole * ref < terms.min_order_usd:
        return Sized(qty=0, reason="min_order")
    return Sized(qty=whole, reason=bound)


def _wanted(setup: Setup, equity: Decimal, terms: Terms) -> Decimal:
    ref = setup.ref_price_usd
    if terms.mode is Sizing.RISK:
        return equity * terms.risk_frac / setup.stop_distance_usd
    if terms.mode is Sizing.ATR:
        return equity * terms.atr_frac / max(setup.atr_14_usd, Decimal("0.005") * ref)
    if terms.mode is Sizing.VOL and setup.volatility_frac is not None:
        root = Decimal(terms.max_positions).sqrt()
        calm = Decimal("0.10") / (max(setup.volatility_frac, Decimal("0.05")) * root)
        return equity * min(Decimal("0.10"), calm) / ref
    return equity * terms.position_frac / ref
