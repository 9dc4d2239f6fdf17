"""Which rows end a window, and the gather of windows: a sample is an end-row index.

`eligible` looks at rows up to t only and serves training, evaluation and inference alike.
"""

from collections.abc import Collection
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from bft.dataset.arrays import Arrays
from bft.dataset.labels import UNUSABLE, State
from bft.domain.gold import SNAPSHOT_INPUTS
from bft.domain.market import EXCLUDED

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]
Flags = NDArray[np.bool_]

SEGMENT_GAP_SESSIONS = 20  # a longer gap starts a new segment (data specification, 3.1)
NULL_SHARE_MAX = 0.2


class Refusal(IntEnum):
    """Why a row ends no window."""

    NONE = 0
    CONTEXT_FUND = 1
    PRICE = 2
    SHORT_HISTORY = 3
    MISSING_CELLS = 4


def refusals(arrays: Arrays, *, lookback: int, dead: Collection[str]) -> NDArray[np.int8]:
    """Refusal of every row; NONE rows are eligible. `dead` are features null throughout training.

    As of: row t uses rows up to and including t; labels are never looked at.
    """
    counted = [
        place
        for place, name in enumerate(arrays.features)
        if name not in SNAPSHOT_INPUTS and name not in dead
    ]
    nulls = np.isnan(arrays.inputs[:, counted]).sum(axis=1)
    excluded = np.array([name in EXCLUDED for name in arrays.symbols])
    missing = _window_sum(nulls, lookback) > NULL_SHARE_MAX * lookback * len(counted)
    return np.select(
        [
            np.repeat(excluded, np.diff(arrays.offsets)),
            ~(np.asarray(arrays.closes) > 0),
            segment_age(arrays) < lookback,
            missing,
        ],
        [Refusal.CONTEXT_FUND, Refusal.PRICE, Refusal.SHORT_HISTORY, Refusal.MISSING_CELLS],
        Refusal.NONE,
    ).astype(np.int8)


def eligible(arrays: Arrays, *, lookback: int, dead: Collection[str]) -> Flags:
    """Rows that end a window which training, evaluation and inference may use."""
    return np.asarray(refusals(arrays, lookback=lookback, dead=dead) == Refusal.NONE)


def labelled(arrays: Arrays, *, horizon_at: int, lookback: int) -> Flags:
    """Rows whose label exists and whose window holds no provisional or suspected-split row."""
    flagged = (np.asarray(arrays.flags) & UNUSABLE) != 0
    known = arrays.label_state[:, horizon_at] <= State.DELISTED
    return np.asarray(known & (_window_sum(flagged, lookback) == 0))


def segment_age(arrays: Arrays) -> Ints:
    """Rows of the segment up to and including each row."""
    rows = np.arange(len(arrays.dates))
    begins = np.zeros(len(rows), dtype=bool)
    begins[1:] = np.diff(arrays.dates) > SEGMENT_GAP_SESSIONS + 1
    begins[arrays.offsets[:-1]] = True
    return rows - np.maximum.accumulate(np.where(begins, rows, 0)) + 1


def gather(matrix: NDArray[np.float32], rows: Ints, lookback: int) -> NDArray[np.float32]:
    """Windows that end at `rows`: (rows of all symbols, F) -> (N, T, F)."""
    stride, step = matrix.strides
    shape = (len(matrix) - lookback + 1, lookback, matrix.shape[1])
    overlapping = as_strided(matrix, shape, (stride, stride, step), writeable=False)
    return np.asarray(overlapping[np.asarray(rows) - lookback + 1])


def _window_sum(values: NDArray[Any], lookback: int) -> Ints:
    total = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
    first = np.maximum(np.arange(len(values)) + 1 - lookback, 0)
    return np.asarray(total[1:] - total[first])
