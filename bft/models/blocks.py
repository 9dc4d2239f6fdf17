"""Out-of-sample forecasts of a model: what evaluation, gates and the merge are computed from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TestBlock:
    """Labelled samples of one fold's test (or validation) sessions.

    `day` are session numbers, `symbol` places in the arrays' list of symbols, `calibrated` points
    (n,) or probabilities (n, K), `vol20` the deviation of 20 daily returns at the day.
    """

    __test__: ClassVar[bool] = False  # the name is not pytest's

    k: int
    day: Ints
    symbol: Ints
    y: Floats
    calibrated: Floats
    vol20: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prices:
    """Forward opens on every session from `first` on: opens[symbol, session - first].

    A session without a bar holds the last close before it, so a position keeps its value.
    """

    first: int
    opens: Floats


def pool(blocks: Sequence[TestBlock]) -> TestBlock:
    """All blocks as one, in their order."""

    def joined(name: str) -> Any:
        return np.concatenate([getattr(block, name) for block in blocks])

    return TestBlock(
        k=blocks[-1].k,
        day=joined("day"),
        symbol=joined("symbol"),
        y=joined("y"),
        calibrated=joined("calibrated"),
        vol20=joined("vol20"),
    )


def days_of(block: TestBlock) -> Ints:
    """Distinct session numbers, ascending."""
    return np.unique(block.day)


def panel(block: TestBlock, values: Floats, symbols: int) -> Floats:
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
        for name in ("day", "symbol"):
            parts[f"{name}_{block.k}"] = getattr(block, name).astype(np.int32)
        for name in ("y", "calibrated", "vol20"):
            parts[f"{name}_{block.k}"] = getattr(block, name).astype(np.float32)
    with file.open("wb") as out:
        np.savez(out, allow_pickle=False, **parts)


def read_blocks(file: Path) -> tuple[list[TestBlock], list[str]]:
    """Blocks in fold order and the names their symbol places mean."""
    with np.load(file, allow_pickle=False) as parts:
        folds = sorted(int(n.removeprefix("day_")) for n in parts.files if n.startswith("day_"))
        names = ("day", "symbol", "y", "calibrated", "vol20")
        blocks = [TestBlock(k=k, **{n: parts[f"{n}_{k}"] for n in names}) for k in folds]
        return blocks, [str(name) for name in parts["symbols"]]


def _filled(grid: Floats) -> Floats:
    place = np.where(np.isfinite(grid), np.arange(grid.shape[1]), 0)
    return np.take_along_axis(grid, np.maximum.accumulate(place, axis=1), axis=1)
