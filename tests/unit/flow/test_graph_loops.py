"""Small graphs with the phases Argo gives them: loops, nesting, steps, outputs, exit handler."""

from pathlib import Path

import pytest
from graph_cases import (
    AFTER_LIST,
    WORD,
    Case,
    N,
    check,
    inner,
    item,
)
from graphs import dag, step, task

CASES = [
    # loops
    Case(
        "withItems of words",
        dag("main", item(withItems=["x", "y"])),
        "loop S, loop(0:x) S, loop(1:y) S",
    ),
    Case(
        "withItems of objects",
        dag(
            "main",
            task(
                "loop",
                template="echo",
                withItems=[{"b": 2, "a": "z"}],
                given={"v": "{{item.a}}{{item.b}}"},
            ),
        ),
        "loop(0:a:z,b:2) S",
    ),
    Case(
        "withParam of an output",
        dag("main", AFTER_LIST, item("list", withParam="{{tasks.list.outputs.parameters.items}}")),
        "loop(0:x) S, loop(1:y) S",
    ),
    Case(
        "withParam of numbers and objects",
        dag("main", item(withParam='[1, {"k": true}]')),
        "loop(0:1) S, loop(1:k:true) S",
    ),
    Case(
        "withParam empty is skipped",
        dag(
            "main",
            AFTER_LIST,
            item("list", withParam="{{tasks.list.outputs.parameters.none}}"),
            task("c", "loop", template="ok"),
        ),
        "loop K, c S",
    ),
    Case(
        "withParam no list is an error",
        dag("main", AFTER_LIST, item("list", withParam=WORD)),
        "loop E, =E",
        code=78,
    ),
    Case(
        "withParam no list, but when says no",
        dag("main", AFTER_LIST, item("list", withParam=WORD, when="1 == 2")),
        "loop K, =S",
    ),
    Case(
        "withParam unknown is an error",
        dag("main", item(withParam="{{tasks.nobody.outputs.parameters.x}}")),
        "loop E",
        code=78,
    ),
    Case(
        "withSequence counts",
        dag("main", item(withSequence={"count": "2"})),
        "loop(0:0) S, loop(1:1) S",
    ),
    Case(
        "withSequence of an output",
        dag("main", AFTER_LIST, item("list", withSequence={"count": N})),
        "loop(2:2) S, loop S",
    ),
    Case(
        "withSequence of no number",
        dag("main", AFTER_LIST, item("list", withSequence={"count": WORD})),
        "loop E",
        code=78,
    ),
    Case(
        "when per item",
        dag("main", item(withItems=["x", "y"], when="{{item}} == y")),
        "loop(0:x) K, loop(1:y) S, loop S",
    ),
    Case(
        "all items skipped",
        dag("main", item(withItems=["x"], when="{{item}} == y"), task("c", "loop", template="ok")),
        "loop(0:x) K, loop S, c S",
    ),
    Case(
        "a loop's outputs are a list",
        dag(
            "main",
            item(withItems=["x", "y"]),
            task(
                "c", "loop", template="echo", given={"v": "{{tasks.loop.outputs.parameters.said}}"}
            ),
        ),
        "c S",
    ),
    # nesting
    Case(
        "a graph in a graph",
        dag("main", task("inner"), task("c", "inner", template="ok")),
        "inner.ok S, inner S, c S",
        (inner(task("ok")),),
    ),
    Case(
        "its failure is the task's",
        dag("main", task("inner"), task("c", "inner", template="ok")),
        "inner.bad F, inner F, c O, =F",
        (inner(task("bad")),),
        65,
    ),
    Case(
        "one when around everything",
        dag("main", task("inner", when="1 == 2"), task("c", "inner", template="ok")),
        "inner K, c S, inner.ok -",
        (inner(task("ok")),),
    ),
    Case(
        "a graph's outputs",
        dag(
            "main",
            task("inner"),
            task("c", "inner", template="ok", when="{{tasks.inner.outputs.parameters.word}} == go"),
        ),
        "c S",
        (
            {
                **inner(task("list")),
                "outputs": {"parameters": [{"name": "word", "valueFrom": {"parameter": WORD}}]},
            },
        ),
    ),
    Case(
        "an output no task gave",
        dag("main", task("inner")),
        "inner E, =E",
        (
            {
                **inner(task("ok")),
                "outputs": {"parameters": [{"name": "word", "valueFrom": {"parameter": WORD}}]},
            },
        ),
        78,
    ),
    Case("an input without a value", dag("main", task("echo")), "echo E, =E", code=78),
    # steps
    Case(
        "steps in order",
        {"name": "main", "steps": [[task("ok")], [task("b", template="ok")]]},
        "[0].ok S, [1].b S",
    ),
    Case(
        "steps stop at a failure",
        {"name": "main", "steps": [[task("bad"), task("ok")], [task("c", template="ok")]]},
        "[0].bad F, [0].ok S, [1].c -, =F",
        code=65,
    ),
    Case(
        "steps hand on outputs",
        {
            "name": "main",
            "steps": [
                [task("list")],
                [task("c", template="ok", when="{{steps.list.outputs.parameters.word}} == go")],
            ],
        },
        "[1].c S",
    ),
    Case(
        "steps go on after a skipped one",
        {"name": "main", "steps": [[task("ok", when="1 == 2")], [task("c", template="ok")]]},
        "[0].ok K, [1].c S",
    ),
    Case(
        "loops in steps",
        {"name": "main", "steps": [[item(withItems=["x"])]]},
        "[0].loop(0:x) S, [0].loop S",
    ),
    # exit codes and outputs
    Case(
        "first failure in the graph's order counts",
        dag("main", task("a", template="slow"), task("b", template="quick")),
        "a F, b F",
        (step("slow", "sleep 0.15 exit 65 a"), step("quick", "exit 78 b")),
        65,
    ),
    Case("a code of its own is 1", dag("main", task("odd")), "odd F", (step("odd", "exit 3"),), 1),
    Case("killed is 75", dag("main", task("gone")), "gone F", (step("gone", "kill 9"),), 75),
    Case("refused stays 77", dag("main", task("no")), "no F", (step("no", "exit 77"),), 77),
    Case(
        "a missing output is an error",
        dag("main", task("quiet")),
        "quiet E",
        (step("quiet", "exit 0", outputs="x"),),
        1,
    ),
    Case(
        "a missing output with a default",
        dag(
            "main",
            task("quiet"),
            task("c", "quiet", template="ok", when="{{tasks.quiet.outputs.parameters.x}} == 7"),
        ),
        "quiet S, c S",
        (
            {
                **step("quiet", "exit 0"),
                "outputs": {
                    "parameters": [
                        {"name": "x", "valueFrom": {"path": "/bft/out/x", "default": "7"}}
                    ]
                },
            },
        ),
    ),
    # exit handler
    Case(
        "exit handler after success",
        dag("main", task("ok")),
        "onExit S, =S",
        (step("bye", "exit 0"),),
        0,
        {"onExit": "bye"},
    ),
    Case(
        "exit handler after failure",
        dag("main", task("bad")),
        "onExit S, =F",
        (step("bye", "exit 0"),),
        65,
        {"onExit": "bye"},
    ),
    Case(
        "its failure fails the run",
        dag("main", task("ok")),
        "onExit F, =F",
        (step("bye", "exit 75"),),
        75,
        {"onExit": "bye"},
    ),
    Case(
        "it knows the status",
        dag("main", task("bad")),
        "onExit S",
        (step("bye", "out s={{workflow.status}} f={{workflow.failures}}", outputs="s,f"),),
        65,
        {"onExit": "bye"},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_graph_has_the_phases_of_argo(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)
