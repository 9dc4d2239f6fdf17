"""A trading day on the command line: real processes, the paper broker, one root."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from market_signals import signal
from order_roots import CLOSE, DAY, NIGHT, OPEN, Running, night_root, running_executor
from waiting import until

from bft.steps.execute_file import FIRST

BEFORE = OPEN - timedelta(minutes=20)


def client(run: Running, role: str = "admin") -> httpx.Client:
    token = (run.root.parent / f"{role}.token").read_text()
    return httpx.Client(base_url=run.url, headers={"authorization": f"Bearer {token}"})


@contextmanager
def armed(run: Running) -> Iterator[httpx.Client]:
    with client(run) as api:
        until(lambda: api.get("/v1/health").json()["session_state"] == "ARMED")
        yield api


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root once its night was sent before the open, by the workflow."""
    found = night_root(tmp_path_factory.mktemp("day") / "root")
    with running_executor(found, "--broker", "paper", clock=BEFORE) as run, armed(run):
        words = ("run", "premarket", "--root", found, "--at", BEFORE.isoformat(), "--json")
        code, line, err = run.bft(*words)
        assert (code, line["phase"]) == (0, "Succeeded"), err
        code, line, _ = run.bft(*words)
        assert (code, line["phase"]) == (0, "Succeeded")
        code, line, _ = run.bft("execute", "--asof", NIGHT, "--root", found, "--json")
        assert (code, line["sent"], line["replayed"]) == (0, 0, 1)
    return found


@pytest.fixture(scope="module")
def day(root: Path) -> Iterator[Running]:
    """The executor again, after the open: AAPL traded at 100."""
    at = OPEN + timedelta(minutes=6)
    with running_executor(root, "--broker", "paper", clock=at) as run, armed(run) as api:
        api.post("/v1/tick", json={"symbol": "AAPL", "price": 100}).raise_for_status()
        until(lambda: api.get("/v1/positions").json()["positions"])
        yield run


def _stops(api: httpx.Client) -> list[str]:
    """Where live stops rest."""
    held = api.get("/v1/positions").json()["positions"]
    return [exit_["stop"] for row in held for exit_ in row["exits"]]


def test_every_view_tells_the_same_story(day: Running) -> None:
    with client(day) as api:
        # the stop leaves 7 % below the limit of 102 and follows to 7 % below the fill
        until(lambda: _stops(api) == ["93"])
        (order,) = api.get("/v1/orders").json()["orders"]
        (held,) = api.get("/v1/positions").json()["positions"]
    # 0.5 % of 100,000 over the distance to the stop would be 70 shares; 5 % of it at 102 caps at 49
    assert (order["status"], order["filled_quantity"], order["avg_fill_price"]) == (
        "FILLED",
        49,
        "100",
    )
    assert (held["quantity"], held["average_cost"]) == ("49", "100")
    assert (held["protected_quantity"], order["bracket"]["stop"]) == (49, "93")

    _, line, err = day.bft("status", "--root", day.root)
    told = line["executor"]
    assert (told["mode"], told["account"], told["may_open"]) == ("paper", "PER", True)
    assert told["positions"] == [
        {
            "symbol": "AAPL",
            "quantity": "49",
            "average_cost": "100",
            "stops": ["93"],
            "protected": True,
        }
    ]
    assert "AAPL" in err
    assert "protected" in err

    _, line, _ = day.bft("ledger", "positions", "--root", day.root)
    assert [(p["symbol"], p["qty"], p["average_cost_usd"]) for p in line["positions"]] == [
        ("AAPL", "49", "100")
    ]
    _, line, _ = day.bft("ledger", "trades", "--root", day.root)
    assert [(t["stop_price"], t["target_price"], t["outcome"]) for t in line["trades"]] == [
        ("93", "112", "fill")  # 7 % and 12 % from the fill
    ]

    _, by_order, err = day.bft("why", order["id"], "--full", "--root", day.root)
    _, by_signal, _ = day.bft("why", order["signal_id"], "--root", day.root, "--json")
    story = by_order["why"]
    assert story | {"id": ""} == by_signal["why"] | {"id": ""}
    assert [d["allowed"] for d in story["decisions"]] == [True]
    assert len(story["decisions"][0]["body"]["rules"]) == 32
    assert [e["price_usd"] for e in story["executions"]] == ["100"]
    assert "verdict pass" in err
    night_lines = 4  # what the root itself knows, asked by a symbol
    for name, more in (("aapl", night_lines), (order["id"][:8], 0)):
        _, found, err = day.bft("why", name, "--root", day.root)
        assert found["why"]["signal"] == story["signal"]
        assert len(err.splitlines()) <= 15 + more
        assert ("AAPL, night of 2026-01-02: 1 signal\n" in err) == bool(more)
        assert "BUY 49 at 100\n" in err
        assert "size: asked as many as risk lets, sent 49, filled 49" in err
        assert "stop 49 at 93: ACKED" in err


def test_mode_token_and_address_are_checked(day: Running) -> None:
    live = day.bft("execute", "--asof", NIGHT, "--root", day.root, "--live")
    assert live[0] == 77
    assert "trades paper" in live[2]
    viewer = day.bft("kill", "--root", day.root, role="viewer")
    assert viewer[0] == 77
    assert "trader" in viewer[2]
    away = ("--api", "http://127.0.0.1:9", "--root", day.root)
    assert day.bft("execute", "--asof", NIGHT, *away)[0] == 75
    assert day.bft("status", "--check", *away)[0] == 75
    code, line, err = day.bft("status", *away)
    assert (code, line["executor"]["held"]) == (0, ["AAPL"])
    assert "the book of this root holds 1 position (AAPL)" in err
    port = day.url.rpartition(":")[2]  # broker, clock and flags as they were last used
    again = rf"bft serve --root {day.root} executor --clock \d{{4}}-\d\d-\d\dT\S+ --port {port}\n"
    assert re.search(again, err)
    assert day.bft("why", "nobody", "--root", day.root)[0] == 2


def test_dry_run_and_empty_file_write_nothing(day: Running, tmp_path: Path) -> None:
    code, line, _ = day.bft("close", "--all", "--dry-run", "--root", day.root)
    (exit_,) = line["closing"]
    assert (code, line["left"], exit_["symbol"], exit_["quantity"]) == (0, 1, "AAPL", 49)
    words = ("close", "--symbol", "AAPL", "--qty", 9, "--dry-run", "--root", day.root)
    code, line, _ = day.bft(*words)
    assert (code, line["closing"]) == (0, [exit_ | {"quantity": 9}])
    code, line, err = day.bft("execute", "--asof", NIGHT, "--dry-run", "--root", day.root)
    assert (code, [s["symbol"] for s in line["would_send"]]) == (0, ["AAPL"])
    assert err.splitlines() == [
        "1 signals, would be sent",
        "  BUY  AAPL     bollinger",
        "those sent before are replayed, not doubled",
    ]
    words = ("--signals", tmp_path / "empty.csv", "--asof", NIGHT, "--root", day.root)
    nothing = "there was nothing to send"
    empty, header = f"is empty, even without its header line, {nothing}; was", "no row below its"
    for text, told in (("", empty), (",".join(FIRST), header)):
        (tmp_path / "empty.csv").write_text(f"{text}\n" if text else "")
        code, line, err = day.bft("execute", *words)
        assert (code, line["sent"]) == (0, 0)
        assert told in err
        assert told in line["note"]
        assert nothing in line["note"]


def test_close_needs_the_account_and_ends_flat(day: Running) -> None:
    wrong = day.bft("close", "--all", "--confirm", "OTHER", "--root", day.root)
    assert wrong[0] == 77
    code, line, _ = day.bft("close", "--due", "--asof", DAY, "--root", day.root)
    assert (code, line["closing"]) == (0, [])  # a daily strategy stays overnight
    assert day.bft("close", "--all", "--qty", 9, "--confirm", "PAPER", "--root", day.root)[0] == 2
    code, line, _ = day.bft("close", "--symbol", "AAPL", "--qty", 9, "--root", day.root)
    assert (code, [(c["symbol"], c["quantity"]) for c in line["closing"]]) == (0, [("AAPL", 9)])
    with client(day) as api:
        until(lambda: api.get("/v1/positions").json()["positions"][0]["protected_quantity"] == 40)
    code, line, _ = day.bft("close", "--all", "--confirm", "PAPER", "--root", day.root)
    assert (code, line["left"]) == (0, 0)
    assert [(c["symbol"], c["quantity"]) for c in line["closing"]] == [("AAPL", 40)]
    _, line, _ = day.bft("ledger", "trades", "--root", day.root)
    assert [t["outcome"] for t in line["trades"]] == ["manual_exit"]
    code, line, _ = day.bft("close", "--reconcile", "--root", day.root)
    assert (code, line["reconciliation"]["differences"]) == (0, [])


def test_audit_report_has_no_failure(day: Running) -> None:
    code, line, _ = day.bft("audit", "--root", day.root)
    assert (code, line["failed"]) == (0, [])
    assert "[OK]" in (day.root / line["report"]).read_text()


def test_kill_shuts_opening_until_an_admin_clears_it(day: Running) -> None:
    code, line, _ = day.bft("kill", "--reason", "drill", "--root", day.root)
    assert (code, line["latched"], line["generation"]) == (0, True, 1)
    assert day.bft("status", "--check", "--root", day.root)[0] == 77
    _, line, err = day.bft("status", "--root", day.root)
    latched = next(a for a in line["executor"]["alerts"] if a["name"] == "KillLatched")
    assert "drill" in latched["text"]
    assert f"what to do: {latched['runbook']}" in err
    assert day.bft("kill", "--clear", 1, "--root", day.root)[0] == 77
    assert day.bft("kill", "--clear", 7, "--root", day.root, role="admin")[0] == 77
    code, line, _ = day.bft("kill", "--clear", 1, "--root", day.root, role="admin")
    assert (code, line["latched"]) == (0, False)


def test_close_workflow_ends_the_day_with_its_books(day: Running) -> None:
    at = (CLOSE - timedelta(minutes=10)).isoformat()
    code, line, err = day.bft("run", "close", "--root", day.root, "--at", at, "--json")
    assert (code, line["phase"]) == (0, "Succeeded"), err
    report = (day.root / "reports" / str(DAY) / "day.md").read_text()
    assert "- Account before: $100,000.00" in report
    assert "| AAPL | bollinger | BUY | 49 | $100.00 |" in report
    assert "3 fills" in report
    assert (day.root / "ledger" / "trades.csv").exists()


def test_kill_without_an_executor_leaves_the_file(root: Path, tmp_path: Path) -> None:
    del root
    run = Running(tmp_path / "root", "", {}, None)  # type: ignore[arg-type]
    (tmp_path / "trader.token").write_text("x")
    run.root.mkdir()
    words = ("kill", "--api", "http://127.0.0.1:9", "--root", run.root, "--reason", "drill")
    code, _, err = run.bft(*words)
    assert code == 75
    assert "KILL" in err
    assert "drill" in (run.root / "KILL").read_text()


def test_denied_signals_are_told_by_reason(tmp_path: Path) -> None:
    """MSFT lacks confidence, GHST is in no universe; the rest of the night still goes out."""
    rows = [
        signal(NIGHT, "AAPL"),
        signal(NIGHT, "MSFT", ref_price_usd=200.0, confidence=0.4),
        signal(NIGHT, "GHST", ref_price_usd=10.0),
        signal(NIGHT, "NVDA", ref_price_usd=50.0, kind="exit"),
    ]
    root = night_root(tmp_path / "root", rows)
    with running_executor(root, "--broker", "paper", clock=BEFORE) as run, armed(run):
        words = ("execute", "--asof", NIGHT, "--root", root, "--wait", 0)
        code, line, err = run.bft(*words)
        assert code == 0
        assert (line["sent"], line["denied"]) == (1, {"confidence": 1, "symbol": 1})
        assert (line["nothing_held"], line["transient_denied"]) == (1, 0)
        assert "confidence" in err
        again = run.bft(*words)[1]
        assert (again["sent"], again["replayed"]) == (0, 4)

        file = tmp_path / "by_hand.csv"
        line = "BUY,NVDA,5,50,manual,by hand,2026-01-02T23:00:00,7,12,0,0,20,STOCK"
        file.write_text(f"{','.join(FIRST)}\n{line}\n")
        code, line, _ = run.bft("execute", "--signals", file, *words[1:])
        assert (code, line["denied"]) == (0, {"confidence": 1})  # the 13 columns have none
        file.write_text(f"{','.join(FIRST)}\n{line}")
        assert run.bft("execute", "--signals", file, *words[1:])[0] == 65
