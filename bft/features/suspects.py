"""Price steps that look like a split nobody announced (data specification, Q09)."""

from collections.abc import Iterator

import numpy as np

from bft.features.bars import Bars
from bft.features.corporate import SPLIT_RATIOS
from bft.features.factors import Actions
from bft.features.facts import Floats, Ints

CANDIDATES = np.array(SPLIT_RATIOS)
STEP_DOWN, STEP_UP = 1.4, 0.7  # close[t-1]/close[t] beyond which a step is looked at
CLOSE_LOG = 0.05  # how near the step is to a split ratio
VOLUME_ROWS, VOLUME_RANGE = 20, (0.5, 2.0)
RANGE_FRAC = 0.10  # a split leaves the day's own range small
AGREE_ROWS, AGREEMENT = 2, 1.2


def confidences(bars: Bars, actions: Actions, refused: Actions) -> Floats:
    """How much each row looks like an unannounced split, 0..1; NaN where nothing is to explain.

    0.5 for a step near a split ratio c, 0.3 for volume within 0.5..2 of c times the median of 20
    rows before, 0.15 for a calm day; times 1.2 where a refused split or the vendor's own adjusted
    close agrees on that row or one of the two before. An action explains the step of its row, a
    dividend no more than it pays. As of: row t uses rows up to t.
    """
    found = np.full(len(bars), np.nan)
    place, paid = np.searchsorted(bars.day, actions.ex_day), actions.is_kind("dividend")
    explained = set(place[~paid].tolist())
    for row, q in _steps(bars, place[paid], actions.value[paid]):
        if row not in explained:
            found[row] = _confidence(bars, refused, row, q)
    return found


def _steps(bars: Bars, paid_at: Ints, paid: Floats) -> Iterator[tuple[int, float]]:
    """Rows whose close differs much from the one before, and their ratio, dividends taken out."""
    inside = (paid_at > 0) & (paid_at < len(bars))
    before = bars.close[:-1].copy()
    np.subtract.at(before, paid_at[inside] - 1, paid[inside])
    q = before / bars.close[1:]
    rows: Ints = np.flatnonzero((q >= STEP_DOWN) | (q <= STEP_UP)) + 1
    return zip(rows.tolist(), q[rows - 1].tolist(), strict=True)


def _confidence(bars: Bars, refused: Actions, row: int, q: float) -> float:
    distance = np.abs(np.log(q / CANDIDATES))
    ratio = float(CANDIDATES[distance.argmin()])
    score = 0.5 * bool(distance.min() <= CLOSE_LOG)
    before = bars.volume[max(0, row - VOLUME_ROWS) : row]
    before = before[~np.isnan(before)]
    usual = float(np.median(before)) if len(before) else np.nan
    low, high = VOLUME_RANGE
    score += 0.3 * bool(low <= bars.volume[row] / (usual or np.nan) / ratio <= high)
    score += 0.15 * bool((bars.high[row] - bars.low[row]) / bars.close[row] <= RANGE_FRAC)
    return min(1.0, score * AGREEMENT) if _agrees(bars, refused, row, ratio) else score


def _agrees(bars: Bars, refused: Actions, row: int, ratio: float) -> bool:
    first = max(0, row - AGREE_ROWS)
    near = (refused.ex_day >= bars.day[first]) & (refused.ex_day <= bars.day[row])
    listed = refused.value[near & refused.is_kind("split")]
    adjusted = bars.vendor_close / bars.close
    steps = adjusted[first : row + 1] / adjusted[first - 1 : row] if first else np.empty(0)
    claims = np.r_[listed, steps]
    claims = claims[claims > 0]
    return bool((np.abs(np.log(claims / ratio)) <= CLOSE_LOG).any())
