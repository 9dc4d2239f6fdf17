"""`bft run --only NODE`: what NODE builds on must be finished."""

from collections.abc import Sequence

from bft.domain.errors import DataError
from bft.flow import graph
from bft.flow.expression import depends_on
from bft.flow.plan import Planned
from bft.flow.spec import Template, Workflow


def check(workflow: Workflow, rows: Sequence[Planned], only: str, *, again: str) -> None:
    """Refuse a node alone before whatever it comes after; `again` is the command of the whole.

    Raises:
        DataError: a node it needs would run, or cannot; names the first.
    """
    needed = {name for made in workflow.templates.values() for name in _above(made, only)}
    lacking = (row for row in rows if row.state in {"stale", "error"})
    first = next((row for row in lacking if needed & _names(row.node)), None)
    if first is not None:
        raise DataError(
            f"--only {only} needs {first.node}, which is not finished ({first.why}); run: {again}"
        )


def _above(template: Template, only: str) -> set[str]:
    """Tasks of a graph that come before one of its own."""
    if template.kind != "dag":
        return set()
    parents = {task.name: depends_on(task.depends) for task in graph.wanted(template)}
    found, waiting = set[str](), list(parents.get(only, ()))
    while waiting:
        name = waiting.pop()
        waiting += () if name in found else parents[name]
        found.add(name)
    return found


def _names(path: str) -> set[str]:
    """Tasks on the way to a node: `night.train(0:all)` is below `night` and `train`."""
    return {part.partition("(")[0] for part in path.split(".")}
