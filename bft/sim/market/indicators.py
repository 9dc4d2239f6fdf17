"""The eight indicator functions (twelve calls), as TA-Lib computes them on adjusted prices."""

from collections.abc import Mapping

import numpy as np

from bft.sim.market.call import Answer, Call, as_csv, as_json, invalid, isodates
from bft.sim.market.draws import Floats
from bft.sim.market.series import Rows, bars_of

_NAMES = {
    "SMA": "Simple Moving Average (SMA)",
    "EMA": "Exponential Moving Average (EMA)",
    "MACD": "Moving Average Convergence/Divergence (MACD)",
    "RSI": "Relative Strength Index (RSI)",
    "ADX": "Average Directional Movement Index (ADX)",
    "CCI": "Commodity Channel Index (CCI)",
    "ATR": "Average True Range (ATR)",
    "BBANDS": "Bollinger Bands (BBANDS)",
}
PERIODS = frozenset(str(n) for n in range(2, 1001))
INDICATORS = tuple(_NAMES)
SERIES_TYPES = ("open", "high", "low", "close")


def indicator(call: Call) -> Answer:
    """Values of an indicator, newest first, from where it is defined."""
    place, period = call.find(), call.params.get("time_period", "14")
    kind = call.params.get("series_type", "close")
    daily = call.params.get("interval") == "daily"
    if place is None or not daily or kind not in SERIES_TYPES or period not in PERIODS:
        return invalid(call)
    made = bars_of(call, place)
    columns = _values(call.function, made, SERIES_TYPES.index(kind), int(period))
    known = np.flatnonzero(np.all([np.isfinite(part) for part in columns.values()], axis=0))[::-1]
    days = isodates(call, made.rows[known])
    texts = [[f"{v:.4f}" for v in part[known].tolist()] for part in columns.values()]
    if call.wants_csv:
        return as_csv(["time", *columns], zip(days, *texts, strict=True))
    lines = zip(*texts, strict=True)
    values = {
        d: dict(zip(columns, cells, strict=True)) for d, cells in zip(days, lines, strict=True)
    }
    meta = {
        "1: Symbol": call.symbol,
        "2: Indicator": _NAMES[call.function],
        "3: Last Refreshed": days[0] if days else "",
        "4: Interval": "daily",
        "5: Time Period": int(period),
        "6: Series Type": kind,
        "7: Time Zone": "US/Eastern Time",
    }
    return as_json({"Meta Data": meta, f"Technical Analysis: {call.function}": values})


def _values(name: str, made: Rows, kind: int, period: int) -> Mapping[str, Floats]:
    import talib  # half a second, for calls that are never made at night

    x = made.prices * (made.adjusted / made.prices[3])
    _, high, low, close = x
    if name == "MACD":
        line, signal, hist = talib.MACD(x[kind], 12, 26, 9)
        return {"MACD": line, "MACD_Hist": hist, "MACD_Signal": signal}
    if name == "BBANDS":
        bands = talib.BBANDS(x[kind], period, 2, 2)
        titles = [f"Real {side} Band" for side in ("Upper", "Middle", "Lower")]
        return dict(zip(titles, bands, strict=True))
    if name in {"ADX", "ATR", "CCI"}:
        return {name: getattr(talib, name)(high, low, close, period)}
    return {name: getattr(talib, name)(x[kind], period)}
