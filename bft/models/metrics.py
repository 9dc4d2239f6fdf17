"""Ranking and regression metrics of out-of-sample scores (models specification, section 7).

Matrices are (days, symbols) with NaN where there is no sample. Undefined is None, never 0.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bft.domain.runs import Json
from bft.models.calibrate import slope

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

WINDOW_DAYS = 21
TERCILES = ("calm", "middle", "wild")


def ranks(x: Floats) -> Floats:
    """Mean ranks along each row, from 1; NaN stays NaN."""
    count = x.shape[1]
    order = np.argsort(x, axis=1, kind="stable")
    line = np.take_along_axis(x, order, axis=1)
    new = np.ones(x.shape, dtype=bool)
    new[:, 1:] = line[:, 1:] != line[:, :-1]
    last = np.ones(x.shape, dtype=bool)
    last[:, :-1] = new[:, 1:]
    place = np.broadcast_to(np.arange(1.0, count + 1), x.shape)
    low = np.maximum.accumulate(np.where(new, place, 0), axis=1)
    high = np.minimum.accumulate(np.where(last, place, count + 1)[:, ::-1], axis=1)[:, ::-1]
    out = np.empty(x.shape)
    np.put_along_axis(out, order, (low + high) / 2, axis=1)
    return np.where(np.isnan(x), np.nan, out)


def daily_ic(score: Floats, y: Floats, *, min_names: int) -> Floats:
    """Pearson correlation across symbols of each day; NaN on days with fewer names."""
    both = np.isfinite(score) & np.isfinite(y)
    a, b = (_centred(np.where(both, x, np.nan)) for x in (score, y))
    scale = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    flat = scale <= 1e-12 * np.maximum(1e-300, _size(score, both) * _size(y, both))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (a * b).sum(axis=1) / scale
    return np.where(flat | (both.sum(axis=1) < min_names), np.nan, found)


def daily_rank_ic(score: Floats, y: Floats, *, min_names: int) -> Floats:
    """Spearman correlation (mean ranks) across symbols of each day."""
    both = np.isfinite(score) & np.isfinite(y)
    a, b = (ranks(np.where(both, x, np.nan)) for x in (score, y))
    return daily_ic(a, b, min_names=min_names)


def without_volatility(score: Floats, vol20: Floats) -> Floats:
    """Residual of each day's regression of the score on ln(20-day deviation)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        log = np.log(vol20)
    both = np.isfinite(score) & np.isfinite(log)
    a, b = (_centred(np.where(both, x, np.nan)) for x in (score, log))
    variance = (b * b).sum(axis=1, keepdims=True)
    beta = (a * b).sum(axis=1, keepdims=True) / np.where(variance > 0, variance, 1)
    return np.where(both, a - beta * b, np.nan)


def mean(series: Floats) -> float | None:
    """Mean of the finite values, None where there are none."""
    values = series[np.isfinite(series)]
    return float(values.mean()) if len(values) else None


def information_ratio(series: Floats) -> float | None:
    """Mean over standard deviation (ddof 1) of daily values, not annualised."""
    values = series[np.isfinite(series)]
    spread = values.std(ddof=1) if len(values) > 1 else 0.0
    return float(values.mean() / spread) if spread > 0 else None


def newey_west_t(series: Floats, *, lags: int) -> float | None:
    """T statistic of the mean with Bartlett weights over `lags` days.

    Source: Newey and West (1987).
    """
    values = series[np.isfinite(series)]
    n = len(values)
    if n < lags + 2:
        return None
    gap = values - values.mean()
    variance = gap @ gap / n
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * (gap[lag:] @ gap[:-lag]) / n
    return float(values.mean() / np.sqrt(variance / n)) if variance > 0 else None


def windows_of(series: Floats) -> Floats:
    """Means of consecutive whole 21-session windows."""
    count = len(series) // WINDOW_DAYS
    rows = series[: count * WINDOW_DAYS].reshape(count, WINDOW_DAYS)  # (windows, 21)
    found = [value for row in rows if (value := mean(row)) is not None]
    return np.array(found)


def terciles(vol20: Floats) -> Ints:
    """Volatility regime 0, 1, 2 of each sample."""
    edges = np.nanquantile(vol20, [1 / 3, 2 / 3])
    return np.searchsorted(edges, vol20, side="right")


def regression(y: Floats, yhat: Floats) -> Json:
    """Errors of a point forecast, and its sign beside the share of rises."""
    gap = yhat - y
    return {
        "mse": float(np.mean(gap**2)),
        "mae": float(np.mean(np.abs(gap))),
        "bias": float(np.mean(gap)),
        "slope": slope(yhat, y),
        "sign_accuracy": float(np.mean((yhat > 0) == (y > 0))),
        "up_share": float(np.mean(y > 0)),
    }


def coverage(y: Floats, lo: Floats, hi: Floats, *, year: Ints, vol20: Floats) -> Json:
    """Share of returns inside the interval: all, by year, by volatility tercile; mean width."""
    inside = (lo <= y) & (y <= hi)
    regime = terciles(vol20)
    return {
        "all": float(inside.mean()),
        "width": float(np.mean(hi - lo)),
        "by_year": {str(int(k)): float(inside[year == k].mean()) for k in np.unique(year)},
        "by_volatility": {
            name: float(inside[regime == n].mean())
            for n, name in enumerate(TERCILES)
            if (regime == n).any()
        },
    }


def row_means(y: Floats, chosen: NDArray[np.bool_]) -> Floats:
    """Mean of the chosen values of each row, NaN where none is chosen."""
    count = chosen.sum(axis=1)
    total = np.where(chosen, y, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def deciles(score: Floats, y: Floats) -> list[float | None]:
    """Mean return of each tenth by score, averaged over days with at least 10 names."""
    place = ranks(np.where(np.isfinite(y), score, np.nan))
    names = np.isfinite(place).sum(axis=1, keepdims=True)
    tenth = np.floor((place - 0.5) / np.maximum(names, 1) * 10)
    tenth[np.broadcast_to(names < 10, tenth.shape)] = np.nan
    return [mean(row_means(y, tenth == n)) for n in range(10)]


def _centred(x: Floats) -> Floats:
    known = np.isfinite(x)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    middle = np.where(known, x, 0.0).sum(axis=1, keepdims=True) / count
    return np.where(known, x - middle, 0.0)


def _size(x: Floats, known: NDArray[np.bool_]) -> Floats:
    return np.asarray(np.where(known, np.abs(x), 0.0).max(axis=1) * known.sum(axis=1))
