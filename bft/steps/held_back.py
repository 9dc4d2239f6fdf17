"""Models that the newest gate did not let into production, and why.

Source: models specification, 8.2: per name the candidate if its rules pass, else the incumbent.
"""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from bft.domain.runs import Json
from bft.ports import Store

GATE_TAG = "bft.gate"
"""Tag of a model version in MLflow: what the newest gate said of it."""

NO_SOURCE = {
    "pbo": " (a study alone computes it: bft train --cpcv; a set has none, so the rule fails)",
    "reality_check_p": " (no step computes it, so the rule fails)",
}
"""Metrics that gates may name though no set has them: what is missing fails (models 8.2)."""


def newest_gate(store: Store, asof: date) -> Json | None:
    """The newest gate report of asof or before, None where no gate has run."""
    days = [
        key.split("/")[1].removeprefix("asof=")
        for key in store.keys("gates/asof=")
        if key.endswith("/newest.json")
    ]
    day = max((day for day in days if day <= str(asof)), default=None)
    if day is None:
        return None
    newest = json.loads(store.get(f"gates/asof={day}/newest.json"))
    found: Json = json.loads(store.get(f"gates/{newest['report_digest']}.json"))
    return found


def held_back(report: Json | None) -> list[Json]:
    """Names whose newest model was judged and not taken: {name, instead, why: [rule texts]}."""
    return [
        {"name": row["name"], "instead": _instead(row), "why": _why(report, row)}
        for row in (report or {"models": []})["models"]
        if row["origin"] != "candidate" and row["reason"] in {"failed", "no_model", "inconclusive"}
    ]


def verdicts(report: Json) -> dict[str, str]:
    """What the gate said of each name's newest model, in one line."""
    held = {row["name"]: row for row in held_back(report)}
    gates = report["gates"]
    return {
        row["name"]: _held(gates, held[row["name"]])
        if row["name"] in held
        else f"{row['verdict']} ({gates}, {report['asof']})"
        for row in report["models"]
    }


def _held(gates: str, row: Json) -> str:
    return f"held back by {gates}: {'; '.join(row['why'])}; {row['instead']}"


def _instead(row: Mapping[str, Any]) -> str:
    if row["digest"] is None:
        return "no model of this name is in use"
    return f"version {row['version']} stays in use"


def _why(report: Json | None, row: Mapping[str, Any]) -> list[str]:
    wanted = "inconclusive" if row["reason"] == "inconclusive" else "fail"
    rules = [
        one
        for one in (report or {"rules": []})["rules"]
        if (one["scope"], one["model"], one["verdict"]) == ("model", row["name"], wanted)
        and one["id"] != "no_model"
    ]
    return [rule_text(one) for one in rules] or ["it was not trained"]


def rule_text(rule: Mapping[str, Any]) -> str:
    """One judgement in words: rule, value, what was asked, the interval it rests on."""
    low, high = rule["ci"] or (None, None)
    value = rule["value"]
    shown = f"{value:.4g}" if isinstance(value, int | float) else (rule["reason"] or value)
    shown += NO_SOURCE.get(rule["metric"], "") if value is None else ""
    band = "" if low is None else f", interval {low:.4g} to {high:.4g}"
    return f"{rule['id']}: {rule['metric']} is {shown}{band}, wanted {rule['threshold']}"
