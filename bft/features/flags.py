"""The ten flags and their sum, in f8 before any rounding; 0 where an input is null."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from bft.domain import gold
from bft.features.facts import Bools, Floats

Flags = dict[str, npt.NDArray[np.int8]]


def flags(levels: Mapping[str, Floats]) -> Flags:
    """Flags by gold column, and bull_bear_delta.

    `levels` are price, sma_20, sma_50, macd, macd_9_ema, atr_14 and the two bands on one basis
    (any), and adx_14, rsi_14, cci_14, pe_ratio, pcr. Shape: (T,) each.
    """
    v = levels
    band = gold.ATR_BAND * v["atr_14"]
    pe, pcr = v["pe_ratio"], v["pcr"]
    with np.errstate(invalid="ignore"):
        found = {
            "macd_signal": _sign(v["macd"] - v["macd_9_ema"]),
            "macd_zero_signal": _sign(v["macd"]),
            "adx_signal": _flag(v["adx_14"] > gold.ADX_TREND, v["adx_14"] < gold.ADX_FLAT),
            "atr_signal": _flag(v["price"] < v["sma_20"] - band, v["price"] > v["sma_20"] + band),
            "pe_ratio_signal": _flag((pe > 0) & (pe < gold.PE_CHEAP), pe > gold.PE_DEAR),
            "bollinger_bands_signal": _flag(
                v["price"] < v["bbands_lower_20"], v["price"] > v["bbands_upper_20"]
            ),
            "rsi_signal": _flag(v["rsi_14"] < gold.RSI_LOW, v["rsi_14"] > gold.RSI_HIGH),
            "sma_cross_signal": _sign(v["sma_20"] - v["sma_50"]),
            "cci_signal": _flag(v["cci_14"] <= gold.CCI_LOW, v["cci_14"] >= gold.CCI_HIGH),
            "pcr_signal": _flag(pcr <= gold.PCR_BULLISH, pcr > gold.PCR_BEARISH),
        }
    found["bull_bear_delta"] = np.sum([found[name] for name in gold.FLAGS], axis=0, dtype=np.int8)
    return found


def _flag(up: Bools, down: Bools) -> npt.NDArray[np.int8]:
    return up.astype(np.int8) - down.astype(np.int8)


def _sign(values: Floats) -> npt.NDArray[np.int8]:
    return np.nan_to_num(np.sign(values)).astype(np.int8)
