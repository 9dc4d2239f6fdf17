"""Rolling figures over the last n rows of one segment; value t depends on those rows alone.

Sums are taken window by window, never by running totals: so a huge value leaves no trace after it
has left the window, and a longer history gives the same bits.
"""

import numpy as np

from bft.features.facts import Floats


def mean(values: Floats, window: int, *, least: int = 1) -> Floats:
    """Mean of the last `window` rows, nulls skipped; null below `least` values."""
    total, count, _ = _sums(values, window)
    return np.where(count >= least, total / np.maximum(count, 1), np.nan)


def sample_sd(values: Floats, window: int, *, least: int = 2) -> Floats:
    """Sample standard deviation of the last `window` rows, nulls skipped."""
    total, count, seen = _sums(values, window)
    centre = (total / np.maximum(count, 1))[:, None]
    squares = np.where(np.isnan(seen), 0.0, (seen - centre) ** 2).sum(axis=1)  # (T, W) -> (T,)
    return np.where(count >= least, np.sqrt(squares / np.maximum(count - 1, 1)), np.nan)


def total(values: Floats, window: int) -> Floats:
    """Sum of the last `window` rows (fewer at the start); `values` holds no null.

    Sums of 1, 2, 4, ... rows are added up: log2(window) passes, all of them local to the window.
    Shape: (..., T) -> (..., T).
    """
    out, block = np.zeros_like(values), values
    rows, offset, width = values.shape[-1], 0, 1
    while width <= window:
        if window & width:
            out[..., offset:] += block[..., : max(0, rows - offset)]
            offset += width
        wider = block.copy()
        wider[..., width:] += block[..., : max(0, rows - width)]
        block, width = wider, width * 2
    return out


def lag(values: Floats, rows: int) -> Floats:
    """Value `rows` rows earlier, null at the start."""
    out = np.full(len(values), np.nan)
    out[rows:] = values[: max(0, len(values) - rows)]
    return out


def _sums(values: Floats, window: int) -> tuple[Floats, Floats, Floats]:
    padded = np.r_[np.full(window - 1, np.nan), values]
    seen = np.lib.stride_tricks.sliding_window_view(padded, window)  # (T,) -> (T, W)
    valid = ~np.isnan(seen)
    return np.where(valid, seen, 0.0).sum(axis=1), valid.sum(axis=1).astype(float), seen
