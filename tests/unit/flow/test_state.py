"""Run records read back after a kill, and runs nobody beats for any more."""

import json
import os
import socket
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from fakes import NOW, FixedClock

from bft.domain.errors import UsageError
from bft.flow.state import Journal, find_run, reap, runs


def journal(folder: Path) -> Journal:
    return Journal(folder, run=folder.name, workflow="small", clock=FixedClock())


def open_run(root: Path, name: str, *, pid: int, host: str, age_s: float) -> None:
    with closing(journal(root / "runs" / name)) as open_journal:
        open_journal.note("run", created=NOW.isoformat())
        open_journal.note("started", "a", leaf=True)
    pulse = root / "runs" / name / "heartbeat"
    pulse.write_text(f"{pid} {host}\n")
    beat = (NOW - timedelta(seconds=age_s)).timestamp()
    os.utime(pulse, (beat, beat))


@pytest.mark.parametrize(
    ("pid", "host", "age_s", "lost"),
    [
        (os.getpid(), socket.gethostname(), 3, False),
        (os.getpid(), socket.gethostname(), 31, True),
        (2**22 + 1, socket.gethostname(), 3, True),
        (1, "elsewhere", 3, False),
        (1, "elsewhere", 31, True),
    ],
    ids=["alive", "alive, silent", "dead", "elsewhere", "elsewhere, silent"],
)
def test_silent_run_is_closed_as_lost(
    pid: int, host: str, age_s: float, lost: bool, tmp_path: Path
) -> None:
    open_run(tmp_path, "r1", pid=pid, host=host, age_s=age_s)
    assert [record.run for record in reap(tmp_path, FixedClock())] == (["r1"] if lost else [])
    record = find_run(tmp_path, "r1")
    assert record.phase == ("Lost" if lost else "Running")
    if lost:
        assert record.end["reason"].endswith("last node: a")
    assert reap(tmp_path, FixedClock()) == []


def test_line_cut_short_is_left_out_and_the_next_one_is_whole(tmp_path: Path) -> None:
    open_run(tmp_path, "r1", pid=1, host="elsewhere", age_s=0)
    path = tmp_path / "runs/r1/state.jsonl"
    with path.open("a") as file:
        file.write('{"node": "a", "event": "fini')
    assert find_run(tmp_path, "r1").running() == ["a"]
    with closing(journal(path.parent)) as again:
        again.note("finished", "a", leaf=True, phase="Succeeded", outputs={"x": "1"})
    record = find_run(tmp_path, "r1")
    assert record.finished()["a"].outputs == {"x": "1"}
    assert json.loads(path.read_text().splitlines()[-1])["event"] == "finished"


def test_failed_leaves_are_not_finished(tmp_path: Path) -> None:
    with closing(journal(tmp_path / "runs/r1")) as made:
        made.note("run")
        made.note("finished", "a", leaf=True, phase="Failed", outputs={})
        made.note("finished", "b", leaf=False, phase="Succeeded", outputs={})
    assert find_run(tmp_path, "r1").finished() == {}


def test_unknown_run_names_the_newest(tmp_path: Path) -> None:
    open_run(tmp_path, "r1", pid=1, host="elsewhere", age_s=0)
    assert [record.run for record in runs(tmp_path)] == ["r1"]
    with pytest.raises(UsageError, match="the newest is r1"):
        find_run(tmp_path, "r2")
