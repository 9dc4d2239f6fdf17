"""Names and the graph: WF004 to WF014, WF039, WF040, WF058, WF060."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from bft.flow.expression import (
    STATES,
    ExpressionError,
    depends_on,
    holds,
    names_in,
    parse_depends,
)
from bft.flow.lint.document import (
    Document,
    Place,
    Problem,
    listing,
    mapping,
    parents,
    upstream,
)

_DNS = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_MOST_PODS = {"nightly": 4, "market-hours": 3}
_TOLERANT = ("Failed", "Errored")


def names(document: Document) -> Iterator[Problem]:
    """WF004, WF058: legal and short enough."""
    full = str(mapping(document.body.get("metadata")).get("name", ""))
    limit = 52 if document.kind == "CronWorkflow" else 63
    found: list[tuple[Place, str, int]] = [(("metadata", "name"), full, limit)]
    found += [((*p, "name"), str(t.get("name", "")), 63) for p, t in document.templates()]
    found += [((*p, "name"), str(t.get("name", "")), 63) for p, t, _ in document.tasks()]
    for place, name, most in found:
        if not _DNS.fullmatch(name):
            legal = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "name"
            yield "WF004", place, f"{name!r} is no DNS-1123 name", f"for example {legal}"
        elif len(name) > most:
            rule = "WF004" if place == ("metadata", "name") else "WF058"
            yield rule, place, f"{name!r} has {len(name)} characters", f"at most {most}"
    for place, template in document.containers():
        for key, value in mapping(mapping(template.get("metadata")).get("labels")).items():
            if len(str(value)) > 63 and "{{" not in str(value):
                where = (*place, "metadata", "labels", key)
                yield "WF058", where, f"label {key} is {len(str(value))} long", "at most 63"


def duplicates(document: Document) -> Iterator[Problem]:
    """WF006: two of one name."""
    seen = Counter(str(template.get("name")) for _, template in document.templates())
    for place, template in document.templates():
        if seen[str(template.get("name"))] > 1:
            yield "WF006", place, f"template {template.get('name')} is there twice", "rename one"
            seen[str(template.get("name"))] = 0
        tasks = [str(task.get("name")) for _, task in _own_tasks(place, template)]
        for name, count in Counter(tasks).items():
            if count > 1:
                yield "WF006", place, f"task {name} is there twice", "rename one"


def entry(document: Document) -> Iterator[Problem]:
    """WF005: entrypoint and exit handler exist."""
    if document.kind == "CronWorkflow":
        return
    known = [str(template.get("name")) for _, template in document.templates()]
    for key in ("entrypoint", "onExit"):
        name = document.spec.get(key)
        if (name is None and key == "entrypoint") or (name is not None and name not in known):
            yield "WF005", ("spec", key), f"{key} {name} is no template", _nearest(name, known)


def unreached(document: Document) -> Iterator[Problem]:
    """WF012: everything is reached from the entrypoint or the exit handler."""
    if document.kind == "CronWorkflow":
        return
    reached, todo = set[str](), [str(document.spec.get(key)) for key in ("entrypoint", "onExit")]
    while todo:
        name = todo.pop()
        template = document.template(name)
        if name in reached or template is None:
            continue
        reached.add(name)
        todo += [str(task.get("template")) for _, task in _own_tasks((), template)]
    for place, template in document.templates():
        if template.get("name") not in reached:
            yield "WF012", place, f"nothing runs template {template.get('name')}", "delete it"


def references(document: Document, files: Mapping[str, Sequence[str]]) -> Iterator[Problem]:
    """WF007, WF008: templates that tasks name; `files` maps a workflow to its templates."""
    known = [str(template.get("name")) for _, template in document.templates()]
    for place, task, _ in document.tasks():
        ref = mapping(task.get("templateRef"))
        if ref:
            if str(ref.get("template")) not in files.get(str(ref.get("name")), ()):
                where = f"searched: {', '.join(sorted(files)) or 'nothing'}"
                what = f"{ref.get('name')}/{ref.get('template')} is not in this folder"
                yield "WF008", (*place, "templateRef"), what, where
        elif task.get("template") not in known:
            fix = _nearest(task.get("template"), known)
            yield "WF007", (*place, "template"), f"no template {task.get('template')}", fix


def edges(document: Document) -> Iterator[Problem]:
    """WF009, WF010, WF011, WF013, WF014: `depends`, cycles, targets."""
    for place, template in document.templates():
        if "dag" in template and "steps" in template:
            yield "WF013", place, "a template is a dag or steps, not both", "keep one"
        tasks = [task for _, task in _own_tasks(place, template)]
        known = [str(task.get("name")) for task in tasks]
        broken = False
        for where, task in _own_tasks(place, template):
            if "dependencies" in task:
                fix = f"depends: {' && '.join(map(str, listing(task['dependencies'])))}"
                yield "WF013", where, "dependencies are the older form", fix
            for problem in _depends(where, task, known):
                broken = True
                yield problem
        if not broken:
            yield from _cycle(place, tasks)
            yield from _target(place, template, tasks)


def _depends(place: Place, task: Mapping[str, Any], known: list[str]) -> Iterator[Problem]:
    try:
        named = depends_on(str(task.get("depends") or ""))
    except ExpressionError as error:
        yield "WF010", (*place, "depends"), str(error), f"states: {', '.join(STATES)}"
        return
    for name in [*named, *map(str, listing(task.get("dependencies")))]:
        if name not in known:
            yield "WF009", (*place, "depends"), f"no task {name}", _nearest(name, known)


def _cycle(place: Place, tasks: Sequence[Mapping[str, Any]]) -> Iterator[Problem]:
    for task in tasks:
        name = str(task.get("name"))
        around = upstream(tasks, name)
        if name in around:
            ring = [*sorted(n for n in around if name in upstream(tasks, n)), name]
            yield "WF011", place, f"{' -> '.join(ring)} wait for each other", "cut one depends"
            return


def _target(
    place: Place, template: Mapping[str, Any], tasks: Sequence[Mapping[str, Any]]
) -> Iterator[Problem]:
    wanted = str(mapping(template.get("dag")).get("target") or "").split()
    known = [str(task.get("name")) for task in tasks]
    where = (*place, "dag", "target")
    for name in wanted:
        if name not in known:
            yield "WF014", where, f"target {name} is no task", _nearest(name, known)
            return
    leaves = set(known) - {parent for task in tasks for parent in parents(task)}
    unseen = sorted(leaves - set(wanted)) if wanted else []
    if unseen:
        what = f"{', '.join(unseen)} may fail and the graph succeeds all the same"
        yield "WF014", where, what, f"add {' '.join(unseen)} to target"


def skipped(document: Document) -> Iterator[Problem]:
    """WF040: a bare `depends` on a task with `when` also runs when that task was skipped."""
    for place, template in document.templates():
        tasks = {str(task.get("name")): task for _, task in _own_tasks(place, template)}
        for where, task in _own_tasks(place, template):
            try:
                named = list(names_in(parse_depends(str(task.get("depends")))))
            except ExpressionError:
                continue
            for name in named:
                if "." not in name and tasks.get(name, {}).get("when"):
                    what = f"{task.get('name')} runs although {name} may be skipped"
                    fix = f"depends: {name}.Succeeded, or move the when up"
                    yield "WF040", (*where, "depends"), what, fix


def fans(document: Document) -> Iterator[Problem]:
    """WF039: nine trainings fan out; one failure must not lose eight, and somebody must count."""
    for place, template in document.templates():
        pairs = _own_tasks(place, template)
        for where, task in pairs:
            if not {"withItems", "withParam"} & set(task) or not _trains(document, task):
                continue
            name = str(task.get("name"))
            after = [t for _, t in pairs if name in parents(t)]
            tolerant = [t for t in after if f"{name}.Failed" in str(t.get("depends"))]
            counted = any(_counts(document, t) for t in tolerant)
            if not tolerant or not counted:
                what = f"what follows the fan-out {name} must tolerate failures and count them"
                fix = f"depends on any state of {name}, and a quorum or gate in it"
                yield "WF039", where, what, fix


def pods(document: Document) -> Iterator[Problem]:
    """WF060: an ordinary run starts few pods."""
    most = _MOST_PODS.get(document.name)
    if most is None or document.kind == "CronWorkflow":
        return
    count = _ordinary_pods(document, str(document.spec.get("entrypoint")), set())
    if count > most:
        what = f"an ordinary run starts {count} step pods"
        yield "WF060", ("spec",), what, f"chain light steps; at most {most}"


def _ordinary_pods(document: Document, name: str, seen: set[str]) -> int:
    template = document.template(name)
    if template is None or name in seen:
        return 0
    if "container" in template:
        return 1
    tasks = {str(t.get("name")): t for _, t in _own_tasks((), template)}
    ordinary = [t for t in tasks.values() if not _conditional(t, tasks, guard=len(tasks) == 2)]
    inner = (str(task.get("template")) for task in ordinary)
    return sum(_ordinary_pods(document, one, seen | {name}) for one in inner)


def _conditional(
    task: Mapping[str, Any], tasks: Mapping[str, Mapping[str, Any]], *, guard: bool
) -> bool:
    if (task.get("when") and not guard) or {"withItems", "withParam"} & set(task):
        return True
    text = str(task.get("depends") or "")
    named = parents(task)
    if text and named and not holds(text, {name: {"Succeeded": True} for name in named}):
        return True  # it is there for a failure
    strict = [n for n in named if f"{n}.Succeeded" in text and f"{n}.Skipped" not in text]
    return any(_conditional(tasks[n], tasks, guard=guard) for n in strict if n in tasks)


def _trains(document: Document, task: Mapping[str, Any]) -> bool:
    return _first_word(document, task) == "train"


def _counts(document: Document, task: Mapping[str, Any]) -> bool:
    template = document.template(task.get("template")) or {}
    args = [str(word) for word in listing(mapping(template.get("container")).get("args"))]
    text = " ".join(args)
    return "workflow quorum" in text or text.startswith("gate ") or " gate " in f" {text}"


def _first_word(document: Document, task: Mapping[str, Any]) -> str:
    template = document.template(task.get("template")) or {}
    args = listing(mapping(template.get("container")).get("args"))
    return str(args[0]) if args else ""


def _own_tasks(place: Place, template: Mapping[str, Any]) -> list[tuple[Place, dict[str, Any]]]:
    found: list[tuple[Place, dict[str, Any]]] = [
        ((*place, "dag", "tasks", n), mapping(task))
        for n, task in enumerate(listing(mapping(template.get("dag")).get("tasks")))
    ]
    for n, group in enumerate(listing(template.get("steps"))):
        for k, task in enumerate(group if isinstance(group, list) else [group]):
            found.append(((*place, "steps", n, k), mapping(task)))
    return found


def _nearest(name: object, known: Sequence[str]) -> str:
    near = get_close_matches(str(name), known, n=1)
    return f"did you mean {near[0]}?" if near else f"known: {', '.join(known) or 'none'}"
