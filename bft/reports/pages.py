"""Pages of the screener as figures; a page's charts can be cut out of it as JPEGs."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from bft.reports import charts
from bft.reports.drawing import DPI, canvas, frame, line_ends, room, sentence, stamp, titled, valid
from bft.reports.shown import (
    AMBER,
    DOWN,
    FLAG_LABELS,
    FUND_NAMES,
    GRID,
    INK,
    MUTED,
    UP,
    number,
    pct,
    plural,
)

WIDTH_IN, HEIGHT_IN = 10.0, 13.0
ROWS_PER_PAGE = 58
LINES = {
    "SPY": INK,
    "QQQ": "#1d4ed8",
    "XLB": "#ca9a04",
    "XLE": "#6b4423",
    "XLF": "#0b7a5e",
    "XLI": "#38bdf8",
    "XLK": "#7c3aed",
    "XLP": "#14b8a6",
    "XLRE": "#94a3b8",
    "XLU": "#65a30d",
    "XLV": "#be185d",
    "XLY": "#ea580c",
    "XRT": "#f472b6",
}
"""A colour for each fund, the same whichever others are there."""
DASHED = frozenset({"XLE", "XLP", "XLRE", "XLV", "XRT"})
"""Funds whose colour is near to that of another one, for colour-blind eyes most of all."""
TIERS = {3: "#0b7a5e", 1: "#bfe3d6", 0: "#f8fafc", -1: "#fbd9c6", -3: "#c2410c"}
"""Colours of the heat map: |delta| of 1, of 3 and more."""
FAILED = "#b91c1c"
BANNER_CHARS = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What stands on every page."""

    asof: date
    source: str
    simulated: bool
    failed: tuple[str, ...] = ()  # lines of a banner; empty for a night that went well

    @property
    def line(self) -> str:
        """Date, source and whether the data is simulated."""
        said = "  ·  SIMULATED DATA, no market" if self.simulated else ""
        return f"{self.asof:%-d %B %Y}  ·  source {self.source}{said}"


def stock_page(symbol: str, rows: Any, row: Any, title: str, about: About) -> Figure:
    """Seven charts of one symbol and its ten flags."""
    fig = _page(title, about)
    _flag_strip(fig, row)
    for (left, bottom, width, height), draw in zip(_boxes(), charts.CHARTS.values(), strict=True):
        ax = fig.add_axes((left, bottom, width, height))
        draw(ax, rows)
        place = (left + width + 0.08, bottom - 0.0225)
        fig.text(*place, f"{symbol} {about.asof}", fontsize=6, color=MUTED, ha="right")
        if about.simulated:
            stamp(ax)
    return fig


def cut(fig: Figure, count: int) -> list[bytes]:
    """JPEGs of a page's chart regions, first `count`, at 150 dpi."""
    page = _raster(fig)
    wide, high = page.size
    boxes = [
        (round(left * wide), round((1 - top) * high), round(right * wide), round((1 - low) * high))
        for left, low, right, top in _regions()[:count]
    ]
    return [jpeg(page.crop(box)) for box in boxes]


def jpeg(picture: Image.Image) -> bytes:
    """JPEG bytes without a date."""
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=88, dpi=(DPI, DPI))
    return out.getvalue()


def whole(fig: Figure) -> bytes:
    """A figure as JPEG."""
    return jpeg(_raster(fig))


def _raster(fig: Figure) -> Image.Image:
    drawn: Any = FigureCanvasAgg(fig)
    drawn.draw()
    return Image.fromarray(np.asarray(drawn.buffer_rgba())).convert("RGB")


def wide_chart(about: About) -> tuple[Figure, Any]:
    """A figure of one wide chart, for the sector and market images."""
    fig = canvas(WIDTH_IN, 5.4)
    ax = fig.add_axes((0.065, 0.165, 0.79, 0.745))
    fig.text(0.065, 0.02, about.line, fontsize=6.8, color=MUTED)
    if about.failed:
        fig.text(0.985, 0.02, "NIGHT FAILED", fontsize=6.8, color=FAILED, ha="right")
    if about.simulated:
        stamp(ax)
    return fig, ax


def draw_fund(ax: Any, fund: str, rows: Any | None) -> None:
    """Daily price of a fund, or a line saying that it is absent."""
    if rows is None or rows.empty:
        sentence(ax, f"{fund} ({FUND_NAMES[fund]}) is absent from the data.")
        return
    charts.daily_price(ax, rows)
    titled(ax, f"{fund}  {FUND_NAMES[fund]} fund: {ax.get_title(loc='left')}")


def draw_returns(ax: Any, funds: Mapping[str, Any]) -> None:
    """Cumulative return of the funds over the window."""
    if not funds:
        sentence(ax, "None of the 13 funds is in the data, so there are no market returns.")
        return
    longest = max(funds.values(), key=len)
    days = longest["date"].to_numpy()
    ends = []
    for fund, rows in sorted(funds.items()):
        close = valid(rows, "adjusted_close")
        total = 100 * (close / close[0] - 1)
        x = np.searchsorted(days, rows["date"].to_numpy())
        bold = fund in {"SPY", "QQQ"}
        style = (0, (5, 1.5)) if fund in DASHED else "-"
        ax.plot(x, total, color=LINES[fund], lw=2.0 if bold else 1.1, ls=style)
        ends.append((float(total[-1]), f"{fund} {pct(total[-1], 1)}", LINES[fund]))
    ax.axhline(0, color=MUTED, lw=0.7)
    best, worst = max(ends)[1], min(ends)[1]
    frame(ax, days, f"Best {best}, worst {worst} since {_day(days[0])}", "cumulative return, %")
    room(ax, len(days))
    line_ends(ax, ends)


def table_pages(rows: Any, note: str, about: About) -> list[Figure]:
    """The heat-map table, 58 symbols a page."""
    starts = range(0, max(len(rows), 1), ROWS_PER_PAGE)
    rows = rows.sort_values("bull_bear_delta", ascending=False, kind="stable")
    bulls, bears = (int((sign * rows["bull_bear_delta"] > 0).sum()) for sign in (1, -1))
    finding = f"Overnight screener: {bulls} lean bullish, {bears} bearish"
    pages = []
    for start in starts:
        part = rows.iloc[start : start + ROWS_PER_PAGE]
        place = "" if len(starts) == 1 else f"  ({start + 1} to {start + len(part)})"
        fig = _page(finding + place, about)
        fig.text(0.06, 0.912, note, fontsize=9, color=INK, va="top", linespacing=1.5)
        if len(part):
            _heat(fig, part)
        pages.append(fig)
    return pages


def funds_page(part: Mapping[str, Any], about: About) -> Figure:
    """Daily price of up to three funds."""
    fig = _page("Sectors and indices", about)
    for place, (fund, rows) in enumerate(part.items()):
        ax = fig.add_axes((0.07, 0.69 - 0.3 * place, 0.78, 0.215))
        draw_fund(ax, fund, rows)
        if about.simulated:
            stamp(ax)
    return fig


def market_page(funds: Mapping[str, Any], missing: Sequence[str], about: About) -> Figure:
    """Cumulative returns above, the day's moves below."""
    fig = _page("Market", about)
    ax = fig.add_axes((0.08, 0.48, 0.77, 0.42))
    draw_returns(ax, funds)
    if missing:
        fig.text(
            0.06, 0.43, f"Absent from the data: {', '.join(missing)}.", fontsize=8.5, color=AMBER
        )
    if funds:
        below = fig.add_axes((0.19, 0.07, 0.66, 0.33))
        _day_bars(below, funds)
    for chart in fig.axes if about.simulated else ():
        stamp(chart)
    return fig


def _page(title: str, about: About) -> Figure:
    fig = canvas(WIDTH_IN, HEIGHT_IN)
    top = 0.954 if about.failed else 0.962
    size = 17 if len(title) < 50 else 13
    fig.text(0.06, top, title, fontsize=size, fontweight="bold", color=INK)
    fig.text(0.06, top - 0.019, about.line, fontsize=8.5, color=AMBER if about.simulated else MUTED)
    if about.failed:
        _banner(fig, about.failed)
    fig.text(0.06, 0.018, "bft screener  ·  numbers, not advice", fontsize=7, color=MUTED)
    return fig


def _banner(fig: Figure, lines: Sequence[str]) -> None:
    """A red bar on top: the night failed, where and why."""
    fig.add_artist(Rectangle((0, 0.976), 1, 0.024, transform=fig.transFigure, color=FAILED))
    told = _clipped(lines[0]), _clipped(" ".join(lines[1:]))
    for text, y, weight in zip(told, (0.9935, 0.983), ("bold", "normal"), strict=True):
        fig.text(0.06, y, text, fontsize=7.6, color="white", va="center", fontweight=weight)


def _clipped(text: str) -> str:
    """One line of the banner; the day report has it in full."""
    return (
        text if len(text) <= BANNER_CHARS else f"{text[: BANNER_CHARS - 22]} ... (see day report)"
    )


def _boxes() -> list[tuple[float, float, float, float]]:
    """Axes of a stock page: the price over the whole width, six below in two columns."""
    small = [
        (left, bottom, 0.335, 0.122) for bottom in (0.43, 0.247, 0.064) for left in (0.075, 0.565)
    ]
    return [(0.075, 0.63, 0.795, 0.232), *small]


def _regions() -> list[tuple[float, float, float, float]]:
    """Left, bottom, right, top of the JPEG around each box."""
    (_, bottom, _, height), *small = _boxes()
    wide = (0.015, bottom - 0.043, 0.985, bottom + height + 0.026)
    return [wide, *((b[0] - 0.06, b[1] - 0.032, b[0] + 0.425, b[1] + b[3] + 0.028) for b in small)]


def _flag_strip(fig: Figure, row: Any) -> None:
    ax = fig.add_axes((0.06, 0.897, 0.88, 0.03))
    ax.set_axis_off()
    ax.set_xlim(0, 11.2)
    ax.set_ylim(0, 1)
    delta = int(row["bull_bear_delta"])
    ax.text(
        0,
        0.5,
        f"delta {number(delta, 0, sign=True)}",
        fontsize=10,
        fontweight="bold",
        va="center",
        color=_ink(delta),
    )
    for place, (check, label) in enumerate(FLAG_LABELS.items()):
        flag = int(row[check])
        word = {1: "+1", 0: "0", -1: "\N{MINUS SIGN}1"}[flag]
        box = {"boxstyle": "round,pad=0.35", "facecolor": TIERS[flag], "edgecolor": "none"}
        ax.text(
            1.75 + place,
            0.5,
            f"{label}\n{word}",
            fontsize=6.4,
            ha="center",
            va="center",
            color=INK,
            bbox=box,
        )


def _ink(delta: float) -> str:
    return UP if delta > 0 else DOWN if delta < 0 else MUTED


def _tier(delta: float) -> str:
    size = 3 if abs(delta) >= 3 else 1 if abs(delta) >= 1 else 0
    return TIERS[int(np.sign(delta)) * size]


def _heat(fig: Figure, rows: Any) -> None:
    height = min(0.0165, 0.80 / (len(rows) + 1)) * (len(rows) + 1)
    ax = fig.add_axes((0.06, 0.845 - height, 0.88, height))
    ax.set_axis_off()
    ax.set_xlim(0, 16)
    ax.set_ylim(len(rows), -1)
    heads = ["symbol", "delta", "bull", "bear", "changed", *FLAG_LABELS.values()]
    for head, x in zip(heads, _columns(), strict=True):
        side = "left" if x == 0 else "center"
        ax.text(x, -0.5, head, fontsize=7, color=MUTED, ha=side, va="center")
    cells, colors = [], []
    for y, (symbol, row) in enumerate(rows.iterrows()):
        delta = int(row["bull_bear_delta"])
        counts = [int(row[name]) for name in ("num_bullish", "num_bearish", "changed")]
        flags = [int(row[check]) for check in FLAG_LABELS]
        texts = [number(delta, 0, sign=True), *map(str, counts), *map(_flag_text, flags)]
        _row(ax, y, str(symbol), texts, delta)
        for x, size, color in [
            (1.6, 0.98, _tier(delta)),
            *((6.5 + i, 0.96, TIERS[f]) for i, f in enumerate(flags)),
        ]:
            cells.append((x - size / 2, y + 0.06, size, 0.88))
            colors.append(color)
    _rectangles(ax, cells, colors)


def _columns() -> list[float]:
    return [0.0, 1.6, 2.7, 3.6, 4.7, *(6.5 + i for i in range(10))]


def _flag_text(flag: int) -> str:
    return {1: "+1", 0: "\N{MIDDLE DOT}", -1: "\N{MINUS SIGN}1"}[flag]


def _row(ax: Any, y: int, symbol: str, texts: Sequence[str], delta: int) -> None:
    ax.text(0, y + 0.5, symbol, fontsize=8, fontweight="bold", color=INK, va="center")
    for x, text, first in zip(_columns()[1:], texts, range(len(texts)), strict=True):
        strong = first == 0 and abs(delta) >= 3
        color = "white" if strong else INK
        ax.text(
            x,
            y + 0.52,
            text,
            fontsize=7.6,
            color=color,
            ha="center",
            va="center",
            fontweight="bold" if strong else "normal",
        )


def _rectangles(ax: Any, cells: list[tuple[float, float, float, float]], colors: list[str]) -> None:
    corners = [[(x, y), (x + w, y), (x + w, y + h), (x, y + h)] for x, y, w, h in cells]
    ax.add_collection(PolyCollection(corners, facecolors=colors, edgecolors="none", zorder=0))


def _day_bars(ax: Any, funds: Mapping[str, Any]) -> None:
    moves = sorted(
        (float(valid(rows, "adjusted_close_pct")[-1]), fund) for fund, rows in funds.items()
    )
    values = [move for move, _ in moves]
    y = np.arange(len(moves))
    ax.barh(y, values, color=[_ink(v) for v in values], height=0.68)
    ax.set_yticks(y, [f"{FUND_NAMES[fund]}  {fund}" for _, fund in moves])
    span = max(abs(v) for v in values) or 1
    for place, move in enumerate(values):
        ax.text(
            move + np.copysign(0.02 * span, move),
            place,
            pct(move),
            va="center",
            ha="left" if move >= 0 else "right",
            fontsize=7.2,
            color=INK,
        )
    ax.set_xlim(min(0, *values) - 0.16 * span, max(0, *values) + 0.16 * span)
    ax.axvline(0, color=MUTED, lw=0.8)
    ax.grid(axis="x", color=GRID, lw=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.set_xlabel(
        "change of the fund itself on the day, % (the day report has the mean of a sector's stocks)"
    )
    rose = sum(v >= 0.005 for v in values)
    titled(ax, f"{rose} of {plural(len(values), 'fund')} rose on the day")


def _day(value: Any) -> str:
    at = pd.Timestamp(value)
    return f"{at.day} {at:%b}"
