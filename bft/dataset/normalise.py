"""Normalisation: one function for training and inference, and the shared normalised cache.

z = (x - mu) / sigma, clipped to [-5, 5], null -> 0 (the training mean). Statistics are fitted in
float64 on the fold's training sessions and applied in float32 (models specification, 1.2).
"""

import hashlib
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from bft.dataset.arrays import Arrays
from bft.dataset.folders import file_sum, publish
from bft.domain.errors import DataError
from bft.domain.market import EXCLUDED

Floats32 = NDArray[np.float32]
Ints = NDArray[np.integer[Any]]

CLIP = 5.0
SIGMA_MIN = 1e-6  # below it a feature is taken as constant
Spans = Sequence[tuple[int, int]]
"""Session ranges, both ends included."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Statistics:
    """Means and deviations per symbol and feature; pooled ones for thin or new symbols.

    Shape: mu, sigma (symbols, F), pooled (F,). A dead feature has mean NaN, so it comes out 0.
    """

    symbols: tuple[str, ...]
    features: tuple[str, ...]
    mu: Floats32
    sigma: Floats32
    pooled_mu: Floats32
    pooled_sigma: Floats32

    @property
    def dead(self) -> tuple[str, ...]:
        """Features that were null in all training rows."""
        return tuple(
            name for name, mean in zip(self.features, self.pooled_mu, strict=True) if np.isnan(mean)
        )

    def of(self, symbols: Sequence[str]) -> tuple[Floats32, Floats32, Ints]:
        """Mean and deviation (symbols, F) of each named symbol, and which are pooled (unknown)."""
        place = {name: n for n, name in enumerate(self.symbols)}
        at = np.array([place.get(name, -1) for name in symbols], dtype=np.int64)
        known = (at >= 0)[:, None]
        mu = np.where(known, self.mu[at], self.pooled_mu)
        sigma = np.where(known, self.sigma[at], self.pooled_sigma)
        return mu, sigma, np.flatnonzero(at < 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Normalised:
    """The shared cache: statistics, the mapped float32 matrix (rows, F), constant features."""

    statistics: Statistics
    matrix: Floats32
    digest: str
    constant: tuple[str, ...]


def normalise(x: Floats32, mu: Floats32, sigma: Floats32) -> Floats32:
    """Standardise, clip, put 0 for null; THE function of training and inference.

    Shape: x (..., F), mu and sigma broadcast against it. Infinite cells count as null.
    """
    z = (x - mu) / sigma
    return np.where(np.isfinite(z), np.clip(z, np.float32(-CLIP), np.float32(CLIP)), np.float32(0))


def fit_statistics(
    arrays: Arrays, spans: Spans, *, min_rows: int
) -> tuple[Statistics, tuple[str, ...]]:
    """Statistics of the rows whose session lies in `spans`; also the names of constant features.

    A symbol with fewer than `min_rows` non-null rows of a feature takes the pooled value.
    """
    used = within(arrays.dates, spans)
    used &= np.repeat([s not in EXCLUDED for s in arrays.symbols], np.diff(arrays.offsets))
    count, mean, square = _moments(arrays, used)
    total = count.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        pooled = (count * np.nan_to_num(mean)).sum(axis=0) / total
        around = square + count * (np.nan_to_num(mean) - pooled) ** 2
        pooled_sigma = np.sqrt(around.sum(axis=0) / total)
        sigma = np.sqrt(square / count)
    thin = count < min_rows
    mu = np.where(thin, pooled, mean)
    sigma = np.where(thin, pooled_sigma, sigma)
    constant = (total > 0) & (pooled_sigma < SIGMA_MIN)
    statistics = Statistics(
        symbols=arrays.symbols,
        features=arrays.features,
        mu=mu.astype(np.float32),
        sigma=_floor(sigma),
        pooled_mu=pooled.astype(np.float32),
        pooled_sigma=_floor(pooled_sigma),
    )
    return statistics, tuple(np.asarray(arrays.features)[constant])


def shared(arrays: Arrays, spans: Spans, *, min_rows: int, cache: Path) -> Normalised:
    """Normalised arrays from `cache/<digest>`, published once for all nine models.

    The digest covers what the statistics follow from: arrays, sessions, `min_rows`. A file of
    the wrong size or sum is rebuilt.
    """
    recipe = json.dumps([arrays.digest, [list(map(int, s)) for s in spans], min_rows, CLIP])
    folder = cache / hashlib.sha256(recipe.encode()).hexdigest()
    if not _intact(folder):
        statistics, constant = fit_statistics(arrays, spans, min_rows=min_rows)
        publish(folder, lambda aside: _write(aside, arrays, statistics, constant))
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    return Normalised(
        statistics=load_statistics((folder / "stats.npz").read_bytes()),
        # mapped copy-on-write, never written: torch warns of memory that is marked read-only
        matrix=np.asarray(np.load(folder / "Z.npy", mmap_mode="c", allow_pickle=False)),
        digest=folder.name,
        constant=tuple(meta["constant"]),
    )


def dump_statistics(statistics: Statistics) -> bytes:
    """Bytes of an npz without pickle; equal statistics give equal bytes."""
    out = io.BytesIO()
    np.savez(
        out,
        symbols=np.array(statistics.symbols, dtype=np.str_),
        features=np.array(statistics.features, dtype=np.str_),
        mu=statistics.mu,
        sigma=statistics.sigma,
        pooled_mu=statistics.pooled_mu,
        pooled_sigma=statistics.pooled_sigma,
    )
    return out.getvalue()


def load_statistics(data: bytes) -> Statistics:
    """The inverse of `dump_statistics`.

    Raises:
        DataError: not such a file.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as parts:
            names: Any = {name: tuple(map(str, parts[name])) for name in ("symbols", "features")}
            numbers: Any = {
                name: parts[name] for name in ("mu", "sigma", "pooled_mu", "pooled_sigma")
            }
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise DataError("stats.npz is corrupt; train the model again") from error
    return Statistics(**names, **numbers)


def within(dates: Ints, spans: Spans) -> NDArray[np.bool_]:
    """Rows whose session lies in one of the ranges."""
    inside = np.zeros(len(dates), dtype=bool)
    for first, last in spans:
        inside |= (dates >= first) & (dates <= last)
    return inside


def _moments(arrays: Arrays, used: NDArray[np.bool_]) -> tuple[Any, Any, Any]:
    shape = (len(arrays.symbols), arrays.inputs.shape[1])
    count, mean, square = (np.zeros(shape) for _ in range(3))
    for s, (first, last) in enumerate(zip(arrays.offsets[:-1], arrays.offsets[1:], strict=True)):
        x = arrays.inputs[first:last][used[first:last]].astype(np.float64)
        known = ~np.isnan(x)
        count[s] = known.sum(axis=0)
        with np.errstate(invalid="ignore"):
            mean[s] = np.where(known, x, 0).sum(axis=0) / count[s]
        square[s] = np.where(known, (x - mean[s]) ** 2, 0).sum(axis=0)
    return count, mean, square


def _floor(sigma: NDArray[np.float64]) -> Floats32:
    return np.where(sigma >= SIGMA_MIN, sigma, 1.0).astype(np.float32)


def _write(aside: Path, arrays: Arrays, statistics: Statistics, constant: tuple[str, ...]) -> None:
    shape = arrays.inputs.shape
    out = np.lib.format.open_memmap(aside / "Z.npy", mode="w+", dtype=np.float32, shape=shape)
    for s, (first, last) in enumerate(zip(arrays.offsets[:-1], arrays.offsets[1:], strict=True)):
        out[first:last] = normalise(
            arrays.inputs[first:last], statistics.mu[s], statistics.sigma[s]
        )
    out.flush()
    (aside / "stats.npz").write_bytes(dump_statistics(statistics))
    sums = {name: file_sum(aside / name) for name in ("Z.npy", "stats.npz")}
    meta = {"sums": sums, "constant": constant}
    (aside / "meta.json").write_text(json.dumps(meta, sort_keys=True), encoding="utf-8")


def _intact(folder: Path) -> bool:
    try:
        meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
        return all(file_sum(folder / name) == found for name, found in meta["sums"].items())
    except (OSError, ValueError, KeyError):
        return False
