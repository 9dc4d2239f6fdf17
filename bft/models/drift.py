"""Have inputs or outputs moved? PSI and KS (models specification, section 8.2). Pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

BINS = 10
EMPTY_SHARE = 1e-4
REFERENCE_POINTS = 401  # quantiles kept of a sample: its distribution to 0.25 %


def psi(expected: Floats, actual: Floats) -> float | None:
    """Population stability index over the quantile bins of `expected`; None without samples.

    Ties (a feature of few values) merge bins; NaN is left out.
    """
    expected, actual = expected[np.isfinite(expected)], actual[np.isfinite(actual)]
    if not len(expected) or not len(actual):
        return None
    edges = np.unique(np.quantile(expected, np.arange(1, BINS) / BINS))
    e, a = (_shares(sample, edges) for sample in (expected, actual))
    return float(np.sum((a - e) * np.log(a / e)))


def ks(expected: Floats, actual: Floats) -> float | None:
    """Largest distance of the two distribution functions; None without samples."""
    expected, actual = (np.sort(x[np.isfinite(x)]) for x in (expected, actual))
    if not len(expected) or not len(actual):
        return None
    at = np.concatenate([expected, actual])
    e, a = (np.searchsorted(x, at, side="right") / len(x) for x in (expected, actual))
    return float(np.abs(e - a).max())


def without_daily_median(day: Ints, values: Floats) -> Floats:
    """Values less their day's median: the common move of a day is not drift."""
    days, place = np.unique(day, return_inverse=True)
    medians = np.array([np.median(values[place == n]) for n in range(len(days))])
    return np.asarray(values - medians[place])


def reference(values: Floats, *, count: int = REFERENCE_POINTS) -> list[float]:
    """Quantiles that stand for a sample in later comparisons; none for an empty one."""
    values = values[np.isfinite(values)]
    points = np.quantile(values, np.linspace(0, 1, count)) if len(values) else values
    return [float(value) for value in points]


def psi_by_column(expected: Floats, actual: Floats, names: tuple[str, ...]) -> dict[str, float]:
    """PSI of each column of two samples (rows, columns); columns without values are left out."""
    found = {n: psi(expected[:, i], actual[:, i]) for i, n in enumerate(names)}
    return {name: value for name, value in found.items() if value is not None}


def _shares(sample: Floats, edges: Floats) -> Floats:
    counts = np.bincount(np.searchsorted(edges, sample, side="left"), minlength=len(edges) + 1)
    return np.asarray(np.maximum(counts / len(sample), EMPTY_SHARE))
