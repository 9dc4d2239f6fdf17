"""What gates judge a model by: its evaluation, its artifact, the incumbent on common days."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bft.domain.errors import DataError
from bft.domain.runs import Json
from bft.models import bootstrap, export_manifest
from bft.models.gates import METRICS, Pair, Profile, Reading, Rule

OTHER_KEYS: Mapping[str, str] = {
    "sharpe_sim": "sharpe_net",
    "max_drawdown_sim": "max_drawdown",
    "stability.variance": "stability_variance",
    "stability.max_regime_delta": "max_regime_delta",
}
"""Gate metrics that evaluation.json calls otherwise; all others have one name."""

_LATENCY_KEYS = ("batch_550_ms", "p95_ms", "max_ms")
_SERIES = {"rank_ic": ("day", "rank_ic"), "sharpe_net": ("session", "net")}
_SERIES["rank_ic_10d"] = _SERIES["rank_ic"]
DRAWS, SEED = 2000, 1


def evaluation_readings(evaluation: Json) -> dict[str, Reading]:
    """Readings of an evaluation.json; what it does not hold is left out."""
    metrics, intervals = evaluation["metrics"], evaluation["intervals"]
    keys = {metric: OTHER_KEYS.get(metric, metric) for metric in METRICS}
    found = {
        metric: _reading(metrics[key], intervals.get(key) or {})
        for metric, key in keys.items()
        if key in metrics
    }
    if evaluation["coverage"] is not None:
        found["coverage"] = Reading(value=evaluation["coverage"]["all"])
    latency = evaluation["latency"]
    return found | {key: Reading(value=latency[key]) for key in _LATENCY_KEYS if key in latency}


def artifact_readings(folder: Path, digest: str) -> dict[str, Reading]:
    """Does the artifact load with equal probe outputs and finite weights; how large is it."""
    from bft.models import artifact

    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    sound = {"probe": 1.0, "finite": 1.0}
    try:
        model = artifact.load(folder, digest=digest)
    except DataError:
        sound = {"probe": 0.0, "finite": 0.0}
    else:
        finite = all(bool(weight.isfinite().all()) for weight in model.net.state_dict().values())
        sound["finite"] = float(finite)
    manifest = {"export_manifest": float(_valid_manifest(folder / "export_manifest.json"))}
    values = {**sound, **manifest, "artifact_mb": size / 1e6}
    return {name: Reading(value=value) for name, value in values.items()}


def pairs(
    profile: Profile,
    candidate: Json,
    *,
    incumbent: Json | None,
    after: int,
    scope: str = "model",
) -> dict[str, Pair]:
    """Comparisons that a profile's rules ask for, by rule id.

    `after`: only test days later than this session number are compared with the incumbent.
    """
    found: dict[str, Pair] = {}
    for rule in profile.rules:
        if rule.scope != scope:
            continue
        if rule.kind == "incumbent" and incumbent is not None:
            found[rule.id] = _against_incumbent(rule, candidate, incumbent, after)
        if rule.kind == "baseline":
            best = _best_baseline(candidate)
            if best is not None:
                found[rule.id] = best
    return found


def _against_incumbent(rule: Rule, candidate: Json, incumbent: Json, after: int) -> Pair:
    days, value = _SERIES[rule.metric]
    ours, theirs = (_by_day(one, days, value) for one in (candidate, incumbent))
    common = sorted(day for day in ours.keys() & theirs.keys() if day > after)
    a, b = (np.array([row[day] for day in common], dtype=np.float64) for row in (ours, theirs))
    horizon = int(candidate["horizon_days"])
    if rule.metric == "sharpe_net":
        rows = np.stack([a, b], axis=1)  # (days, 2)
        return _pair(rule, rows, horizon, _sharpe_gap)
    return _pair(rule, a - b, horizon, None)


def _pair(rule: Rule, rows: Any, horizon: int, statistic: Callable[[Any], Any] | None) -> Pair:
    if not len(rows):
        return Pair(mean=0.0, lower=None, upper=None, days=0)
    whole = rows[None]
    mean = float(rows.mean() if statistic is None else statistic(whole)[0])
    found = bootstrap.interval(
        rows, horizon=horizon, count=DRAWS, seed=SEED, level=rule.ci, statistic=statistic
    )
    return Pair(mean=mean, lower=found["lo"], upper=found["hi"], days=len(rows))


def _sharpe_gap(drawn: Any) -> Any:
    return bootstrap.sharpe(drawn[..., 0]) - bootstrap.sharpe(drawn[..., 1])


def _by_day(evaluation: Json, days: str, value: str) -> dict[int, float]:
    series = evaluation["daily"]
    rows = zip(series[days], series[value], strict=True)
    return {day: number for day, number in rows if number is not None}


def _best_baseline(candidate: Json) -> Pair | None:
    """The strongest baseline, with the paired interval that the evaluation stored."""
    there = {
        name: row for name, row in candidate["baselines"].items() if row.get("rank_ic") is not None
    }
    if not there:
        return None
    name = max(sorted(there), key=lambda one: float(there[one]["rank_ic"]))
    row = there[name]
    span = row["interval"]
    return Pair(
        mean=row["rank_ic_difference"],
        lower=span["lo"],
        upper=span["hi"],
        days=candidate["metrics"]["ic_days"],
        against=name,
    )


def _reading(value: Any, interval: Json) -> Reading:
    return Reading(
        value=value,
        lower=interval.get("lo"),
        upper=interval.get("hi"),
        note=interval.get("reason"),
    )


def _valid_manifest(file: Path) -> bool:
    try:
        return not export_manifest.faults(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return False
