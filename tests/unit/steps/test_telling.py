"""Text for people: complete, and within 80 columns."""

from typing import Any

from bft.steps.telling import told

RULE = {
    "id": "rank_ic_windows",
    "model": "buck_30d",
    "value": 0.123456789,
    "threshold": "mean >= 0, lower >= -0.002, mean >= -0.005 or fail",
    "verdict": "inconclusive",
}
MODEL = {
    "name": "buck_30d",
    "verdict": "inconclusive",
    "origin": "incumbent",
    "version": "12",
    "digest": "d",
    "reason": "inconclusive",
}


def line(verb: str, **values: Any) -> dict[str, Any]:
    return {"verb": verb, "asof": "2026-01-02", "rows": 2, "seconds": 1.25, "skipped": {}, **values}


def test_gate_shows_what_did_not_pass_and_all_rules_of_a_dry_run() -> None:
    passed = {**RULE, "id": "leak", "verdict": "pass"}
    about = {"gates": "paper", "verdict": "pass", "models": [MODEL], "rules": [RULE, passed]}
    text = told("gate", line("gate", set_digest="a" * 64, held_back=[], **about))
    assert "rank_ic_windows" in text
    assert "leak" not in text
    assert "leak" in told("gate", line("gate", set_digest=None, **about))
    assert max(map(len, text.splitlines())) <= 80


def test_any_verb_tells_every_value() -> None:
    values = {"send": True, "tags": {"execute": 3}, "orders": [{"symbol": "AAPL", "why": "x y"}]}
    text = told("scan", line("scan", **values, skipped={"stale": 7}))
    assert text.splitlines() == [
        "send: yes",
        "tags: execute 3",
        "orders:",
        "  - symbol AAPL, why x y",
        "scan 2026-01-02: 2 rows in 1.2 s; skipped: stale 7",
    ]


def test_long_values_are_folded_and_paths_stay_whole() -> None:
    path = "/" + "x" * 120
    text = told("report", line("report", absent=["universe"] * 30, report=path))
    assert path in text
    assert all(len(row) <= 80 or path in row for row in text.splitlines())


def test_verbs_that_write_while_they_work_say_nothing_again() -> None:
    assert told("execute", line("execute", sent=1)) == ""
