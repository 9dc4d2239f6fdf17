"""Kinds of fields in bodies: numbers, fractions, instants, words.

Source: executor specification, sections 1.2 and 15.
"""

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any

from pydantic import BeforeValidator, StringConstraints, WithJsonSchema, WrapValidator

from bft.services.executor.api.json_body import plain

LARGEST = Decimal(1_000_000_000)
DIGITS = 40
FREE_BYTES = 16 * 1024
MOST_WINDOWS, WINDOWS_CHARS = 50, 500
_WINDOWS = 'as "09:35-11:00", a list of such, or {"start": "09:35", "end": "11:00"}'
_DECIMAL = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?")
_NUMBER_TEXT = r"^-?[0-9]{1,12}(\.[0-9]{1,12})?$"


def number(value: Any) -> Decimal | None:
    """A finite number, given as a number or as decimal text."""
    if value is None or isinstance(value, bool):
        if value is None:
            return None
        raise ValueError("a number such as 12.5")
    try:
        found = Decimal(value) if isinstance(value, int | Decimal) else _of_text(value)
    except (InvalidOperation, ValueError) as error:
        raise ValueError("a number such as 12.5") from error
    if not found.is_finite() or abs(found) >= LARGEST or found.adjusted() < -DIGITS:
        raise ValueError("a finite number below 1e9")
    return found


def _of_text(value: Any) -> Decimal:
    """A number in the digits of JSON: Python would read other alphabets' and `1_000`, too."""
    if not isinstance(value, str) or len(value) > DIGITS or not _DECIMAL.fullmatch(value.strip()):
        raise ValueError("no number")
    return Decimal(value)


def fraction(value: Any) -> Decimal | None:
    """A fraction: 0 up to, but not including, 1."""
    found = number(value)
    if found is not None and not 0 <= found < 1:
        raise ValueError("a fraction below 1, such as 0.07 for 7 %")
    return found


def percent(value: Any) -> Decimal | None:
    """Percent, 1 to 99, or 0, as a fraction; the sign is ignored."""
    found = number(value)
    if found is None:
        return None
    found = abs(found)
    if found and not 1 <= found <= 99:
        raise ValueError("percent from 1 to 99, or 0; 7 means 7 %")
    return found / 100


def share(value: Any) -> Decimal | None:
    """A number from 0 to 1, both included."""
    found = number(value)
    if found is not None and not 0 <= found <= 1:
        raise ValueError("a number from 0 to 1")
    return found


def instant(value: Any) -> datetime | None:
    """An instant in ISO 8601; without an offset it is UTC."""
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > DIGITS:
        raise ValueError("an instant such as 2026-01-05T14:30:00Z")
    try:
        found = datetime.fromisoformat(value)
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        found = found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("an instant such as 2026-01-05T14:30:00Z") from error
    if not 1970 <= found.year <= 2100:
        raise ValueError("an instant between 1970 and 2100")
    return found


def day(value: Any) -> date | None:
    """An ISO date."""
    if value is None:
        return None
    try:
        found = date.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ValueError("an ISO date such as 2026-01-05") from error
    if not 1970 <= found.year <= 2035:
        raise ValueError("a date the exchange calendar knows, 1970 to 2035")
    return found


def windows(value: Any) -> Any:
    """Session windows in a form that they may be written in; what they say is read later."""
    many = value if isinstance(value, list) else [] if value is None else [value]
    for one in many:
        texts = list(one.values()) if isinstance(one, dict) else [one]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError(_WINDOWS)
    if len(many) > MOST_WINDOWS or (isinstance(value, str) and len(value) > WINDOWS_CHARS):
        raise ValueError(f"at most {MOST_WINDOWS} windows, {WINDOWS_CHARS} characters")
    return value


def upper(value: Any) -> Any:
    """A word in capitals, whatever case it came in."""
    return value.strip().upper() if isinstance(value, str) else value


def lower(value: Any) -> Any:
    """A word in small letters, whatever case it came in."""
    return value.strip().lower() if isinstance(value, str) else value


def free(value: Any) -> Any:
    """A free object of at most 16 KiB; null is none."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("an object")
    kept = plain(value)
    if len(json.dumps(kept, ensure_ascii=False).encode()) > FREE_BYTES:
        raise ValueError(f"at most {FREE_BYTES} bytes")
    return kept


def _told(schema: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [schema, {"type": "null"}]})


def _numeric(**bounds: float) -> WithJsonSchema:
    text = {"type": "string", "pattern": _NUMBER_TEXT}
    many: list[dict[str, Any]] = [{"type": "number", **bounds}]
    many += [] if bounds else [text]
    return WithJsonSchema({"anyOf": [*many, {"type": "null"}]})


Price = Annotated[
    Decimal | None,
    BeforeValidator(number),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": -1e9, "exclusiveMaximum": 1e9},
                {"type": "string", "pattern": r"^-?[0-9]{1,8}(\.[0-9]{1,9})?$"},
                {"type": "null"},
            ]
        }
    ),
]
Fraction = Annotated[
    Decimal | None, BeforeValidator(fraction), _numeric(minimum=0, exclusiveMaximum=1)
]
Percent = Annotated[
    Decimal | None,
    BeforeValidator(percent),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "minimum": 1, "maximum": 99},
                {"type": "number", "minimum": -99, "maximum": -1},
                {"const": 0},
                {"type": "null"},
            ],
            "description": "percent: 7 means 7 %; the sign is ignored",
        }
    ),
]
_WINDOW: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}
Windows = Annotated[
    str | list[str | dict[str, str]] | dict[str, str] | None,
    WrapValidator(lambda value, _: windows(value)),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "maxLength": WINDOWS_CHARS},
                {
                    "type": "array",
                    "maxItems": MOST_WINDOWS,
                    "items": {"anyOf": [{"type": "string"}, _WINDOW]},
                },
                _WINDOW,
                {"type": "null"},
            ]
        }
    ),
]
Share = Annotated[Decimal | None, BeforeValidator(share), _numeric(minimum=0, maximum=1)]
Instant = Annotated[
    datetime | None, BeforeValidator(instant), _told({"type": "string", "format": "date-time"})
]
Day = Annotated[date | None, BeforeValidator(day), _told({"type": "string", "format": "date"})]
Free = Annotated[
    dict[str, Any],
    BeforeValidator(free),
    WithJsonSchema({"anyOf": [{"type": "object"}, {"type": "null"}], "default": {}}),
]
Word = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[\x21-\x7e]+$")]
Line = Annotated[str, StringConstraints(max_length=160)]
