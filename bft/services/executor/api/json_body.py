"""Bodies read strictly: one value per key, numbers that are numbers, text that can be stored.

Source: executor specification, sections 1.1 and 15.
"""

import json
from decimal import Decimal
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from bft.domain.orders import Reason
from bft.services.executor.api.problems import Problem, shape
from bft.services.executor.api.wording import sentence, worded

BODY_BYTES = 256 * 1024
DEPTH = 32  # objects and lists in one another; what reads them further calls itself
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
        Problem: 415 no JSON; 422 a repeated key, NaN, infinities, no UTF-8, nested too deep.
    """
    try:
        value = json.loads(
            raw, parse_float=Decimal, parse_constant=_no_number, object_pairs_hook=_pairs
        )
    except (ValueError, RecursionError) as error:
        raise Problem(415, Reason.VALIDATION, f"the body is no JSON: {_why(error)}") from error
    _check_text(value)
    return value


def _why(error: Exception) -> str:
    """Where the text stops to be JSON."""
    if isinstance(error, json.JSONDecodeError):
        if not error.doc.strip():
            return "it is empty"
        place = f"line {error.lineno}, column {error.colno}"
        return f"{error.msg} at {place}; names and text stand in double quotes"
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)[:200]


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
    """The body of a request as a model. Raises Problem: 413, 415, 422."""
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


def _no_number(word: str) -> NoReturn:
    raise shape(f"{word} is no number")


def _check_text(value: Any, depth: int = 0) -> None:
    if depth > DEPTH:
        raise shape(f"nested deeper than {DEPTH}")
    if isinstance(value, str):
        _check_storable(value)
    elif isinstance(value, dict | list):
        for item in [*value, *value.values()] if isinstance(value, dict) else value:
            _check_text(item, depth + 1)


def _check_storable(text: str) -> None:
    if "\x00" in text:
        raise shape("text holds a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise shape("text holds half a surrogate pair") from error
