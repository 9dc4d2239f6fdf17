"""Phases of nodes and what follows from them: which task may start, what a DAG came to."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from bft.flow.expression import ExpressionError, depends_on, fill, holds, item_name, should_run
from bft.flow.spec import Loop, Task, Template


class Phase(StrEnum):
    """What became of a node, in Argo's words."""

    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    ERROR = "Error"
    SKIPPED = "Skipped"
    OMITTED = "Omitted"
    SUSPENDED = "Suspended"

    @property
    def bad(self) -> bool:
        """Failed or Error."""
        return self in {Phase.FAILED, Phase.ERROR}

    @property
    def completed(self) -> bool:
        """It ran to an end, good or bad; skipped and omitted nodes did not."""
        return self in {Phase.SUCCEEDED, Phase.FAILED, Phase.ERROR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A finished node: its outputs, the exit code that decided, why, and its loop's members."""

    phase: Phase
    outputs: Mapping[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    reason: str = ""
    cached: bool = False
    members: tuple["Result", ...] | None = None


def error(reason: str) -> Result:
    """A node whose description makes no sense; it never ran."""
    return Result(phase=Phase.ERROR, reason=reason, exit_code=78)


def targets(template: Template) -> list[str]:
    """Tasks that decide a DAG: `target`, else those nobody depends on, by name."""
    if template.target:
        return list(template.target)
    needed = {name for task in template.tasks for name in depends_on(task.depends)}
    return sorted(task.name for task in template.tasks if task.name not in needed)


def wanted(template: Template) -> list[Task]:
    """Tasks a DAG runs at all: targets and what they depend on, parents first.

    Raises:
        ExpressionError: a `depends` does not parse or names no task, or the graph has a cycle.
    """
    tasks = {task.name: task for task in template.tasks}
    order: dict[str, Task] = {}

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            raise ExpressionError(f"cycle: {' -> '.join((*path[path.index(name) :], name))}")
        if name not in tasks:
            raise ExpressionError(f"no task {name} (named by {path[-1] if path else 'target'})")
        for parent in depends_on(tasks[name].depends):
            visit(parent, (*path, name))
        order.setdefault(name, tasks[name])

    for name in targets(template):
        visit(name, ())
    if not order:
        visit(template.tasks[0].name, ())  # every task is somebody's parent: names the cycle
    return list(order.values())


def ready(task: Task, results: Mapping[str, Result]) -> bool | None:
    """May the task start: yes, never (it is omitted), or None while a parent is not over."""
    parents = depends_on(task.depends)
    if any(name not in results for name in parents):
        return None
    if not parents:
        return True
    return holds(task.depends, {name: states(results[name]) for name in parents})


def states(result: Result) -> dict[str, bool]:
    """Which states of a `depends` a finished node is in."""
    members = result.members or ()
    return {
        "Succeeded": result.phase is Phase.SUCCEEDED,
        "Failed": result.phase is Phase.FAILED,
        "Errored": result.phase is Phase.ERROR,
        "Skipped": result.phase is Phase.SKIPPED,
        "Omitted": result.phase is Phase.OMITTED,
        "AnySucceeded": any(m.phase is Phase.SUCCEEDED for m in members),
        "AllFailed": bool(members) and all(m.phase is Phase.FAILED for m in members),
    }


def dag_phase(template: Template, results: Mapping[str, Result]) -> Phase:
    """Phase of a finished DAG: that of its targets; skipped and omitted ones inherit.

    With `failFast` the first bad target counts, without it the last one.
    """
    parents = {task.name: depends_on(task.depends) for task in template.tasks}
    found = [inherited(name, parents, results) for name in targets(template)]
    bad = [phase for phase in found if phase.bad]
    if not bad:
        return Phase.SUCCEEDED
    return bad[0] if template.fail_fast else bad[-1]


def inherited(
    name: str, parents: Mapping[str, Sequence[str]], results: Mapping[str, Result]
) -> Phase:
    """Phase of a task, or for one that never ran the worst of its parents'."""
    if results[name].phase.completed:
        return results[name].phase
    above = [inherited(parent, parents, results) for parent in parents[name]]
    return next((phase for phase in above if phase.bad), Phase.SUCCEEDED)


def group_phase(members: Sequence[Result]) -> Phase:
    """Phase of a loop: the last bad member's, else Succeeded."""
    bad = [member.phase for member in members if member.phase.bad]
    return bad[-1] if bad else Phase.SUCCEEDED


def items_of(loop: Loop, when: str, values: Mapping[str, str]) -> list[object]:
    """Items a loop runs over.

    Raises:
        ExpressionError: `withParam` is no JSON list, `withSequence` counts to no number, and
            `when` does not already say no.
    """
    if loop.items is not None:
        return list(loop.items)
    text = fill(str(loop.param if loop.param is not None else loop.count), values)
    try:
        found = json.loads(text) if loop.param is not None else [str(n) for n in range(int(text))]
    except ValueError:
        found = None
    if isinstance(found, list):
        return found
    if _refused(when):
        return []
    source = "withParam" if loop.param is not None else "withSequence"
    raise ExpressionError(f"{source}: {text[:80]!r} is no list")


def _refused(when: str) -> bool:
    try:
        return not should_run(when)
    except ExpressionError:
        return False


def expanded(name: str, items: Sequence[object]) -> Iterator[tuple[str, object]]:
    """Names of a loop's nodes, each with its item: `train(0:reg_3d)`."""
    for place, item in enumerate(items):
        yield f"{name}({place}:{item_name(item)})", item


def output_values(name: str, result: Result, *, prefix: str = "tasks") -> dict[str, str]:
    """Tags a finished task supplies to those after it; a loop supplies JSON lists."""
    values = {f"{prefix}.{name}.status": str(result.phase)}
    here = f"{prefix}.{name}.outputs.parameters"
    if result.members is None:
        return values | {f"{here}.{key}": text for key, text in result.outputs.items()}
    ran = [dict(member.outputs) for member in result.members if member.outputs]
    keys = sorted({key for outputs in ran for key in outputs})
    lists = {f"{here}.{key}": json.dumps([o[key] for o in ran if key in o]) for key in keys}
    return values | lists | ({here: json.dumps(ran)} if ran else {})
