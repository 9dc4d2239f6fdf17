"""What `bft status` says of runs that did nothing, and of runs that failed."""

import io
import json
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from graphs import dag, step, task, write

from bft import cli, wiring


def bft(*words: str) -> tuple[dict[str, Any], str]:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        cli.main(list(words))
    lines = out.getvalue().splitlines()
    return json.loads(lines[-1]), err.getvalue()


def status(root: Path) -> tuple[dict[str, Any], str]:
    return bft("status", "--root", str(root), "--api", "http://127.0.0.1:9")


def test_run_outside_its_hours_is_idle(tmp_path: Path) -> None:
    """Red: `Succeeded`, of a run that found it too early and did nothing."""
    bft("run", "premarket", "--at", "2026-01-06T05:00:00Z", "--root", str(tmp_path))
    line, err = status(tmp_path)
    assert [(run["phase"], run["idle"]) for run in line["runs"]] == [("Succeeded", "too_early")]
    assert "  2026-01-05  idle, too early  " in err


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A root whose `nightly` and `market-hours` are workflows of one step that asks too much."""
    folder = tmp_path / "flows"
    folder.mkdir()
    for name, need in (("nightly", 0), ("market-hours", 1)):
        vote = f"workflow quorum --run {{{{workflow.name}}}} --node none --need {need}"
        told = step("told", vote + " --root {{workflow.parameters.root}}", outputs="degraded")
        given = {"root": "./data", "asof": "", "mode": "paper"}
        write(folder / f"{name}.yaml", told, dag("main", task("told")), parameters=given)
    monkeypatch.setenv("BFT_WORKFLOWS_DIR", str(folder))
    wiring.settings.cache_clear()
    yield tmp_path / "root"
    wiring.settings.cache_clear()


def test_workflow_that_failed_last_is_named(failing: Path) -> None:
    """Red: a failed slot above `nothing is missing`."""
    run, _ = bft("run", "market-hours", "--root", str(failing))
    assert run["phase"] == "Failed"
    _, err = status(failing)
    assert f"; market-hours failed last ({run['run']})" in err
