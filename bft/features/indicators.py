"""The 24 kernels: TA-Lib on one segment of the forward series (data specification, 3.2 and 11)."""

from collections.abc import Mapping

import numpy as np
import talib

from bft.domain.errors import DataError
from bft.domain.gold import YEAR_ROWS
from bft.features.facts import Floats

KERNELS = (
    *("sma_20", "sma_50", "sma_200", "ema_20", "ema_50", "ema_200"),
    *("macd", "macd_9_ema", "rsi_14", "adx_14", "atr_14", "cci_14"),
    *("bbands_upper_20", "bbands_middle_20", "bbands_lower_20"),
    *("52_week_high", "52_week_low"),
    *("close_1_roc", "open_1_roc", "high_1_roc", "low_1_roc", "volume_1_roc"),
    *("close_3_roc", "close_10_roc"),
)
"""Names of the kernels in order; a roc is in percent."""
SMA_WINDOWS = EMA_WINDOWS = (20, 50, 200)


def kernels(series: Mapping[str, Floats], out: Mapping[str, Floats]) -> None:
    """Write every kernel of one segment into `out`; leading values are NaN.

    `series` holds open, high, low, close and volume on the forward basis, and year_high, year_low
    on the basis of splits alone. Shape: (T,) each. As of: value t uses values up to t.

    Raises:
        DataError: a price is not finite; TA-Lib would go on silently wrong.
    """
    for name in ("open", "high", "low", "close", "year_high", "year_low"):
        if not np.isfinite(series[name]).all():
            raise DataError(f"kernels: {name} is not finite; repair bars before")
    high, low, close = series["high"], series["low"], series["close"]
    for n in SMA_WINDOWS:
        out[f"sma_{n}"][:] = talib.SMA(close, n)
    for n in EMA_WINDOWS:
        out[f"ema_{n}"][:] = talib.EMA(close, n)
    out["macd"][:], out["macd_9_ema"][:], _ = talib.MACD(close, 12, 26, 9)
    out["rsi_14"][:] = talib.RSI(close, 14)
    out["adx_14"][:] = talib.ADX(high, low, close, 14)
    out["atr_14"][:] = talib.ATR(high, low, close, 14)
    out["cci_14"][:] = talib.CCI(high, low, close, 14)
    bands = talib.BBANDS(close, 20, 2, 2)
    for name, band in zip(("upper", "middle", "lower"), bands, strict=True):
        out[f"bbands_{name}_20"][:] = band
    out["52_week_high"][:] = talib.MAX(series["year_high"], YEAR_ROWS)
    out["52_week_low"][:] = talib.MIN(series["year_low"], YEAR_ROWS)
    for name in ("close", "open", "high", "low"):
        out[f"{name}_1_roc"][:] = talib.ROC(series[name], 1)
    out["volume_1_roc"][:] = _roc(series["volume"])
    out["close_3_roc"][:] = talib.ROC(close, 3)
    out["close_10_roc"][:] = talib.ROC(close, 10)


def empty_kernels(rows: int) -> dict[str, Floats]:
    """Room for the kernels of one symbol; shape (24, T)."""
    return dict(zip(KERNELS, np.empty((len(KERNELS), rows)), strict=True))


def _roc(values: Floats) -> Floats:
    """Change in percent over one row; null after a zero, where TA-Lib says 0."""
    out = np.full(len(values), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        out[1:] = (values[1:] / values[:-1] - 1.0) * 100.0
    out[~np.isfinite(out)] = np.nan
    return out
