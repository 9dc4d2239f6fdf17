"""What a signal's entry order is priced at (ADR 0110)."""

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

MICRO, CENT, SUB_PENNY = Decimal("0.000001"), Decimal("0.01"), Decimal("0.0001")
COLLAR_FRAC = 0.02
"""Collar of stocks in every account (executor specification, 5): what one without a limit gets."""
EXTREMES = ("high", "low")
"""Gold columns that a stop entry reads, as traded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryPrices:
    """Limit and trigger of an entry in USD; None: the order has none."""

    limit_usd: float | None = None
    stop_usd: float | None = None


NO_PRICES = EntryPrices()


def read_by_entry(entry_order: str) -> tuple[str, ...]:
    """Gold columns that pricing an entry reads beyond the close."""
    return EXTREMES if entry_order == "stop" else ()


def entry_prices(entry_order: str, sign: int, *, ref_usd: float, extreme_usd: float) -> EntryPrices:
    """Prices of an entry of direction `sign` (1 long, -1 short), raw USD.

    A limit is the reference, no worse than decided. A stop is the first tick beyond the decision
    bar's high (short: low), which the market has to break. The others are priced by the executor.
    """
    if entry_order == "limit":
        return EntryPrices(limit_usd=_stepped(ref_usd, up=sign < 0))
    if entry_order == "stop":
        return EntryPrices(stop_usd=_beyond(extreme_usd, sign))
    return NO_PRICES


def collar_prices(sign: int, *, ref_usd: float, drift_frac: float) -> EntryPrices:
    """A limit at the drift that the strategy allows, where that is nearer than the account's own.

    Source: strategies specification, section 4.2; a wider one is the account's to refuse.
    """
    if drift_frac >= COLLAR_FRAC:
        return NO_PRICES
    return EntryPrices(limit_usd=_stepped(ref_usd * (1 + sign * drift_frac), up=sign < 0))


def _exact(price_usd: float) -> Decimal:
    return Decimal(str(price_usd)).quantize(MICRO)  # the noise of a float never costs a tick


def _stepped(price_usd: float, *, up: bool) -> float:
    exact = _exact(price_usd)
    tick = CENT if exact >= 1 else SUB_PENNY
    return float(exact.quantize(tick, rounding=ROUND_CEILING if up else ROUND_FLOOR))


def _beyond(extreme_usd: float, sign: int) -> float:
    """The nearest price on the tick that is strictly beyond; below 1 USD ticks are 0.0001."""
    exact = _exact(extreme_usd)
    tick = SUB_PENNY if exact < 1 or (sign < 0 and exact == 1) else CENT
    inner = exact.quantize(tick, rounding=ROUND_FLOOR if sign > 0 else ROUND_CEILING)
    return float(inner + sign * tick)
