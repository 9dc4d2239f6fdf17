"""The rendered night, run with a script for its verbs: what failed nodes are followed by."""

import sys
from pathlib import Path

import pytest
from fakes import FixedClock
from graphs import NoCommands, Ran

from bft.flow.context import Options
from bft.flow.load import load
from bft.flow.run import Engine, exit_code
from bft.flow.state import Journal, read_run

NIGHTLY = Path(__file__).resolve().parents[3] / "workflows" / "rendered" / "nightly.yaml"
SCRIPT = """
import os, sys
folder = os.environ["BFT_OUTPUTS_DIR"]
found = dict(run="true", asof="2025-03-14", slot="", settle_s="0", reason="due", missing="[]")
found |= dict(missing_count="0", mlflow_request="none", breached={breached!r})
for name, text in found.items():
    with open(folder + "/" + name, "w") as file:
        file.write(text)
if os.environ["BFT_NODE"] == {failing!r}:
    sys.stderr.write("error: why it failed\\n")
    sys.exit(65)
"""


def night(folder: Path, *, failing: str = "", breached: str = "false") -> Ran:
    script = folder / "verbs.py"
    script.write_text(SCRIPT.format(failing=failing, breached=breached))
    journal = Journal(folder / "runs/r1", run="r1", workflow="nightly", clock=FixedClock())
    workflow = load(NIGHTLY)
    values = {f"workflow.parameters.{p.name}": p.value or p.name for p in workflow.parameters}
    values |= {"workflow.name": "r1", "workflow.creationTimestamp.RFC3339": "2025-03-15T00:00:00Z"}
    engine = Engine(
        workflow,
        values,
        journal=journal,
        commands=NoCommands(),
        options=Options(prefix=(sys.executable, "-I", "-S", str(script)), env={}),
        root=folder,
    )
    with journal.beating():
        journal.note("run")
        result = engine.execute()
    record = read_run(folder / "runs/r1")
    assert record is not None
    return Ran(result, record, engine)


def test_failed_build_is_told_on_the_pages_and_decides_the_run(tmp_path: Path) -> None:
    ran = night(tmp_path, failing="build")
    phases = ran.phases()
    assert phases["night.build"] == "Failed"
    assert phases["night.mark-failed"] == "Succeeded"
    assert {phases[f"night.{name}"] for name in ("train-missing", "score", "publish")} == {
        "Omitted"
    }
    assert (ran.result.phase, exit_code(ran.result, None)) == ("Failed", 65)
    assert ran.result.reason == "why it failed"


def test_good_night_has_no_failure_to_mark(tmp_path: Path) -> None:
    phases = night(tmp_path).phases()
    assert {phases[f"night.mark-{name}"] for name in ("failed", "unscored")} == {"Omitted"}
    assert (phases["night.publish"], phases["night"]) == ("Succeeded", "Succeeded")


@pytest.mark.parametrize(("node", "breached"), [("score", "false"), ("rescore", "true")])
def test_scoring_that_failed_is_marked_before_anything_is_published(
    node: str, breached: str, tmp_path: Path
) -> None:
    """Killed, it says nothing itself; the forecasts of an earlier run would look like tonight's."""
    ran = night(tmp_path, failing=node, breached=breached)
    phases = ran.phases()
    assert (phases[f"night.{node}"], phases["night.mark-failed"]) == ("Failed", "Omitted")
    assert (phases["night.mark-unscored"], phases["night.publish"]) == ("Succeeded", "Succeeded")
    ended = [line["node"] for line in ran.record.nodes.values()]
    assert ended.index("night.mark-unscored") < ended.index("night.publish")
    assert phases["night"] == "Failed"
