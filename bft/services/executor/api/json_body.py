"""Bodies read strictly: one value per key, numbers that are numbers, text that can be stored.

Source: executor specification, sections 1.1 and 15.
"""

import json
from decimal import Decimal
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from bft.domain.orders import Reason
from bft.services.executor.api.problems import Problem, shape
from bft.services.executor.api.wording import sentence, worded

BODY_BYTES = 256 * 1024
DEPTH = 32  # objects and lists in one another; what reads them further calls itself
_DIGITS = "a whole number of more than 4300 digits"  # where Python's int() stops
M = TypeVar("M", bound=BaseModel)


async def read_body(request: Request) -> bytes:
    """The whole body.

    Raises:
        Problem: 413 above 256 KiB, 415 where the content type is not JSON.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        text = "send application/json"
        raise Problem(415, Reason.VALIDATION, f"content type {kind or 'absent'}; {text}")
    if int(request.headers.get("content-length") or 0) > BODY_BYTES:
        raise too_large()
    parts, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > BODY_BYTES:
            raise too_large()
        parts.append(chunk)
    return b"".join(parts)


def too_large() -> Problem:
    """413."""
    return Problem(413, Reason.VALIDATION, f"body above {BODY_BYTES} bytes; send less at once")


def strict_json(raw: bytes) -> Any:
    """The value of a JSON text; fractions become Decimals.

    Raises:
        Problem: 400 no JSON, no UTF-8; 422 a repeated key, NaN, infinities, nested too deep.
    """
    try:
        value = json.loads(
            raw, parse_float=Decimal, parse_constant=_NoNumber, object_pairs_hook=_pairs
        )
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        raise Problem(400, Reason.VALIDATION, f"the body is no JSON: {_why(error)}") from error
    _check(value, ())
    return value


class _NoNumber(str):
    """NaN or an infinity, until it is known where it stands."""

    __slots__ = ()


def _why(error: ValueError) -> str:
    """Where the text stops to be JSON."""
    if isinstance(error, json.JSONDecodeError):
        if not error.doc.strip():
            return "it is empty"
        place = f"line {error.lineno}, column {error.colno}"
        return f"{error.msg} at {place}; names and text stand in double quotes"
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else _DIGITS


def validated(model: type[M], value: Any) -> M:
    """The value as a model.

    Raises:
        Problem: 422, with every field that is wrong.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        wrong = worded(error.errors(include_url=False))
        raise shape(sentence(wrong[0]), details=wrong) from error


async def read(request: Request, model: type[M]) -> M:
    """The body of a request as a model. Raises Problem: 400, 413, 415, 422."""
    return validated(model, strict_json(await read_body(request)))


async def read_optional(request: Request, model: type[M]) -> M:
    """As `read`; no body at all is an empty object."""
    if not int(request.headers.get("content-length") or 0) and not await _any(request):
        return validated(model, {})
    return await read(request, model)


async def _any(request: Request) -> bool:
    return request.headers.get("transfer-encoding") is not None


def plain(value: Any) -> Any:
    """Free fields as they are kept: Decimals become the floats that JSON knows.

    Raises:
        Problem: 422, a number too large.
    """
    if isinstance(value, Decimal):
        number = float(value)
        if number in {float("inf"), float("-inf")}:
            raise shape(f"number {value:.3E} is too large")
        return number
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise shape(f"key {twice[:64]!r} is given twice")
    return found


def _too_deep() -> Problem:
    return shape(f"objects and lists nested deeper than {DEPTH}")


def _check(value: Any, place: tuple[str, ...]) -> None:
    """Refuse what cannot be kept, and say where it stands."""
    if len(place) > DEPTH:
        raise _too_deep()
    if isinstance(value, _NoNumber):
        raise shape(f"{_named(place)}: {value} is no number of JSON")
    if isinstance(value, str):
        _check_storable(value, place)
    elif isinstance(value, dict):
        for name, item in value.items():
            _check_storable(name, place)
            _check(item, (*place, name))
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _check(item, (*place, str(number)))


def _named(place: tuple[str, ...]) -> str:
    return ".".join(place)[:64] or "body"


def _check_storable(text: str, place: tuple[str, ...]) -> None:
    if "\x00" in text:
        raise shape(f"{_named(place)}: text holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise shape(f"{_named(place)}: text holds half a surrogate pair") from error
