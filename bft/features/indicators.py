"""The 24 kernels: TA-Lib on one segment of the forward series (data specification, 3.2 and 11)."""

from collections.abc import Mapping, Sequence

import numpy as np
import talib

from bft.domain.errors import DataError
from bft.domain.gold import YEAR_ROWS
from bft.features.facts import Floats

FIVE = ("close", "open", "high", "low", "volume")
FINITE = ("open", "high", "low", "close", "year_high", "year_low")
SMA_WINDOWS = EMA_WINDOWS = (20, 50, 200)
NAMES = (
    *(f"{kind}_{n}" for kind in ("sma", "ema") for n in SMA_WINDOWS),
    *("macd", "macd_9_ema", "rsi_14", "adx_14", "atr_14", "cci_14"),
    *("bbands_upper_20", "bbands_middle_20", "bbands_lower_20", "52_week_high", "52_week_low"),
    *(f"{name}_1_roc" for name in FIVE),
    *("close_3_roc", "close_10_roc"),
)


def kernels(series: Mapping[str, Floats]) -> dict[str, Floats]:
    """Every kernel of one segment; leading values are NaN.

    `series` holds open, high, low, close and volume on the forward basis, and year_high, year_low
    on the basis of splits alone. Shape: (T,) each. As of: value t uses values up to t.

    Raises:
        DataError: a price is not finite; TA-Lib would go on silently wrong.
    """
    for name in FINITE:
        if not np.isfinite(series[name]).all():
            raise DataError(f"kernels: {name} is not finite; repair bars before")
    high, low, close = series["high"], series["low"], series["close"]
    macd, signal, _ = talib.MACD(close, 12, 26, 9)
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    return {
        **{f"sma_{n}": talib.SMA(close, n) for n in SMA_WINDOWS},
        **{f"ema_{n}": talib.EMA(close, n) for n in EMA_WINDOWS},
        "macd": macd,
        "macd_9_ema": signal,
        "rsi_14": talib.RSI(close, 14),
        "adx_14": talib.ADX(high, low, close, 14),
        "atr_14": talib.ATR(high, low, close, 14),
        "cci_14": talib.CCI(high, low, close, 14),
        "bbands_upper_20": upper,
        "bbands_middle_20": middle,
        "bbands_lower_20": lower,
        "52_week_high": talib.MAX(series["year_high"], YEAR_ROWS),
        "52_week_low": talib.MIN(series["year_low"], YEAR_ROWS),
        **{f"{name}_1_roc": talib.ROC(series[name], 1) for name in FIVE},
        **{f"close_{n}_roc": talib.ROC(close, n) for n in (3, 10)},
    }


def by_segment(
    series: Mapping[str, Floats], segments: Sequence[tuple[int, int]]
) -> dict[str, Floats]:
    """Kernels of a symbol, all windows starting anew with each segment."""
    parts = [kernels({name: v[a:b] for name, v in series.items()}) for a, b in segments]
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
