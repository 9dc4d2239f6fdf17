"""Small graphs with the phases Argo gives them, and how one is checked."""

from pathlib import Path
from typing import Any, NamedTuple

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


def check(case: Case, folder: Path) -> None:
    """Run a case; its nodes end in its phases, the run with its exit code."""
    from bft.flow.run import exit_code

    ran = execute(folder, OK, BAD, LIST, ECHO, case.main, *case.more, **case.spec)
    phases = {node: GO[phase] for node, phase in ran.phases().items()}
    for wanted in case.phases.split(", "):
        if wanted.startswith("="):
            assert GO[str(ran.result.phase)] == wanted[1:], ran.result
        else:
            node, _, phase = wanted.rpartition(" ")
            assert phases.get(node, "-") == phase, (node, ran.record.nodes.get(node))
    if case.code is not None:
        assert exit_code(ran.result, None) == case.code
