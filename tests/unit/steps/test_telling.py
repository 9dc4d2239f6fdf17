"""Text for people: complete, and within 80 columns."""

from typing import Any

from bft.domain.alerts import FLATTENS
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
        "is_backfill": False,
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


def narrow(text: str) -> list[str]:
    rows = text.splitlines()
    assert max(map(len, rows)) <= 80, text
    return rows


def test_columns_give_way_where_a_trade_is_too_wide() -> None:
    trade = {
        "entered_at": "2026-01-05T14:36:00.000000+00:00",
        "symbol": "AAPL260220C00100000",
        "side": "SELL",
        "qty": "10000",
        "entry_price": "1000.1234",
        "exit_price": "1104.1234",
        "pnl_usd": "-12345.678901",
        "outcome": "manual_exit",
        "is_backfill": False,
    }
    rows = narrow(told("ledger", {"verb": "ledger", "rows": 1, "trades": [trade]}))
    assert rows[1].split() == [
        *("AAPL260220C00100000", "SELL", "10,000", "1,000.12", "1,104.12", "-12,345.68"),
        "manual_exit",
    ]
    assert rows[2] == "no room for: entered (--json has all)"
    lost = {**trade, "pnl_usd": "-1012345.678901"}
    rows = narrow(told("ledger", {"verb": "ledger", "rows": 1, "trades": [lost]}))
    assert rows[2] == "no room for: entered, outcome (--json has all)"


def test_a_trade_that_goes_on_is_told_as_open_and_a_note_of_the_past_as_backfill() -> None:
    def shown(outcome: str | None, *, backfill: bool = False) -> str:
        nothing = dict.fromkeys(("entered_at", "entry_price", "exit_price", "pnl_usd"))
        about = {"symbol": "AAPL", "side": "BUY", "qty": "30", "outcome": outcome}
        row = {**nothing, **about, "is_backfill": backfill}
        return narrow(told("ledger", {"verb": "ledger", "rows": 1, "trades": [row]}))[1].split()[-1]

    assert (shown(None), shown("fill"), shown("partial")) == ("working", "open", "partial")
    assert (shown("stop"), shown(None, backfill=True)) == ("stop", "backfill")


def test_lots_are_signed_and_an_option_has_its_own_name() -> None:
    lot = {
        "opened_at": "2026-01-05T14:36:00.000000+00:00",
        "symbol": "AAPL",
        "direction": -1,
        "qty": "5",
        "open_qty": "2",
        "price_usd": "100.01",
        "fee_usd": "1",
        "account": "DU0000001",
        "closed_at": None,
    }
    assert narrow(told("ledger", {"verb": "ledger", "rows": 1, "lots": [lot]}))[:2] == [
        "opened      symbol  qty  open   price   fee  account    closed",
        "2026-01-05  AAPL     -5    -2  100.01  1.00  DU0000001  -",
    ]
    option = {
        "account": "DU0000001",
        "symbol": "AAPL",
        "qty": "1",
        "average_cost_usd": "2.5",
        "opened_at": "2026-01-05T14:36:00.000000+00:00",
        "contract": {"local_symbol": "AAPL  260220C00100000"},
    }
    rows = narrow(told("ledger", {"verb": "ledger", "rows": 1, "positions": [option]}))
    assert rows[1].startswith("AAPL260220C00100000         1   2.5")


def test_book_that_is_proved_says_so_and_one_that_differs_names_rows() -> None:
    about = {"verb": "ledger", "rows": 0, "journal_rows": 1054, "hash": "ab" * 32}
    rows = narrow(told("ledger", {**about, "differences": []}))
    assert rows == [
        "1,054 rows of the journal: the chain is whole, and replaying them gives the",
        "  tables as they are",
        f"hash {'ab' * 32}",
        "ledger in 0.0 s",
    ]
    rows = narrow(told("ledger", {**about, "rows": 1, "differences": ["lots x: qty 5, not 6"]}))
    assert rows[1] == "- lots x: qty 5, not 6"
    empty = told("ledger", {"verb": "ledger", "journal_rows": 0, "hash": None, "differences": []})
    assert narrow(empty)[0].startswith("the book is empty")


KILL = {
    "verb": "kill",
    "latched": True,
    "generation": 2,
    "sources": ["api", "file"],
    "pulled_now": "file",
    "by": "ada",
    "reason": "a drill",
    "flatten": False,
    "at": "2026-01-05T15:42:25.123456+00:00",
}


def test_kill_switch_is_told_in_sentences_with_how_it_ends() -> None:
    assert narrow(told("kill", {**KILL, "seconds": 0.2})) == [
        "kill switch: LATCHED, generation 2 (api, file), since 2026-01-05 15:42:25 UTC by",
        "  ada: a drill",
        "no entry leaves, those that work are cancelled; stops, targets and exits stay",
        "still pulled: file; clear that first",
        "to open again, as admin: bft kill --clear 2",
        "kill in 0.2 s",
    ]
    flat = " ".join(told("kill", {**KILL, "flatten": True, "pulled_now": None}).split())
    assert f"those that work are cancelled; {FLATTENS} to open again" in flat
    assert "still pulled" not in flat
    never = told("kill", {**KILL, "latched": False, "generation": 0, "at": None})
    assert never.splitlines()[0] == "kill switch: open, generation 0; it keeps nothing back"


def test_close_tells_what_is_meant_sent_and_left() -> None:
    about = {"verb": "close", "mode": "paper", "account": "001", "simulated": True, "left": 1}
    held = [{"symbol": "AAPL", "quantity": "10"}]
    part = {"symbol": "AAPL", "quantity": 4, "what": "exit"}
    dry = {**about, "dry_run": True, "positions": held, "closing": [part]}
    head = "paper, account ...001, simulated: "
    assert narrow(told("close", dry))[:3] == [
        f"{head}a dry run, nothing was sent; what would be:",
        "symbol  units  what",
        "AAPL        4  exit",
    ]
    assert "nothing is held" in told("close", {**dry, "closing": []})
    sent = {**dry, "dry_run": False, "left": 0}
    assert narrow(told("close", sent))[0] == f"{head}1 order; done"


def test_reconciliation_tells_each_difference() -> None:
    found = {"positions": 1, "orders": 2}
    about = {"verb": "close", "mode": "live", "account": "001", "simulated": False, "day": []}
    different = [{"symbol": "AAPL", "book": "10", "broker": "8"}]
    line = {**about, "reconciliation": {**found, "differences": different}}
    assert narrow(told("close", line))[:2] == [
        "live, account ...001: 1 position and 2 orders compared, 1 difference of book and",
        "  broker",
    ]
    assert "  AAPL: book 10, broker 8" in told("close", line)
