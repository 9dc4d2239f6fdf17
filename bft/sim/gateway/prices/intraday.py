"""A path through a session that agrees with its daily bar: it meets open, high, low and close."""

import math
from bisect import bisect_right
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b

Point = tuple[float, float]
_STEPS = 23_400  # seconds of a session, each with its own jitter


@dataclass(frozen=True, slots=True, kw_only=True)
class DayBar:
    """Prices of one session, USD as traded; volume in shares."""

    open: float
    high: float
    low: float
    close: float
    volume: float
    previous: float  # close before, as traded


def draw(*parts: object) -> float:
    """A number in [0, 1) that depends on its arguments alone."""
    text = "/".join(map(str, parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=7).digest(), "big") / 2**56


@lru_cache(maxsize=4096)
def _corners(bar: DayBar, name: str) -> tuple[Point, ...]:
    """(share of the session, price): high and low come in either order."""
    first, second = 0.1 + 0.35 * draw(name, "a"), 0.55 + 0.35 * draw(name, "b")
    up_first = draw(name, "c") < 0.5
    extremes = (bar.high, bar.low) if up_first else (bar.low, bar.high)
    return (0.0, bar.open), (first, extremes[0]), (second, extremes[1]), (1.0, bar.close)


def price(bar: DayBar, share: float, name: str) -> float:
    """Price at a share (0..1) of the session; `name` seeds the wiggle, which ends at corners."""
    corners = _corners(bar, name)
    place = min(bisect_right(corners, (share, math.inf)), len(corners) - 1)
    (x0, y0), (x1, y1) = corners[place - 1], corners[place]
    part = (min(share, 1.0) - x0) / (x1 - x0)
    wiggle = sum(
        math.sin(math.pi * n * part) * (draw(name, place, n) - 0.5) / n for n in (2, 5, 11, 23, 47)
    )
    jitter = (draw(name, int(share * _STEPS)) - 0.5) * part * (1 - part)
    bent = y0 + (y1 - y0) * part + (bar.high - bar.low) * (0.15 * wiggle + 0.3 * jitter)
    return min(max(bent, bar.low), bar.high)


def extremes(bar: DayBar, since: float, until: float, name: str) -> tuple[float, float]:
    """Lowest and highest price between two shares of the session, corners included."""
    inside = [x for x, _ in _corners(bar, name) if since <= x <= until]
    shares = [since + (until - since) * n / 8 for n in range(9)] + inside
    seen = [price(bar, share, name) for share in shares]
    return min(seen), max(seen)


def volume(bar: DayBar, since: float, until: float) -> float:
    """Volume traded between two shares of the session: more at its ends."""
    return bar.volume * (_traded(until) - _traded(since))


def _traded(share: float) -> float:
    """Part of the day's volume done by then; a cubic, so that the middle is the quietest."""
    return 0.7 * share + 0.3 * (0.5 + 4 * (share - 0.5) ** 3)
