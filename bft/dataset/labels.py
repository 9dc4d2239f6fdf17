"""Realised labels: what a position entered after the close of t earned over h sessions.

Offsets are sessions, not rows. Clock `next_open`: in at the open of t+1, out at the open of
t+1+h; clock `close` (to compare): close of t to close of t+h (models specification, 1.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bft.domain.forecast import HORIZONS_DAYS
from bft.domain.gold import PROVISIONAL, SUSPECTED_SPLIT

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

CLOCKS = ("next_open", "close")
WAIT_SESSIONS = 5  # a missing bar at label_end: the next one within this many sessions counts
RANGE = (-0.9, 3.0)  # returns outside are taken for faults of the data
UNUSABLE = PROVISIONAL | SUSPECTED_SPLIT
_STRIDE = 1 << 32  # symbol place and session number in one ascending key


class State(IntEnum):
    """What became of a label; the first two carry a value."""

    OK = 0
    DELISTED = 1  # trading ended: the last traded close
    PENDING = 2  # label_end lies after asof
    NO_ENTRY = 3  # no bar at t+1
    NO_EXIT = 4  # a gap around label_end, trading went on later
    OUT_OF_RANGE = 5
    FLAGGED = 6  # a provisional or suspected-split row in the label span
    NOT_MEMBER = 7  # the symbol was not of the universe at t, which is known by day


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """Shape (rows, horizons): return y (NaN without label), session it ends, its State."""

    y: NDArray[np.float32]
    end: NDArray[np.int32]
    state: NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bars:
    """Rows in symbol-date order: session numbers, symbol bounds, forward prices, row flags."""

    dates: Ints
    offsets: Ints
    opens: Floats
    closes: Floats
    flags: Ints


def labels(
    bars: Bars,
    *,
    asof: int,
    clock: str = "next_open",
    horizons: Sequence[int] = HORIZONS_DAYS,
) -> Labels:
    """Labels of all rows for each horizon, as known at the close of session `asof`.

    A delisted symbol's label ends `WAIT_SESSIONS` after its nominal end: that is when the
    missing bar was known to stay missing.
    """
    parts = [_horizon(bars, asof, clock, h) for h in horizons]
    y, end, state = (np.stack([part[n] for part in parts], axis=1) for n in range(3))
    return Labels(y=y.astype(np.float32), end=end.astype(np.int32), state=state.astype(np.int8))


def _horizon(bars: Bars, asof: int, clock: str, horizon: int) -> tuple[Floats, Ints, Ints]:
    rows = len(bars.dates)
    owner = np.repeat(np.arange(len(bars.offsets) - 1), np.diff(bars.offsets))
    last = bars.offsets[1:][owner] - 1
    due = bars.dates.astype(np.int64) + horizon + (clock == "next_open")
    key = owner * _STRIDE + bars.dates
    place = np.searchsorted(key, owner * _STRIDE + due)
    ended = place > last
    out = np.minimum(place, last)
    waited = bars.dates[out] - due
    following = np.minimum(np.arange(rows) + 1, last)
    entered = bars.dates[following] == bars.dates + 1
    state = np.select(
        [
            (due > asof) | (ended & (due + WAIT_SESSIONS > asof)),
            ~entered,
            ended,
            waited > WAIT_SESSIONS,
        ],
        [State.PENDING, State.NO_ENTRY, State.DELISTED, State.NO_EXIT],
        State.OK,
    )
    start = np.asarray(bars.opens)[following] if clock == "next_open" else np.asarray(bars.closes)
    use_open = (clock == "next_open") & ~ended
    finish = np.where(use_open, np.asarray(bars.opens)[out], np.asarray(bars.closes)[out])
    y = finish / start - 1.0
    state = _checked(state, y, _flagged(bars, np.arange(rows), out))
    end = np.where(ended, due + WAIT_SESSIONS, bars.dates[out])
    known = state <= State.DELISTED
    return np.where(known, y, np.nan), np.where(known, end, due), state


def _checked(state: Ints, y: Floats, flagged: NDArray[np.bool_]) -> Ints:
    known = state <= State.DELISTED
    state = np.where(known & ~((y >= RANGE[0]) & (y <= RANGE[1])), State.OUT_OF_RANGE, state)
    return np.where(known & flagged, State.FLAGGED, state)


def _flagged(bars: Bars, first: Ints, last: Ints) -> NDArray[np.bool_]:
    seen = np.concatenate([[0], np.cumsum((np.asarray(bars.flags) & UNUSABLE) != 0)])
    return np.asarray(seen[last + 1] > seen[first + 1])
