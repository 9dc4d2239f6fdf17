"""What a run says last."""

from pathlib import Path

import pytest
from fakes import FixedClock

from bft.domain.runs import Json
from bft.flow import outcome
from bft.flow.graph import Phase, Result
from bft.flow.records import StepRecord
from bft.flow.state import Journal, read_run


@pytest.mark.parametrize(
    ("events", "phase", "told"),
    [
        (("cached", "cached", "skipped"), Phase.SUCCEEDED, "unchanged, nothing to do (2 cached, 1"),
        (("cached", "finished"), Phase.SUCCEEDED, "1 ran, 1 cached\n"),
        ((), Phase.SUCCEEDED, "nothing to do\n"),
        (("cached",), Phase.SUSPENDED, "1 cached\nthen: "),  # red: it said, nothing to do
        (("cached",), Phase.ERROR, "1 cached\n"),
    ],
)
def test_a_night_that_is_finished_already_says_so(
    events: tuple[str, ...],
    phase: Phase,
    told: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    journal = Journal(tmp_path / "r1", run="r1", workflow="nightly", clock=FixedClock())
    journal.note("run", created="2026-01-02T23:00:00+00:00")
    for number, event in enumerate(events):
        ended = "Skipped" if event == "skipped" else "Succeeded"
        journal.note(event, f"night.n{number}", leaf=True, phase=ended)
    journal.note("ended", phase=str(phase), exit_code=0, seconds=1.4)
    journal.close()
    record = read_run(tmp_path / "r1")
    assert record is not None
    outcome.tell(record, {}, Result(phase=phase), root=None, quiet=False)
    assert capsys.readouterr().err.startswith(f"nightly {phase.lower()} in 1.4 s: {told}")


@pytest.mark.parametrize(("forced", "said"), [("train-missing", True), ("gate-missing", False)])
def test_a_training_that_was_asked_for_and_did_nothing_says_why(
    forced: str, *, said: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Red: `train-missing skipped no items` was all there was."""
    journal = Journal(tmp_path / "r1", run="r1", workflow="nightly", clock=FixedClock())
    journal.note("run", created="2026-01-02T23:00:00+00:00")
    journal.note("skipped", "night.train-missing", leaf=True, phase="Skipped", reason="no items")
    journal.note("ended", phase="Succeeded", exit_code=0, seconds=1.4)
    journal.close()
    record = read_run(tmp_path / "r1")
    assert record is not None
    given = {"asof": "2026-01-02", "model-profile": "short"}
    outcome.tell(record, given, Result(phase=Phase.SUCCEEDED), root="r", quiet=False, forced=forced)
    told = capsys.readouterr().err
    words = (
        "\ntrain-missing trained nothing, for no model is missing; all anew: bft train --root r "
        "all --asof 2026-01-02 --profile short && bft gate --root r --asof 2026-01-02 && "
        "bft promote --root r --asof 2026-01-02\n"
    )
    assert (words in told) is said, told


@pytest.mark.parametrize("verb", ["validate", "gold"])
def test_symbols_that_are_held_back_are_named_with_their_node(verb: str, tmp_path: Path) -> None:
    """Red: a quarantined symbol appeared in no line of the night."""
    journal = Journal(tmp_path / "r1", run="r1", workflow="nightly", clock=FixedClock())
    journal.note("run", created="2026-01-02T23:00:00+00:00")
    journal.note("finished", "night.build", leaf=True, phase="Succeeded")
    journal.close()
    record = read_run(tmp_path / "r1")
    assert record is not None
    head = "passed, 1 symbol quarantined: SC (10 of the last 60 sessions missing)"
    reasons = {"SC": "10 of the last 60 sessions missing"}
    lines: tuple[Json, ...] = (
        {"head": head, "reasons": reasons},
        {"head": "passed", "reasons": {}},
        {},
    )
    steps = [
        StepRecord(node="build", words=(verb,), attempt=0, exit_code=0, seconds=1.0, line=line)
        for line in lines
    ]
    told = f"night.build: quality {head}\n" if verb == "validate" else ""
    assert outcome.held_back(steps, record) == told
