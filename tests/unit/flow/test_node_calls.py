"""What a node is handed and leaves behind, and when it need not run."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from graphs import NoCommands, dag, execute, step, task

from bft.domain.runs import Json
from bft.flow.run import exit_code
from bft.flow.state import lines_of


def alone(folder: Path, args: str, **fields: Any) -> Any:
    template = step("a", args, **fields)
    return execute(folder, template, dag("main", task("a")))


def test_inputs_items_and_tags_reach_the_command_line(tmp_path: Path) -> None:
    ran = execute(
        tmp_path,
        step(
            "a",
            "out x={{inputs.parameters.i}}-{{workflow.parameters.p}}-{{workflow.name}}",
            inputs="i",
            outputs="x",
        ),
        dag("main", task("a", given={"i": "{{workflow.parameters.p}}2"})),
        parameters={"p": "1"},
    )
    assert ran.record.nodes["a"]["outputs"] == {"x": "12-1-r1"}


@pytest.mark.parametrize(
    ("env", "given", "seen"),
    [
        ({"name": "SEEN", "value": "{{workflow.name}}/{{retries}}"}, {}, "r1/0"),
        (
            {"name": "SEEN", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}},
            {"SEEN": "me"},
            "me",
        ),
        (
            {"name": "SEEN", "valueFrom": {"secretKeyRef": {"name": "m", "key": "k"}}},
            {"SEEN": "me"},
            "me",
        ),
        (
            {
                "name": "SEEN",
                "valueFrom": {"secretKeyRef": {"name": "m", "key": "k", "optional": True}},
            },
            {},
            "absent",
        ),
        ({"name": "SEEN", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}, {}, None),
    ],
)
def test_environment_comes_from_the_caller(
    env: Json, given: dict[str, str], seen: str | None, tmp_path: Path
) -> None:
    template = step(
        "a", "env SEEN", outputs="env", container={"env": [env]}, retryStrategy={"limit": 0}
    )
    ran = execute(tmp_path, template, dag("main", task("a")), options={"env": given})
    if seen is None:
        assert (ran.phases()["a"], exit_code(ran.result, None)) == ("Error", 78)
        assert "export SEEN=" in ran.result.reason
    else:
        assert ran.record.nodes["a"]["outputs"]["env"] == seen


def test_artifact_is_kept_with_the_run(tmp_path: Path) -> None:
    template = step("a", "out loss.png=picture")
    template["outputs"] = {
        "artifacts": [{"name": "loss.png", "path": "/bft/out/loss.png", "archive": {"none": {}}}]
    }
    execute(tmp_path, template, dag("main", task("a")))
    assert (tmp_path / "runs/r1/artifacts/a/loss.png").read_text() == "picture\n"


def test_progress_becomes_events(tmp_path: Path) -> None:
    alone(tmp_path, "progress 3")
    told = [e for e in lines_of(tmp_path / "runs/r1/events.jsonl") if e["event"] == "progress"]
    assert told
    assert (told[-1]["done"], told[-1]["total"], told[-1]["reason"]) == (3, 3, "x")


def test_work_folder_is_gone_and_the_log_stays(tmp_path: Path) -> None:
    alone(tmp_path, "exit 65 because")
    assert not (tmp_path / "runs/r1/work").exists()
    assert "error: because" in (tmp_path / "runs/r1/logs/a.log").read_text()


def test_log_keeps_its_last_mebibyte(tmp_path: Path) -> None:
    from bft.flow.node import LOG_BYTES, Log

    log = Log(tmp_path / "log")
    for n in range(40):
        log.write(bytes([65 + n % 26]) * 100_000)
    log.close()
    kept = (tmp_path / "log").read_bytes()
    assert len(kept) == LOG_BYTES
    assert kept[-1:] == bytes([65 + 39 % 26])


def test_finished_call_starts_no_process_and_gives_its_outputs(tmp_path: Path) -> None:
    known = NoCommands({"a --x 1": {"n": 0, "list": ["q"], "word": "w", "cached": True}})
    template = step("a", "a --x {{inputs.parameters.x}}", inputs="x", outputs="n,list,word")
    graph = dag("main", task("a", given={"x": "1"}))
    ran = execute(tmp_path, template, graph, commands=known)
    assert ran.record.nodes["a"]["event"] == "cached"
    assert ran.record.nodes["a"]["outputs"] == {"n": "0", "list": '["q"]', "word": "w"}
    assert not (tmp_path / "runs/r1/logs").exists()


def test_finished_call_without_a_declared_output_runs(tmp_path: Path) -> None:
    known = NoCommands({"out n=1": {"cached": True}})
    ran = execute(
        tmp_path, step("a", "out n=1", outputs="n"), dag("main", task("a")), commands=known
    )
    assert ran.record.nodes["a"]["event"] == "finished"


@pytest.mark.parametrize(
    "options", [{"fresh": True}, {"forced": frozenset({"a"})}], ids=["fresh", "from"]
)
def test_forced_node_runs_although_it_is_finished(options: Json, tmp_path: Path) -> None:
    known = NoCommands({"a": {"cached": True}})
    script = step("a", "a")
    ran = execute(tmp_path, script, dag("main", task("a")), commands=known, options=options)
    assert ran.record.nodes["a"]["event"] == "finished"


def test_only_one_node_runs_when_asked(tmp_path: Path) -> None:
    known = NoCommands({"a": {"cached": True}})
    graph = dag("main", task("a"), task("b", "a"), task("c", "b"))
    templates = [step(name, name) for name in "abc"]
    ran = execute(tmp_path, *templates, graph, commands=known, options={"only": "b"})
    assert ran.phases() == {"a": "Succeeded", "b": "Succeeded", "c": "Omitted"}
    assert ran.record.nodes["a"]["event"] == "cached"


def test_state_has_one_line_per_transition_before_it_takes_effect(tmp_path: Path) -> None:
    alone(tmp_path, "exit 0")
    lines = [json.loads(x) for x in (tmp_path / "runs/r1/state.jsonl").read_text().splitlines()]
    assert [x["event"] for x in lines] == ["run", "started", "finished"]
    assert os.path.exists(tmp_path / "runs/r1/heartbeat")  # noqa: PTH110
