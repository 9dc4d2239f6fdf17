"""Small graphs, each with the phases Argo gives it: one row per rule of the local engine."""

from pathlib import Path

import pytest
from graph_cases import (
    AFTER_LIST,
    FLAG,
    WORD,
    Case,
    N,
    check,
    when,
)
from graphs import dag, step, task

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
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_graph_has_the_phases_of_argo(case: Case, tmp_path: Path) -> None:
    check(case, tmp_path)
