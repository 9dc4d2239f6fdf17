"""Dataclasses to JSON values and back: Decimals and instants as text, None as null."""

import types
import typing
from collections.abc import Hashable, Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, cast

T = TypeVar("T")


def encode(value: Any) -> Any:
    """JSON value of a dataclass, or of what one holds."""
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: encode(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    return value


def decode(kind: type[T], value: Mapping[str, Any]) -> T:
    """Dataclass from what `encode` made of it; fields that are absent take their default.

    Raises:
        KeyError, TypeError, ValueError, ArithmeticError: the value is not of this kind.
    """
    hints = _hints(cast(Hashable, kind))
    return kind(**{name: _decoded(hints[name], item) for name, item in value.items()})


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _decoded(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(hint, types.UnionType):
        hint = next(one for one in typing.get_args(hint) if one is not type(None))
    if typing.get_origin(hint) is tuple:
        inner = typing.get_args(hint)[0]
        return tuple(_decoded(inner, item) for item in value)
    if is_dataclass(hint):
        return decode(cast(type[Any], hint), value)
    if hint is datetime or hint is date:
        return hint.fromisoformat(value)
    return hint(value) if hint is Decimal or _choice(hint) else value


def _choice(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, StrEnum)
