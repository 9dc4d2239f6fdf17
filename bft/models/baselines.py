"""What a net must beat: ridge and boosted trees on window summaries, momentum, reversal.

Fitted once per horizon and fold on that fold's training samples, and shared by the three models of
the horizon (models specification, section 7).
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

RIDGE_PENALTY = 0.01  # of the mean squared standardised input
TREES: dict[str, Any] = {
    "n_estimators": 200,
    "learning_rate": 0.05,
    "num_leaves": 63,
    "min_child_samples": 200,
    "subsample": 0.8,
    "subsample_freq": 1,
    "colsample_bytree": 0.8,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}
MOMENTUM_ROWS, SKIPPED_ROWS, REVERSAL_ROWS = 252, 21, 5
NAMES = ("ridge", "lightgbm", "momentum", "reversal")
_CHUNK = 65_536  # windows multiplied at once
_COLUMNS = 8  # columns summed at once: memory against passes over the rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """One fold's samples as places of rows: normalised inputs Z (rows, F), forward closes.

    `target` is the training label (y / s, clipped); `test` are rows in the order of the block.
    """

    z: NDArray[np.float32]
    closes: Floats
    offsets: Ints
    lookback: int
    train: Ints
    target: Floats
    test: Ints


def baseline_scores(
    rows: Rows, names: Sequence[str] = NAMES, *, seed: int, threads: int, file: Path | None = None
) -> dict[str, Floats | None]:
    """Score of each baseline on the test rows; None where its library is not installed.

    `file` keeps the scores for the other models of the horizon; its name is a `cache_key`.
    """
    if file is not None and file.exists():
        with np.load(file, allow_pickle=False) as kept:
            found = {name: kept[name] for name in kept.files}
    else:
        found = _fitted(rows, names, seed, threads)
        if file is not None:
            _keep(file, found)
    return {name: found.get(name) for name in names}


def cache_key(rows: Rows, names: Sequence[str], *, inputs: str, seed: int) -> str:
    """What the scores follow from; `inputs` is the digest of the inputs and closes of `rows`.

    Threads are not in it: LightGBM is told to be deterministic.
    """
    fitted = [_code_digest(), library_version("lightgbm"), seed]
    about = json.dumps([inputs, rows.lookback, sorted(names), *fitted])
    total = hashlib.sha256(about.encode())
    for values in (rows.train, rows.target, rows.test):
        total.update(np.ascontiguousarray(values).data)
    return total.hexdigest()


def library_version(name: str) -> str:
    """Version of an installed package, or `absent`."""
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"


@cache
def _code_digest() -> str:
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()


def summaries(z: NDArray[np.float32], ends: Ints, lookback: int) -> NDArray[np.float32]:
    """Last row, mean and deviation of each window: (rows, F), (N,) -> (N, 3F)."""
    first, width = int(ends.min()) - lookback + 1, z.shape[1]
    high = np.asarray(ends) - first + 1
    low = high - lookback
    out = np.empty((len(ends), 3 * width), dtype=np.float32)
    out[:, :width] = z[ends]
    for at in range(0, width, _COLUMNS):
        part = z[first : int(ends.max()) + 1, at : at + _COLUMNS].astype(np.float64)
        total, square = (_from_zero(x) for x in (part, part**2))
        mean = (total[high] - total[low]) / lookback
        variance = (square[high] - square[low]) / lookback - mean**2
        out[:, width + at : width + at + part.shape[1]] = mean
        out[:, 2 * width + at : 2 * width + at + part.shape[1]] = np.sqrt(np.maximum(variance, 0))
    return out


def ridge(rows: Rows) -> Floats:
    """Scores of a ridge regression on standardised summaries, from normal equations in chunks."""
    width = 3 * rows.z.shape[1] + 1
    moments, right = np.zeros((width, width)), np.zeros(width)
    order = np.argsort(rows.train)  # neighbours share their windows' rows
    for part in _chunks(len(order)):
        x = _with_one(rows, rows.train[order[part]])
        moments += x.T @ x
        right += x.T @ rows.target[order[part]]
    n = len(rows.train)
    mean, square = moments[-1, :-1] / n, np.diag(moments)[:-1] / n
    spread = np.sqrt(np.maximum(square - mean**2, 0))
    spread[spread < 1e-6] = 1.0
    centred = moments[:-1, :-1] / n - np.outer(mean, mean)
    scaled = centred / np.outer(spread, spread)
    answer = (right[:-1] / n - mean * right[-1] / n) / spread
    weights = np.linalg.solve(scaled + RIDGE_PENALTY * np.eye(width - 1), answer) / spread
    level = right[-1] / n - mean @ weights
    scores = np.empty(len(rows.test))
    for part in _chunks(len(rows.test)):
        scores[part] = _with_one(rows, rows.test[part])[:, :-1] @ weights + level
    return scores


def lightgbm(rows: Rows, *, seed: int, threads: int) -> Floats:
    """Scores of gradient-boosted trees on the summaries."""
    from lightgbm import LGBMRegressor

    model = LGBMRegressor(**TREES, random_state=seed, n_jobs=threads)
    model.fit(summaries(rows.z, rows.train, rows.lookback), rows.target)
    return np.asarray(model.predict(summaries(rows.z, rows.test, rows.lookback)))


def momentum(rows: Rows) -> Floats:
    """12-1 momentum C[t-21] / C[t-252] - 1; NaN where history is shorter."""
    return _past(rows, SKIPPED_ROWS) / _past(rows, MOMENTUM_ROWS) - 1


def reversal(rows: Rows) -> Floats:
    """Five-day reversal -(C[t] / C[t-5] - 1)."""
    return -(_past(rows, 0) / _past(rows, REVERSAL_ROWS) - 1)


def _fitted(rows: Rows, names: Sequence[str], seed: int, threads: int) -> dict[str, Floats]:
    found = {}
    for name in names:
        if name == "ridge":
            found[name] = ridge(rows)
        elif name == "lightgbm" and find_spec("lightgbm"):
            found[name] = lightgbm(rows, seed=seed, threads=threads)
        elif name == "momentum":
            found[name] = momentum(rows)
        elif name == "reversal":
            found[name] = reversal(rows)
    return found


def _with_one(rows: Rows, ends: Ints) -> Floats:
    x = summaries(rows.z, ends, rows.lookback).astype(np.float64)
    return np.hstack([x, np.ones((len(x), 1))])


def _from_zero(x: Floats) -> Floats:
    return np.concatenate([np.zeros((1, x.shape[1])), np.cumsum(x, axis=0)])


def _past(rows: Rows, back: int) -> Floats:
    begin = rows.offsets[np.searchsorted(rows.offsets, rows.test, side="right") - 1]
    place = rows.test - back
    known = place >= begin
    return np.where(known, rows.closes[np.where(known, place, 0)], np.nan)


def _chunks(count: int) -> list[slice]:
    return [slice(at, min(at + _CHUNK, count)) for at in range(0, count, _CHUNK)]


def _keep(file: Path, found: dict[str, Floats]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_name(f".tmp-{os.getpid()}-{file.name}")
    with aside.open("wb") as out:
        np.savez(out, allow_pickle=False, **found)
    aside.replace(file)
