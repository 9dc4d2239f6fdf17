"""How values look: colours, numbers for people, the names of flags and sectors."""

import math
from typing import Any

from bft.domain.market import SECTOR_FUNDS

UP, DOWN, INK, MUTED, GRID, PAPER = "#0b7a5e", "#c2410c", "#1c2530", "#667085", "#e4e7ec", "#ffffff"
BLUE, AMBER, VIOLET, SKY = "#1d4ed8", "#b45309", "#7c3aed", "#0284c7"
"""Green and orange-red stay apart for colour-blind eyes; a sign always says it too."""

MINUS = "\N{MINUS SIGN}"
UNKNOWN = "\N{EN DASH}"

FLAG_OF = {
    "sma_cross": "sma_cross_signal",
    "bollinger_band": "bollinger_bands_signal",
    "rsi": "rsi_signal",
    "macd": "macd_signal",
    "macd_zero": "macd_zero_signal",
    "adx": "adx_signal",
    "cci": "cci_signal",
    "atr": "atr_signal",
    "pe_ratio": "pe_ratio_signal",
    "pcr": "pcr_signal",
}
"""The screener's ten checks in its order -> gold columns (data specification, section 8)."""
FLAG_LABELS = {
    "sma_cross": "SMA cross",
    "bollinger_band": "Bollinger",
    "rsi": "RSI",
    "macd": "MACD",
    "macd_zero": "MACD zero",
    "adx": "ADX",
    "cci": "CCI",
    "atr": "ATR band",
    "pe_ratio": "P/E",
    "pcr": "Put/call",
}
SECTOR_ORDER = tuple("XLF XLK XLV XLE XLY XLI XLB XLC XLU XLRE XLP".split())
SECTOR_NAMES = {fund: name.title() for name, fund in SECTOR_FUNDS.items()}
INDEX_NAMES = {"SPY": "S&P 500", "QQQ": "Nasdaq 100"}
FUND_NAMES = {**INDEX_NAMES, **SECTOR_NAMES, "XRT": "Retail"}
CHARTED_FUNDS = tuple("SPY QQQ XLF XLK XLV XLE XLY XLI XLB XLU XLRE XLP XRT".split())
"""The 13 funds with a page in the screener: the 12 context funds and XRT."""


def known(value: Any) -> bool:
    """Tell whether a value is there and finite."""
    if value is None or isinstance(value, str):
        return bool(value)
    try:
        return math.isfinite(value)
    except TypeError:
        return False


def number(value: Any, places: int = 2, *, sign: bool = False, unit: str = "") -> str:
    """Grouped decimal with a real minus; a value that rounds to 0 has no sign."""
    if not known(value):
        return UNKNOWN
    text = f"{abs(float(value)):,.{places}f}"
    zero = not text.strip("0.,")
    mark = MINUS if value < 0 and not zero else "+" if sign and not zero else ""
    return f"{mark}{text}{unit}"


def usd(value: Any, places: int = 2) -> str:
    """Dollars: $1,234.50."""
    text = number(value, places)
    if text == UNKNOWN:
        return text
    return f"{MINUS}${text[1:]}" if text.startswith(MINUS) else f"${text}"


def pct(value: Any, places: int = 2, *, sign: bool = True) -> str:
    """Percent given as percent: 1.234 -> +1.23%."""
    return number(value, places, sign=sign, unit="%")


def frac(value: Any, places: int = 2, *, sign: bool = True) -> str:
    """Percent given as a fraction: 0.01234 -> +1.23%."""
    return pct(100 * value, places, sign=sign) if known(value) else UNKNOWN


def short(value: Any) -> str:
    """Large counts: 12.3 M."""
    if not known(value):
        return UNKNOWN
    for size, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return number(value / size, 1, unit=f" {letter}")
    return number(value, 0)


def plural(count: int, noun: str, many: str = "") -> str:
    """1 signal, 2 signals."""
    return f"{count:,} {noun if count == 1 else many or noun + 's'}"


TAG_REASONS = {
    "top_n": "good, but below the top picks",
    "falling_knife": "fell too fast (falling knife)",
    "conf_min": "confidence too low",
    "held_or_pending": "held or ordered already",
    "cooldown": "sold not long ago",
    "max_positions": "no free place for a position",
    "min_order": "size below the smallest order",
    "sector": "its sector is full",
    "leveraged_fund": "a leveraged fund",
    "short_not_allowed": "may not be sold short",
    "night_failed": "the night failed",
    "opposite directions": "strategies disagree on its direction",
}
"""Tag reasons of the ranking in words."""


def tag_reason(reason: Any) -> str:
    """Why a pick is tagged as it is, for people; unknown reasons as they are."""
    return TAG_REASONS.get(reason, str(reason).replace("_", " ")) if reason else ""


GLOSSARY = (
    ("execute, watch", "the executor sends an order before the next open; only shown"),
    (
        "BUY, SELL, NEUTRAL",
        "models: in two horizons or more the expected return is above (SELL: below) the usual "
        "return they learned from, so SELL may stand beside forecasts above 0; of a pick: the "
        "side of its order",
    ),
    (
        "Rules and models",
        "only picks of oversold_reversal, ml_prediction and regression_momentum need a forecast; "
        "other rules do not listen to the models, unless their ml_confirm is set",
    ),
    ("3 d, 10 d, 30 d", "sessions ahead; the figure is the expected return over them"),
    ("Confidence (Conf.)", "0 to 1; a prior of the rule, or a probability where a model gave it"),
    ("Score", "-1 to +1: mean rank over the horizons among all symbols"),
    (
        "Size, risk",
        "shares and USD planned at the sizing equity; USD lost at the stop",
    ),
    ("Stop, target", "levels at which a position is closed at a loss, at a gain"),
    ("RSI", "relative strength index, 0 to 100; under 30 oversold, over 70 overbought"),
    ("ADX", "average directional index; above 25 a trend is strong"),
    ("SMA, EMA", "simple and exponential moving average of closes"),
    ("MACD", "moving average convergence divergence: 12-day less 26-day EMA"),
    ("CCI", "commodity channel index; beyond 100 far from the usual price"),
    ("ATR", "average true range: how far the price moves on a usual day"),
    ("P/E", "price over earnings of the last 12 months"),
    ("RankIC", "rank correlation of forecast and outcome; 0 is no skill, 0.02 to 0.05 is good"),
    ("Coverage", "share of outcomes inside the forecast's 90% band"),
    ("R", "gain or loss in units of the risk taken at entry"),
    ("bps", "basis points: 100 are one percent"),
    ("P&L", "profit and loss"),
    ("SPY", "a fund that holds the S&P 500, used as the market"),
    ("PSI", "population stability index: how far values moved from their usual spread"),
    ("Paper", "orders at a broker's practice account or a simulator, no money"),
)
"""Words and abbreviations of the day report, each explained once."""
