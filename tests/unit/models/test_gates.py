import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bft.domain.errors import ConfigError
from bft.domain.forecast import MODEL_NAMES
from bft.models import gates
from bft.models.gates import Evidence, Pair, Reading

FOLDER = Path(__file__).resolve().parents[3] / "mlflow" / "gates"
ULP = 1e-9


def rule(**row: Any) -> gates.Rule:
    base = {"id": "r", "scope": "model", "metric": "rank_ic"}
    body = {"schema": "bft.gates/1", "profile": "p", "rules": [base | row]}
    return gates.load(body, source="test").rules[0]


def verdict(one: gates.Rule, value: Any, **interval: Any) -> str:
    found = gates.judge(one, Evidence(readings={one.metric: Reading(value=value, **interval)}))
    return found.verdict


@pytest.mark.parametrize(
    ("row", "metric", "good", "bad"),
    [
        ({"kind": "floor", "min": 0.005}, "rank_ic", 0.005, 0.005 - ULP),
        ({"kind": "floor", "min": -0.10}, "max_drawdown", -0.10, -0.10 - ULP),
        ({"kind": "ceiling", "max": 0.05}, "stability.variance", 0.05, 0.05 + ULP),
        ({"kind": "band", "min": 0.85, "max": 0.95}, "coverage", 0.85, 0.85 - ULP),
        ({"kind": "band", "min": 0.85, "max": 0.95}, "coverage", 0.95, 0.95 + ULP),
        ({"kind": "calibration", "max": 0.05}, "ece", 0.05, 0.05 + ULP),
        ({"kind": "calibration", "min": -0.002}, "brier_skill", -0.002, -0.002 - ULP),
        ({"kind": "latency", "max": 1500}, "batch_550_ms", 1500, 1500 + ULP),
        ({"kind": "size", "max": 32}, "artifact_mb", 32.0, 32.0 + ULP),
        ({"kind": "freshness", "max": 14}, "artifact_age_days", 14, 15),
        ({"kind": "drift", "max": 0.2}, "output_psi", 0.2, 0.2 + ULP),
        ({"kind": "leak", "max": 0.4, "max_lower": 0.05}, "rank_ic", 0.4, 0.4 + ULP),
    ],
)
def test_equal_to_the_threshold_passes_beyond_fails(
    row: dict[str, Any], metric: str, good: float, bad: float
) -> None:
    one = rule(**row, metric=metric)
    assert verdict(one, good) == "pass"
    assert verdict(one, bad) == "fail"
    assert verdict(replace(one, severity="warn"), bad) == "warn"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "missing"),
        (math.nan, "not_a_number"),
        (math.inf, "not_a_number"),
        ("0.3", "not_a_number"),
        (True, "not_a_number"),
        (1.01, "bad_unit"),
        (-0.01, "bad_unit"),
    ],
)
@pytest.mark.parametrize("kind", ["floor", "ceiling", "calibration"])
def test_missing_non_finite_text_and_foreign_units_fail(kind: str, value: Any, reason: str) -> None:
    bound = {"min": 0.0} if kind == "floor" else {"max": 1.0}
    one = rule(kind=kind, metric="win_rate", **bound)
    found = gates.judge(one, Evidence(readings={"win_rate": Reading(value=value)}))
    assert (found.verdict, found.reason) == ("fail", reason)
    assert gates.judge(one, Evidence(readings={})).reason == "missing"


def test_unit_range_includes_its_ends() -> None:
    one = rule(kind="floor", metric="win_rate", min=0.0)
    assert [verdict(one, value) for value in (0, 1)] == ["pass", "pass"]
    assert verdict(rule(kind="floor", metric="max_drawdown", min=-0.2), 0.1) == "fail"


def test_leak_fires_on_the_lower_bound_and_alone_on_the_value() -> None:
    one = rule(kind="leak", max=0.4, max_lower=0.05)
    assert verdict(one, 0.2, lower=0.05, upper=0.3) == "pass"
    assert verdict(one, 0.2, lower=0.0501, upper=0.3) == "fail"
    assert verdict(one, 0.3, note="few_days") == "pass"
    assert verdict(one, 0.41, lower=-0.1, upper=0.6) == "fail"


def pair(mean: float | None, low: float | None, up: float | None, days: int = 63) -> Pair:
    return Pair(mean=mean, lower=low, upper=up, days=days)


@pytest.mark.parametrize("kind", ["incumbent", "baseline"])
@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (pair(0.0, -0.002, 0.01), "pass"),
        (pair(0.0, -0.002 - ULP, 0.01), "inconclusive"),
        (pair(-ULP, -0.002, 0.01), "inconclusive"),
        (pair(-0.005, -0.02, 0.0), "inconclusive"),
        (pair(-0.005 - ULP, -0.02, 0.0), "fail"),
        (pair(-0.001, -0.002, -ULP), "fail"),
        (pair(0.02, 0.01, 0.03, days=62), "inconclusive"),
        (pair(-0.02, -0.03, -0.01, days=62), "inconclusive"),
        (pair(0.02, None, None), "inconclusive"),
        (pair(None, None, None), "fail"),
        (pair(math.nan, -0.1, 0.1), "fail"),
    ],
)
def test_compared_rules(kind: str, found: Pair, expected: str) -> None:
    one = rule(kind=kind, min_mean=0.0, tolerance=0.002, worse=-0.005, ci=0.8)
    assert gates.judge(one, Evidence(readings={}, pairs={"r": found})).verdict == expected


def test_rule_without_incumbent_is_skipped_and_noted() -> None:
    one = rule(kind="incumbent")
    found = gates.judge(one, Evidence(readings={}, unpaired="no_incumbent"))
    assert (found.verdict, found.reason) == ("skipped", "no_incumbent")


def judged(*verdicts: tuple[str, str]) -> list[gates.Judgement]:
    base = gates.judge(rule(kind="floor", min=0), Evidence(readings={}))
    return [replace(base, verdict=v, severity=s) for v, s in verdicts]


def test_group_verdict_is_fail_then_inconclusive_then_pass() -> None:
    nightly = gates.Profile(profile="nightly", rules=())
    paper = replace(nightly, inconclusive="candidate")
    some = judged(("pass", "fail"), ("inconclusive", "fail"), ("skipped", "fail"))
    assert gates.verdict(some, nightly) == "inconclusive"
    assert gates.verdict(some, paper) == "pass"
    assert gates.verdict([*some, *judged(("fail", "fail"))], paper) == "fail"
    assert gates.verdict(judged(("warn", "warn"), ("inconclusive", "warn")), nightly) == "pass"


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ({"kind": "flor", "min": 1}, "kind"),
        ({"kind": "floor", "min": 1, "metric": "rank_icc"}, "metric"),
        ({"kind": "floor", "min": 1, "minimum": 1}, "minimum"),
        ({"kind": "floor", "max": 1}, "takes min"),
        ({"kind": "floor", "min": "1"}, "number"),
        ({"kind": "calibration"}, "takes"),
        ({"kind": "floor", "min": 1, "models": ["bins_*"]}, "bins"),
        ({"kind": "floor", "min": 1, "severity": "hint"}, "severity"),
        ({"kind": "floor", "min": 1, "scope": "all"}, "scope"),
    ],
)
def test_typing_error_in_a_rule_is_refused(row: dict[str, Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        rule(**row)


def test_unknown_profile_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="inconclusiv"):
        gates.load(
            {"schema": "bft.gates/1", "profile": "p", "rules": [], "inconclusiv": "x"}, source="t"
        )


@pytest.mark.parametrize("name", ["bootstrap", "paper", "nightly", "contracts_v2", "strict"])
def test_shipped_profiles_load(name: str) -> None:
    profile = gates.load(yaml.safe_load((FOLDER / f"{name}.yaml").read_text()), source=name)
    assert profile.profile == name
    for model in MODEL_NAMES:
        rules = {one.id for one in gates.judge_model(profile, model, Evidence(readings={}))}
        assert ("coverage" in rules) == (
            model.startswith("reg") and name not in {"contracts_v2", "strict"}
        )
    leaks = [one for one in profile.rules if one.kind == "leak"]
    assert len(leaks) == (name in {"bootstrap", "paper", "nightly"})


def test_every_blocking_rule_of_nightly_warns_or_blocks_in_paper() -> None:
    load = {
        name: gates.load(yaml.safe_load((FOLDER / f"{name}.yaml").read_text()), source=name)
        for name in ("nightly", "paper")
    }
    ids = {name: {one.id for one in profile.rules} for name, profile in load.items()}
    assert ids["paper"] == ids["nightly"] | {"merge_beats"}
    blocking = {one.id for one in load["paper"].rules if one.severity == "fail"}
    sound = {"finite", "probe", "leak", "beats", "batch", "size", "gold_age", "merge_beats"}
    assert blocking == sound
