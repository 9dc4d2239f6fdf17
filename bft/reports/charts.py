"""The seven charts of a stock (data specification, section 8); each draws on one Axes.

A panel takes the symbol's rows of the window, oldest first, on the asof basis. Its title states
what the newest row says. Fewer than 20 valid points give a line of text instead.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from bft.reports.drawing import (
    MIN_POINTS,
    columns,
    counted,
    frame,
    legend,
    line_ends,
    line_starts,
    room,
    sentence,
    valid,
)
from bft.reports.shown import AMBER, BLUE, DOWN, INK, MUTED, SKY, UP, VIOLET, number, pct, usd

WATCH_FRAC = 0.01
AVERAGES = (("sma_20", BLUE), ("sma_50", AMBER), ("sma_200", VIOLET))
FIBONACCI = (0.236, 0.382, 0.618)
PRICE_LEGEND = (
    "▲ buy: falls below the band   ▼ sell: rises above the band   ◇ watch: within 1% of a band or "
    "average   ○ SMA 20 crosses SMA 50",
    "blue band: Bollinger, 20 days, 2 deviations   SMA: mean of that many closes   ATR: average "
    "true range, 14 days   dotted: Fibonacci levels of the window",
)
Floats = np.ndarray[Any, Any]


def daily_price(ax: Any, rows: Any) -> None:
    """Close with averages, Bollinger bands, ATR and Fibonacci levels, crosses and arrows."""
    close = valid(rows, "adjusted_close")
    if _short(ax, "price", close):
        return
    x = np.arange(len(close))
    upper, lower = valid(rows, "bbands_upper_20"), valid(rows, "bbands_lower_20")
    ax.fill_between(x, lower, upper, color=SKY, alpha=0.10, linewidth=0)
    ax.plot(x, upper, color=SKY, lw=0.6, alpha=0.7)
    ax.plot(x, lower, color=SKY, lw=0.6, alpha=0.7)
    ends = [(close[-1], f"close {number(close[-1])}", INK)]
    for name, color in AVERAGES:
        line = valid(rows, name)
        ax.plot(x, line, color=color, lw=1.1)
        ends.append((line[-1], f"{name.replace('sma_', 'SMA ')}  {number(line[-1])}", color))
    ax.plot(x, close, color=INK, lw=1.7)
    starts = _fibonacci(ax, close)
    ends += _reach(ax, close, valid(rows, "atr_14")[-1])
    _marks(ax, rows, close, upper, lower)
    frame(ax, rows["date"].to_numpy(), _price_finding(close, rows), "USD")
    legend(ax, *PRICE_LEGEND)
    room(ax, len(close), left_frac=0.045)
    line_starts(ax, starts)
    line_ends(ax, ends)


def off_from_highs(ax: Any, rows: Any) -> None:
    """Distance to the 52-week high and low."""
    high, low = valid(rows, "52_week_high_pct"), valid(rows, "52_week_low_pct")
    if _short(ax, "52-week range", high):
        return
    x = np.arange(len(high))
    ax.fill_between(x, high, 0, color=DOWN, alpha=0.18, linewidth=0)
    ax.plot(x, high, color=DOWN, lw=1.3)
    ax.plot(x, low, color=UP, lw=1.3)
    ax.axhline(0, color=MUTED, lw=0.7)
    finding = (
        f"{pct(-high[-1], 1, sign=False)} under its 52-week high, {pct(low[-1], 1)} from the low"
    )
    frame(ax, rows["date"].to_numpy(), finding, "% of the level")
    legend(ax, "green: above the 52-week low   orange: below the 52-week high")
    room(ax, len(high))
    line_ends(ax, [(high[-1], "from high", DOWN), (low[-1], "from low", UP)])


def daily_volume(ax: Any, rows: Any) -> None:
    """Volume coloured by the day's direction, its mean, stars at 1.5 times the mean."""
    volume = valid(rows, "volume") / 1e6
    if _short(ax, "volume", volume):
        return
    change, x = valid(rows, "adjusted_close_pct"), np.arange(len(volume))
    mean = float(np.nanmean(volume))
    columns(ax, volume, np.where(change < 0, DOWN, UP), alpha=0.75)
    ax.axhline(mean, color=INK, lw=0.9, ls=(0, (4, 3)))
    stars = np.flatnonzero(volume >= 1.5 * mean)
    ax.plot(x[stars], volume[stars] * 1.05, ls="", marker="*", ms=5, color=AMBER)
    day = "down" if change[-1] < 0 else "up"
    times = number(volume[-1] / mean, 1)
    finding = f"Volume {number(volume[-1], 1)} M on {'an' if day == 'up' else 'a'} {day} day"
    frame(ax, rows["date"].to_numpy(), f"{finding}, {times}x its mean", "million shares")
    legend(ax, "green: up day   orange: down day   ★ 1.5x the mean or more")
    ax.set_ylim(bottom=0)
    room(ax, len(volume))
    line_ends(ax, [(mean, f"mean {number(mean, 1)}", INK)])


def ttm_pe_ratio(ax: Any, rows: Any) -> None:
    """Price over trailing earnings, zones at 15 and 35, forward P/E."""
    ratio = valid(rows, "pe_ratio")
    if _short(ax, "P/E ratio", ratio):
        return
    x, forward = np.arange(len(ratio)), valid(rows, "forward_pe")
    ax.plot(x, ratio, color=INK, lw=1.5)
    ends = [(ratio[-1], f"trailing {number(ratio[-1], 1)}", INK)]
    if counted(forward):
        ax.plot(x, forward, color=VIOLET, lw=1.1, ls=(0, (4, 2)))
        ends.append((forward[-1], f"forward {number(forward[-1], 1)}", VIOLET))
    for level in (15, 35):
        if abs(level / ratio[-1] - 1) < 0.35:
            _include(ax, level)
    _zones(ax, 15, 35, low_good=True)
    finding = f"P/E {number(ratio[-1], 1)}, {_pe_word(ratio[-1])}"
    frame(ax, rows["date"].to_numpy(), finding, "price / earnings")
    legend(ax, "P/E: price over earnings of 12 months   green zone: under 15   orange: over 35")
    room(ax, len(ratio))
    line_ends(ax, ends)


def rsi(ax: Any, rows: Any) -> None:
    """RSI 14 with 30, 50, 70 and the watch zones 30-35 and 65-70."""
    line = valid(rows, "rsi_14")
    if _short(ax, "RSI", line):
        return
    x = np.arange(len(line))
    ax.axhspan(65, 70, color=AMBER, alpha=0.13, lw=0)
    ax.axhspan(30, 35, color=AMBER, alpha=0.13, lw=0)
    for level in (30, 50, 70):
        ax.axhline(level, color=MUTED, lw=0.7, ls="-" if level == 50 else (0, (4, 3)))
    ax.plot(x, line, color=INK, lw=1.4)
    ax.fill_between(x, line, 70, where=line > 70, color=DOWN, alpha=0.3, interpolate=True)
    ax.fill_between(x, line, 30, where=line < 30, color=UP, alpha=0.3, interpolate=True)
    frame(
        ax, rows["date"].to_numpy(), f"RSI {number(line[-1], 1)}: {_rsi_word(line[-1])}", "0 to 100"
    )
    legend(ax, "RSI: relative strength index, 14 days   shaded bands: watch, 30-35 and 65-70")
    ax.set_ylim(min(20, float(np.nanmin(line)) - 4), max(80, float(np.nanmax(line)) + 4))
    ax.set_yticks((30, 50, 70))
    room(ax, len(line))
    line_ends(ax, [(line[-1], number(line[-1], 1), INK)])


def cci(ax: Any, rows: Any) -> None:
    """CCI 14 with +-100 and its zero crosses."""
    line = valid(rows, "cci_14")
    if _short(ax, "CCI", line):
        return
    x = np.arange(len(line))
    for level in (-100, 0, 100):
        ax.axhline(level, color=MUTED, lw=0.7, ls="-" if level == 0 else (0, (4, 3)))
    ax.plot(x, line, color=INK, lw=1.4)
    ax.fill_between(x, line, 100, where=line > 100, color=DOWN, alpha=0.3, interpolate=True)
    ax.fill_between(x, line, -100, where=line < -100, color=UP, alpha=0.3, interpolate=True)
    _crosses(ax, line, np.zeros(len(line)))
    word = "overbought" if line[-1] >= 100 else "oversold" if line[-1] <= -100 else "neutral"
    frame(ax, rows["date"].to_numpy(), f"CCI {number(line[-1], 0)}: {word}", "index")
    legend(ax, "CCI: commodity channel index, 14 days   shaded: beyond 100   ○ crosses zero")
    room(ax, len(line))
    line_ends(ax, [(line[-1], number(line[-1], 0), INK)])


def macd(ax: Any, rows: Any) -> None:
    """MACD line, its 9-day EMA, the histogram between them and their crosses."""
    line, signal = valid(rows, "macd"), valid(rows, "macd_9_ema")
    if _short(ax, "MACD", signal):
        return
    x, gap = np.arange(len(line)), line - signal
    columns(ax, gap, np.where(gap < 0, DOWN, UP), alpha=0.45)
    ax.axhline(0, color=MUTED, lw=0.7)
    ax.plot(x, line, color=INK, lw=1.3)
    ax.plot(x, signal, color=AMBER, lw=1.1)
    crossed = _crosses(ax, line, signal)
    side = "above" if gap[-1] >= 0 else "below"
    ago = f", crossed {len(line) - 1 - crossed[-1]} sessions ago" if len(crossed) else ""
    frame(ax, rows["date"].to_numpy(), f"MACD {side} its signal{ago}", "USD")
    legend(ax, "MACD: 12-day less 26-day mean (EMA)   bars: gap to its 9-day EMA   ○ cross")
    room(ax, len(line))
    line_ends(ax, [(line[-1], "MACD", INK), (signal[-1], "9-day EMA", AMBER)])


CHARTS: dict[str, Callable[[Any, Any], None]] = {
    "daily_price": daily_price,
    "daily_volume": daily_volume,
    "technical_off_from_highs": off_from_highs,
    "technical_rsi": rsi,
    "technical_macd": macd,
    "technical_cci": cci,
    "technical_ttm_pe_ratio": ttm_pe_ratio,
}
"""File name part -> chart, in the order of a page."""


def _short(ax: Any, what: str, values: Floats) -> bool:
    points = counted(values)
    few = points < MIN_POINTS or not np.isfinite(values[-1])
    if few:
        reason = f"{points} valid points, {MIN_POINTS} needed"
        reason = "no value today" if points >= MIN_POINTS else reason
        reason = reason if points else "no value in this window"
        sentence(ax, f"No {what} chart:\n{reason}.")
    return few


def _include(ax: Any, level: float) -> None:
    low, high = ax.get_ylim()
    pad = 0.06 * (high - low)
    ax.set_ylim(min(low, level - pad), max(high, level + pad))


def _zones(ax: Any, low: float, high: float, *, low_good: bool) -> None:
    bottom, top = ax.get_ylim()
    ax.axhspan(bottom, min(low, top), color=UP if low_good else DOWN, alpha=0.08, lw=0)
    ax.axhspan(max(high, bottom), max(top, high), color=DOWN if low_good else UP, alpha=0.08, lw=0)
    ax.set_ylim(bottom, top)
    for level in (low, high):
        if bottom <= level <= top:
            ax.axhline(level, color=MUTED, lw=0.7, ls=(0, (4, 3)))


def _fibonacci(ax: Any, close: Floats) -> list[tuple[float, str, str]]:
    """Levels of the window across it, and their labels."""
    low, high = float(np.nanmin(close)), float(np.nanmax(close))
    levels = [high - share * (high - low) for share in FIBONACCI]
    for level in levels:
        ax.axhline(level, color=MUTED, lw=0.6, ls=(0, (1, 2.5)))
    return [
        (level, f"{100 * share:.1f}%", MUTED)
        for level, share in zip(levels, FIBONACCI, strict=True)
    ]


def _reach(ax: Any, close: Floats, atr: float) -> list[tuple[float, str, str]]:
    """Lines at close +- 2 ATR at the window's end, and their labels."""
    ends = []
    for sign in (2, -2) if np.isfinite(atr) else ():
        level = close[-1] + sign * atr
        ax.plot([len(close) * 0.78, len(close) - 1], [level, level], color=MUTED, lw=1.0, ls="--")
        ends.append((level, f"{sign:+d} ATR {number(level)}".replace("-", "\N{MINUS SIGN}"), MUTED))
    return ends


def _marks(ax: Any, rows: Any, close: Floats, upper: Floats, lower: Floats) -> None:
    """SMA crosses; buy, sell where a band is left; watch where the close comes within 1 %."""
    fast, slow = valid(rows, "sma_20"), valid(rows, "sma_50")
    _crosses(ax, fast, slow)
    span = float(np.nanmax(close) - np.nanmin(close)) or 1.0
    buy, sell = _starts(close < lower), _starts(close > upper)
    ax.plot(buy, close[buy] - 0.07 * span, ls="", marker="^", ms=6, color=UP)
    ax.plot(sell, close[sell] + 0.07 * span, ls="", marker="v", ms=6, color=DOWN)
    levels = (upper, lower, *(valid(rows, name) for name, _ in AVERAGES))
    near = np.any([np.abs(close / level - 1) <= WATCH_FRAC for level in levels], axis=0)
    watch = np.setdiff1d(_starts(near), np.r_[buy, sell])
    style = {"ls": "", "marker": "D", "ms": 3.4, "markerfacecolor": "white"}
    ax.plot(watch, close[watch], color=AMBER, **style)


def _starts(state: np.ndarray[Any, Any]) -> Floats:
    before = np.r_[False, state[:-1]]
    return np.flatnonzero(state & ~before)


def _crosses(ax: Any, first: Floats, second: Floats) -> Floats:
    """Ring where `first` crosses `second`; returns the places."""
    gap = first - second
    with np.errstate(invalid="ignore"):
        at = np.flatnonzero(gap[1:] * gap[:-1] < 0) + 1
    for sign, color in ((1, UP), (-1, DOWN)):
        side = at[np.sign(gap[at]) == sign]
        ax.plot(side, first[side], ls="", marker="o", ms=6, mfc="none", mec=color, mew=1.2)
    return at


def _rsi_word(level: float) -> str:
    if level > 70:
        return "overbought, above 70"
    if level < 30:
        return "oversold, below 30"
    if level >= 65:
        return "watch, near overbought"
    return "watch, near oversold" if level <= 35 else "neutral"


def _pe_word(ratio: float) -> str:
    if ratio <= 0:
        return "a loss over 12 months"
    return "low, under 15" if ratio < 15 else "high, over 35" if ratio > 35 else "between 15 and 35"


def _price_finding(close: Floats, rows: Any) -> str:
    change = 100 * (close[-1] / close[np.flatnonzero(np.isfinite(close))[0]] - 1)
    text = f"{usd(close[-1])}, {pct(change, 1)} over the window"
    above = valid(rows, "sma_200_pct")[-1]
    return f"{text}, {pct(above, 1)} from its 200-day average" if np.isfinite(above) else text
