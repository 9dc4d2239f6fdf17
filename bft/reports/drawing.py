"""What all charts share: canvas, session axis, finding as title, labels at line ends."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.transforms import ScaledTranslation

from bft.reports.shown import AMBER, GRID, INK, MUTED, PAPER

MIN_POINTS = 20
"""Below this a chart is a line of text (data specification, section 8)."""
DPI = 150
STYLE: Any = {
    "font.size": 8.0,
    "font.family": "DejaVu Sans",
    "axes.edgecolor": "#c9ced6",
    "axes.labelcolor": MUTED,
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.7,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 0.0,
    "pdf.fonttype": 42,
    "pdf.compression": 6,
    "svg.hashsalt": "bft",
    "path.simplify": True,
    "text.hinting": "none",
}


def styled() -> Any:
    """Context in which figures are made and saved."""
    return mpl.rc_context(STYLE)


def canvas(width_in: float, height_in: float) -> Figure:
    """An empty page."""
    return Figure(figsize=(width_in, height_in), dpi=DPI, facecolor=PAPER)


def frame(ax: Any, days: Any, finding: str, unit: str) -> None:
    """Title, unit, light grid, months below; x counts sessions, so weekends leave no gap."""
    titled(ax, finding)
    ax.set_ylabel(unit)
    ax.grid(axis="y", color=GRID, linewidth=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    places, labels = session_ticks(days)
    ax.set_xticks(places, labels)


def titled(ax: Any, finding: str) -> None:
    """Title on the left, smaller over a narrow chart."""
    wide = ax.get_position().width > 0.5
    ax.set_title(
        finding, loc="left", fontsize=9.4 if wide else 8.0, fontweight="bold", color=INK, pad=6
    )


def session_ticks(days: Any, wanted: int = 6) -> tuple[list[int], list[str]]:
    """About six evenly spaced sessions; the last one is always among them."""
    count = len(days)
    step = max(1, -(-(count - 1) // (wanted - 1))) if count > 1 else 1
    places = list(range(count - 1, -1, -step))[::-1]
    stamps = [pd.Timestamp(days[i]) for i in places]
    return places, [f"{stamp.day} {stamp:%b}" for stamp in stamps]


def columns(ax: Any, heights: Any, colors: Any, *, alpha: float) -> None:
    """Bars at 0, 1, 2, ... as one artist: a patch per bar takes a quarter of a page's time."""
    x = np.arange(len(heights))
    tall = np.nan_to_num(heights)
    left, right, zero = x - 0.375, x + 0.375, np.zeros(len(x))
    corners = np.stack([left, zero, left, tall, right, tall, right, zero], axis=1)
    shapes: Any = corners.reshape(-1, 4, 2)
    ax.add_collection(PolyCollection(shapes, facecolors=list(colors), alpha=alpha, linewidths=0))
    ax.update_datalim(shapes.reshape(-1, 2))
    ax.autoscale_view()


def legend(ax: Any, *lines: str) -> None:
    """What marks and colours mean, below the axis."""
    inches = ax.get_position().height * ax.figure.get_figheight()
    for place, text in enumerate(lines):
        y = -(0.345 + 0.11 * place) / inches
        ax.text(0.0, y, text, transform=ax.transAxes, fontsize=6.2, color=MUTED, va="center")


def sentence(ax: Any, text: str) -> None:
    """A line of text in place of a chart."""
    ax.set_axis_off()
    ax.text(0.0, 0.98, text, transform=ax.transAxes, va="top", color=MUTED, fontsize=8.6, wrap=True)


def stamp(ax: Any) -> None:
    """Mark a chart as drawn from simulated data."""
    box = {"boxstyle": "round,pad=0.25", "facecolor": "#fff7ed", "edgecolor": AMBER, "lw": 0.7}
    ax.text(
        1.0,
        1.0,
        "SIMULATED",
        transform=ax.transAxes + ScaledTranslation(5 / 72, 8 / 72, ax.figure.dpi_scale_trans),
        ha="left",
        va="bottom",
        fontsize=6.2,
        fontweight="bold",
        color=AMBER,
        bbox=box,
    )


def line_ends(ax: Any, ends: Sequence[tuple[float, str, str]], *, x: float) -> None:
    """Label lines at their right end, pushed apart so that no two overlap."""
    shown = sorted((y, text, color) for y, text, color in ends if np.isfinite(y))
    if not shown:
        return
    low, high = ax.get_ylim()
    height_in = ax.get_position().height * ax.figure.get_figheight()
    gap = (high - low) * 0.125 / max(height_in, 0.1)
    for place, (y, text, color) in zip(
        apart([y for y, _, _ in shown], gap, low, high), shown, strict=True
    ):
        ax.annotate(
            text,
            (x, y),
            xytext=(x, place),
            color=color,
            fontsize=7.2,
            va="center",
            ha="left",
            annotation_clip=False,
        )


def apart(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Move ascending places so that neighbours are at least `gap` apart, within the range."""
    moved = list(places)
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + gap)
    overflow = moved[-1] - high
    if overflow > 0:
        moved[-1] -= overflow
        for i in range(len(moved) - 2, -1, -1):
            moved[i] = min(moved[i], moved[i + 1] - gap)
    return [max(place, low) if i == 0 else place for i, place in enumerate(moved)]


def valid(rows: Any, column: str) -> np.ndarray[Any, Any]:
    """A column as floats, NaN for unknown."""
    values: np.ndarray[Any, Any] = rows[column].to_numpy(dtype="f8", na_value=np.nan)
    return values


def counted(values: np.ndarray[Any, Any]) -> int:
    """Finite points."""
    return int(np.isfinite(values).sum())
