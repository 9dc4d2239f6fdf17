"""What a signal's entry order is priced at (ADR 0110)."""

from dataclasses import dataclass
from decimal import Decimal

from bft.domain.ticks import COLLAR_FRAC, next_beyond, rounded

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
        return EntryPrices(limit_usd=float(rounded(_decimal(ref_usd), up=sign < 0)))
    if entry_order == "stop":
        return EntryPrices(stop_usd=float(next_beyond(_decimal(extreme_usd), up=sign > 0)))
    return NO_PRICES


def collar_prices(sign: int, *, ref_usd: float, drift_frac: float) -> EntryPrices:
    """A limit at the drift that the strategy allows, where that is nearer than the account's own.

    Source: strategies specification, section 4.2; a wider one is the account's to refuse.
    """
    drift = _decimal(drift_frac)
    if drift >= COLLAR_FRAC:
        return NO_PRICES
    limit = rounded(_decimal(ref_usd) * (1 + sign * drift), up=sign < 0)
    return EntryPrices(limit_usd=float(limit))


def _decimal(price_usd: float) -> Decimal:
    return Decimal(str(price_usd))
