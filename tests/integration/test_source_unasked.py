"""Runs that pull nothing ask nothing of a simulator that is gone."""

import json
from pathlib import Path

import pytest
from commandline import bft
from fakes import FixedClock, make_ports

from bft.flow.load import find, load
from bft.flow.state import Journal
from bft.steps import pull
from bft.steps.record import code_digest


@pytest.mark.usefixtures("silent")
def test_days_that_are_filled_already_need_no_simulator(tmp_path: Path) -> None:
    """Red: the newest session by the clock was looked at, whatever days were to be filled."""
    store = make_ports(tmp_path / "sim").store
    store.put("source.json", b'{"path": "", "simulated": true, "source": "sim"}')
    told = {"args": {}, "inputs": {}, "code": code_digest(("domain", *pull.STEP.code))}
    store.put("lineage/pull/2018-02-07.json", json.dumps(told).encode())
    words = ("run", "backfill", "--dry-run", "--root", str(tmp_path / "sim"), "--param")
    first = ("from=2018-02-06", "--param")
    assert bft(*words, *first, "to=2018-02-07")[0] == 0
    assert bft(*words, *first, "to=2018-02-08")[0] == 78
    code, _, said = bft(*words, *first, "to=Friday")
    assert (code, "'Friday' is no date; give it as 20" in said) == (2, True)


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(("phase", "code"), [("Succeeded", 0), ("Failed", 78)])
def test_run_that_goes_on_after_its_pull_needs_no_simulator(
    phase: str, code: int, tmp_path: Path
) -> None:
    """Red: after a change of the code the simulator was asked for, though nothing pulls."""
    day, root = "2018-02-07", tmp_path / "sim"
    journal = Journal(root / "runs" / "r1", run="r1", workflow="nightly", clock=FixedClock())
    made = load(find("nightly", ""))
    values = {"source": "sim", "model-profile": "demo", "asof": day}
    created = "2018-02-07T23:30:00+00:00"
    journal.note("run", pid=1, created=created, digest=made.digest, values=values, limits={})
    journal.note("finished", "night.build", leaf=True, phase=phase, outputs={})
    journal.note("ended", phase="Failed", exit_code=75, seconds=1.0)
    journal.close()
    assert bft("run", "--resume", "r1", "--dry-run", "--root", str(root))[0] == code
