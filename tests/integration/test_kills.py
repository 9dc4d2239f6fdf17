"""Killed at any instant, a run goes on: same bytes, no finished work repeated, no orphans."""

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kills import (
    ENV,
    REPOSITORY,
    children,
    gone,
    ledger,
    made,
    repeated,
    run,
    small,
    start,
    states,
    wait_for,
)


def test_twenty_random_kills_leave_the_same_bytes_and_repeat_nothing(tmp_path: Path) -> None:
    code, line = run(small(tmp_path / "golden"), "small")
    assert (code, line["ran"]) == (0, 6)
    wanted, draw, kills = made(tmp_path / "golden"), random.Random(20260105), 0
    for place in range(60):
        root = small(tmp_path / f"r{place}")
        for _ in range(60):
            before, process = states(root), start(root, "small")
            if draw.random() < 0.9:  # else while it starts
                wait_for(lambda p=process, r=root, b=before: p.poll() is not None or states(r) != b)
            time.sleep(draw.uniform(0, 0.35))
            young = children(process.pid)
            if process.poll() is None and kills < 20:
                victim = draw.choice([process.pid, *young])
                os.kill(victim, signal.SIGKILL)
                kills += 1
            process.communicate(timeout=60)
            assert gone(young)
            if process.returncode == 0:
                break
        assert made(root) == wanted
        assert repeated(root) == []
        if kills >= 20:
            break
    assert kills == 20


def test_interrupted_run_exits_130_and_goes_on_where_it_was(tmp_path: Path) -> None:
    root = small(tmp_path / "root", waits=20)
    process = start(root, "small")
    wait_for(lambda: "finished" in ledger(root))
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    line = json.loads(out)
    assert process.returncode == 130
    assert line["next"] == f"bft run --root {root} --resume {line['run']}"
    before = ledger(root).count("finished")
    code, again = run(root, "--resume", line["run"])
    assert code == 0
    assert (again["run"], again["phase"]) == (line["run"], "Succeeded")
    assert again["cached"] >= before
    assert repeated(root) == []


def test_killed_runner_leaves_no_orphan_and_its_run_is_closed_as_lost(tmp_path: Path) -> None:
    from bft.flow.state import runs

    root = small(tmp_path / "root", waits=500)
    process = start(root, "small")
    wait_for(lambda: "began" in ledger(root) and bool(children(process.pid)))
    young = children(process.pid)
    process.kill()
    process.communicate()
    assert gone(young)
    small_again = tmp_path / "root" / "workflows" / "small.yaml"
    small_again.write_text(small_again.read_text().replace("'500'", "'2'"))
    code, line = run(root, "small")
    assert (code, line["phase"]) == (0, "Succeeded")
    first = runs(root)[0]
    assert first.phase == "Lost"
    assert "last node: " in first.end["reason"]
    assert not (first.folder / "work").exists()


def test_second_run_of_a_root_is_refused_with_pid_and_host(tmp_path: Path) -> None:
    root = small(tmp_path / "root", waits=40)
    first = start(root, "small")
    wait_for(lambda: "began" in ledger(root))
    code, line = run(root, "small")
    assert code == 77
    assert f"pid {first.pid} on " in line["error"]
    second = start(root, "small", "--wait", "30")
    first.communicate(timeout=30)
    second.communicate(timeout=30)
    assert (first.returncode, second.returncode) == (0, 0)
    assert repeated(root) == []


def test_unchanged_second_run_starts_no_process(tmp_path: Path) -> None:
    root = small(tmp_path / "root")
    run(root, "small")
    before = ledger(root)
    code, line = run(root, "small")
    assert (code, line["ran"], line["cached"]) == (0, 0, 6)
    assert ledger(root) == before
    assert not (root / "runs" / line["run"] / "logs").exists()


def test_dry_run_tells_each_node_and_writes_nothing(tmp_path: Path) -> None:
    root = small(tmp_path / "root")
    run(root, "small")
    (root / "made/d").unlink()
    for path in (root / "markers").iterdir():
        if json.loads(path.read_text())["said"] == "d":
            path.unlink()
    before = {p: p.read_bytes() for p in root.rglob("*") if p.is_file()}
    stamps = {p: p.stat().st_mtime_ns for p in root.rglob("*")}
    code, line = run(root, "small", "--dry-run")
    states = {row["node"]: (row["state"], row["why"]) for row in line["nodes"]}
    assert code == 0
    assert states["a"] == ("cached", "finished, and its outputs are there")
    assert states["b(1:y)"][0] == "cached"
    assert states["d"] == ("stale", "never ran")
    assert {p: p.read_bytes() for p in root.rglob("*") if p.is_file()} == before
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*")} == stamps


def test_dry_run_of_an_empty_root_makes_no_root(tmp_path: Path) -> None:
    root = small(tmp_path / "root")
    (root / "verbs.py").write_text("")
    before = sorted(str(p) for p in root.rglob("*"))
    code, line = run(root, "small", "--dry-run")
    assert [row["state"] for row in line["nodes"]][:2] == ["stale", "stale"]
    assert line["nodes"][1]["why"] == "after a"
    assert (code, sorted(str(p) for p in root.rglob("*"))) == (0, before)


def test_events_are_copied_as_lines(tmp_path: Path) -> None:
    root = small(tmp_path / "root")
    run(root, "small", "--events", str(tmp_path / "events"))
    told = [json.loads(line) for line in (tmp_path / "events").read_text().splitlines()]
    assert {"queued", "started", "finished"} <= {line["event"] for line in told}
    assert {line["workflow"] for line in told} == {"small"}


# --- the real command line ---------------------------------------------------------------------


@contextmanager
def held(root: Path) -> Iterator[None]:
    (root / "runs").mkdir(parents=True)
    with (root / "runs/.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize("how", ["runner gone", "SIGTERM"])
def test_child_ends_with_75_when_told_or_left_alone(how: str, tmp_path: Path) -> None:
    read, hold = os.pipe()
    words = [sys.executable, "-m", "bft", "run", "premarket", "--json"]
    words += ["--root", str(tmp_path), "--wait", "60"]
    with held(tmp_path):
        process = subprocess.Popen(
            words,
            env={**ENV, "BFT_PARENT_FD": str(read)},
            pass_fds=(read,),
            stdout=subprocess.PIPE,
            start_new_session=True,
            cwd=REPOSITORY,
        )
        time.sleep(0.8)
        assert process.poll() is None
        if how == "SIGTERM":
            process.terminate()
        else:
            os.close(hold)
        out, _ = process.communicate(timeout=15)
    os.close(read)
    assert process.returncode == 75
    assert "told to stop" in json.loads(out)["error"]
