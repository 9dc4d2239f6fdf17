import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bft.models import gate_evidence, gates


def evaluation(days: range, rank_ic: Any, **more: Any) -> dict[str, Any]:
    values = [float(x) for x in np.broadcast_to(rank_ic, len(days))]
    return {
        "horizon_days": 3,
        "metrics": {"rank_ic": float(np.mean(values)), "ic_days": len(days), "days": len(days)},
        "intervals": {"rank_ic": {"lo": 0.01, "hi": 0.03, "reason": None}},
        "daily": {"day": list(days), "rank_ic": values, "session": list(days), "net": values},
        "coverage": None,
        "latency": {"batch_550_ms": 12.0},
        "baselines": {},
        **more,
    }


def profile(**row: Any) -> gates.Profile:
    rule = {"id": "r", "scope": "model", "metric": "rank_ic", "ci": 0.8, **row}
    return gates.load({"schema": "bft.gates/1", "profile": "p", "rules": [rule]}, source="t")


def test_incumbent_is_compared_on_common_days_after_its_validation() -> None:
    mine, theirs = evaluation(range(100, 200), 0.03), evaluation(range(90, 190), 0.02)
    found = gate_evidence.pairs(profile(kind="incumbent"), mine, incumbent=theirs, after=119)["r"]
    assert found.days == 70  # 120 .. 189
    assert found.mean == pytest.approx(0.01)
    assert found.lower == pytest.approx(0.01)  # the gap is the same each day


def test_without_common_days_the_comparison_is_inconclusive() -> None:
    mine, theirs = evaluation(range(100, 200), 0.03), evaluation(range(90), 0.02)
    one = profile(kind="incumbent")
    found = gate_evidence.pairs(one, mine, incumbent=theirs, after=0)
    judged = gates.judge(one.rules[0], gates.Evidence(readings={}, pairs=found))
    assert (judged.verdict, judged.reason) == ("inconclusive", "few_days")


def test_sharpe_ratios_are_compared_and_not_the_mean_returns() -> None:
    rng = np.random.default_rng(1)
    net = rng.normal(0.001, 0.01, size=100)
    mine, theirs = evaluation(range(100), net), evaluation(range(100), 2 * net)
    one = profile(kind="incumbent", metric="sharpe_net")
    found = gate_evidence.pairs(one, mine, incumbent=theirs, after=-1)["r"]
    assert found.mean == pytest.approx(0, abs=1e-12)  # twice the exposure, the same ratio


def test_manifest_counts_only_with_the_contracts_key_figures(tmp_path: Path) -> None:
    """The gate and the export must agree on what is valid."""
    kpi = {"value": 1.6, "lower_ci": None, "upper_ci": None, "sample_size": 9, "units": "frac"}
    names = ("sharpe_sim", "max_drawdown_sim", "f1_macro", "minority_recall")
    body: dict[str, Any] = {"schema": "bft.export/2", "kpis": dict.fromkeys(names, kpi)}
    body |= {"latency": {"p95_ms": 1.0, "max_ms": 2.0}, "hashes": {"weights.pt": "ab"}}
    body |= {part: {} for part in ("stability", "regimes", "calibration", "train_window")}

    def reading() -> Any:
        (tmp_path / "export_manifest.json").write_text(json.dumps(body))
        return gate_evidence.artifact_readings(tmp_path, "none")["export_manifest"].value

    assert reading() == 1
    body["kpis"].pop("sharpe_sim")
    assert reading() == 0


def test_best_baseline_is_the_one_compared() -> None:
    rows = {
        name: {"rank_ic": ic, "rank_ic_difference": -ic, "interval": {"lo": -ic, "hi": 0.0}}
        for name, ic in (("ridge", 0.02), ("momentum", 0.04))
    }
    mine = evaluation(range(70), 0.01, baselines={**rows, "lightgbm": {"absent": "not installed"}})
    found = gate_evidence.pairs(profile(kind="baseline"), mine, incumbent=None, after=0)["r"]
    assert (found.against, found.mean, found.lower) == ("momentum", -0.04, -0.04)


def test_readings_carry_value_and_interval() -> None:
    found = gate_evidence.evaluation_readings(evaluation(range(70), 0.02))
    assert (found["rank_ic"].value, found["rank_ic"].lower) == (pytest.approx(0.02), 0.01)
    assert found["batch_550_ms"].value == 12.0
    assert "coverage" not in found


def test_artifact_that_does_not_load_is_unsound(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"x")
    found = gate_evidence.artifact_readings(tmp_path, "d" * 64)
    assert (found["probe"].value, found["finite"].value) == (0.0, 0.0)
    assert found["artifact_mb"].value == pytest.approx(1e-6)
