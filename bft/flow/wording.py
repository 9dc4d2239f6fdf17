"""Conditions of a graph in words: what a node waits for, why it was skipped or left out.

A template may say it itself (annotations `bft.dev/runs-if` and `bft.dev/skipped-as`), for only its
author knows that `missing_count` 0 is "no model is missing"; any other condition is read out.
"""

from collections.abc import Callable, Iterator, Mapping

from bft.flow.expression import (
    ExpressionError,
    Tree,
    holds,
    names_in,
    parse_depends,
    parse_when,
    substitute,
    tags_in,
)
from bft.flow.graph import Phase, Result, states
from bft.flow.spec import Task, Template

BECAME = {
    Phase.SUCCEEDED: "succeeded",
    Phase.FAILED: "failed",
    Phase.ERROR: "failed",
    Phase.SKIPPED: "was skipped",
    Phase.OMITTED: "did not run",
}
"""What became of a node, after its name."""
_BAD = frozenset({"Failed", "Errored", "AllFailed"})
_BECOMES = dict.fromkeys(_BAD, "fails") | {
    "Succeeded": "succeeds",
    "AnySucceeded": "succeeds",
    "Skipped": "is skipped",
    "Omitted": "does not run",
    "Daemoned": "serves",
    "": "succeeds or is skipped",
}
_RELATIONS = {
    "==": "is",
    "!=": "is not",
    "<": "is below",
    "<=": "is at most",
    ">": "is above",
    ">=": "is at least",
    "in": "is one of",
}


def skipped(task: Task, template: Template, values: Mapping[str, str]) -> str:
    """Why a node is skipped: its `when`, filled with `values`, said no."""
    if template.skipped_as:
        return template.skipped_as
    found = [f"{_called(tag)} is {values[tag]}" for tag in tags_in(task.when) if tag in values]
    return "; ".join([f"only if {_read_when(task.when)}", *dict.fromkeys(found)])


def empty(task: Task, template: Template) -> str:
    """Why a loop has no node: there is nothing in its list."""
    return template.skipped_as or f"{_source(task)} is empty"


def waits_for_value(task: Task, template: Template) -> str:
    """What a node or loop hangs on whose condition or list no finished node supplies yet."""
    if template.runs_if:
        return f"only if {template.runs_if}"
    if task.when:
        return f"only if {_read_when(task.when)}"
    return f"one node for each of {_source(task)}"


def waits_for(depends: str) -> str:
    """What must become of others first, which they need not come to: a failure, a run at all."""
    return f"only if {_read_depends(parse_depends(depends))}"


def omitted(depends: str, results: Mapping[str, Result]) -> str:
    """Why a node never starts, its parents being over."""
    tree = parse_depends(depends)
    asked = list(names_in(tree))
    if all(name.partition(".")[2] in _BAD for name in asked):
        names = list(dict.fromkeys(name.partition(".")[0] for name in asked))
        return f"{' and '.join(names)} did not fail"
    over = {name: states(result) for name, result in results.items()}
    unmet = [clause for clause in _flat(tree, "&&") if not holds(clause, over)]
    found = dict.fromkeys(name.partition(".")[0] for clause in unmet for name in names_in(clause))
    return ", ".join(f"{name} {BECAME[results[name].phase]}" for name in found)


def _flat(tree: Tree, kind: str) -> Iterator[Tree]:
    """Parts that one operator joins, however deep it is nested."""
    if tree[0] == kind:
        for part in tree[1:]:
            yield from _flat(part, kind)
    else:
        yield tree


def _listed(tree: Tree, read: Callable[[Tree], str]) -> str:
    """Parts joined by `and` or `or`, none of them said twice."""
    parts = dict.fromkeys(read(part) for part in _flat(tree, tree[0]))
    return (" and " if tree[0] == "&&" else " or ").join(parts)


def _read_depends(tree: Tree) -> str:
    kind, *parts = tree
    if kind == "name":
        name, _, state = parts[0].partition(".")
        return f"{name} {_BECOMES[state]}"
    if kind == "!":
        return f"not ({_read_depends(parts[0])})"
    return _listed(tree, _read_depends)


def _read_when(when: str) -> str:
    named = {tag: f'"{_called(tag)}"' for tag in tags_in(when)}
    try:
        return _read(parse_when(substitute(when, named)))
    except ExpressionError:
        return substitute(when, {tag: _called(tag) for tag in named})


def _read(tree: Tree) -> str:
    kind, *parts = tree
    if kind in {"value", "name"}:
        return f"{parts[0]:g}" if isinstance(parts[0], float) else str(parts[0])  # 2, not 2.0
    if kind == "list":
        return ", ".join(_read(part) for part in parts)
    if kind == "!":
        return f"not ({_read(parts[0])})"
    if kind in _RELATIONS:
        return f"{_read(parts[0])} {_RELATIONS[kind]} {_read(parts[1])}"
    return _listed(tree, _read)


def _source(task: Task) -> str:
    """What a loop runs over."""
    loop = task.loop
    text = str(loop.param or loop.count or "") if loop else ""
    return substitute(text, {tag: _called(tag) for tag in tags_in(text)}) or "its list"


def _called(tag: str) -> str:
    """How a tag is called: `missing_count of build`, `forecasts`."""
    kind, *parts = tag.split(".")
    return f"{parts[-1]} of {parts[0]}" if kind in {"tasks", "steps"} else tag.rpartition(".")[2]
