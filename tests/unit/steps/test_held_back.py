"""Models that a gate holds back are told by name, with the rule and its numbers."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from fakes import FakePorts, arguments, make_ports, no_tick
from market import build_market, publish
from registries import ASOF, put_set, with_registry

from bft.adapters.llm.template import Template
from bft.domain.runs import ModelVersion
from bft.steps import models, promote, registry, report
from bft.steps.held_back import GATE_TAG, held_back, newest_gate, verdicts

LEAK = {
    "id": "leak",
    "scope": "model",
    "model": "bin_3d",
    "metric": "rank_ic",
    "value": 0.2213,
    "threshold": "<= 0.4 and lower <= 0.05",
    "margin": -0.1,
    "ci": [0.15, 0.29],
    "verdict": "fail",
    "reason": "leak",
    "severity": "fail",
}
WHY = "leak: rank_ic is 0.2213, interval 0.15 to 0.29, wanted <= 0.4 and lower <= 0.05"


def row(name: str, **over: Any) -> dict[str, Any]:
    common = {"origin": "candidate", "version": "1", "digest": "d", "verdict": "pass"}
    return {"name": name, "reason": "pass", **common, **over}


def gate_report(**over: Any) -> dict[str, Any]:
    kept = row("bin_3d", origin="incumbent", version="4", verdict="fail", reason="failed")
    never = row("reg_3d", origin="absent", digest=None, verdict="fail", reason="no_model")
    same = row("reg_10d", origin="incumbent", reason="same_model")
    listed = [row("buck_3d"), kept, never, same]
    return {"gates": "paper", "asof": ASOF, "models": listed, "rules": [LEAK]} | over


@pytest.fixture
def ports(ports: FakePorts) -> Iterator[FakePorts]:
    yield with_registry(ports)
    ports.state.close()


def test_held_back_names_rule_value_interval_and_what_serves_instead() -> None:
    assert held_back(gate_report()) == [
        {"name": "bin_3d", "instead": "version 4 stays in use", "why": [WHY]},
        {
            "name": "reg_3d",
            "instead": "no model of this name is in use",
            "why": ["it was not trained"],
        },
    ]
    assert verdicts(gate_report())["buck_3d"] == f"pass (paper, {ASOF})"


def test_newest_gate_is_that_of_the_day_or_before(ports: FakePorts) -> None:
    assert newest_gate(ports.store, date.fromisoformat(ASOF)) is None
    registry.put_report(ports.store, ASOF, gate_report(), None)
    registry.put_report(ports.store, "2099-01-02", gate_report(gates="later"), None)
    found = newest_gate(ports.store, date.fromisoformat(ASOF))
    assert found is not None
    assert found["gates"] == "paper"


def test_models_and_its_card_tell_who_is_held_back(ports: FakePorts) -> None:
    put_set(ports, "a")
    args = arguments(
        promote.STEP, asof=date.fromisoformat(ASOF), trading_mode="paper", gates_dir=""
    )
    promote.STEP.run(ports, args, no_tick)
    registry.put_report(ports.store, ASOF, gate_report(), None)
    args = arguments(models.STEP, asof=date.fromisoformat(ASOF))
    values = models.STEP.run(ports, args, no_tick).values
    assert [one["name"] for one in values["held_back"]] == ["bin_3d", "reg_3d"]
    digest = next(one["digest"] for one in values["models"] if one["name"] == "bin_3d")
    ports.store.put(f"models/{digest}/card.md", b"# bin_3d\n")
    args = arguments(models.STEP, "show", "bin_3d", asof=date.fromisoformat(ASOF))
    card = models.STEP.run(ports, args, no_tick).values["card"]
    assert f"held back by paper: {WHY}" in card


class Versions:
    """A registry of one version of one model."""

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        self.writes = 0

    def versions(self, name: str) -> list[ModelVersion]:
        return [ModelVersion(name=name, version="7", run_id=None, tags=dict(self.tags))]

    def tag_version(self, _name: str, _version: str, key: str, value: str) -> None:
        self.tags[key] = value
        self.writes += 1


def test_version_in_mlflow_bears_the_verdict_and_is_tagged_once(tmp_path: Path) -> None:
    tracker = Versions()
    ports = make_ports(tmp_path, tracker=tracker)
    ports.store.put("candidates/bin_3d.json", json.dumps({"version": "7"}).encode())
    for _ in range(2):
        said = registry.tag_candidates(ports, GATE_TAG, verdicts(gate_report()))
    assert (said, tracker.writes) == ("done", 1)
    assert tracker.tags[GATE_TAG] == f"held back by paper: {WHY}; version 4 stays in use"


def test_day_report_tells_who_is_held_back(tmp_path: Path) -> None:
    ports = make_ports(tmp_path, summarizer=Template())
    publish(ports.store, build_market(sessions_back=70, forecast_days=5))
    day = date(2026, 1, 2)
    registry.put_report(ports.store, "2026-01-02", gate_report(asof="2026-01-02"), None)
    args = arguments(report.STEP, asof=day)
    report.STEP.run(ports, args, no_tick)
    html = ports.store.get(f"reports/{day}/day.html").decode()
    assert "Model bin_3d is held back by the gate paper of 2026-01-02: leak: rank_ic is" in html
