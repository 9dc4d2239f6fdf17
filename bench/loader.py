"""T1 and T2: gather of windows against per-sample loaders; the loader's share of a training step.

Sides: (A) ours, one strided gather a batch; (B) an array and torch's DataLoader, one slice a
sample; (C) the way of qlib's TSDataSampler (qlib/data/dataset/__init__.py: a row-index table, one
fancy-indexed window a sample, tabular in memory) behind a DataLoader. pyqlib is not among the
requirements; C follows that published approach in a few lines, in its favour: the index table is
built ahead and no missing row is looked for. Interleaved ABC ABC, median of 5, parity first.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch.utils.data import DataLoader, Dataset

from bft.dataset.arrays import Arrays, build, open_arrays
from bft.domain import sessions
from bft.domain.forecast import Kind
from bft.domain.gold import INPUTS
from bft.models.losses import loss_of
from bft.models.nets import build_net, sizes_of
from bft.models.optimizers import Optimizer
from bft.models.profiles import effective, profiles_folder
from bft.models.runtime import Windows, windows_on

LOOKBACK, BATCH, BATCHES, ROUNDS, THREADS = 60, 512, 24, 5, 2
SYMBOLS, DAYS, LAST = 404, 500, date(2025, 12, 31)


class Slices(Dataset):  # type: ignore[type-arg]  # torch's Dataset is unparametrised here
    """B: one contiguous slice a sample."""

    def __init__(self, matrix: np.ndarray, rows: np.ndarray) -> None:
        self.matrix, self.rows = matrix, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> np.ndarray:
        end = self.rows[place]
        return self.matrix[end - LOOKBACK + 1 : end + 1]


class Sampler(Dataset):  # type: ignore[type-arg]
    """C: a table (date, symbol) -> row; a sample looks up its column of 60 and takes the rows."""

    def __init__(self, matrix: np.ndarray, rows: np.ndarray, table: np.ndarray, width: int) -> None:
        self.matrix, self.rows, self.table, self.width = matrix, rows, table, width

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, place: int) -> np.ndarray:
        day, symbol = divmod(int(self.rows[place]), self.width)
        indices = self.table[max(day - LOOKBACK + 1, 0) : day + 1, symbol]
        indices = np.nan_to_num(indices.astype(np.float64), nan=len(self.matrix)).astype(int)
        return self.matrix[indices]


def ours(windows: Windows, rows: np.ndarray) -> Iterator[torch.Tensor]:
    for start in range(0, len(rows), BATCH):
        yield windows(rows[start : start + BATCH])


def rate(batches: Callable[[], Any]) -> float:
    begun, count = time.perf_counter(), 0
    for batch in batches():
        count += len(batch)
    return count / (time.perf_counter() - begun)


def made(folder: Path) -> Arrays:
    """Arrays of random rows, written and mapped as training maps them."""
    rng, newest = np.random.default_rng(0), sessions.number(LAST)
    count = SYMBOLS * DAYS
    days = [sessions.session(n) for n in range(newest - DAYS + 1, newest + 1)]
    prices = 50 * np.exp(np.cumsum(0.01 * rng.normal(size=(SYMBOLS, DAYS)), axis=1)).ravel()
    gold = pa.table(
        {
            "date": pa.array(days * SYMBOLS, pa.date32()),
            "symbol": np.repeat([f"S{n:03d}" for n in range(SYMBOLS)], DAYS),
            "adjusted_open": prices,
            "adjusted_close": prices,
            "adj_factor": np.ones(count),
            "row_flags": np.zeros(count, np.int32),
        }
    )
    inputs = 0.1 * rng.normal(size=(count, len(INPUTS))).astype(np.float32)
    build(gold, inputs, folder, asof=LAST, gold_digest="bench")
    return open_arrays(folder)


def opening(folder: Path) -> float:
    times = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        open_arrays(folder)
        times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times)


def share_of_step(matrix: np.ndarray, rows: np.ndarray, profile: str) -> float:
    """Median over rounds of the gather's share of a whole training step."""
    p = effective(profile, "buck_3d", (), profiles_folder())
    net = build_net(sizes_of(p, Kind.BUCKETS, INPUTS), Kind.BUCKETS).train()
    optimizer, loss = Optimizer(net, p), loss_of(Kind.BUCKETS, p)
    windows = windows_on(torch.device("cpu"), matrix, p["lookback"])
    y, shares = torch.arange(p["batch"]) % 3, []
    for _ in range(ROUNDS):
        loading = whole = 0.0
        for start in range(0, 8 * p["batch"], p["batch"]):
            begun = time.perf_counter()
            x = windows(rows[start : start + p["batch"]])
            loading += time.perf_counter() - begun
            optimizer.zero_grad()
            loss(net(x), y).mean().backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimizer.step()
            whole += time.perf_counter() - begun
        shares.append(loading / whole)
    return statistics.median(shares)


def main() -> None:
    torch.set_num_threads(THREADS)
    with TemporaryDirectory() as home:
        arrays = made(Path(home) / "arrays")
        matrix, days = arrays.inputs.copy(), DAYS  # the DataLoader warns of read-only ones
        open_ms = opening(Path(home) / "arrays")
        ends = np.flatnonzero(np.arange(len(matrix)) % days >= LOOKBACK - 1)
        rows = np.random.default_rng(1).permutation(ends)[: BATCH * BATCHES]
        # the same samples as places in C's table: day-major, one column a symbol
        table = np.arange(len(matrix)).reshape(-1, days).T.astype(object)
        flat = (rows % days) * table.shape[1] + rows // days
        windows = windows_on(torch.device("cpu"), matrix, LOOKBACK)
        plain = {"batch_size": BATCH, "num_workers": 0}
        sides: dict[str, Callable[[], Any]] = {
            "ours": lambda: ours(windows, rows),
            "array+DataLoader": lambda: DataLoader(Slices(matrix, rows), **plain),
            "TSDataSampler approach": lambda: DataLoader(
                Sampler(matrix, flat, table, table.shape[1]), **plain
            ),
        }
        first = {name: next(iter(side())) for name, side in sides.items()}
        for batch in first.values():
            assert torch.equal(batch, first["ours"])  # noqa: S101  parity comes first
        rates: dict[str, list[float]] = {name: [] for name in sides}
        for _ in range(ROUNDS):
            for name, side in sides.items():
                rates[name].append(rate(side))
        middle = {name: statistics.median(values) for name, values in rates.items()}
        for name, values in rates.items():
            low, high = min(values), max(values)
            print(f"{name:>24}: {middle[name]:>11,.0f} windows/s ({low:,.0f} to {high:,.0f})")
        for profile in ("demo", "realdata"):
            share = share_of_step(matrix, rows, profile)
            print(f"loader share of a {profile} step: {share:.1%} (goal <= 3 %)")
        print(f"memory-map open: {open_ms:.1f} ms (goal <= 50 ms)")
        against = {name: middle["ours"] / other for name, other in middle.items()}
        print(f"against array + DataLoader: {against['array+DataLoader']:.1f} x (goal >= 1.5)")
        print(f"against TSDataSampler: {against['TSDataSampler approach']:.1f} x (goal >= 5)")


if __name__ == "__main__":
    main()
