"""Gold columns that one symbol's bars and actions decide."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import talib

from bft.domain import gold
from bft.features import indicators
from bft.features.bars import Bars
from bft.features.factors import Factors
from bft.features.facts import Floats, Ints
from bft.features.repair import Repaired, repaired, usable

LEVELS = (
    *("sma_20", "sma_50", "sma_200", "ema_20", "ema_50", "ema_200", "macd", "macd_9_ema"),
    *("atr_14", "bbands_upper_20", "bbands_middle_20", "bbands_lower_20"),
)
"""Kernels in price units, divided by C for the own-day basis."""
INVARIANT = ("rsi_14", "adx_14", "cci_14")
RETURNS = {
    "adjusted_close_pct": "close_1_roc",
    "volume_pct": "volume_1_roc",
    "open_pct": "open_1_roc",
    "high_pct": "high_1_roc",
    "low_pct": "low_1_roc",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """One symbol's price columns by gold name, its kernels on the forward basis, and flags."""

    columns: Mapping[str, Floats]
    kernels: Mapping[str, Floats]
    close: Floats
    row_flags: Ints


def price_columns(bars: Bars, factors: Factors) -> Prices:
    """All columns marked B in the gold table, but beta; shape (T,) each."""
    whole = repaired(bars, factors.total)
    series = _forward(bars, whole, factors)
    kernels = indicators.by_segment(series, bars.segments)
    year = {name: kernels[name] / factors.split for name in ("52_week_high", "52_week_low")}
    out = {
        **{name: usable(getattr(bars, name)) for name in ("open", "high", "low")},
        **{f"adjusted_{name}": getattr(whole, name) for name in ("open", "high", "low")},
        "adjusted_close": bars.close,
        "volume": bars.volume,
        "adj_factor": factors.total,
        "split_factor": factors.split,
        **{name: kernels[name] / factors.total for name in LEVELS},
        **{name: kernels[name] for name in INVARIANT},
        **{name: kernels[kernel] for name, kernel in RETURNS.items()},
        **year,
        **{f"{name}_pct": away(bars.close, level) for name, level in year.items()},
        **{
            f"sma_{n}_pct": away(series["close"], kernels[f"sma_{n}"])
            for n in indicators.SMA_WINDOWS
        },
    }
    return Prices(
        columns=out, kernels=kernels, close=series["close"], row_flags=_row_flags(bars, whole)
    )


def forward_returns(bars: Bars, factors: Factors) -> Floats:
    """Change of the forward close over one row in percent, null at segment starts."""
    out = np.full(len(bars), np.nan)
    close = bars.close * factors.total
    for a, b in bars.segments:
        out[a:b] = talib.ROC(close[a:b], 1)
    return out


def away(price: Floats, level: Floats) -> Floats:
    """Distance from a level in percent of it."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return 100 * (price - level) / level


def forward_series(bars: Bars, factors: Factors) -> dict[str, Floats]:
    """Repaired prices times C, volume over S, and high and low on the basis of splits alone."""
    return _forward(bars, repaired(bars, factors.total), factors)


def _forward(bars: Bars, whole: Repaired, factors: Factors) -> dict[str, Floats]:
    with np.errstate(invalid="ignore"):
        traded = np.where(bars.volume > 0, bars.volume, np.nan)
    return {
        "open": whole.open * factors.total,
        "high": whole.high * factors.total,
        "low": whole.low * factors.total,
        "close": bars.close * factors.total,
        "volume": traded / factors.split,
        "year_high": whole.high * factors.split,
        "year_low": whole.low * factors.split,
    }


def _row_flags(bars: Bars, whole: Repaired) -> Ints:
    idle = ~(np.nan_to_num(bars.volume) > 0)
    return (
        gold.REPAIRED * whole.changed
        | gold.ZERO_VOLUME * idle
        | gold.AFTER_GAP * (bars.gap > 0)
        | gold.REVISED * bars.revised
        | gold.SIMULATED * bars.simulated
    )
