"""What a terminal shows, and what a pipe gets: real processes on a pseudo-terminal."""

import json
import os
import pty
import select
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from fakes import make_ports
from market import build_market, publish
from market_signals import rows_to

from bft.steps import registry
from bft.steps.night_told import night_told

DAY = date(2026, 1, 2)
WORDS = (sys.executable, "-m", "bft", "models", "--asof", str(DAY))


def on_terminal(*words: str) -> str:
    """Everything a call writes to a terminal of its own."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            chunk = os.read(ours, 65_536)
        except OSError:  # Linux tells the end of a terminal as EIO
            break
        if not chunk:
            break
        seen += chunk
    os.close(ours)
    assert process.wait(60) == 0
    return seen.decode().replace("\r\n", "\n")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("terminal") / "root"
    publish(make_ports(folder).store, build_market(sessions_back=70, forecast_days=5))
    return folder


def test_terminal_gets_text_alone_and_json_on_demand(root: Path) -> None:
    place = ("--root", str(root))
    text = on_terminal(*WORDS, *place)
    assert "held back by the gate: none" in text
    assert "{" not in text
    assert max(map(len, text.splitlines())) <= 80
    (line,) = on_terminal(*WORDS, *place, "--json").splitlines()
    assert json.loads(line)["verb"] == "models"


def test_call_without_a_day_says_which_it_told_of(root: Path) -> None:
    """Red: `models` of a root that ends in January was told as of the clock's day."""
    text = on_terminal(*WORDS[:-2], "--root", str(root))
    assert f"\n{DAY} is this root's newest day; the last closed session is " in text
    assert max(map(len, text.splitlines())) <= 80


def test_pipe_gets_one_json_line_and_no_text(root: Path) -> None:
    words = (*WORDS, "--root", str(root))
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["verb"] == "models"
    assert done.stderr == ""


def test_night_ends_with_what_came_out_and_where_it_lies(root: Path) -> None:
    store = make_ports(root).store
    row = {"asof": DAY, "simulated": True}
    picks = [
        {**row, "symbol": "ALFA", "rank": 1, "tag": "execute"},
        {**row, "symbol": "ECHO", "rank": 2, "tag": "watch", "tag_reason": "falling_knife"},
    ]
    store.publish("picks", asof=DAY, partitions={f"asof={DAY}": rows_to("picks", picks)})
    store.put(f"reports/{DAY}/day.html", b"page")
    store.put(f"failures/{DAY}/gate.json", b'{"verb":"gate","exit_code":75,"error":"away"}')
    model = {"name": "reg_3d", "origin": "absent", "reason": "no_model", "digest": None}
    report = {"gates": "paper", "asof": str(DAY), "models": [model], "rules": []}
    registry.put_report(store, str(DAY), report, None)
    (root / "mlflow.db").touch()
    pulled = {"skipped": {"bad_close": 2, "after_asof": 9}}
    pulled["names"] = {"bad_close": ["a.csv:7: ALFA 2025-01-06 close='n/a'"], "after_asof": ["B"]}
    store.put(f"lineage/pull/{DAY}.json", json.dumps(pulled).encode())
    line = {"workflow": "nightly", "asof": str(DAY), "phase": "Failed", "seconds": 137.2}
    assert night_told(store, line, root=str(root)).splitlines() == [
        "FAILED    gate failed (exit code 75): away",
        "executes  0; 2 to watch (falling knife 1, night failed 1)",
        "models    held back by the gate: reg_3d: it was not trained",
        "rows      refused or replaced: bad close 2 (a.csv:7: ALFA 2025-01-06",
        "  close='n/a')",
        f"quality   {root}/reports/quality_{DAY}.md",
        f"report    {root}/reports/{DAY}/day.html",
        f"MLflow    bft serve --root {root} mlflow",
        "time      2:17",
    ]
    assert night_told(store, {"workflow": "close", "asof": str(DAY)}, root="x") == ""


def test_night_that_judged_nothing_tells_no_verdicts(tmp_path: Path) -> None:
    """Red: it executed 0, held no model back, and named a page that there was not."""
    store = make_ports(tmp_path).store
    line = {"workflow": "nightly", "asof": str(DAY), "phase": "Failed", "seconds": 3.0}
    assert night_told(store, line, root=str(tmp_path)) == "time      0:03"
    store.put(f"failures/{DAY}/pull.json", b'{"verb":"pull","exit_code":75,"error":"away"}')
    told = night_told(store, line, root=str(tmp_path)).splitlines()
    assert told == ["FAILED    pull failed (exit code 75): away", "time      0:03"]
    earlier = {"gates": "paper", "asof": "2026-01-01", "models": [], "rules": []}
    registry.put_report(store, "2026-01-01", earlier, None)
    assert night_told(store, line, root=str(tmp_path)).splitlines() == told
    done = night_told(store, line | {"phase": "Succeeded"}, root=str(tmp_path))
    assert "models    held back by the gate: none\n" in done


def test_night_that_ranked_nobody_executes_none(tmp_path: Path) -> None:
    store = make_ports(tmp_path).store
    store.put(f"lineage/rank/{DAY}.json", b"{}")
    line = {"workflow": "nightly", "asof": str(DAY), "phase": "Succeeded", "seconds": 3.0}
    assert night_told(store, line, root=str(tmp_path)).startswith("executes  0; 0 to watch\n")
