"""Score one day with a set of models: windows, forwards, contract, quorum, merge. Pure.

A symbol is scored by all models of the set or by none; a model that fails the output contract is
excluded (models specification, section 9).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bft.dataset.arrays import Arrays
from bft.dataset.windows import SEGMENT_GAP_SESSIONS, Refusal, gather, refusals
from bft.domain import sessions
from bft.domain.errors import DataError
from bft.domain.forecast import MODELS, Kind, ModelName
from bft.domain.market import EXCLUDED
from bft.models import calibrate
from bft.models.artifact import Model
from bft.models.merge import Columns, Output, check_quorum, contract_fault, merge

Ints = NDArray[np.integer[Any]]
Windows = NDArray[np.float32]

SCORED_SHARE_MIN = 0.95
REASONS = {
    Refusal.PRICE: "price",
    Refusal.SHORT_HISTORY: "short_history",
    Refusal.MISSING_CELLS: "missing_cells",
}
"""Refusal of a row -> status of its symbol; `stale` and `quarantined` come on top."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Market:
    """Gold of the last months, and what is computed once for all days: 20-day deviations."""

    arrays: Arrays
    vol20: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Merge weights, quorum, and whether the deadline has passed (asked before each model)."""

    weights: Mapping[str, float]
    quorum: Mapping[str, int]
    late: Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scores:
    """A day's forecasts.

    `status` of every active symbol, ascending: ok or why it was refused; `columns` of those that
    are ok, in their order; `missing` model -> why; `pooled` symbols unknown to a model's training.
    """

    day: int
    status: Mapping[str, str]
    columns: Columns
    missing: Mapping[ModelName, str]
    pooled: tuple[str, ...]


def market_of(arrays: Arrays) -> Market:
    """Arrays with the deviations that intervals are scaled by."""
    vol20 = calibrate.volatility(arrays.closes, arrays.offsets[:-1])
    return Market(arrays=arrays, vol20=np.asarray(vol20, dtype=np.float64))


def score_day(
    market: Market,
    models: Sequence[Model],
    day: int,
    *,
    quarantined: frozenset[str],
    missing: Mapping[ModelName, str],
    rules: Rules,
) -> Scores:
    """Forecasts of session number `day` from rows up to it; `missing` could not be loaded.

    Raises:
        DataError: nobody can be scored, less than 95 % of the eligible symbols can, or too few
            models are usable; names them.
    """
    status, rows = _sample(market.arrays, models, day, quarantined)
    if not len(rows):
        told = ", ".join(sorted(set(status.values()))) or "no gold rows"
        raise DataError(f"no symbol can be scored on session {day}: {told}")
    outputs, faults, pooled = _forwards(market, models, rows, rules.late)
    lost = {**missing, **faults}
    try:
        check_quorum(outputs.keys(), rules.quorum)
    except DataError as error:
        told = "; ".join(f"{name}: {why}" for name, why in lost.items())
        raise DataError(f"{error} ({told})") from error
    return Scores(
        day=day,
        status=status,
        columns=merge(outputs, rules.weights),
        missing={name: lost[name] for name in MODELS if name in lost},
        pooled=pooled,
    )


def _sample(
    arrays: Arrays, models: Sequence[Model], day: int, quarantined: frozenset[str]
) -> tuple[dict[str, str], Ints]:
    """Status of each active symbol, and the last rows of those that are ok."""
    last = _last_rows(arrays, day)
    refused = np.zeros(len(last), dtype=np.int8)
    for lookback, dead in sorted({_window_rule(model) for model in models}):
        own = _refusals(arrays, lookback, dead)[list(last.values())]
        refused = np.where(refused == Refusal.NONE, own, refused)
    status: dict[str, str] = {}
    rows, eligible = [], 0
    for (symbol, row), code in zip(last.items(), refused.tolist(), strict=True):
        reason = REASONS.get(Refusal(code))
        if symbol in quarantined:
            status[symbol] = "quarantined"
            continue
        eligible += reason is None
        fresh = int(arrays.dates[row]) == day
        status[symbol] = (reason or "ok") if fresh else "stale"
        rows += [row] if status[symbol] == "ok" else []
    if len(rows) < SCORED_SHARE_MIN * eligible:
        asof = sessions.session(day)
        raise DataError(
            f"{len(rows)} of {eligible} eligible symbols have a row on {asof}, need 95 %; "
            f"run: bft pull --asof {asof} --only-stale, then bft gold --asof {asof}"
        )
    return status, np.array(rows, dtype=np.int64)


def _last_rows(arrays: Arrays, day: int) -> dict[str, int]:
    """Row of each symbol's newest session up to `day`, where it lies at most 20 back."""
    found = {}
    for n, symbol in enumerate(arrays.symbols):
        first, end = int(arrays.offsets[n]), int(arrays.offsets[n + 1])
        row = first + int(np.searchsorted(arrays.dates[first:end], day, side="right")) - 1
        if row >= first and day - arrays.dates[row] <= SEGMENT_GAP_SESSIONS:
            found[symbol] = row
    return {name: row for name, row in sorted(found.items()) if name not in EXCLUDED}


def _window_rule(model: Model) -> tuple[int, tuple[str, ...]]:
    return model.spec["lookback"], tuple(model.spec["feature_set"]["dead"])


@lru_cache(maxsize=4)
def _refusals(arrays: Arrays, lookback: int, dead: tuple[str, ...]) -> NDArray[np.int8]:
    return refusals(arrays, lookback=lookback, dead=dead)


def _forwards(
    market: Market, models: Sequence[Model], rows: Ints, late: Callable[[], bool]
) -> tuple[dict[ModelName, Output], dict[ModelName, str], tuple[str, ...]]:
    """Outputs of the usable models, why others are not, and pooled symbols."""
    arrays = market.arrays
    owner = np.searchsorted(arrays.offsets, rows, side="right") - 1
    symbols = [arrays.symbols[n] for n in owner]
    matrices: dict[tuple[str, int], Windows] = {}
    outputs: dict[ModelName, Output] = {}
    faults: dict[ModelName, str] = {}
    pooled: set[str] = set()
    for model in models:
        if late():
            faults[model.name] = "deadline"
            continue
        key = (model.spec["normalisation"]["sum"], model.spec["lookback"])
        if key not in matrices:
            matrices[key] = _normalised(arrays, model, rows, symbols)
            pooled |= {symbols[n] for n in model.statistics.of(symbols)[2]}
        output = _output(model, matrices[key], market.vol20[rows])
        fault = contract_fault(model.name.kind, output)
        if fault:
            faults[model.name] = f"output: {fault}"
        else:
            outputs[model.name] = output
    return outputs, faults, tuple(sorted(pooled))


def _normalised(arrays: Arrays, model: Model, rows: Ints, symbols: Sequence[str]) -> Windows:
    names = model.spec["feature_set"]["names"]
    inputs = arrays.inputs
    if tuple(names) != arrays.features:
        inputs = inputs[:, [arrays.features.index(name) for name in names]]
    return model.normalise(gather(inputs, rows, model.spec["lookback"]), symbols)


def _output(model: Model, windows: Windows, vol20: NDArray[np.float64]) -> Output:
    kind, label = model.name.kind, model.spec["label"]
    calibrated = model.calibrated(model.raw(windows))
    expected = calibrate.expected_return(kind, calibrated, label)
    if kind is not Kind.REGRESSION:
        return Output(
            calibrated=calibrated,
            expected=expected,
            mu_y=label["mu_y"],
            classes=calibrate.predicted_classes(kind, calibrated, label),
            pi=label.get("pi"),
        )
    lo, hi = calibrate.interval(calibrated, vol20, model.name.horizon_days, model.spec["conformal"])
    return Output(calibrated=calibrated, expected=expected, mu_y=label["mu_y"], lo=lo, hi=hi)
