"""Values to JSON and back: money and instants are text, so that nothing is lost on the way."""

import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
Reader = Callable[[Any], Any]


def money_text(value: Decimal) -> str:
    """A number as text: no exponent, no trailing zeros, so that equal numbers are equal text."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def instant_text(at: datetime) -> str:
    """UTC with microseconds: its order as text is its order in time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def encode(value: Any) -> Any:
    """JSON of a value: dataclasses become objects, tuples lists, Decimals and instants text."""
    kind: Any = type(value)
    if value is None or kind in _PLAIN:
        return value
    writer = _WRITERS.get(kind)
    if writer is not None:
        return writer(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item) for item in value]
    return {name: encode(getattr(value, name)) for name in _names(kind)}


def decode(kind: type[T], data: Mapping[str, Any]) -> T:
    """The dataclass that `encode` made this of; unknown keys are passed over."""
    shape: Any = kind
    readers = _readers(shape)
    given = {name: readers[name](data[name]) for name in readers if name in data}
    return kind(**given)


_PLAIN = frozenset({bool, int, str, float})
_WRITERS: dict[type, Callable[[Any], str]] = {
    Decimal: money_text,
    datetime: instant_text,
    date: date.isoformat,
}
_FROM_TEXT: dict[object, Reader] = {
    Decimal: Decimal,
    datetime: datetime.fromisoformat,
    date: date.fromisoformat,
}


@cache
def _names(kind: Any) -> tuple[str, ...]:
    if not is_dataclass(kind):
        raise TypeError(f"{kind.__name__} has no JSON form in the journal")
    return tuple(field.name for field in fields(kind))


@cache
def _readers(kind: Any) -> dict[str, Reader]:
    hints = get_type_hints(kind)
    return {name: _reader(hints[name]) for name in _names(kind)}


def _reader(hint: Any) -> Reader:
    """How a field of this type is read; None stays None."""
    origin = get_origin(hint)
    if origin in {Union, types.UnionType}:
        inner = _reader(next(arm for arm in get_args(hint) if arm is not type(None)))
        return lambda data: None if data is None else inner(data)
    if origin is tuple:
        item = _reader(get_args(hint)[0])
        return lambda data: tuple(item(part) for part in data)
    if hint in _FROM_TEXT:
        return _FROM_TEXT[hint]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint
    if isinstance(hint, type) and is_dataclass(hint):
        return lambda data: decode(hint, data)
    return lambda data: data
