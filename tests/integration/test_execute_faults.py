"""F4, F5, F18, F22 from outside: `bft execute` and `bft serve executor` as processes."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from executor_process import Process, running
from market_signals import rows_to, signal
from order_roots import BEFORE_OPEN, NIGHT, Running, night_root, running_executor
from waiting import until

from bft.domain import sessions
from bft.strategies.tables import signals_csv

SYMBOLS = ("AAPL", "MSFT", "NVDA")
PRICES = {"AAPL": 100.0, "MSFT": 200.0, "NVDA": 50.0}
MEMORY_MIB = 150
ROOT = Path(__file__).resolve().parents[2]


def row(symbol: str, **over: Any) -> dict[str, Any]:
    return signal(NIGHT, symbol, **{"ref_price_usd": PRICES[symbol], **over})


def text(*rows: dict[str, Any]) -> str:
    return signals_csv(rows_to("signals", list(rows)).to_pandas()).decode()


@pytest.fixture(scope="module")
def robbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """An executor whose lease another process has taken; it ends when that lease would have."""
    with running(tmp_path_factory.mktemp("robbed") / "root") as first:
        first.until_ready()
        with sqlite3.connect(first.root / "state.db", timeout=10) as other:
            other.execute("UPDATE executor_lease SET token = token + 1, holder = 'another'")
        yield first


@pytest.fixture(scope="module")
def run(robbed: Process, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """An armed executor before the open; the night's table holds what must not be sent."""
    del robbed  # its lease runs out while this one is tested
    root = night_root(tmp_path_factory.mktemp("faults") / "root", [])
    with running_executor(root, "--broker", "paper", clock=BEFORE_OPEN) as found:
        until(lambda: api(found, "GET", "/v1/health").json()["session_state"] == "ARMED")
        yield found


def api(run: Running, method: str, path: str, **more: Any) -> httpx.Response:
    token = (run.root.parent / "admin.token").read_text()
    headers = {"authorization": f"Bearer {token}"}
    return httpx.request(method, run.url + path, headers=headers, **more)


def execute(run: Running, path: Path) -> tuple[int, dict[str, Any], str]:
    words = ("execute", "--asof", NIGHT, "--root", run.root, "--signals", path, "--wait", 0)
    return run.bft(*words)


def entries(run: Running) -> list[str]:
    orders = api(run, "GET", "/v1/orders?limit=1000").json()["orders"]
    return sorted(order["symbol"] for order in orders)


def test_f04_file_again_renamed_and_reordered_places_one_order_each(
    run: Running, tmp_path: Path
) -> None:
    first = tmp_path / "signals.csv"
    head, *lines = text(row("AAPL"), row("NVDA")).splitlines()
    first.write_text("\n".join([head, *lines]) + "\n")
    torn = tmp_path / "torn.csv"
    torn.write_bytes(first.read_bytes()[:-9])
    code, _, err = execute(run, torn)
    assert (code, entries(run)) == (65, [])  # a part of a file is no file
    assert "line 3" in err
    code, told, err = execute(run, first)
    assert (code, told["sent"]) == (0, 2), err
    other = tmp_path / "renamed.csv"
    other.write_text("\n".join([head, *lines[::-1]]) + "\n")
    for path in (first, other):
        code, told, err = execute(run, path)
        assert (code, told["sent"], told["replayed"]) == (0, 0, 2), err
    assert entries(run) == ["AAPL", "NVDA"]


@pytest.mark.parametrize("cell", ["nan", "inf", "-inf", "1e400"])
def test_f18_number_of_a_file_that_is_none_is_refused(
    run: Running, tmp_path: Path, cell: str
) -> None:
    before = entries(run)
    path = tmp_path / "signals.csv"
    good = text(row("MSFT", ref_price_usd=201.25))
    assert "201.25" in good
    path.write_text(good.replace("201.25", cell))
    code, _, err = execute(run, path)
    assert code == 65, err
    assert "line 2, column price" in err
    assert entries(run) == before


FORECAST = {"set_digest": "d" * 64, "evidence": '{"rank_10d": 0.9}'}


def test_f18_signal_of_a_missing_model_is_denied_with_the_reason(
    run: Running, tmp_path: Path
) -> None:
    """No forecasts stand behind the night: who claims one is refused, in words."""
    path = tmp_path / "signals.csv"
    path.write_text(text(row("MSFT", signal_id="missing-model", **FORECAST)))
    code, told, err = execute(run, path)
    assert (code, told["sent"], told["denied"]) == (0, 0, {"stale_data": 1})
    assert "forecast" in err


@pytest.mark.parametrize("evidence", ["{}", '{"rank_10d": NaN}', '{"rank_10d": 0.2}'])
def test_f18_score_that_is_missing_or_none_does_not_pass_the_gate(
    run: Running, tmp_path: Path, evidence: str
) -> None:
    api(run, "PUT", "/v1/config", json={"require_model_gate": True}).raise_for_status()
    path = tmp_path / "signals.csv"
    path.write_text(text(row("MSFT", signal_id=f"score{len(evidence)}", evidence=evidence)))
    code, told, err = execute(run, path)
    assert told.get("sent", 0) == 0
    if "NaN" in evidence:
        assert code == 65, err
        assert "line 2, column evidence" in err
    else:
        assert (code, sum(told["denied"].values())) == (0, 1), err
    api(run, "PUT", "/v1/config", json={"require_model_gate": None}).raise_for_status()


def test_f18_file_of_yesterday_is_refused(run: Running, tmp_path: Path) -> None:
    path = tmp_path / "signals.csv"
    old = signal(sessions.shift(NIGHT, -1), "MSFT", ref_price_usd=200.0)
    path.write_text(text(old))
    assert execute(run, path)[0] == 65


def test_stored_night_is_sent_without_pandas(tmp_path: Path) -> None:
    """Its import would take half of a small pod's memory."""
    root = night_root(tmp_path / "root")
    code = (
        "import sys; from bft import cli; code = cli.main(sys.argv[1:])\n"
        "assert 'pyarrow' in sys.modules and 'pandas' not in sys.modules, 'pandas was imported'\n"
        "sys.exit(code)"
    )
    words = ["execute", "--asof", str(NIGHT), "--root", str(root), "--dry-run", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", code, *words], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_f22_flood_of_signals_stays_below_150_mib(tmp_path: Path) -> None:
    """1,000 back-dated signals, half of them repeats; none has a universe to be in."""
    with running(tmp_path / "root") as one:
        one.until_ready()
        for batch in range(10):
            one.ask("POST", "/v1/tick", {"symbol": "AAPL", "price": 100}).raise_for_status()
            rows = [_body(n) for n in range(batch // 2 * 100, batch // 2 * 100 + 100)]
            told = one.ask("POST", "/v1/signals", {"signals": rows}, timeout=60).json()["rows"]
            assert {each["error"] for each in told} == {"symbol"}
        assert one.rss_mib() <= MEMORY_MIB
        until(lambda: len(_denied(one)) == 500)  # they are written behind the answers


def _denied(one: Process) -> set[str]:
    rows = one.ask("GET", "/v1/denials", params={"limit": 1000}).json()["rows"]
    return {row["signal_id"] for row in rows}


def _body(n: int) -> dict[str, Any]:
    return {
        "symbol": "AAPL",
        "side": "BUY",
        "signal_id": f"flood-{n}",
        "price": 100,
        "stop": 95,
        "confidence": 0.7,
        "strategy_id": "bollinger",
        "decided_at": "2020-01-02T15:00:00Z",
    }


def test_f05_executor_that_lost_its_lease_ends_with_77(robbed: Process) -> None:
    assert robbed.process.wait(40) == 77
    out, err = robbed.process.communicate()
    assert "LeaseLost" in out + err
    assert "another" in err
