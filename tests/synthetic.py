"""Gold rows and arrays made of a random walk, with or without a planted signal."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa

from bft.dataset import arrays as store
from bft.domain import sessions
from bft.domain.gold import INPUTS, SIMULATED

LAST = date(2025, 12, 31)


def names_of(count: int) -> list[str]:
    return [f"S{n:03d}" for n in range(count)]


def random_gold(
    *, symbols: int = 12, days: int = 300, seed: int = 1, planted: float = 0.0, noise: int = 52
) -> tuple[pa.Table, np.ndarray]:
    """(gold columns that `arrays` reads, raw inputs). Input `rsi_14` shows tomorrow's shock.

    `planted` is the share of the daily deviation of 2 % that the signal explains. Of the other
    inputs the first `noise` are random, the rest constant.
    """
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(symbols, days))
    luck = rng.normal(size=(symbols, days))
    shown = np.roll(signal, 1, axis=1)  # the shock of t is seen at t-1
    moves = 0.02 * (planted * shown + np.sqrt(1 - planted**2) * luck)
    night = 0.1 * moves  # a tenth of the day's move happens before the open
    closes = 50 * np.exp(np.cumsum(moves, axis=1))
    opens = closes * np.exp(night - moves)
    inputs = rng.normal(size=(symbols, days, len(INPUTS))).astype(np.float32)
    inputs[:, :, noise:] = 0
    inputs[:, :, INPUTS.index("close_1d_roc")] = moves
    inputs[:, :, INPUTS.index("rsi_14")] = 50 + 10 * signal
    newest = sessions.number(LAST)
    span = [sessions.session(n) for n in range(newest - days + 1, newest + 1)]
    table = gold_table(
        [(name, day) for name in names_of(symbols) for day in span],
        opens.ravel(),
        closes.ravel(),
        flags=np.full(symbols * days, SIMULATED),
    )
    return table, inputs.reshape(symbols * days, -1)


def gold_table(
    keys: list[tuple[str, date]],
    opens: np.ndarray,
    closes: np.ndarray,
    *,
    flags: np.ndarray | None = None,
) -> pa.Table:
    count = len(keys)
    return pa.table(
        {
            "date": pa.array([day for _, day in keys], pa.date32()),
            "symbol": [name for name, _ in keys],
            "adjusted_open": np.asarray(opens, dtype=np.float64),
            "adjusted_close": np.asarray(closes, dtype=np.float64),
            "adj_factor": np.ones(count),
            "row_flags": np.zeros(count, np.int32) if flags is None else flags.astype(np.int32),
        }
    )


def make_arrays(folder: Path, **options: object) -> store.Arrays:
    """Arrays of `random_gold(**options)` under a folder."""
    table, inputs = random_gold(**options)  # type: ignore[arg-type]
    store.build(table, inputs, folder, asof=LAST, gold_digest="synthetic")
    return store.open_arrays(folder)


def training_spec(
    folder: Path, made: store.Arrays, name: str, *overrides: str
) -> dict[str, object]:
    """A `fit_model` spec of the demo profile on the arrays under `folder / "arrays"`."""
    from bft.dataset import splits
    from bft.models.profiles import effective, profiles_folder

    profile = effective("demo", name, overrides, profiles_folder())
    first = int(made.dates.min())
    start = splits.train_start(first, made.asof, profile["train_start_offset"])
    horizon = int(name.partition("_")[2].removesuffix("d"))
    folds = splits.walk_forward(start, made.asof, horizon, profile)
    return {
        "name": name,
        "profile": profile,
        "arrays": str(folder / "arrays"),
        "windows": str(folder / "windows"),
        "work": str(folder / "work"),
        "out": str(folder / "out" / name),
        "asof": LAST.isoformat(),
        "folds": [fold.as_json() for fold in folds],
        "seed": 1,
        "threads": 1,
        "created_utc": "2025-12-31T23:00:00+00:00",
        "code": {"version": "0", "commit": "none", "lock": "none"},
        "gold_digest": made.gold_digest,
        "simulated": made.simulated,
        "survivors_only": False,
    }
