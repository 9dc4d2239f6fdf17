"""Small charts as inline SVG: no script, no font file, colours from the page's CSS variables."""

from collections.abc import Sequence
from html import escape

import numpy as np
from markupsafe import Markup

WIDTH = 360
"""Units of a chart; pages show it at about this many pixels, so text keeps its size."""
BOLD_UNITS = 8.0
"""More than a character of bold text takes: `100 down` in DejaVu Sans has 7.5 units each."""
Points = Sequence[tuple[float, float]]


def sparkline(values: Sequence[float], label: str) -> Markup:
    """A line without axes; coloured by its last value against its first."""
    line = [float(v) for v in values if np.isfinite(v)]
    if len(line) < 2:
        return Markup("")
    low, high = min(line), max(line)
    span = (high - low) or 1.0
    step = 100 / (len(line) - 1)
    path = _path([(i * step + 2, 23 - 20 * (v - low) / span) for i, v in enumerate(line)])
    tone = "up" if line[-1] >= line[0] else "down"
    x, y = 102, 23 - 20 * (line[-1] - low) / span
    body = f'<path class="line {tone}" d="{path}"/>' + _dot(x, y, 2.2, tone)
    return _svg(body, 106, 26, label, "spark")


def line(values: Sequence[float], days: Sequence[str], label: str, unit: str) -> Markup:
    """A line over sessions with a few levels and the first, middle and last day."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    ticks = _ticks(low, high)
    left, right, top, bottom = 44, WIDTH - 10, 14, 150
    low, high = min(low, ticks[0]), max(high, ticks[-1])
    spots = np.linspace(left, right, len(values))
    points = [
        (float(x), _scaled(float(v), low, high, bottom, top))
        for x, v in zip(spots, values, strict=True)
        if np.isfinite(v)
    ]
    body = "".join(
        _rule(left, y, right, y, "grid") + _text(left - 5, y + 3.5, _short(tick), "end")
        for tick in ticks
        for y in [_scaled(tick, low, high, bottom, top)]
    )
    area = f"{_path(points)}L{points[-1][0]:.1f} {bottom}L{points[0][0]:.1f} {bottom}Z"
    body += f'<path class="area" d="{area}"/><path class="line ink" d="{_path(points)}"/>'
    middle = len(days) // 2
    body += _text(left, bottom + 15, days[0], "start") + _text(right, bottom + 15, days[-1], "end")
    body += _text(float(spots[middle]), bottom + 15, days[middle], "middle")
    return _svg(body + _text(2, 9, unit, "start"), WIDTH, 170, label, "chart")


def bars(items: Sequence[tuple[str, float, str]], label: str, unit: str) -> Markup:
    """Horizontal bars around zero: (name, value, value as shown)."""
    height, left = 19, 150
    values = [value for _, value, _ in items]
    low, high = min(0.0, *values), max(0.0, *values)
    high = high if high > low else 1.0
    start = left + (50 if low < 0 else 4)
    right = WIDTH - 50
    zero = _scaled(0.0, low, high, start, right)
    body = ""
    for place, (name, value, shown) in enumerate(items):
        y = place * height + 4
        end = _scaled(value, low, high, start, right)
        tone = "up" if value >= 0 else "down"
        x, width = min(zero, end), abs(end - zero)
        body += _text(left - 6, y + 10.5, name, "end", "name")
        body += _rect(x, y, width, 13, tone)
        at, anchor = (end + 4, "start") if value >= 0 else (end - 4, "end")
        body += _text(at, y + 10.5, shown, anchor, "value")
    bottom = len(items) * height + 4
    body += _rule(zero, 0, zero, bottom, "axis")
    body += _text(WIDTH - 4, bottom + 12, unit, "end")
    return _svg(body, WIDTH, bottom + 16, label, "chart")


def split(parts: Sequence[tuple[str, float, str]], label: str) -> Markup:
    """One bar cut into shares: (tone, value, text)."""
    total = sum(value for _, value, _ in parts) or 1.0
    x, body = 0.0, ""
    for tone, value, text in parts:
        width = WIDTH * value / total
        body += _rect(x, 0, max(width - 1.5, 0), 20, tone)
        if width > BOLD_UNITS * len(text) + 6:
            body += _text(x + width / 2, 14, text, "middle", "on")
        x += width
    return _svg(body, WIDTH, 20, label, "chart")


def histogram(values: Sequence[float], label: str, unit: str) -> Markup:
    """Counts of percentages in 21 bins, zero marked."""
    data = np.asarray([v for v in values if np.isfinite(v)])
    reach = max(abs(float(data.min())), abs(float(data.max())), 1e-9)
    ticks = _ticks(-reach, reach)
    reach = max(reach, ticks[-1])
    counts, edges = np.histogram(data, bins=21, range=(-reach, reach))
    left, right, top, bottom = 8, WIDTH - 8, 18, 96
    body = ""
    for count, start, end in zip(counts, edges[:-1], edges[1:], strict=True):
        x0, x1 = (_scaled(float(e), -reach, reach, left, right) for e in (start, end))
        y = _scaled(float(count), 0, float(counts.max()), bottom, top)
        middle = (start + end) / 2
        tone = "mute" if abs(middle) < 1e-12 else "up" if middle > 0 else "down"
        body += _rect(x0 + 0.6, y, x1 - x0 - 1.2, bottom - y, tone)
    body += _rule(left, bottom, right, bottom, "axis")
    for tick in ticks:
        body += _text(
            _scaled(tick, -reach, reach, left, right), bottom + 14, _short(tick), "middle"
        )
    body += _text(left, 9, f"symbols, {int(counts.max())} in the tallest bar", "start")
    return _svg(body + _text(right, bottom + 28, unit, "end"), WIDTH, 128, label, "chart")


def calibration(points: Points, label: str) -> Markup:
    """Mean forecast (across) against mean outcome (up), both percent, with the line of honesty."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    reach = max(*map(abs, xs), *map(abs, ys), 1e-9) * 1.12
    left, right, top, bottom = 46, WIDTH - 12, 10, 176

    def at(x: float, y: float) -> tuple[float, float]:
        return _scaled(x, -reach, reach, left, right), _scaled(y, -reach, reach, bottom, top)

    body = ""
    for tick in _ticks(-reach, reach):
        x, y = at(tick, tick)
        body += _rule(left, y, right, y, "grid")
        body += _text(left - 5, y + 3.5, _short(tick), "end") + _text(
            x, bottom + 14, _short(tick), "middle"
        )
    (x0, y0), (x1, y1) = at(-reach, -reach), at(reach, reach)
    body += _rule(x0, y0, x1, y1, "honest")
    spots = [at(x, y) for x, y in points]
    body += f'<path class="line ink" d="{_path(spots)}"/>'
    body += "".join(_dot(x, y, 3.6, "ink") for x, y in spots)
    body += _text(right, bottom + 29, "mean forecast, %", "end")
    return _svg(
        body + _text(left + 6, top + 8, "mean outcome, %", "start"), WIDTH, 210, label, "chart"
    )


def intervals(
    rows: Sequence[tuple[str, float, float | None, float | None, str]],
    label: str,
    goal: tuple[float, str],
) -> Markup:
    """Dots with their intervals beside a goal: (name, mean, low, high, mean as shown)."""
    ends = [goal[0], *(v for _, *three, _ in rows for v in three if v is not None)]
    low, high = min(ends), max(ends)
    pad = 0.1 * ((high - low) or 1.0)
    low, high = low - pad, high + pad
    left, right, height = 62, WIDTH - 24, 36
    at = _scaled(goal[0], low, high, left, right)
    bottom = len(rows) * height + 4
    body = _rule(at, 4, at, bottom, "honest") + _text(at, bottom + 13, goal[1], "middle")
    for place, (name, mean, below, above, shown) in enumerate(rows):
        y = place * height + 26
        x = _scaled(mean, low, high, left, right)
        body += _text(0, y + 4, name, "start", "name") + _text(x, y - 8, shown, "middle", "value")
        if below is not None and above is not None:
            x0, x1 = (_scaled(v, low, high, left, right) for v in (below, above))
            body += _rule(x0, y, x1, y, "bar")
        body += _dot(x, y, 4, "ink")
    return _svg(body, WIDTH, bottom + 18, label, "chart")


def _svg(body: str, width: float, height: float, label: str, kind: str) -> Markup:
    size = f' width="{width}" height="{height}"' if kind == "spark" else ""
    name = escape(label, quote=True)
    head = f'<svg class="{kind}" viewBox="0 0 {width} {height}"{size} role="img"'
    return Markup(f'{head} aria-label="{name}">{body}</svg>')  # noqa: S704  texts went through escape


def _rule(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _rect(x: float, y: float, width: float, height: float, tone: str) -> str:
    size = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="fill {tone}" x="{x:.1f}" y="{y:.1f}" {size} rx="2"/>'


def _dot(x: float, y: float, radius: float, tone: str) -> str:
    return f'<circle class="dot {tone}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>'


def _text(x: float, y: float, text: str, anchor: str, kind: str = "tick") -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _path(points: Points) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _scaled(value: float, low: float, high: float, start: float, end: float) -> float:
    return start + (value - low) / ((high - low) or 1.0) * (end - start)


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round levels inside the range."""
    span = (high - low) or 1.0
    rough = span / 4
    size = 10.0 ** np.floor(np.log10(rough))
    step = next(m * size for m in (1, 2, 2.5, 5, 10) if m * size >= rough)
    first, last = int(np.ceil(low / step)), int(np.floor(high / step))
    return [float(k * step) for k in range(first, last + 1)] or [low]


def _short(value: float) -> str:
    return f"{value:g}".replace("-", "\N{MINUS SIGN}")
