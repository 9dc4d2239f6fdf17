"""What people see of a run: a tree that follows the events, and plain lines without a terminal."""

import io
from pathlib import Path

import pytest
from graphs import dag, execute, step, task, write
from rich.console import Console

from bft.flow.load import load
from bft.flow.show import Lines, Tree, clock_text


def small(folder: Path) -> Tree:
    inner = dag("night", task("build"), task("train", "build", template="build", withItems=["x"]))
    path = write(folder / "small.yaml", step("build", "exit 0"), inner, dag("main", task("night")))
    return Tree(load(path), "small 2026-01-05", {"night.build": 60.0, "night.train": 30.0})


def seen(tree: Tree, width: int = 60) -> list[str]:
    screen = io.StringIO()
    Console(file=screen, width=width, force_terminal=False, highlight=False).print(tree)
    return [line.rstrip() for line in screen.getvalue().splitlines()]


def event(node: str, name: str, **more: object) -> dict[str, object]:
    return {"node": node, "event": name, "at": "2026-01-05T23:30:00Z", **more}


def test_tree_names_every_node_before_it_starts_and_the_time_left(tmp_path: Path) -> None:
    lines = seen(small(tmp_path))
    assert "about 1:30 left" in lines[0]
    assert [line.split() for line in lines[1:]] == [["·", "night"], ["·", "build"], ["·", "train"]]


def test_tree_follows_progress_loops_and_failures(tmp_path: Path) -> None:
    tree = small(tmp_path)
    tree.take(event("night.build", "started"))
    tree.take(event("night.build", "progress", done=3, total=6, reason="pulling"))
    assert "━━━━━━────── 3/6 pulling" in seen(tree, 80)[2]
    assert seen(tree)[1].startswith("▸ night")
    tree.take(event("night.build", "finished", phase="Succeeded"))
    tree.take(event("night.train(0:x)", "started"))
    tree.take(event("night.train(0:x)", "finished", phase="Failed", exit_code=65, reason="broken"))
    lines = seen(tree)
    assert lines[2].startswith("✓   build")
    assert lines[4].split()[:4] == ["✗", "x", "[65]", "broken"]


def test_long_reasons_stay_on_their_line(tmp_path: Path) -> None:
    tree = small(tmp_path)
    tree.take(event("night.build", "finished", phase="Failed", exit_code=65, reason="long " * 60))
    lines = seen(tree, 80)
    assert len(lines) == 4
    assert "…" in lines[2]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (12, "12 s"),
        (59.4, "59 s"),
        (185, "3:05"),
        (3723, "1:02:03"),
    ],
)
def test_times_for_people(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text


def test_without_terminal_each_transition_is_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bft.flow import show
    from bft.flow.state import lines_of

    execute(tmp_path, step("a", "exit 65 because"), dag("main", task("a")))
    with show.shown(small(tmp_path), quiet=False) as (listener, _pause):
        for line in lines_of(tmp_path / "runs/r1/events.jsonl"):
            listener(line)
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2
    assert "started" in told[0]
    assert told[1].split()[:3] == ["23:30:00", "a", "failed"]
    assert told[1].endswith("[65]  because")


def test_without_terminal_progress_is_a_line_once_in_a_while(
    capsys: pytest.CaptureFixture[str],
) -> None:
    now_s = 0.0
    lines = Lines(now=lambda: now_s)
    lines.take(event("night.train", "started"))
    for now_s in (1.0, 9.0, 11.0, 12.0, 22.0):
        lines.take(event("night.train", "progress", done=int(now_s), total=72, reason="reg_3d"))
    assert [line.split()[2:] for line in capsys.readouterr().err.splitlines()] == [
        ["started"],
        ["running", "11/72", "reg_3d"],
        ["running", "22/72", "reg_3d"],
    ]


def test_the_reason_of_a_failed_node_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines(now=lambda: 0.0)
    for node, leaf in (("night.build", True), ("night", False)):
        about = {"phase": "Failed", "exit_code": 65, "reason": "3 rows on holidays"}
        lines.take(event(node, "finished", leaf=leaf, **about))
    told = capsys.readouterr().err.splitlines()
    assert told[0].endswith("[65]  3 rows on holidays")
    assert told[1].endswith("failed     [65]")
