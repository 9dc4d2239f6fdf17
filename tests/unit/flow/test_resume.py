"""What a resumed run takes over from its earlier parts, and what it looks at again."""

from pathlib import Path
from typing import Any

from graphs import Ran, dag, execute, step, task

from bft.flow.state import read_run


def part(folder: Path, *, scoring: str, **loop: Any) -> Ran:
    """One part of a run: `publish` follows `score`, whatever became of it; `beside` does not."""
    record = read_run(folder / "runs/r1")
    before = {"finished": record.finished(), "order": record.order} if record else {}
    graph = dag(
        "main",
        task("score", **loop),
        task("publish", "score.Succeeded || score.Failed"),
        task("beside"),
        failFast=False,
        target="score publish beside",
    )
    steps = (
        step("score", scoring),
        step("publish", f"append {folder}/calls publish"),
        step("beside", f"append {folder}/calls beside"),
    )
    return execute(folder, *steps, graph, options=before)


def calls(folder: Path) -> list[str]:
    return sorted((folder / "calls").read_text().split())


def test_resumed_run_repeats_what_followed_a_node_that_failed_then(tmp_path: Path) -> None:
    scoring = f"fail-times {tmp_path}/n 1 65"
    assert part(tmp_path, scoring=scoring).phases()["publish"] == "Succeeded"
    again = part(tmp_path, scoring=scoring)
    assert again.result.phase == "Succeeded"
    assert calls(tmp_path) == ["beside", "publish", "publish"]
    part(tmp_path, scoring=scoring)
    assert calls(tmp_path) == ["beside", "publish", "publish"], "nothing is left to do"


def test_part_killed_after_the_mended_node_is_no_excuse(tmp_path: Path) -> None:
    """Its record ends with the success of `score`: the old `publish` is before it all the same."""
    scoring = f"fail-times {tmp_path}/n 1 65"
    part(tmp_path, scoring=scoring)
    journal = tmp_path / "runs/r1/state.jsonl"
    before = len(journal.read_text().splitlines())
    part(tmp_path, scoring=scoring)
    lines = journal.read_text().splitlines()
    place = next(
        n for n, x in enumerate(lines) if n >= before and '"node":"score"' in x and "Suc" in x
    )
    journal.write_text("\n".join(lines[: place + 1]) + "\n")
    part(tmp_path, scoring=scoring)
    assert calls(tmp_path).count("publish") == 3


def test_member_of_a_loop_that_ran_again_counts_as_its_node(tmp_path: Path) -> None:
    scoring = f"fail-times {tmp_path}/n 1 65"
    loop = {"withItems": ["x"]}
    part(tmp_path, scoring=scoring, **loop)
    part(tmp_path, scoring=scoring, **loop)
    assert calls(tmp_path) == ["beside", "publish", "publish"]


def test_exit_handler_tells_of_every_part(tmp_path: Path) -> None:
    """Its summary of the failed part is not that of the mended run."""
    graph = dag("main", task("score"))
    for _ in range(2):
        record = read_run(tmp_path / "runs/r1")
        before = {"finished": record.finished(), "order": record.order} if record else {}
        execute(
            tmp_path,
            step("score", f"fail-times {tmp_path}/n 1 65"),
            step("bye", f"append {tmp_path}/calls {{{{workflow.status}}}}"),
            graph,
            options=before,
            onExit="bye",
        )
    assert calls(tmp_path) == ["Failed", "Succeeded"]
