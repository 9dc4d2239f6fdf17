"""Gates: rules as data, one judgement per rule and model (models specification, 8.2).

Pure: a profile, values and comparisons in, judgements out. Equal to a threshold passes; what is
missing, not a finite number or outside its unit's range fails.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any

from bft.domain.errors import ConfigError
from bft.domain.forecast import MODEL_NAMES
from bft.domain.runs import Json

SCHEMA = "bft.gates/1"
COMMON_DAYS = 63  # fewer common days make a comparison inconclusive
_ANY, _COUNT, _SHARE = (-math.inf, math.inf), (0.0, math.inf), (0.0, 1.0)

METRICS: Mapping[str, tuple[float, float]] = {
    "rank_ic": (-1.0, 1.0),
    "rank_ic_10d": (-1.0, 1.0),
    "sharpe_net": _ANY,
    "max_drawdown": (-1.0, 0.0),
    "trades": _COUNT,
    "win_rate": _SHARE,
    "dsr": _SHARE,
    "rank_ic_windows_positive": _SHARE,
    "oos_days": _COUNT,
    "folds": _COUNT,
    "symbols": _COUNT,
    "brier_skill": (-math.inf, 1.0),
    "ece": _SHARE,
    "coverage": _SHARE,
    "output_psi": _COUNT,
    "output_ks": _SHARE,
    "batch_550_ms": _COUNT,
    "artifact_mb": _COUNT,
    "artifact_age_days": _ANY,
    "gold_age_sessions": _COUNT,
    "finite": _SHARE,
    "probe": _SHARE,
    "sharpe_sim": _ANY,
    "f1_macro": _SHARE,
    "minority_recall": _SHARE,
    "max_drawdown_sim": (-1.0, 0.0),
    "p95_ms": _COUNT,
    "max_ms": _COUNT,
    "stability.variance": _COUNT,
    "stability.max_regime_delta": _SHARE,
    "export_manifest": _SHARE,
    "sortino": _ANY,
    "profit_factor": _COUNT,
    "calmar": _ANY,
    "pbo": _SHARE,
    "reality_check_p": _SHARE,
    "day_loss_95": _SHARE,
}
"""Metric -> range of its unit: shares 0..1, drawdowns negative, counts and milliseconds >= 0."""

_COMPARED = {"incumbent", "baseline"}
_NEEDS: Mapping[str, tuple[set[str], set[str]]] = {  # kind -> (must have, may have)
    "floor": ({"min"}, set()),
    "ceiling": ({"max"}, set()),
    "band": ({"min", "max"}, set()),
    "calibration": (set(), {"min", "max"}),
    "latency": ({"max"}, set()),
    "size": ({"max"}, set()),
    "freshness": ({"max"}, set()),
    "drift": ({"max"}, set()),
    "leak": ({"max", "max_lower"}, set()),
    "incumbent": (set(), {"min_mean", "tolerance", "worse", "ci"}),
    "baseline": (set(), {"min_mean", "tolerance", "worse", "ci"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One row of a gates file."""

    id: str
    scope: str
    kind: str
    metric: str
    models: tuple[str, ...] = ("*",)
    severity: str = "fail"
    min: float | None = None
    max: float | None = None
    max_lower: float | None = None
    min_mean: float = 0.0
    tolerance: float = 0.0
    worse: float | None = None
    ci: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A gates file.

    `inconclusive` says which model an undecided comparison takes; where it is the candidate, it
    does not block. `vacant_only`: for names without a usable production entry alone.
    `absent_at_most`: names that may have no model at all.
    """

    profile: str
    rules: tuple[Rule, ...]
    inconclusive: str = "incumbent"
    vacant_only: bool = False
    absent_at_most: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A measured value; the interval is absent where it was not computed or had `few_days`."""

    value: Any
    lower: float | None = None
    upper: float | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A paired difference to the incumbent or the best baseline, on common days."""

    mean: float | None
    lower: float | None
    upper: float | None
    days: int
    against: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of one model (or of the set): readings by metric, pairs by rule id.

    A compared rule without a pair is skipped, for the reason in `unpaired`.
    """

    readings: Mapping[str, Reading]
    pairs: Mapping[str, Pair] = field(default_factory=dict)
    unpaired: str = "no_incumbent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One rule's verdict: pass, fail, warn, inconclusive or skipped; a row of the gate report."""

    id: str
    scope: str
    model: str | None
    metric: str
    value: Any
    threshold: str
    margin: float | None
    ci: tuple[float | None, float | None] | None
    verdict: str
    reason: str | None
    severity: str = "fail"


def load(body: Any, *, source: str) -> Profile:
    """Check a parsed gates file.

    Raises:
        ConfigError: unknown key, kind, metric or model; a kind without its numbers.
    """
    if not isinstance(body, dict) or body.get("schema") != SCHEMA:
        raise ConfigError(f"{source}: no gates file (schema: {SCHEMA})")
    known = {f.name for f in fields(Profile)} | {"schema"}
    _only(body, known, source)
    if body.get("inconclusive", "incumbent") not in {"incumbent", "candidate"}:
        raise ConfigError(f"{source}: inconclusive is incumbent or candidate")
    rules = tuple(_rule(row, f"{source} rule {n}") for n, row in enumerate(body["rules"], 1))
    ids = [rule.id for rule in rules]
    if len(set(ids)) != len(ids):
        raise ConfigError(f"{source}: rule ids repeat: {sorted(ids)}")
    values = {key: value for key, value in body.items() if key not in {"schema", "rules"}}
    return Profile(rules=rules, **values)


def judge_model(profile: Profile, name: str, evidence: Evidence) -> list[Judgement]:
    """Judge every model rule that names this model."""
    rules = [rule for rule in profile.rules if rule.scope == "model" and _names(rule, name)]
    return [judge(rule, evidence, model=name) for rule in rules]


def judge_set(profile: Profile, evidence: Evidence) -> list[Judgement]:
    """Judge every rule of the set."""
    return [judge(rule, evidence) for rule in profile.rules if rule.scope == "set"]


def judge(rule: Rule, evidence: Evidence, *, model: str | None = None) -> Judgement:
    """Judge one rule."""
    if rule.kind in _COMPARED:
        return _judge_pair(rule, evidence, model)
    reading = evidence.readings.get(rule.metric, Reading(value=None))
    value, reason = _number(rule.metric, reading.value)
    ci = (reading.lower, reading.upper) if rule.kind == "leak" else None
    if value is None:
        return _made(rule, model, reading.value, None, ci, ("fail", reason))
    margin = _leak_margin(rule, value, reading.lower) if rule.kind == "leak" else _room(rule, value)
    outcome = ("pass", reading.note) if margin >= 0 else ("fail", rule.kind)
    return _made(rule, model, value, margin, ci, outcome)


def verdict(judgements: Sequence[Judgement], profile: Profile) -> str:
    """Verdict of a group: fail if any fails, else inconclusive if any is, else pass."""
    found = {one.verdict for one in judgements if one.severity == "fail"}
    if "fail" in found:
        return "fail"
    undecided = "inconclusive" in found and profile.inconclusive == "incumbent"
    return "inconclusive" if undecided else "pass"


def _judge_pair(rule: Rule, evidence: Evidence, model: str | None) -> Judgement:
    pair = evidence.pairs.get(rule.id)
    if pair is None:
        return _made(rule, model, None, None, None, ("skipped", evidence.unpaired))
    mean, reason = _number("sharpe_net", pair.mean)  # a difference has no range of its own
    ci = (pair.lower, pair.upper)
    if mean is None:
        return _made(rule, model, pair.mean, None, ci, ("fail", reason))
    return _made(rule, model, mean, mean - rule.min_mean, ci, _compared(rule, pair, mean))


def _compared(rule: Rule, pair: Pair, mean: float) -> tuple[str, str | None]:
    against = pair.against or None
    if pair.days < COMMON_DAYS or pair.lower is None or pair.upper is None:
        return "inconclusive", "few_days"
    if pair.upper < 0 or (rule.worse is not None and mean < rule.worse):
        return "fail", "worse"
    if mean >= rule.min_mean and pair.lower >= -rule.tolerance:
        return "pass", against
    return "inconclusive", against or "interval"


def _number(metric: str, value: Any) -> tuple[float | None, str | None]:
    if value is None:
        return None, "missing"
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None, "not_a_number"
    low, high = METRICS[metric]
    return (float(value), None) if low <= value <= high else (None, "bad_unit")


def _room(rule: Rule, value: float) -> float:
    """Distance to the nearest threshold; negative is beyond it."""
    low = math.inf if rule.min is None else value - rule.min
    high = math.inf if rule.max is None else rule.max - value
    return min(low, high)


def _leak_margin(rule: Rule, value: float, lower: float | None) -> float:
    room = _room(rule, value)
    if lower is None or rule.max_lower is None:
        return room
    return min(room, rule.max_lower - lower)


def _made(
    rule: Rule,
    model: str | None,
    value: Any,
    margin: float | None,
    ci: tuple[float | None, float | None] | None,
    outcome: tuple[str, str | None],
) -> Judgement:
    found, reason = outcome
    return Judgement(
        id=rule.id,
        scope=rule.scope,
        model=model,
        metric=rule.metric,
        value=value if isinstance(value, int | float | None) and _finite(value) else str(value),
        threshold=_threshold(rule),
        margin=None if margin is None else round(margin, 12),
        ci=ci,
        verdict="warn" if found == "fail" and rule.severity == "warn" else found,
        reason=reason,
        severity=rule.severity,
    )


def _finite(value: float | None) -> bool:
    return value is None or math.isfinite(value)


def _threshold(rule: Rule) -> str:
    if rule.kind in _COMPARED:
        worse = "" if rule.worse is None else f", mean >= {rule.worse:g} or fail"
        return f"mean >= {rule.min_mean:g}, lower >= {-rule.tolerance:g}{worse}"
    parts = [f">= {rule.min:g}"] if rule.min is not None else []
    parts += [f"<= {rule.max:g}"] if rule.max is not None else []
    parts += [f"lower <= {rule.max_lower:g}"] if rule.max_lower is not None else []
    return " and ".join(parts)


def _names(rule: Rule, name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in rule.models)


def _rule(row: Json, source: str) -> Rule:
    _only(row, {f.name for f in fields(Rule)}, source)
    missing = {"id", "scope", "kind", "metric"} - set(row)
    if missing:
        raise ConfigError(f"{source}: {', '.join(sorted(missing))} missing")
    _one_of(row["kind"], _NEEDS, source, "kind")
    _one_of(row["metric"], METRICS, source, "metric")
    _one_of(row["scope"], {"model", "set"}, source, "scope")
    _one_of(row.get("severity", "fail"), {"fail", "warn"}, source, "severity")
    _check_numbers(row, source)
    for pattern in row.get("models", ()):
        if not any(fnmatchcase(name, pattern) for name in MODEL_NAMES):
            raise ConfigError(f"{source}: no model matches {pattern!r}")
    return Rule(**{**row, "models": tuple(row.get("models", ("*",)))})


def _check_numbers(row: Json, source: str) -> None:
    must, may = _NEEDS[row["kind"]]
    given = set(row) - {"id", "scope", "kind", "metric", "models", "severity"}
    if not must <= given <= must | may or (row["kind"] == "calibration" and not given):
        takes = ", ".join(sorted(must | may))
        raise ConfigError(f"{source}: kind {row['kind']} takes {takes}, not {sorted(given)}")
    for name in given:
        value = row[name]
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"{source}: {name} is no number: {value!r}")


def _only(body: Json, known: set[str], source: str) -> None:
    unknown = sorted(set(body) - known)
    if unknown:
        raise ConfigError(f"{source}: unknown key {unknown[0]}; known: {', '.join(sorted(known))}")


def _one_of(value: Any, known: Any, source: str, what: str) -> None:
    if value not in known:
        raise ConfigError(f"{source}: unknown {what} {value!r}; one of {', '.join(sorted(known))}")
