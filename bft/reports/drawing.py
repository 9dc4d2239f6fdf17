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
    """A panel with a line of text in place of a chart."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_facecolor("#f8fafc")
    for spine in ax.spines.values():
        spine.set_color(GRID)
    style = {"ha": "center", "va": "center", "color": MUTED, "fontsize": 8.6, "linespacing": 1.5}
    ax.text(0.5, 0.5, text, transform=ax.transAxes, **style)


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


def line_ends(ax: Any, ends: Sequence[tuple[float, str, str]]) -> None:
    """Label lines right of the axes: (place, text, colour), pushed apart so that no two overlap."""
    right = _beside(ax, 3.0)
    for place, text, color in _spread(ax, ends, 0.125):
        ax.text(1.0, place, text, transform=right, color=color, fontsize=7.2, va="center")


def line_starts(ax: Any, starts: Sequence[tuple[float, str, str]]) -> None:
    """Label lines inside the axes at their left end, where `room` keeps the data away."""
    left = _beside(ax, 3.0)
    box = {"boxstyle": "square,pad=0.1", "facecolor": PAPER, "edgecolor": "none"}
    for place, text, color in _spread(ax, starts, 0.12):
        style = {"color": color, "fontsize": 6.0, "va": "center", "bbox": box}
        ax.text(0.0, place, text, transform=left, **style)


def room(ax: Any, count: int, *, left_frac: float = 0.0) -> None:
    """Show all sessions; `left_frac` of the width stays empty before the first."""
    ax.set_xlim(-0.8 - left_frac * count, count - 0.3)


def _beside(ax: Any, points: float) -> Any:
    """Coordinates of the axes across, some points to the right; of the data up."""
    return ax.get_yaxis_transform() + ScaledTranslation(points / 72, 0, ax.figure.dpi_scale_trans)


def _spread(
    ax: Any, labels: Sequence[tuple[float, str, str]], gap_in: float
) -> list[tuple[float, str, str]]:
    """Labels of known places, ascending, at least a gap apart."""
    known = sorted(label for label in labels if np.isfinite(label[0]))
    if not known:
        return []
    low, high = ax.get_ylim()
    height_in = ax.get_position().height * ax.figure.get_figheight()
    gap = (high - low) * gap_in / max(height_in, 0.1)
    places = apart([place for place, _, _ in known], gap, low, high)
    return [(y, text, color) for y, (_, text, color) in zip(places, known, strict=True)]


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
