"""Fields and their types: WF001, WF002, WF003, WF056, against Argo's own schema."""

import json
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from bft.flow.lint.document import Document, Place, Problem

KINDS = ("WorkflowTemplate", "CronWorkflow", "Workflow")
API = "argoproj.io/v1alpha1"
_REFUSED_ELSEWHERE = {"script", "hostNetwork", "hostPID"}
_SCALARS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "bool": (bool,),
    "float": (int, float),
    "quantity": (str, int, float),
}


@cache
def _schema() -> dict[str, dict[str, str]]:
    text = Path(__file__).with_name("argo.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, str]] = json.loads(text)
    return found


def check_fields(document: Document) -> Iterator[Problem]:
    """Problems of kind, fields, types and required fields."""
    if document.kind not in KINDS or document.body.get("apiVersion") != API:
        found = f"{document.body.get('apiVersion')} {document.kind}"
        yield "WF003", (), f"{found} is not run", f"one of {', '.join(KINDS)} of {API}"
        return
    yield from _object((), document.body, document.kind)


def _object(place: Place, value: object, kind: str) -> Iterator[Problem]:
    fields = _schema()[kind]
    if not isinstance(value, dict):
        yield "WF002", place, f"{_shown(value)} where {kind} is due", f"a mapping: {kind}"
        return
    for key, inner in value.items():
        if key not in fields:
            near = get_close_matches(str(key), fields, n=1)
            fix = f"did you mean {near[0]}?" if near else f"fields of {kind}: {', '.join(fields)}"
            yield "WF001", (*place, key), f"{kind} has no field {key}", fix
        elif fields[key] == "!":
            if key not in _REFUSED_ELSEWHERE:
                fix = "remove it; the accepted subset is in the platform specification, 2.1"
                yield "WF056", (*place, key), f"{kind}.{key} is outside what bft runs", fix
        else:
            yield from _value((*place, key), inner, fields[key].rstrip("*"))
    for key, wanted in fields.items():
        if wanted.endswith("*") and key not in value:
            fix = f"add {key}: {wanted.rstrip('*')}"
            yield "WF002", place, f"{kind} needs {key}", fix


def _value(place: Place, value: object, kind: str) -> Iterator[Problem]:
    inner = kind[1:-1]
    if kind.startswith("[") and isinstance(value, list):
        for n, item in enumerate(value):
            yield from _value((*place, n), item, inner)
    elif kind.startswith("{") and isinstance(value, dict):
        for key, item in value.items():
            yield from _value((*place, key), item, inner)
    elif kind in _schema():
        yield from _object(place, value, kind)
    elif not _fits(value, kind):
        shape = {"[": "a list of " + inner, "{": "a mapping to " + inner}.get(kind[0], kind)
        yield "WF002", place, f"{_shown(value)} where {shape} is due", f"a value of type {shape}"


def _fits(value: object, kind: str) -> bool:
    if kind == "any":
        return True
    allowed = [t for word in kind.split("|") for t in _SCALARS.get(word, ())]
    if isinstance(value, bool):
        return bool in allowed
    return isinstance(value, tuple(allowed))


def _shown(value: Any) -> str:
    return f"{type(value).__name__} {str(value)[:40]!r}"
