"""What is wrong with a field: what was given, and what is wanted, in words of ours.

The library's own texts name its classes, and say nothing of what came. Kinds of errors: pydantic,
"Validation Errors". Source: style, rule 11; executor specification, section 15.
"""

import json
import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

GIVEN_CHARS = 40
SECRET = frozenset({"token", "authorization"})
"""Fields that are never told back."""
_PLACES = frozenset({"query", "header", "path"})
_WHOLE = "a whole number"
_WANTED = {
    "model_type": "a JSON object, as {{...}}",
    "extra_forbidden": "no such field; docs/api.md lists those there are",
    "missing": "must be there",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": _WHOLE,
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text in double quotes",
    "list_type": "a list, as [...]",
    "dict_type": "an object, as {{...}}",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} characters",
    "too_long": "at most {max_length} of them",
    "too_short": "at least {min_length} of them",
}
_UNTOLD = frozenset({"missing", "extra_forbidden"})
_PATTERNS = {
    r"^[\x21-\x7e]+$": "printable ASCII without spaces",
    r"^[a-z0-9_.-]{1,32}$": "1 to 32 of a-z, 0-9, _ . -",
    r"^[0-9a-f]{8,64}$": "8 to 64 digits of a digest, 0-9 and a-f",
}


def worded(errors: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Errors of a model as details of an answer: field, what was given, what is wanted."""
    return [
        {"field": _field(error["loc"]), "message": _wanted(error), "given": _given(error)}
        for error in errors
    ]


def sentence(detail: Mapping[str, Any]) -> str:
    """A detail as one line."""
    given = f" {detail['given']}" if detail["given"] is not None else ""
    return f"{detail['field'] or 'body'}{given}: {detail['message']}"


def _field(loc: Iterable[str | int]) -> str:
    names = [str(name) for name in loc]
    return ".".join(names[1:] if len(names) > 1 and names[0] in _PLACES else names)


def _wanted(error: Mapping[str, Any]) -> str:
    kind, context = error["type"], error.get("ctx") or {}
    if kind == "literal_error":
        return str(context["expected"]).replace("'", "")
    if kind == "string_pattern_mismatch":
        return _like(str(context["pattern"]))
    if kind == "string_too_short" and context["min_length"] == 1:
        return "must not be empty"
    if kind == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    return _WANTED.get(kind, "not of its form, which docs/api.md names").format(**context)


def _like(pattern: str) -> str:
    choice = re.fullmatch(r"\^\(([A-Z_|]+)\)\$", pattern)
    if choice:
        *most, last = choice[1].split("|")
        return f"{', '.join(most)} or {last}"
    return _PATTERNS.get(pattern, f"text of the form {pattern}")


def _given(error: Mapping[str, Any]) -> str | None:
    """What came, short; None where that says nothing, or is a secret."""
    loc, value = error["loc"], error.get("input")
    if error["type"] in _UNTOLD or not loc or str(loc[-1]).lower() in SECRET:
        return None
    if isinstance(value, dict | list):
        whole = error["type"] in {"value_error", "too_long", "too_short"}
        return None if whole else "(a list)" if isinstance(value, list) else "(an object)"
    if isinstance(value, Decimal):
        return str(value)[:GIVEN_CHARS]
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= GIVEN_CHARS else f"{text[:GIVEN_CHARS]}..."
