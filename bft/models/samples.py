"""Labelled samples of a fold and what is estimated from its training labels alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bft.dataset.arrays import Arrays
from bft.dataset.labels import State
from bft.dataset.splits import Span, purge
from bft.dataset.windows import eligible, labelled
from bft.domain.errors import DataError
from bft.domain.forecast import HORIZONS_DAYS, Kind, ModelName
from bft.domain.runs import Json
from bft.models.calibrate import classes

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

OUT_OF_RANGE_MAX = 0.001  # share of labels; more of them are a fault of the data


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Samples ordered by (session, symbol): end row, session, symbol place, return."""

    rows: Ints
    day: Ints
    symbol: Ints
    y: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rows)


def horizon_at(name: ModelName) -> int:
    """Column of the model's horizon in the arrays' labels."""
    return HORIZONS_DAYS.index(name.horizon_days)


def usable(arrays: Arrays, name: ModelName, profile: Mapping[str, Any], dead: Any) -> Flags:
    """Rows that end an eligible window and have a clean label.

    Raises:
        DataError: more than 0.1 % of the labels are out of range.
    """
    state = arrays.label_state[:, horizon_at(name)]
    out = int((state == State.OUT_OF_RANGE).sum())
    known = out + int((state <= State.DELISTED).sum())
    if out > OUT_OF_RANGE_MAX * known:
        raise DataError(
            f"{name}: {out} of {known} returns lie outside -0.9..3.0, at most 0.1 % may; "
            "look for unadjusted splits with bft validate"
        )
    lookback = profile["lookback"]
    return eligible(arrays, lookback=lookback, dead=dead) & labelled(
        arrays, horizon_at=horizon_at(name), lookback=lookback
    )


def label_states(arrays: Arrays, name: ModelName) -> dict[str, int]:
    """What became of the labels of this horizon, counted."""
    counts = np.bincount(arrays.label_state[:, horizon_at(name)], minlength=len(State))
    return {state.name.lower(): int(counts[state]) for state in State}


def select(
    arrays: Arrays, name: ModelName, spans: tuple[Span, ...], ready: Flags, *, asof: int
) -> Samples:
    """Samples of `ready` rows whose session lies in `spans`.

    A label that waited for a late bar and so ends more than the purge after its block, or after
    `asof`, is left out.
    """
    ends = arrays.label_end[:, horizon_at(name)]
    chosen = np.zeros(len(ready), dtype=bool)
    for first, last in spans:
        inside = (arrays.dates >= first) & (arrays.dates <= last)
        chosen |= inside & (ends <= last + purge(name.horizon_days))
    rows = np.flatnonzero(chosen & ready & (ends <= asof))
    rows = rows[np.argsort(arrays.dates[rows], kind="stable")]
    return Samples(
        rows=rows,
        day=arrays.dates[rows].astype(np.int64),
        symbol=arrays.owner[rows].astype(np.int64),
        y=arrays.y[rows, horizon_at(name)].astype(np.float64),
    )


def label_facts(name: ModelName, train: Samples, profile: Mapping[str, Any]) -> Json:
    """The `label` part of model.json, from training samples only.

    Raises:
        DataError: fewer than `min_symbols`, one class only, equal quantile edges, no spread.
    """
    count = len(np.unique(train.symbol))
    least = profile["min_symbols"]
    if count < least:
        raise DataError(
            f"{name}: {count} symbols have training samples, {least} are needed; load more, or "
            "take a profile that asks for fewer (min_symbols), such as --profile short"
        )
    y = train.y
    q01, q99 = (float(q) for q in np.quantile(y, [0.01, 0.99]))
    facts: Json = {
        "clock": profile["clock"],
        "mu_y": float(y.mean()),
        "s": float(y.std()),
        "q01": q01,
        "q99": q99,
        "min_abs_label": profile["min_abs_label"],
    }
    if facts["s"] == 0:
        raise DataError(f"{name}: all training returns are equal; check the prices")
    if name.kind is Kind.REGRESSION:
        return facts
    facts |= _thresholds(name, y, profile)
    true = classes(name.kind, y, facts)
    shares = np.bincount(true, minlength=2 if name.kind is Kind.BINARY else profile["buckets"])
    if (shares == 0).any():
        raise DataError(f"{name}: training has classes {shares.tolist()}; every one is needed")
    clipped = np.clip(y, q01, q99)
    facts["class_means"] = [float(clipped[true == k].mean()) for k in range(len(shares))]
    facts["shares"] = [float(n / len(y)) for n in shares]
    if name.kind is Kind.BINARY:
        facts["pi"] = facts["shares"][1]
    return facts


def targets(kind: Kind, y: NDArray[np.float64], label: Mapping[str, Any]) -> NDArray[Any]:
    """What the loss compares with: y/s in float32, or classes."""
    if kind is Kind.REGRESSION:
        return np.asarray(y / label["s"], dtype=np.float32)
    return np.asarray(classes(kind, y, label))


def _thresholds(name: ModelName, y: NDArray[np.float64], profile: Mapping[str, Any]) -> Json:
    if name.kind is Kind.BINARY:
        return {"threshold": profile["binary_threshold"]}
    steps = np.arange(1, profile["buckets"]) / profile["buckets"]
    edges = [float(edge) for edge in np.quantile(y, steps)]
    if len(set(edges)) < len(edges):
        raise DataError(f"{name}: bucket edges {edges} are equal; the returns do not vary enough")
    return {"edges": edges}
