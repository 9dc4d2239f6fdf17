"""A state as canonical JSON: equal states give equal text."""

import json
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin

from bft.domain.errors import DataError
from bft.exits.state import ExitState

_VERSION = 1
_PARSERS: dict[Any, Any] = {
    Decimal: Decimal,
    date: date.fromisoformat,
    datetime: datetime.fromisoformat,
}


def to_json(state: ExitState) -> str:
    """Canonical JSON: sorted keys, no blanks, decimals as text, dates and instants as ISO 8601."""
    values = {"version": _VERSION, "state": _plain(state)}
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False)


def from_json(text: str) -> ExitState:
    """The state of `to_json`.

    Raises:
        DataError: no such text; entries then stop, and exits go on from a replay of the fills.
    """
    try:
        values = json.loads(text)
        if values["version"] != _VERSION:
            raise DataError(
                f"exit state has version {values['version']}, this code reads {_VERSION}; "
                "rebuild it by replaying its fills and bars"
            )
        state: ExitState = _typed(ExitState, values["state"])
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise DataError(
            f"exit state is unreadable ({type(error).__name__}: {error}); "
            "rebuild it by replaying its fills and bars"
        ) from error
    return state


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return format(value, "f")
    return value.isoformat() if isinstance(value, date) else value


def _typed(kind: Any, value: Any) -> Any:
    origin, options = get_origin(kind), get_args(kind)
    if origin is UnionType:
        inner = next(option for option in options if option is not NoneType)
        return None if value is None else _typed(inner, value)
    if origin is tuple:
        return tuple(_typed(options[0], item) for item in value)
    if is_dataclass(kind):
        known = {f.name: f.type for f in fields(kind)}
        return kind(**{name: _typed(known[name], item) for name, item in value.items()})  # type: ignore[operator]
    if kind in _PARSERS:
        return _PARSERS[kind](value)
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return kind(value)
    return _checked(kind, value)


def _checked(kind: type, value: Any) -> Any:
    fits = isinstance(value, kind) or (kind is float and isinstance(value, int))
    if not fits or (isinstance(value, bool) and kind is not bool):
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value
