"""The planted signal and what it is worth.

Own return(t+1) = sd * (kappa_fast * f + kappa_slow * g + rest), see the data specification, 1.8.
"""

import numpy as np

from bft.sim.market.draws import Floats

HISTORY_ROWS = 10  # what the volume means need


def z(values: Floats) -> Floats:
    """Standardise across stocks (population sd); zeros where all are equal or there is one."""
    away = values - values.sum() / len(values)  # by hand: numpy's std takes thrice as long
    spread = float(np.sqrt(away @ away / len(values)))
    scaled: Floats = away / spread if spread > 1e-12 else np.zeros_like(values)
    return scaled


def fast(level: Floats, volume: Floats) -> Floats:
    """f: reversal of the last three returns, stronger on volume.

    Shape: the last 10 rows of total-return level and split-adjusted volume, (10, N) -> (N,).
    """
    crowd = np.log(volume[-3:].sum(axis=0) / volume.sum(axis=0) * (HISTORY_ROWS / 3))
    return z(0.8 * z(1 - level[-1] / level[-4]) + 0.6 * z(crowd))


def ceiling(truth: Floats, level: Floats, horizon: int) -> tuple[float, float, int]:
    """RankIC of `truth` (T, N) on returns over `horizon` rows: mean, its standard error, days.

    Rows overlap, so the error counts one day in `horizon` as independent.
    """
    gains = level[horizon:] / level[:-horizon] - 1
    daily = [
        _rank_correlation(said[known], got[known])
        for said, got in zip(truth, gains, strict=False)
        if (known := np.isfinite(said) & np.isfinite(got)).sum() > 2 and np.ptp(said[known]) > 0
    ]
    if not daily:
        return 0.0, 0.0, 0
    error = float(np.std(daily)) * (horizon / len(daily)) ** 0.5
    return float(np.mean(daily)), error, len(daily)


def _rank_correlation(a: Floats, b: Floats) -> float:
    ranks = (values.argsort().argsort().astype(np.float64) for values in (a, b))
    x, y = (rank - rank.mean() for rank in ranks)
    return float(x @ y / np.sqrt((x @ x) * (y @ y)))
