"""Gold columns that one symbol's bars and actions decide."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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


AS_DELIVERED = ("day", "open", "high", "low", "volume", "revised", "simulated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """One symbol's price columns by gold name, its kernels on the forward basis, and flags."""

    columns: Mapping[str, Floats]
    kernels: Mapping[str, Floats]
    row_flags: Ints


def price_columns(bars: Bars, factors: Factors) -> Prices:
    """All columns marked B in the gold table, but beta; shape (T,) each."""
    history = histories(bars, factors)
    return Prices(
        columns=columns(history),
        kernels={name: history[name] for name in indicators.NAMES},
        row_flags=row_flags(history),
    )


def histories(bars: Bars, factors: Factors) -> dict[str, Any]:
    """What takes a symbol's whole history: kernels, repaired prices, factors; shape (T,) each."""
    whole = repaired(bars, factors.total)
    return {
        **indicators.by_segment(_forward(bars, whole, factors), bars.segments),
        **{name: getattr(bars, name) for name in AS_DELIVERED},
        **{f"adjusted_{name}": getattr(whole, name) for name in ("open", "high", "low")},
        "adjusted_close": bars.close,
        "repaired": whole.changed,
        "after_gap": bars.gap > 0,
        "adj_factor": factors.total,
        "split_factor": factors.split,
    }


def columns(history: Mapping[str, Any]) -> dict[str, Floats]:
    """Price columns by gold name, row by row: of any rows of any symbols, shape (T,) each."""
    at = history
    split, total, close = at["split_factor"], at["adj_factor"], at["adjusted_close"]
    year = {name: at[name] / split for name in ("52_week_high", "52_week_low")}
    forward = close * total
    return {
        **{name: usable(at[name]) for name in ("open", "high", "low")},
        **{name: at[name] for name in ("adjusted_open", "adjusted_high", "adjusted_low")},
        "adjusted_close": close,
        "volume": at["volume"],
        "adj_factor": total,
        "split_factor": split,
        **{name: at[name] / total for name in LEVELS},
        **{name: at[name] for name in INVARIANT},
        **{name: at[kernel] for name, kernel in RETURNS.items()},
        **year,
        **{f"{name}_pct": away(close, level) for name, level in year.items()},
        **{f"sma_{n}_pct": away(forward, at[f"sma_{n}"]) for n in indicators.SMA_WINDOWS},
    }


def row_flags(history: Mapping[str, Any]) -> Ints:
    """Flags that a bar itself decides; shape (T,)."""
    idle = ~(np.nan_to_num(history["volume"]) > 0)
    found: Ints = (
        gold.REPAIRED * history["repaired"]
        | gold.ZERO_VOLUME * idle
        | gold.AFTER_GAP * history["after_gap"]
        | gold.REVISED * history["revised"]
        | gold.SIMULATED * history["simulated"]
    )
    return found


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
