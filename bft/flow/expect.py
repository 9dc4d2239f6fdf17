"""How long nodes usually take, from the last good runs; how long is left."""

from collections.abc import Mapping
from pathlib import Path
from statistics import median

from bft.flow import graph
from bft.flow.context import join
from bft.flow.expression import ExpressionError, depends_on
from bft.flow.spec import Template, Workflow
from bft.flow.state import RunRecord, runs

LAST = 5


def usual_seconds(root: Path, workflow: str) -> dict[str, float]:
    """Median seconds of each node (loops: its longest member) over the last five good runs."""
    good = [r for r in runs(root) if r.workflow == workflow and r.phase == "Succeeded"][-LAST:]
    found: dict[str, list[float]] = {}
    for record in good:
        for node, took_s in _ran(record).items():
            found.setdefault(node, []).append(took_s)
    return {node: median(values) for node, values in found.items()}


def _ran(record: RunRecord) -> dict[str, float]:
    found: dict[str, float] = {}
    for node, line in record.nodes.items():
        if line["event"] == "finished" and line.get("seconds") is not None:
            name = node.partition("(")[0]
            found[name] = max(found.get(name, 0.0), float(line["seconds"]))
    return found


def left_s(
    workflow: Workflow, usual_s: Mapping[str, float], spent_s: Mapping[str, float]
) -> float | None:
    """Seconds on the longest path of what is not over; None where nothing is known.

    `spent_s` has the running seconds of running nodes and `inf` for those that are over.
    """
    if not usual_s:
        return None
    try:
        entry = workflow.templates[workflow.entrypoint]
        return _longest(workflow, "", entry, usual_s, spent_s)
    except ExpressionError:
        return None


def _longest(
    workflow: Workflow,
    path: str,
    template: Template,
    usual_s: Mapping[str, float],
    spent_s: Mapping[str, float],
) -> float:
    if spent_s.get(path) == float("inf"):
        return 0.0
    if template.kind == "steps":
        groups = [
            [
                _longest(
                    workflow,
                    join(f"{path}[{n}]", t.name),
                    workflow.templates[t.template],
                    usual_s,
                    spent_s,
                )
                for t in group
            ]
            for n, group in enumerate(template.steps)
        ]
        return sum(max(group, default=0.0) for group in groups)
    if template.kind != "dag":
        return max(0.0, usual_s.get(path, 0.0) - spent_s.get(path, 0.0))
    ends: dict[str, float] = {}
    for task in graph.wanted(template):
        own = _longest(
            workflow, join(path, task.name), workflow.templates[task.template], usual_s, spent_s
        )
        parents = depends_on(task.depends)
        ends[task.name] = own + max((ends[name] for name in parents), default=0.0)
    return max(ends.values(), default=0.0)
