"""Out-of-sample forecasts of a model: what evaluation, gates and the merge are computed from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from bft.domain.forecast import Kind
from bft.models import calibrate

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]


class Placed(Protocol):
    """Samples: their session numbers and places of symbols."""

    @property
    def day(self) -> Ints:
        """Session number of each sample."""

    @property
    def symbol(self) -> Ints:
        """Place of each sample's symbol."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forecasts:
    """Labelled samples of one fold's test (or validation) sessions.

    `day` are session numbers, `symbol` places in the arrays' list of symbols, `calibrated` points
    (n,) or probabilities (n, K), `vol20` the deviation of 20 daily returns at the day.
    """

    k: int
    day: Ints
    symbol: Ints
    y: Floats
    calibrated: Floats
    vol20: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TestBlock:
    """Forecasts and what the constants of their own fold make of them; see `Forecasts`.

    A newer fold's edges, means, rates and conformal quantile have seen an older fold's test days.
    `score` ranks symbols, `expected` is the return it means, `true` and `said` are classes, `base`
    (n, K) the training shares (regression: mu_y), `q` the conformal quantile, NaN for classifiers.
    """

    __test__: ClassVar[bool] = False  # the name is not pytest's

    k: int
    day: Ints
    symbol: Ints
    y: Floats
    calibrated: Floats
    vol20: Floats
    score: Floats
    expected: Floats
    true: Ints
    said: Ints
    base: Floats
    q: Floats

    def taken(self, rows: NDArray[Any], *, k: int | None = None) -> "TestBlock":
        """Chosen samples, as fold `k` (its own)."""
        parts = {name: getattr(self, name)[rows] for name in ARRAYS}
        return TestBlock(k=self.k if k is None else k, **parts)


ARRAYS = tuple(field.name for field in fields(TestBlock) if field.name != "k")


def judged(raw: Forecasts, kind: Kind, label: Mapping[str, Any], q: float = np.nan) -> TestBlock:
    """Forecasts with the `label` part of their own model.json and its conformal quantile."""
    if kind is Kind.REGRESSION:
        base = np.array([label["mu_y"]])
    elif kind is Kind.BINARY:
        base = np.array([1 - label["pi"], label["pi"]])
    else:
        base = np.asarray(label["shares"], dtype=np.float64)
    return TestBlock(
        **{field.name: getattr(raw, field.name) for field in fields(Forecasts)},
        score=calibrate.score(kind, raw.calibrated, label),
        expected=calibrate.expected_return(kind, raw.calibrated, label),
        true=calibrate.classes(kind, raw.y, label),
        said=calibrate.predicted_classes(kind, raw.calibrated, label),
        base=np.broadcast_to(base, (len(raw.y), len(base))),
        q=np.full(len(raw.y), q),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prices:
    """Forward opens on every session from `first` on: opens[symbol, session - first].

    A session without a bar holds the last close before it, so a position keeps its value.
    """

    first: int
    opens: Floats


def pool(blocks: Sequence[TestBlock]) -> TestBlock:
    """All blocks as one, in their order."""
    joined = {name: np.concatenate([getattr(b, name) for b in blocks]) for name in ARRAYS}
    return TestBlock(k=blocks[-1].k, **joined)


def days_of(block: Placed) -> Ints:
    """Distinct session numbers, ascending."""
    return np.unique(block.day)


def panel(block: Placed, values: Floats, symbols: int) -> Floats:
    """Samples as a matrix (days, symbols), NaN where there is none."""
    out = np.full((len(days_of(block)), symbols), np.nan)
    out[np.searchsorted(days_of(block), block.day), block.symbol] = values
    return out


def prices(
    dates: Ints, offsets: Ints, opens: Floats, closes: Floats, span: tuple[int, int]
) -> Prices:
    """Price panel over the sessions `span` (both included) from rows in symbol-date order.

    `offsets` (symbols + 1) delimit the rows of each symbol.
    """
    first, last = span
    count, width = len(offsets) - 1, last - first + 1
    owner = np.repeat(np.arange(count), np.diff(offsets))
    grid = np.full((count, width), np.nan)
    mark = grid.copy()  # what a holder knows at the end of each session
    inside = (dates >= first) & (dates <= last)
    at = (owner[inside], np.asarray(dates)[inside] - first)
    grid[at] = np.asarray(opens)[inside]
    mark[at] = np.asarray(closes)[inside]
    held = _filled(mark)
    grid[:, 1:] = np.where(np.isfinite(grid[:, 1:]), grid[:, 1:], held[:, :-1])
    return Prices(first=first, opens=grid)


def write_blocks(file: Path, blocks: Sequence[TestBlock], symbols: Sequence[str]) -> None:
    """Store blocks beside a model, for the gates and the merge."""
    parts = {"symbols": np.array(symbols, dtype=np.str_)}
    for block in blocks:
        for name in ARRAYS:
            values = getattr(block, name)
            kind = np.float32 if values.dtype.kind == "f" else np.int32
            parts[f"{name}_{block.k}"] = values.astype(kind)
    with file.open("wb") as out:
        np.savez(out, allow_pickle=False, **parts)


def read_blocks(file: Path) -> tuple[list[TestBlock], list[str]]:
    """Blocks in fold order and the names their symbol places mean."""
    with np.load(file, allow_pickle=False) as parts:
        folds = sorted(int(n.removeprefix("day_")) for n in parts.files if n.startswith("day_"))
        blocks = [TestBlock(k=k, **{n: parts[f"{n}_{k}"] for n in ARRAYS}) for k in folds]
        return blocks, [str(name) for name in parts["symbols"]]


def _filled(grid: Floats) -> Floats:
    place = np.where(np.isfinite(grid), np.arange(grid.shape[1]), 0)
    return np.take_along_axis(grid, np.maximum.accumulate(place, axis=1), axis=1)
