"""Frozen values to JSON and back, by their annotations: what is stored replays to the same value.

Decimals, instants and dates become text; enumerations their value; tuples and sets lists. A float
that JSON cannot hold becomes text too, so that a NaN which once denied an order denies it again.
"""

import math
import types
from collections.abc import Callable, Hashable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import cache
from operator import attrgetter
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

T = TypeVar("T")
_LONGEST_EXPONENT = 40  # beyond it a number is written with its exponent


def money_text(value: Decimal) -> str:
    """A number as text without trailing zeros, so that equal numbers are equal text."""
    if not value.is_finite() or abs(value.adjusted()) > _LONGEST_EXPONENT:
        return str(value)
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def number_text(value: object) -> str:
    """A size or price of an answer without trailing zeros; whatever is no number as it is."""
    try:
        return money_text(Decimal(str(value)))
    except InvalidOperation:
        return str(value)


def short_number_text(value: object) -> str:
    """A number to four places without trailing zeros, `none` of what is not finite.

    Whatever is no number, or too large for so many places, as it is.
    """
    try:
        number = Decimal(str(value))
        places = number.quantize(Decimal("0.0001")) if number.is_finite() else None
    except InvalidOperation:
        return str(value)
    return "none" if places is None else f"{places.normalize():f}"


def instant_text(at: datetime) -> str:
    """UTC with microseconds: its order as text is its order in time."""
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def utc_told(at: object, *, seconds: bool = False) -> str:
    """An instant in ISO text as people read it: `2026-01-05 14:36 UTC`."""
    told = datetime.fromisoformat(str(at)).astimezone(UTC)
    return f"{told:%Y-%m-%d %H:%M:%S} UTC" if seconds else f"{told:%Y-%m-%d %H:%M} UTC"


def encode(value: Any) -> Any:
    """The value as what `json.dumps` takes.

    Raises:
        TypeError: a type that has no JSON form.
    """
    kind = type(value)
    if value is None or kind in _PLAIN:
        return value
    writer = _WRITERS.get(kind)
    if writer is None:
        writer = _WRITERS[kind] = _writer(kind)
    return writer(value)


def decode(kind: type[T], value: Any) -> T:
    """The value of type `kind` that `encode` wrote.

    Fields that are absent keep their default, unknown ones are passed over.

    Raises:
        ValueError, TypeError: the JSON does not fit the type.
    """
    reader: Callable[[Any], T] = _reader(cast("Hashable", kind))
    return reader(value)


def _float(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


_PLAIN = frozenset({bool, int, str})
_WRITERS: dict[type, Callable[[Any], Any]] = {
    float: _float,
    Decimal: money_text,
    datetime: instant_text,
    date: date.isoformat,
    frozenset: lambda value: sorted(encode(item) for item in value),
}


def _writer(kind: type) -> Callable[[Any], Any]:
    """What writes values of a type met for the first time."""
    if issubclass(kind, Enum):
        return attrgetter("_value_")  # `value` is a property in Python, ten times as slow
    if issubclass(kind, Mapping):
        return lambda value: {str(key): encode(item) for key, item in value.items()}
    if issubclass(kind, list | tuple):
        return lambda value: [encode(item) for item in value]
    if not is_dataclass(kind):
        raise TypeError(f"{kind.__name__} has no JSON form; use a frozen dataclass or text")
    names = tuple(f.name for f in fields(kind))
    return lambda value: {
        name: item if item is None or type(item) in _PLAIN else encode(item)  # a call saved each
        for name in names
        for item in (getattr(value, name),)
    }


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    if get_origin(kind) is not None:
        return _generic(kind)
    if is_dataclass(kind):
        return _dataclass(kind)
    if kind in {date, datetime}:
        parse: Callable[[str], Any] = kind.fromisoformat
        return parse
    made: Callable[[Any], Any] = kind
    return _as_it_is if kind in {object, Any, bool, int} else made


def _as_it_is(value: Any) -> Any:
    return value


def _generic(kind: Any) -> Callable[[Any], Any]:
    if get_origin(kind) in {Union, types.UnionType}:
        return _optional(kind)
    if get_origin(kind) is tuple:
        return _tuple(get_args(kind))
    item = _reader(get_args(kind)[-1])
    if get_origin(kind) is list:
        return lambda value: [item(v) for v in value]
    if get_origin(kind) is frozenset:
        return lambda value: frozenset(item(v) for v in value)
    if get_args(kind)[0] is int:  # JSON knows text alone as keys
        return lambda value: {int(key): item(v) for key, v in value.items()}
    return lambda value: {key: item(v) for key, v in value.items()}


def _optional(kind: Any) -> Callable[[Any], Any]:
    inner = [_reader(arm) for arm in get_args(kind) if arm is not type(None)]
    if len(inner) != 1:
        raise TypeError(f"{kind} is ambiguous in JSON; give one type or None")
    return lambda value: None if value is None else inner[0](value)


def _tuple(arms: tuple[Any, ...]) -> Callable[[Any], Any]:
    if arms[-1] is Ellipsis:
        item = _reader(arms[0])
        return lambda value: tuple(item(v) for v in value)
    items = [_reader(arm) for arm in arms]
    return lambda value: tuple(read(v) for read, v in zip(items, value, strict=True))


def _dataclass(kind: Any) -> Callable[[Any], Any]:
    hints = get_type_hints(kind)
    readers = {f.name: _reader(hints[f.name]) for f in fields(kind) if f.init}
    return lambda value: kind(**{n: readers[n](v) for n, v in value.items() if n in readers})
