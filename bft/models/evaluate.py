"""Evaluation of one model on its test blocks: evaluation.json (models specification, section 7).

Computed on test blocks alone, per fold and pooled; `net` is after costs. Settings as in `daily`,
and survivors_only, simulated (both False).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bft.domain import sessions
from bft.domain.errors import DataError
from bft.domain.forecast import Kind, ModelName
from bft.domain.runs import Json
from bft.models import calibrate, classification, daily, drift, metrics, portfolio
from bft.models.blocks import Prices, TestBlock, days_of, pool
from bft.models.daily import Daily, daily_of

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

SCHEMA = "bft.evaluation/1"
HISTOGRAM_BINS = 40


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """What an evaluation holds besides test forecasts.

    `valid` is the validation sample that drift of outputs is measured against, `baselines` name ->
    scores of the pooled samples in their order (None: not installed), `drift` PSI per feature,
    `latency` milliseconds.
    """

    valid: TestBlock | None = None
    baselines: Mapping[str, Floats | None] | None = None
    drift: Mapping[str, float] | None = None
    latency: Mapping[str, float] | None = None


def evaluate(
    name: ModelName,
    blocks: Sequence[TestBlock],
    *,
    prices: Prices,
    settings: Mapping[str, Any],
    evidence: Evidence | None = None,
) -> Json:
    """Content of evaluation.json.

    Raises:
        DataError: no labelled test sample.
    """
    blocks = [block for block in blocks if len(block.y)]
    if not blocks:
        raise DataError(f"{name}: no labelled test sample; wait until test labels are known")
    more, pooled = evidence or Evidence(), pool(blocks)
    horizon = name.horizon_days
    whole = daily_of(pooled.score, pooled, horizon=horizon, prices=prices, settings=settings)
    covered = _coverage(name, pooled)
    return {
        "schema": SCHEMA,
        "name": str(name),
        "kind": str(name.kind),
        "horizon_days": name.horizon_days,
        "survivors_only": bool(settings.get("survivors_only", False)),
        "simulated": bool(settings.get("simulated", False)),
        "costs_bps": portfolio.COST_BPS,
        "folds": [_fold(name, block, prices, settings) for block in blocks],
        "metrics": {
            "folds": len(blocks),
            "symbols": len(np.unique(pooled.symbol)),
            "samples": len(pooled.y),
            **daily.summary(whole, settings),
            **_kind_metrics(name.kind, pooled),
            **_output_drift(blocks[-1], more.valid),
            **({"coverage": covered["all"]} if covered else {}),
        },
        "intervals": {
            **daily.intervals(whole, settings),
            **_class_intervals(name, pooled, settings),
        },
        "daily": daily.series(whole),
        "curves": _curves(name.kind, pooled, whole),
        "coverage": covered,
        "reference": _reference(more.valid),
        "baselines": _baselines(whole, pooled, prices, settings, more.baselines or {}),
        "references": _references(name.kind, pooled, whole),
        "drift": dict(more.drift or {}),
        "latency": dict(more.latency or {}),
    }


def _fold(
    name: ModelName,
    block: TestBlock,
    prices: Prices,
    settings: Mapping[str, Any],
) -> Json:
    part = daily_of(block.score, block, horizon=name.horizon_days, prices=prices, settings=settings)
    days = days_of(block)
    return {
        "k": block.k,
        "first": str(sessions.session(int(days[0]))),
        "last": str(sessions.session(int(days[-1]))),
        "samples": len(block.y),
        "metrics": {**daily.summary(part, settings), **_kind_metrics(name.kind, block)},
    }


def _kind_metrics(kind: Kind, block: TestBlock) -> Json:
    true, said, count = block.true, block.said, _class_count(kind, block)
    counted = classification.by_class(classification.confusion(true, said, count))
    found = {key: float(value) for key, value in counted.items()}
    found["max_regime_delta"] = _regime_delta(true, said, count, block.vol20)
    if kind is Kind.REGRESSION:
        area = classification.auc(true == 1, block.calibrated)
        return {**found, "auc": area, **metrics.regression(block.y, block.calibrated)}
    p, base = block.calibrated, block.base
    area = classification.auc_one_vs_rest(true, p)
    return {
        **found,
        "auc": classification.auc(true == 1, p[:, 1]) if kind is Kind.BINARY else area,
        "brier": classification.brier(true, p),
        "brier_skill": classification.skill(true, p, base),
        "log_loss": classification.log_loss(true, p),
        "ece": classification.ece(true, p),
    }


def _class_count(kind: Kind, block: TestBlock) -> int:
    return 2 if kind is Kind.REGRESSION else block.calibrated.shape[1]


def _regime_delta(true: Ints, said: Ints, count: int, vol20: Floats) -> float:
    regime = metrics.terciles(vol20)
    cells = [
        classification.confusion(true[regime == n], said[regime == n], count) for n in range(3)
    ]
    f1 = classification.by_class(np.stack(cells))["f1_macro"]
    whole = classification.by_class(np.sum(cells, axis=0))["f1_macro"]
    seen = np.array([cell.sum() > 0 for cell in cells])
    return float(np.abs(f1[seen] - whole).max())


def _output_drift(block: TestBlock, valid: TestBlock | None) -> Json:
    """Outputs of the newest fold on its test days against those on its validation days.

    Both of one model: outputs of older folds come from other nets, fitted on other days.
    """
    if valid is None:
        return {}
    expected, actual = (_outputs(part) for part in (valid, block))
    return {"output_psi": drift.psi(expected, actual), "output_ks": drift.ks(expected, actual)}


def _reference(valid: TestBlock | None) -> list[float]:
    return [] if valid is None else drift.reference(_outputs(valid))


def _outputs(block: TestBlock) -> Floats:
    return drift.without_daily_median(block.day, block.score)


def _class_intervals(name: ModelName, block: TestBlock, settings: Mapping[str, Any]) -> Json:
    true, said = block.true, block.said
    count, days = _class_count(name.kind, block), days_of(block)
    cells = np.zeros((len(days), count, count))
    np.add.at(cells, (np.searchsorted(days, block.day), true, said), 1)
    found = {
        key: daily.interval(
            cells,
            name.horizon_days,
            settings,
            lambda drawn, key=key: classification.by_class(drawn.sum(axis=1))[key],
        )
        for key in ("f1_macro", "minority_recall", "precision", "recall")
    }
    if name.kind is not Kind.REGRESSION:
        rows = _daily_brier(block)
        found["brier_skill"] = daily.interval(
            rows, name.horizon_days, settings, lambda drawn: 1 - _first_over_second(drawn)
        )
    return found


def _daily_brier(block: TestBlock) -> Floats:
    hit = np.eye(block.base.shape[1])[block.true]
    place = np.searchsorted(days_of(block), block.day)
    errors = [((p - hit) ** 2).sum(axis=1) for p in (block.calibrated, block.base)]
    return np.stack([np.bincount(place, weights=e) for e in errors], axis=1)


def _first_over_second(drawn: Floats) -> Floats:
    sums = drawn.sum(axis=1)
    return np.asarray(sums[:, 0] / sums[:, 1])


def _coverage(name: ModelName, block: TestBlock) -> Json | None:
    if np.isnan(block.q).any():
        return None
    own = {"q": block.q}
    lo, hi = calibrate.interval(block.calibrated, block.vol20, name.horizon_days, own)
    days = days_of(block)
    dates = [sessions.session(int(day)) for day in days]
    place = np.searchsorted(days, block.day)
    year = np.array([day.year for day in dates])[place]
    month = np.array([f"{day:%Y-%m}" for day in dates])[place]
    inside = (lo <= block.y) & (block.y <= hi)
    return {
        **metrics.coverage(block.y, lo, hi, year=year, vol20=block.vol20),
        "by_month": {str(k): float(inside[month == k].mean()) for k in np.unique(month)},
    }


def _curves(kind: Kind, block: TestBlock, whole: Daily) -> Json:
    true, said, expected = block.true, block.said, block.expected
    lo, hi = np.quantile(block.y, [0.01, 0.99])
    edges = np.linspace(lo, hi, HISTOGRAM_BINS + 1)
    ks = (
        []
        if kind is Kind.REGRESSION
        else [1]
        if kind is Kind.BINARY
        else range(block.calibrated.shape[1])
    )
    return {
        "deciles": metrics.deciles(whole.score, whole.y),
        "confusion": classification.confusion(true, said, _class_count(kind, block)).tolist(),
        "reliability": {
            str(k): classification.reliability(true == k, block.calibrated[:, k]) for k in ks
        },
        "histogram": {
            "edges": edges.tolist(),
            "forecast": np.histogram(np.clip(expected, lo, hi), edges)[0].tolist(),
            "label": np.histogram(np.clip(block.y, lo, hi), edges)[0].tolist(),
        },
    }


def _references(kind: Kind, block: TestBlock, whole: Daily) -> Json:
    found: Json = {"universe": portfolio.summary(whole.universe)}
    if kind is Kind.REGRESSION:
        return {**found, "base_rate": metrics.regression(block.y, block.base[:, 0])}
    true, p = block.true, block.base
    scores = {"brier": classification.brier(true, p), "log_loss": classification.log_loss(true, p)}
    return {**found, "base_rate": scores}


def _baselines(
    whole: Daily,
    block: TestBlock,
    prices: Prices,
    settings: Mapping[str, Any],
    scores: Mapping[str, Floats | None],
) -> Json:
    found: Json = {}
    for name, score in sorted(scores.items()):
        if score is None:
            found[name] = {"absent": f"{name} is not installed"}
            continue
        other = daily_of(score, block, horizon=whole.horizon, prices=prices, settings=settings)
        gap = whole.rank_ic - other.rank_ic
        found[name] = {
            **daily.summary(other, settings),
            "rank_ic_difference": metrics.mean(gap),
            "interval": daily.interval(gap, whole.horizon, settings),
            "beaten": (metrics.mean(gap) or 0.0) > 0,
        }
    return found
