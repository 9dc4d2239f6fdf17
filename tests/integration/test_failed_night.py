"""A night with a failed step, on the real command line: nothing of it is executed, all say so."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fakes import make_ports
from market_signals import rows_to, signal
from order_roots import BEFORE_OPEN, NIGHT, night_root, running_executor
from panels import ASOF, table, wavy
from waiting import until

from bft.cli import CommandLine, main
from bft.ports import Store

FALLEN = {"adjusted_close": 94.0, "rsi_14": 28.0, "bollinger_bands_signal": 1}
NOTE = "predict failed (exit code 65): no model set is in production"
Call = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """One command line: its exit code and its JSON line."""

    def one(root: Path, *words: str) -> tuple[int, dict[str, Any]]:
        capsys.readouterr()
        code = main([words[0], "--asof", str(ASOF), "--root", str(root), "--json", *words[1:]])
        return code, json.loads(capsys.readouterr().out)

    return one


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Gold whose rules fire in two symbols; every call is part of a run."""
    monkeypatch.setenv("BFT_RUN_ID", "nightly-x")
    rows = [*wavy("AAA", seed=1, **FALLEN), *wavy("BBB", seed=2, sector="UTILITIES", **FALLEN)]
    made = make_ports(tmp_path / "root").store
    made.publish("gold", asof=ASOF, partitions={"all": table("gold", rows)})
    return made


def quality(store: Store, severity: str) -> None:
    row = {"asof": ASOF, "check": "Q03", "severity": severity, "message": "5 rows, 600 before"}
    store.publish("quality", asof=ASOF, partitions={f"asof={ASOF}": rows_to("quality", [row])})


def tags(store: Store, name: str) -> set[tuple[str, str | None]]:
    return {(r["tag"], r["tag_reason"]) for r in store.read(name, asof=ASOF).to_pylist()}


def test_failed_predict_leaves_no_pick_to_execute_and_every_page_says_so(
    store: Store, tmp_path: Path, call: Call
) -> None:
    root = tmp_path / "root"
    assert call(root, "predict")[0] == 65
    for verb in ("scan", "rank", "screen"):
        assert call(root, verb)[0] == 0
    assert ("watch", "night_failed") in tags(store, "picks")
    assert "execute" not in {tag for tag, _ in tags(store, "picks") | tags(store, "signals")}
    code, line = call(root, "report", "--site")
    assert (code, line["failed"]) == (0, ["predict"])
    for name in ("day.html", "day.md"):
        page = re.sub(r"[\\*]", "", store.get(f"reports/{ASOF}/{name}").decode())
        assert NOTE in page
        assert f"bft run nightly --root {root} --asof {ASOF}" in page
    for key in store.keys("site/"):
        body = json.loads(store.get(key))
        if isinstance(body, dict):  # a history is a bare list (data specification, section 9)
            assert [one["verb"] for one in body["failed"]] == ["predict"], key
    code, line = call(root, "execute", "--dry-run")
    assert (code, line["would_send"]) == (0, [])


def test_success_takes_the_failure_back(store: Store, tmp_path: Path, call: Call) -> None:
    root = tmp_path / "root"
    call(root, "scan")
    assert "execute" in {tag for tag, _ in tags(store, "signals")}
    store.put(f"failures/{ASOF}/screen.json", b'{"verb":"screen","exit_code":75,"error":"x"}')
    call(root, "rank")
    assert call(root, "screen")[0] == 0
    assert store.keys("failures/") == []


def test_failed_data_gives_no_signals(store: Store, tmp_path: Path, call: Call) -> None:
    """Platform specification, 1.2: `validate` 65 ends the night, there are no signals."""
    quality(store, "fail")
    code, line = call(tmp_path / "root", "scan")
    assert code == 65
    assert "Q03: 5 rows, 600 before" in line["error"]
    assert store.manifest("signals", asof=ASOF) is None
    quality(store, "warn")
    assert call(tmp_path / "root", "scan")[0] == 0


def test_data_that_fails_after_the_scan_takes_its_picks_back(
    store: Store, tmp_path: Path, call: Call
) -> None:
    root = tmp_path / "root"
    call(root, "scan")
    call(root, "rank")
    assert call(root, "execute", "--dry-run")[1]["would_send"] != []
    quality(store, "fail")
    code, line = call(root, "execute", "--dry-run")
    assert (code, line["would_send"]) == (65, [])
    assert "the night failed: validate failed" in line["error"]
    call(root, "report")
    html = store.get(f"reports/{ASOF}/day.html").decode()
    assert 'class="banner failed"' in html
    assert ">execute<" not in html


def test_a_set_in_production_without_forecasts_is_a_failed_night(
    store: Store, tmp_path: Path, call: Call
) -> None:
    """A predict that was killed leaves no note."""
    store.put("exports/production.alias", b"abc\n")
    assert "no forecasts of" in call(tmp_path / "root", "scan")[1]["warning"]
    assert "execute" not in {tag for tag, _ in tags(store, "signals")}


def test_a_mended_file_clears_the_failure_though_its_pull_is_found_finished(
    tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file of a good night put back: the call runs again and takes its note away."""
    monkeypatch.setenv("BFT_RUN_ID", "nightly-x")
    root, file = tmp_path / "root", tmp_path / "bars.csv"
    good = f"symbol,date,open,high,low,close,volume\nA,{ASOF},1,1,1,1,9\nB,{ASOF},1,1,1,1,9\n"
    words = ("pull", "--asof", str(ASOF), "--root", str(root), "--source", f"files:{file}")
    file.write_text(good)
    assert call(root, "pull", "--source", f"files:{file}")[0] == 0
    file.write_text(good.replace("1,9\nB", "-1,9\nB"))
    assert call(root, "pull", "--source", f"files:{file}")[0] == 65
    file.write_text(good)
    chain = ("chain", shlex.join(words))
    assert CommandLine().cached(chain) is None
    assert CommandLine().stale_because(chain) == "pull its last call failed"
    code, line = call(root, "pull", "--source", f"files:{file}")
    assert (code, line["cached"]) == (0, True)
    assert make_ports(root).store.keys("failures/") == []
    assert CommandLine().cached(chain) is not None


def test_only_calls_of_a_run_mark_a_night(
    store: Store, tmp_path: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BFT_RUN_ID")
    assert call(tmp_path / "root", "predict")[0] == 65
    assert store.keys("failures/") == []


def test_executor_gets_the_exits_of_a_failed_night_and_no_entry(tmp_path: Path) -> None:
    rows = [
        signal(NIGHT, "AAPL"),
        signal(NIGHT, "NVDA", kind="exit", ref_price_usd=50.0),
    ]
    root = night_root(tmp_path / "root", rows)
    body = b'{"verb": "gate", "exit_code": 65, "error": "outcomes are absent"}'
    make_ports(root).store.put(f"failures/{NIGHT}/gate.json", body)
    with running_executor(root, "--broker", "paper", clock=BEFORE_OPEN) as run:
        words = ("execute", "--asof", NIGHT, "--root", root, "--wait", 0, "--json")
        until(lambda: run.bft(*words)[0] != 75)
        code, line, _ = run.bft(*words)
    assert code == 65
    assert "1 entries are not sent, the night failed: gate failed (exit code 65)" in line["error"]
    night = f"bft run nightly --root {root} --asof {NIGHT}"
    again = f"{night} && bft execute --root {root} --wait 0 --asof {NIGHT}"  # red: without --wait
    assert f"mend it, then: {again}; exits are sent" in line["error"]
    assert [order["symbol"] for order in line["orders"]] == ["NVDA"]
    assert line["skipped"]["night_failed"] == 1
