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


def test_book_is_told_in_tables_of_eighty_columns() -> None:
    position = {
        "account": "DU0000001",
        "symbol": "AAPL",
        "qty": "1049",
        "average_cost_usd": "100.1234567891",
        "opened_at": "2026-01-05T14:36:00.000000+00:00",
        "contract": {"con_id": 1},
    }
    text = told("ledger", {"verb": "ledger", "rows": 1, "positions": [position]})
    assert text.splitlines()[:2] == [
        "symbol  quantity    cost  account    since",
        "AAPL       1,049  100.12  DU0000001  2026-01-05",
    ]
    text = told(
        "ledger", {"verb": "ledger", "rows": 1, "positions": [position | {"account": "123456"}]}
    )
    assert text.splitlines()[1] == "AAPL       1,049  100.12  123456   2026-01-05"
    trade = {
        "entered_at": "2026-01-05T14:36:00.000000+00:00",
        "symbol": "AAPL260220C0",
        "side": "BUY",
        "qty": "1049",
        "entry_price": "100.1234567891",
        "exit_price": "104.1234567891",
        "pnl_usd": "-12345.678901",
        "r_multiple": "-1.000000001",
        "outcome": "manual_exit",
    }
    text = told("ledger", {"verb": "ledger", "rows": 1, "trades": [trade]})
    assert max(map(len, text.splitlines())) <= 80
    assert "-12,345.68" in text
    assert told("ledger", {"verb": "ledger", "trades": []}).startswith("no trades\n")


def test_each_check_of_the_audit_is_told_once_the_worst_last() -> None:
    checks = [
        {"level": "WARN", "name": "recent", "text": "3 trades in the last 30 days"},
        {"level": "OK", "name": "rr", "text": "0 rows without target"},
    ]
    text = told("audit", {"verb": "audit", "checks": checks, "report": "audit/a.md", "failed": []})
    assert text.splitlines()[:3] == [
        "[OK] rr: 0 rows without target",
        "[WARN] recent: 3 trades in the last 30 days",
        "report: audit/a.md",
    ]
