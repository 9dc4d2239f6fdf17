"""Calibration and intervals, fitted on validation data (models specification, section 6.3).

Only what this module returns leaves `models`: focal and soft targets are not proper scores, so a
net's own probabilities mean nothing before it. `label` is the `label` part of model.json.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, log_softmax, softmax

from bft.domain.errors import DataError
from bft.domain.forecast import Kind
from bft.domain.runs import Json

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

LEVEL = 0.9  # conformal coverage
VOLATILITY_FLOOR = 0.005  # a day; below it a quiet stock's interval would have no width
VOLATILITY_DAYS = 20
# A separable sample has no finite optimum; a slope of 0 would leave one constant forecast (ADR 8).
_SLOPE = (1e-3, 1e3)
_INVERSE_TEMPERATURE = (1e-3, 1e3)
_BIAS_MAX = 50.0


def fit_calibration(kind: Kind, raw: Floats, y: Floats, spec: Mapping[str, Any]) -> Json:
    """Fit the map from raw outputs to points or probabilities; `spec` is model.json.

    Shape: raw (n, out), y (n,) returns.

    Raises:
        DataError: the validation sample lacks a class.
    """
    raw = np.asarray(raw, dtype=np.float64)
    if kind is Kind.REGRESSION:
        points = raw[:, 0] * spec["label"]["s"]
        return {"method": "identity", "slope": slope(points, y)}
    true = classes(kind, y, spec["label"])
    count = 2 if kind is Kind.BINARY else len(spec["label"]["edges"]) + 1
    if len(np.unique(true)) < count:
        seen = np.bincount(true, minlength=count).tolist()
        raise DataError(f"calibration needs every class in validation, seen {seen}; widen it")
    if kind is Kind.BINARY:
        return _platt(raw[:, 1] - raw[:, 0], true)
    return _vector_scaling(_logits(raw, spec), true)


def apply_calibration(
    kind: Kind, raw: Floats, calibration: Mapping[str, Any], spec: Mapping[str, Any]
) -> Floats:
    """Points in return units (n,) for regression, else probabilities (n, K), in float64."""
    raw = np.asarray(raw, dtype=np.float64)
    if kind is Kind.REGRESSION:
        return raw[:, 0] * float(spec["label"]["s"])
    if kind is Kind.BINARY:
        up = expit(calibration["a"] * (raw[:, 1] - raw[:, 0]) + calibration["b"])
        return np.stack([1.0 - up, up], axis=1)
    logits = _logits(raw, spec) / calibration["temperature"] + np.asarray(calibration["bias"])
    return np.asarray(softmax(logits, axis=1))


def classes(kind: Kind, y: Floats, label: Mapping[str, Any]) -> Ints:
    """Realised class of each return: over the threshold, the bucket, or the sign."""
    if kind is Kind.BUCKETS:
        return np.asarray(np.searchsorted(label["edges"], y, side="right"))
    if kind is Kind.BINARY:
        return np.asarray(y >= label["threshold"]).astype(np.int64)
    return (np.asarray(y) > 0).astype(np.int64)


def predicted_classes(kind: Kind, calibrated: Floats, label: Mapping[str, Any]) -> Ints:
    """Class by the stored rule: p_1 >= base rate, the likeliest bucket, or the sign."""
    if kind is Kind.BUCKETS:
        return np.asarray(calibrated.argmax(axis=1))
    if kind is Kind.BINARY:
        return np.asarray(calibrated[:, 1] >= label["pi"]).astype(np.int64)
    return (calibrated > 0).astype(np.int64)


def expected_return(kind: Kind, calibrated: Floats, label: Mapping[str, Any]) -> Floats:
    """The point, or the class means of training weighted by probability."""
    if kind is Kind.REGRESSION:
        return calibrated
    return calibrated @ np.asarray(label["class_means"], dtype=np.float64)


def score(kind: Kind, calibrated: Floats, label: Mapping[str, Any]) -> Floats:
    """What a model ranks symbols by: the point, p_1, or the expected return."""
    return calibrated[:, 1] if kind is Kind.BINARY else expected_return(kind, calibrated, label)


def volatility(close: Floats, starts: Ints) -> Floats:
    """Sample deviation of the last 20 daily returns at each row, fewer near a start.

    Shape: (rows,) forward closes; `starts` are the first rows of symbols. NaN below 2 returns.
    As of: row t uses closes up to t.
    """
    close = np.asarray(close, dtype=np.float64)
    first = np.repeat(starts, np.diff(np.append(starts, len(close))))
    age = np.arange(len(close)) - first
    returns = np.zeros(len(close))
    np.divide(close[1:], close[:-1], out=returns[1:], where=close[:-1] > 0)
    returns -= 1
    known = np.isfinite(returns) & np.append(False, close[:-1] > 0)
    returns[~known] = 0.0
    count, total, squares = (np.zeros(len(close)) for _ in range(3))
    for lag in range(VOLATILITY_DAYS):
        use = _lagged(known, lag) & (lag < age)
        count += use
        total += np.where(use, _lagged(returns, lag), 0.0)
    mean = total / np.maximum(count, 1)
    for lag in range(VOLATILITY_DAYS):
        use = _lagged(known, lag) & (lag < age)
        squares += np.where(use, _lagged(returns, lag) - mean, 0.0) ** 2
    return np.where(count >= 2, np.sqrt(squares / np.maximum(count - 1, 1)), np.nan)


def fit_conformal(y: Floats, yhat: Floats, vol20: Floats, horizon: int) -> Json:
    """Quantile of volatility-scaled absolute errors: the ceil((n+1) 0.9)-th smallest.

    Raises:
        DataError: fewer than 9 samples; no finite quantile has the level.

    Source: Lei et al., Distribution-Free Predictive Inference for Regression (2018).
    """
    n = len(y)
    place = -(-(n + 1) * 9 // 10)  # ceil of (n + 1) * LEVEL without rounding
    if place > n:
        raise DataError(f"a 90 % interval needs 9 validation samples, found {n}; widen validation")
    errors = np.abs(y - yhat) / _spread(vol20, horizon)
    return {"q": float(np.partition(errors, place - 1)[place - 1]), "n": n, "level": LEVEL}


def interval(
    yhat: Floats, vol20: Floats, horizon: int, conformal: Mapping[str, Any]
) -> tuple[Floats, Floats]:
    """Lower and upper end around each point."""
    width = conformal["q"] * _spread(vol20, horizon)
    return yhat - width, yhat + width


def slope(x: Floats, y: Floats) -> float | None:
    """Least-squares slope of y on x; None where x does not vary."""
    spread = x - x.mean()
    variance = float(spread @ spread)
    return float(spread @ y) / variance if variance > 0 else None


def _lagged(x: NDArray[Any], lag: int) -> NDArray[Any]:
    return x if lag == 0 else np.concatenate([np.zeros(lag, x.dtype), x[:-lag]])[: len(x)]


def _spread(vol20: Floats, horizon: int) -> Floats:
    return np.asarray(np.fmax(vol20, VOLATILITY_FLOOR) * np.sqrt(horizon))


def _logits(raw: Floats, spec: Mapping[str, Any]) -> Floats:
    if spec["training"]["loss"] != "coral":
        return raw
    above = expit(raw)  # (n, K-1), P(class > j)
    ends = np.ones((len(raw), 1))
    p = np.maximum(np.hstack([ends, above]) - np.hstack([above, 0 * ends]), 0)
    return np.asarray(np.log(np.maximum(p / p.sum(axis=1, keepdims=True), 1e-12)))


def _platt(margin: Floats, true: Ints) -> Json:
    def loss(x: Floats) -> tuple[float, Floats]:
        z = x[0] * margin + x[1]
        gap = expit(z) - true
        return float(np.mean(np.logaddexp(0, z) - true * z)), np.array(
            [np.mean(gap * margin), np.mean(gap)]
        )

    share = true.mean()
    start = np.array([1.0, np.log(share / (1 - share))])
    a, b = _minimum(loss, start, [_SLOPE, (-_BIAS_MAX, _BIAS_MAX)])
    return {"method": "platt", "a": a, "b": b}


def _vector_scaling(logits: Floats, true: Ints) -> Json:
    n, count = logits.shape
    hit = np.eye(count)[true]

    def loss(x: Floats) -> tuple[float, Floats]:
        logp = log_softmax(x[0] * logits + x[1:], axis=1)
        gap = (np.exp(logp) - hit) / n
        slopes = np.concatenate([[np.sum(gap * logits)], gap.sum(axis=0)])
        return float(-np.sum(hit * logp) / n), slopes

    bounds = [_INVERSE_TEMPERATURE, *[(-_BIAS_MAX, _BIAS_MAX)] * count]
    inverse, *bias = _minimum(loss, np.array([1.0] + [0.0] * count), bounds)
    bias = [b - sum(bias) / count for b in bias]  # only differences matter
    return {"method": "vector", "temperature": 1 / inverse, "bias": bias}


def _minimum(loss: Any, start: Floats, bounds: list[tuple[float, float]]) -> list[float]:
    options = {"maxiter": 500, "ftol": 1e-14, "gtol": 1e-9}
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return [float(value) for value in found.x]
