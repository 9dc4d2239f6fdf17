"""Parameters, outputs, loops and expressions: WF015 to WF025."""

import json
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from bft.flow.expression import (
    ExpressionError,
    names_in,
    parse_retry,
    should_run,
    substitute,
    tags_in,
)
from bft.flow.lint.document import (
    Document,
    Place,
    Problem,
    listing,
    mapping,
    parameters,
    tags,
    upstream,
)

CONFIG_KEYS = {
    "bft-workflow": frozenset(
        "root image image-train source model-profile compute gates gates-first approvals quorum "
        "must mode positions models pod-light pod-heavy pod-score pod-train".split()
    ),
    "bft-limits": frozenset({"train", "pull"}),
}
"""ConfigMap keys that the chart writes (platform specification, 1.5)."""
_LAST_RETRY = frozenset(f"lastRetry.{n}" for n in ("exitCode", "status", "duration", "message"))


def undeclared(document: Document) -> Iterator[Problem]:
    """WF015: a reference to a parameter that nothing declares."""
    declared = {str(p.get("name")) for p in parameters(document.spec.get("arguments"))}
    for place, text in document.texts():
        inputs = _inputs_at(document, place)
        for tag in tags_in(text):
            scope, _, name = tag.rpartition(".")
            if scope == "workflow.parameters" and name not in declared:
                yield (
                    "WF015",
                    place,
                    f"workflow parameter {name} is not declared",
                    _add(name, declared),
                )
            if scope == "inputs.parameters" and name not in inputs:
                yield "WF015", place, f"input {name} is not declared here", _add(name, inputs)


def read_outputs(document: Document) -> Iterator[Problem]:
    """WF016, WF017: outputs are read from upstream only, and are declared there."""
    for place, task, template in document.tasks():
        tasks = [mapping(t) for t in listing(mapping(template.get("dag")).get("tasks"))]
        by_name = {str(t.get("name")): t for t in tasks}
        above = upstream(tasks, str(task.get("name")))
        for source, key in _reads(task):
            target = document.template(by_name.get(source, {}).get("template"))
            made = {str(p.get("name")) for p in parameters((target or {}).get("outputs"))}
            if tasks and source not in above:
                what = f"{task.get('name')} reads {source}, which it does not wait for"
                yield "WF016", place, what, f"add {source} to depends"
            elif target is not None and key not in made:
                yield "WF017", place, f"{source} has no output {key}", f"outputs: {sorted(made)}"


def made_outputs(
    document: Document, verb_outputs: Mapping[str, frozenset[str]]
) -> Iterator[Problem]:
    """WF017: a declared output is one that the container's verbs put out."""
    for place, template in document.containers():
        known = verb_outputs.get(json.dumps(listing(template["container"].get("args"))))
        for n, output in enumerate(parameters(template.get("outputs"))):
            if known is not None and output.get("name") not in known:
                where = (*place, "outputs", "parameters", n)
                what = f"its verbs put out no {output.get('name')}"
                yield "WF017", where, what, f"keys: {', '.join(sorted(known)) or 'none'}"


def _reads(task: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for tag in tags(task):
        parts = tag.split(".")
        if parts[0] in {"tasks", "steps"} and len(parts) == 5:
            yield parts[1], parts[4]


def supplied(document: Document) -> Iterator[Problem]:
    """WF018, WF019: tasks hand templates what they take."""
    for place, task, _ in document.tasks():
        target = document.template(task.get("template"))
        if target is None:
            continue
        takes = {str(p.get("name")): p for p in parameters(target.get("inputs"))}
        given = {str(p.get("name")) for p in parameters(task.get("arguments"))}
        for name, parameter in takes.items():
            if name not in given and not {"value", "default", "valueFrom"} & set(parameter):
                yield (
                    "WF018",
                    place,
                    f"input {name} of {task.get('template')} is not given",
                    (f"arguments.parameters: {name}"),
                )
        for name in sorted(given - set(takes)):
            what = f"{task.get('template')} takes no {name}"
            yield "WF019", place, what, f"remove it; it takes {sorted(takes)}"


def unused(document: Document) -> Iterator[Problem]:
    """WF020: declared and never read."""
    used = {tag for _, text in document.texts() for tag in tags_in(text)}
    place: Place
    for n, parameter in enumerate(parameters(document.spec.get("arguments"))):
        name = parameter.get("name")
        if f"workflow.parameters.{name}" not in used and document.kind != "CronWorkflow":
            place = ("spec", "arguments", "parameters", n)
            yield "WF020", place, f"workflow parameter {name} is never read", "delete it"
    read = {tuple(tag.split(".")[1::3]) for tag in used if tag.startswith(("tasks.", "steps."))}
    ran: dict[str, set[str]] = {}
    for _, task, _ in document.tasks():
        ran.setdefault(str(task.get("template")), set()).add(str(task.get("name")))
    for place, template in document.templates():
        inside = tags(template)
        for n, parameter in enumerate(parameters(template.get("inputs"))):
            if f"inputs.parameters.{parameter.get('name')}" not in inside:
                where = (*place, "inputs", "parameters", n)
                yield "WF020", where, f"input {parameter.get('name')} is never read", "delete it"
        unread = [
            str(output.get("name"))
            for output in parameters(template.get("outputs"))
            if not any((task, output.get("name")) in read for task in ran.get(template["name"], ()))
        ]
        if unread:
            where = (*place, "outputs")
            yield "WF020", where, f"outputs {', '.join(unread)} are never read", "delete them"


def loops(document: Document) -> Iterator[Problem]:
    """WF021, WF022: what a task is repeated over, and where `item` may stand."""
    for place, task, _ in document.tasks():
        items, param = task.get("withItems"), task.get("withParam")
        if items is not None and not isinstance(items, list):
            yield "WF021", (*place, "withItems"), "withItems is no list", "a YAML list"
        if param is not None and not _lists(str(param)):
            what = f"withParam {param!r} is no list"
            yield "WF021", (*place, "withParam"), what, "an output or parameter, or a JSON list"
        keys = {k for item in listing(items) if isinstance(item, dict) for k in item}
        for tag in tags(task):
            if tag.split(".")[0] != "item":
                continue
            key = tag.partition(".")[2]
            if not {"withItems", "withParam", "withSequence"} & set(task):
                yield "WF022", place, "{{item}} outside a loop", "withItems or withParam"
            elif key and items is not None and key not in keys:
                yield "WF022", place, f"items have no key {key}", f"keys: {sorted(keys)}"


def expressions(document: Document) -> Iterator[Problem]:
    """WF023: `when` and retry expressions parse and know their variables."""
    for place, task, _ in document.tasks():
        if task.get("when") is not None:
            yield from _when((*place, "when"), str(task["when"]))
    for place, template in document.templates():
        text = mapping(template.get("retryStrategy")).get("expression")
        if text is not None:
            yield from _retry_expression((*place, "retryStrategy", "expression"), str(text))
    for place, text in document.texts():
        if "{{=" in text:
            yield "WF023", place, "{{= }} is not run", "a plain {{tag}}"


def _retry_expression(place: Place, text: str) -> Iterator[Problem]:
    try:
        odd = sorted(set(names_in(parse_retry(text))) - _LAST_RETRY - {"true", "false"})
    except ExpressionError as error:
        yield "WF023", place, str(error), "comparisons, and, or, not, in over lastRetry"
        return
    if odd:
        yield "WF023", place, f"unknown variable {odd[0]}", ", ".join(sorted(_LAST_RETRY))


def defaults(document: Document) -> Iterator[Problem]:
    """WF024, WF025: workflow parameters have a value, from keys that exist."""
    place: Place
    for n, parameter in enumerate(parameters(document.spec.get("arguments"))):
        place = ("spec", "arguments", "parameters", n)
        source = mapping(parameter.get("valueFrom"))
        if "value" not in parameter and "default" not in {*source, *parameter}:
            what = f"parameter {parameter.get('name')} has neither value nor default"
            yield "WF024", place, what, "valueFrom.default"
    for place, ref in _config_refs((), document.body):
        keys = CONFIG_KEYS.get(str(ref.get("name")), frozenset())
        if ref.get("key") not in keys:
            what = f"the chart writes no key {ref.get('key')} in ConfigMap {ref.get('name')}"
            yield "WF025", place, what, _add(str(ref.get("key")), keys)


def _when(place: Place, text: str) -> Iterator[Problem]:
    sample = {tag: "x" if not tag.endswith("_count") else "1" for tag in tags_in(text)}
    try:
        should_run(substitute(text, sample))
    except ExpressionError as error:
        yield "WF023", place, str(error), "comparisons, and, or, not, in on substituted text"


def _lists(param: str) -> bool:
    if param.startswith("{{") and param.endswith("}}") and len(tags_in(param)) == 1:
        return ".parameters." in param
    try:
        return isinstance(json.loads(param), list)
    except ValueError:
        return False


def _config_refs(place: Place, value: object) -> Iterator[tuple[Place, dict[str, Any]]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "configMapKeyRef":
                yield (*place, key), mapping(inner)
            yield from _config_refs((*place, key), inner)
    elif isinstance(value, list):
        for n, inner in enumerate(value):
            yield from _config_refs((*place, n), inner)


def _inputs_at(document: Document, place: Place) -> set[str]:
    if place[:2] != ("spec", "templates") or len(place) < 3:
        return set()
    template = mapping(document.spec["templates"][place[2]])
    return {str(p.get("name")) for p in parameters(template.get("inputs"))}


def _add(name: str, known: set[str] | frozenset[str]) -> str:
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else f"declare {name}"
