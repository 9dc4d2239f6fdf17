"""Stationary bootstrap over days, and the deflated Sharpe ratio.

Source: Politis and Romano, The Stationary Bootstrap (1994); Bailey and López de Prado, The
Deflated Sharpe Ratio (2014).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from bft.domain.runs import Json

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

_EULER = 0.5772156649
FEW_DAYS: Json = {"lo": None, "hi": None, "reason": "few_days"}


def block_days(days: int, horizon: int) -> int:
    """Mean block length: max(h + 1, ceil(days^(1/3)))."""
    cube: int = round(days ** (1 / 3))
    return max(horizon + 1, cube if cube**3 >= days else cube + 1)


@lru_cache(maxsize=8)
def draws(days: int, block: int, count: int, seed: int) -> Ints:
    """Drawn day places (count, days); equal arguments draw equal days, so differences pair."""
    rng = np.random.Generator(np.random.Philox(seed))
    restart = rng.random((count, days)) < 1 / block
    restart[:, 0] = True
    start = rng.integers(0, days, size=(count, days))
    place = np.broadcast_to(np.arange(days), (count, days))
    since = np.maximum.accumulate(np.where(restart, place, 0), axis=1)
    places = (np.take_along_axis(start, since, axis=1) + place - since) % days
    places.flags.writeable = False
    return places


def interval(
    series: Floats,
    *,
    horizon: int,
    count: int,
    seed: int,
    level: float = 0.95,
    statistic: Callable[[Floats], Floats] | None = None,
) -> Json:
    """Percentile interval of a statistic of daily rows (the mean when none is given).

    `statistic` maps drawn rows (count, days, ...) to (count,). Fewer than 4 (h + 1) days give no
    interval: blocks as long as the sample show no spread. Rows with a NaN are left out first.
    """
    rows = series[np.isfinite(series.reshape(len(series), -1)).all(axis=1)]
    days = len(rows)
    if days < 4 * (horizon + 1):
        return dict(FEW_DAYS)
    drawn = rows[draws(days, block_days(days, horizon), count, seed)]
    with np.errstate(invalid="ignore", divide="ignore"):
        values = drawn.mean(axis=1) if statistic is None else statistic(drawn)
    values = values[np.isfinite(values)]
    if len(values) < count // 2:
        return {"lo": None, "hi": None, "reason": "undefined"}
    tail = (1 - level) / 2
    lo, hi = np.quantile(values, [tail, 1 - tail])
    return {"lo": float(lo), "hi": float(hi), "reason": None}


def sharpe(returns: Floats) -> Floats:
    """Annual Sharpe ratio of daily returns along the second axis; a `statistic`."""
    return np.asarray(returns.mean(axis=1) / returns.std(axis=1, ddof=1) * np.sqrt(252))


def max_drawdown(returns: Floats) -> Floats:
    """Deepest fall of compounded daily returns along the second axis; a `statistic`."""
    equity = np.cumprod(np.insert(1 + returns, 0, 1.0, axis=1), axis=1)
    return np.asarray((equity / np.maximum.accumulate(equity, axis=1) - 1).min(axis=1))


def deflated_sharpe(
    daily_sharpe: float, *, days: int, skew: float, kurtosis: float, trials: int, variance: float
) -> tuple[float, float]:
    """Expected best Sharpe ratio of `trials` without skill, and the chance that this one beats it.

    All per day; `kurtosis` is 3 for a normal; `variance` that of the trials' ratios.
    """
    expected = 0.0
    if trials > 1:
        tails = norm.ppf(1 - 1 / trials), norm.ppf(1 - 1 / (trials * np.e))
        expected = np.sqrt(variance) * ((1 - _EULER) * tails[0] + _EULER * tails[1])
    spread = np.sqrt(1 - skew * daily_sharpe + (kurtosis - 1) / 4 * daily_sharpe**2)
    z = (daily_sharpe - expected) * np.sqrt(days - 1) / spread
    return float(expected), float(norm.cdf(z))
