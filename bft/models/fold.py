"""One fold of one model as data: its samples, statistics, label facts and training key."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bft.dataset.arrays import FEATURE_SET, Arrays
from bft.dataset.normalise import Normalised, shared
from bft.dataset.splits import Span, spans_of
from bft.domain.errors import DataError
from bft.domain.forecast import ModelName
from bft.domain.runs import Event, Json
from bft.models.nets import NETS
from bft.models.samples import Samples, label_facts, label_states, select, usable

_PACKAGE = Path(__file__).parents[1]
_CODE = (
    "dataset/*.py",
    "domain/forecast.py",
    "domain/gold.py",
    *(
        f"models/{name}.py"
        for name in (
            *("artifact", "blocks", "calibrate", "checkpoint", "classification", "collapse"),
            *("cross", "description", "encoder", "fit", "fold", "losses", "loop", "metrics"),
            *("nets", "optimizers", "runtime", "samples"),
        )
    ),
)
"""Sources that decide a trained fold, whatever `fit` imports but what only evaluates it: part of
its training key. Of profiles the key holds what came out, the effective one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Job:
    """What all folds of a task share; `spec` is the task's."""

    spec: Mapping[str, Any]
    name: ModelName
    arrays: Arrays
    device: torch.device
    emit: Callable[[Event], None]

    @property
    def profile(self) -> Mapping[str, Any]:
        """Effective profile."""
        found: Mapping[str, Any] = self.spec["profile"]
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldData:
    """One fold's samples, the shared cache, and what its training labels say."""

    fold: Mapping[str, Any]
    normalised: Normalised
    train: Samples
    valid: Samples
    test: Samples
    label: Json
    states: Mapping[str, int]
    key: str


def fold_data(job: Job, fold: Mapping[str, Any]) -> FoldData:
    """Samples of the fold's blocks, from arrays that end at asof.

    Raises:
        DataError: a block reaches past the arrays, too many dead inputs, no validation sample, or
            labels that cannot be trained on.
        ConfigError: the net cannot work with these inputs.
    """
    profile, arrays, name = job.profile, job.arrays, job.name
    spans = {block: spans_of(fold[block]) for block in ("train", "valid", "test", "normalise")}
    late = max(last for span in spans.values() for _, last in span)
    if late > arrays.asof:
        raise DataError(f"{name}: fold {fold['k']} reaches session {late}, after {arrays.asof}")
    normalised = shared(
        arrays,
        spans["normalise"],
        min_rows=profile["symbol_min_rows"],
        cache=Path(job.spec["windows"]),
    )
    dead = normalised.statistics.dead
    if len(dead) > profile["max_dead_features"]:
        raise DataError(
            f"{name}: {len(dead)} inputs have no training data, at most "
            f"{profile['max_dead_features']} may; load them (docs/sources.md), take --profile "
            f"short, or set max_dead_features in a profile of your own; without data: "
            f"{', '.join(dead)}"
        )
    NETS[profile["type"]].check(arrays.features, dead)
    ready = usable(arrays, name, profile, dead)
    train, valid, test = (
        select(arrays, name, spans[block], ready, asof=arrays.asof)
        for block in ("train", "valid", "test")
    )
    train = _strong(train, profile["min_abs_label"])
    label = label_facts(name, train, profile)
    if not len(valid):
        raise DataError(f"{name}: fold {fold['k']} has no validation sample; widen valid_sessions")
    key = _key(job, fold, spans["valid"], (train, valid))
    return FoldData(
        fold=fold,
        normalised=normalised,
        train=train,
        valid=valid,
        test=test,
        label=label,
        states=label_states(arrays, name),
        key=key,
    )


def _strong(train: Samples, floor: float) -> Samples:
    keep = np.abs(train.y) >= floor
    return Samples(
        rows=train.rows[keep], day=train.day[keep], symbol=train.symbol[keep], y=train.y[keep]
    )


def _key(
    job: Job, fold: Mapping[str, Any], valid: tuple[Span, ...], samples: tuple[Samples, ...]
) -> str:
    """Training key: settings, code, the fold's own rows and labels; no later row is in it."""
    spec, arrays = job.spec, job.arrays
    settings = {
        "profile": dict(job.profile),
        "model": str(job.name),
        "fold": dict(fold) | {"test": None},
        "features": FEATURE_SET,
        "seed": spec["seed"],
        "threads": spec["threads"],
        "device": job.device.type,
        "torch": torch.__version__,
        "code": code_digest(),
    }
    total = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    total.update("\n".join(arrays.symbols).encode())
    early = arrays.dates <= valid[-1][1]  # of each symbol, its first rows
    counts = np.add.reduceat(early, arrays.offsets[:-1], dtype=np.int64)
    for first, count in zip(arrays.offsets[:-1], counts, strict=True):
        for matrix in (arrays.dates, arrays.inputs):
            total.update(matrix[first : first + count].data)
    places = np.cumsum(early) - 1
    for part in samples:
        total.update(places[part.rows].data)
        total.update(part.y.data)
    return total.hexdigest()


@cache
def code_digest() -> str:
    """Digest of the sources that decide a trained fold."""
    total = hashlib.sha256()
    for file in code_files():
        total.update(f"{file.relative_to(_PACKAGE)}\n".encode() + file.read_bytes())
    return total.hexdigest()


def code_files() -> list[Path]:
    """The sources that decide a trained fold."""
    return [file for pattern in _CODE for file in sorted(_PACKAGE.glob(pattern))]
