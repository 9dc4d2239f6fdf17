"""Small graphs, each with the phases Argo gives it: one row per rule of the local engine."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from graphs import dag, execute, step, task

from bft.domain.runs import Json

OK, BAD = step("ok", "exit 0"), step("bad", "exit 65 broken")
LIST = step(
    "list", 'out items=["x","y"] none=[] word=go n=3 flag=true', outputs="items,none,word,n,flag"
)
ECHO = step("echo", "out said={{inputs.parameters.v}}", inputs="v", outputs="said")
GO = {"Succeeded": "S", "Failed": "F", "Error": "E", "Skipped": "K", "Omitted": "O"}


class Case(NamedTuple):
    """Templates beside OK, BAD, LIST, ECHO; `phases` as `a S, b F`; "" is the run."""

    name: str
    main: Json
    phases: str
    more: tuple[Json, ...] = ()
    code: int | None = None
    spec: dict[str, Any] = {}  # noqa: RUF012


def item(depends: str = "", **fields: Any) -> Json:
    return task("loop", depends, template="echo", given={"v": "{{item}}"}, **fields)


def inner(*tasks: Json, **fields: Any) -> Json:
    return dag("inner", *tasks, **fields)


AFTER_LIST = task("list")
N = "{{tasks.list.outputs.parameters.n}}"
WORD = "{{tasks.list.outputs.parameters.word}}"
FLAG = "{{tasks.list.outputs.parameters.flag}}"


def when(text: str) -> Json:
    return dag("main", AFTER_LIST, task("b", "list", template="ok", when=text))


CASES = [
    # depends
    Case(
        "bare after success", dag("main", task("ok"), task("b", "ok", template="ok")), "ok S, b S"
    ),
    Case(
        "bare after failure",
        dag("main", task("bad"), task("b", "bad", template="ok")),
        "bad F, b O, =F",
        code=65,
    ),
    Case(
        "bare after skipped runs",
        dag("main", task("a", template="ok", when="1 == 2"), task("b", "a", template="ok")),
        "a K, b S",
    ),
    Case(
        "succeeded after skipped is omitted",
        dag(
            "main", task("a", template="ok", when="1 == 2"), task("b", "a.Succeeded", template="ok")
        ),
        "a K, b O, =S",
    ),
    Case(
        "failed runs after failure",
        dag("main", task("bad"), task("b", "bad.Failed", template="ok")),
        "bad F, b S, =S",
        code=0,
    ),
    Case(
        "failed is omitted after success",
        dag("main", task("ok"), task("b", "ok.Failed", template="ok")),
        "ok S, b O, =S",
    ),
    Case(
        "errored runs after error",
        dag("main", task("a", template="ok", when="a b"), task("b", "a.Errored", template="ok")),
        "a E, b S, =S",
    ),
    Case(
        "skipped names a skipped task",
        dag("main", task("a", template="ok", when="x == y"), task("b", "a.Skipped", template="ok")),
        "a K, b S",
    ),
    Case(
        "omitted names an omitted task",
        dag(
            "main",
            task("bad"),
            task("b", "bad", template="ok"),
            task("c", "b.Omitted", template="ok"),
        ),
        "bad F, b O, c S, =S",
    ),
    Case(
        "or",
        dag(
            "main",
            task("bad"),
            task("ok"),
            task("c", "bad.Succeeded || ok.Succeeded", template="ok"),
        ),
        "bad F, ok S, c S, =S",
    ),
    Case(
        "and with not",
        dag(
            "main",
            task("ok"),
            task("bad"),
            task("c", "ok.Succeeded && !bad.Succeeded", template="ok"),
        ),
        "c S, =S",
    ),
    Case(
        "brackets bind",
        dag(
            "main",
            task("ok"),
            task("bad"),
            task("c", "(ok.Failed || bad.Failed) && ok.Succeeded", template="ok"),
        ),
        "c S",
    ),
    Case(
        "daemoned is never",
        dag("main", task("ok"), task("b", "ok.Daemoned", template="ok")),
        "ok S, b O",
    ),
    Case(
        "names with hyphens",
        dag("main", task("a-b", template="ok"), task("c", "a-b.Succeeded", template="ok")),
        "a-b S, c S",
    ),
    Case(
        "cycle",
        dag("main", task("a", "b", template="ok"), task("b", "a", template="ok")),
        "=E",
        code=78,
    ),
    Case("unknown task", dag("main", task("a", "nobody", template="ok")), "=E", code=78),
    Case(
        "unknown state", dag("main", task("ok"), task("b", "ok.Fine", template="ok")), "=E", code=78
    ),
    # groups
    Case(
        "any succeeded of a loop",
        dag(
            "main",
            AFTER_LIST,
            task("loop", "list", template="maybe", withItems=[0, 65], given={"v": "{{item}}"}),
            task("c", "loop.AnySucceeded", template="ok"),
        ),
        "loop F, loop(0:0) S, loop(1:65) F, c S, =S",
        (step("maybe", "exit {{inputs.parameters.v}} broken", inputs="v"),),
    ),
    Case(
        "all failed of a loop",
        dag(
            "main",
            task("loop", template="bad", withItems=[1, 2]),
            task("c", "loop.AllFailed", template="ok"),
        ),
        "loop F, c S, =S",
    ),
    Case(
        "all failed is false for one",
        dag(
            "main",
            task("loop", template="maybe", withItems=[0, 65], given={"v": "{{item}}"}),
            task("c", "loop.AllFailed", template="ok"),
        ),
        "c O, =F",
        (step("maybe", "exit {{inputs.parameters.v}} broken", inputs="v"),),
        65,
    ),
    Case(
        "any succeeded of a plain task is false",
        dag("main", task("ok"), task("b", "ok.AnySucceeded", template="ok")),
        "b O",
    ),
    # phase of a DAG
    Case(
        "target decides",
        dag("main", task("ok"), task("b", "ok", template="bad"), target="ok"),
        "ok S, =S",
    ),
    Case(
        "what no target needs does not run",
        dag("main", task("ok"), task("bad"), target="ok"),
        "ok S, bad -, =S",
    ),
    Case(
        "two targets, the worst counts",
        dag("main", task("ok"), task("bad"), target="ok bad"),
        "=F",
        code=65,
    ),
    Case(
        "leaves decide without target",
        dag("main", task("bad"), task("b", "bad.Failed", template="ok")),
        "bad F, =S",
        code=0,
    ),
    Case(
        "omitted leaf inherits its worst parent",
        dag("main", task("ok"), task("bad"), task("c", "ok && bad", template="ok")),
        "c O, =F",
        code=65,
    ),
    Case(
        "omitted inherits through omitted",
        dag(
            "main",
            task("bad"),
            task("b", "bad", template="ok"),
            task("c", "b.Succeeded", template="ok"),
        ),
        "b O, c O, =F",
        code=65,
    ),
    Case(
        "skipped leaf inherits a failed parent",
        dag("main", task("bad"), task("b", "bad.Failed", template="ok", when="1 == 2")),
        "b K, =F",
        code=65,
    ),
    Case(
        "fail fast takes the first bad target",
        dag("main", task("a", template="ok", when="a b"), task("bad"), target="a bad"),
        "=E",
        code=78,
    ),
    Case(
        "no fail fast takes the last bad target",
        dag(
            "main",
            task("a", template="ok", when="a b"),
            task("bad"),
            target="a bad",
            failFast=False,
        ),
        "=F",
        code=78,
    ),
    Case(
        "a branch goes on beside a failure",
        dag("main", task("bad"), task("ok"), task("c", "ok", template="ok"), failFast=False),
        "c S, =F",
        code=65,
    ),
    # when
    Case("when true", when(f"{FLAG} == true"), "b S"),
    Case("when false", when(f"{FLAG} == false"), "b K, =S"),
    Case("when words are text", when(f"{WORD} == go"), "b S"),
    Case("when numbers", when(f"{N} > 2 && {N} != 0"), "b S"),
    Case("when number and text differ", when(f"{N} == three"), "b K"),
    Case("when in a list", when(f"{WORD} in (stop, go)"), "b S"),
    Case("when brackets are text", when("[a b] == 'a b'"), "b S"),
    Case("when negated", when(f"!({WORD} == stop)"), "b S"),
    Case("when or", when(f"{WORD} == stop || {N} == 3"), "b S"),
    Case("when empty side is an error", when(" == true"), "b E, =E", code=78),
    Case("when two words are an error", when("go on == true"), "b E, =E", code=78),
    Case("when neither true nor false is an error", when(WORD), "b E, =E", code=78),
    Case("when compares what it cannot", when(f"{WORD} < 3"), "b E, =E", code=78),
    Case(
        "when of an output nobody gave",
        when("{{tasks.list.outputs.parameters.absent}} == 1"),
        "b E, =E",
        code=78,
    ),
    Case(
        "an argument nobody gave",
        dag(
            "main",
            task("a", template="ok", when="1 == 2"),
            task("b", "a", template="echo", given={"v": "{{tasks.a.outputs.parameters.said}}"}),
        ),
        "a K, b E, =E",
        code=78,
    ),
    Case(
        "an argument nobody gave, but when says no",
        dag(
            "main",
            task(
                "b",
                template="echo",
                when="1 == 2",
                given={"v": "{{tasks.a.outputs.parameters.said}}"},
            ),
        ),
        "b K, =S",
    ),
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
    from bft.flow.run import exit_code

    ran = execute(tmp_path, OK, BAD, LIST, ECHO, case.main, *case.more, **case.spec)
    phases = {node: GO[phase] for node, phase in ran.phases().items()}
    for wanted in case.phases.split(", "):
        if wanted.startswith("="):
            assert GO[str(ran.result.phase)] == wanted[1:], ran.result
        else:
            node, _, phase = wanted.rpartition(" ")
            assert phases.get(node, "-") == phase, (node, ran.record.nodes.get(node))
    if case.code is not None:
        assert exit_code(ran.result, None) == case.code
