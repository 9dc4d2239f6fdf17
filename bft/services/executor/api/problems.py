"""Everything that is no success, as one kind of answer.

Source: executor specification, section 1.1 (error body) and 4 (reasons).
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from bft.domain.errors import (
    BftError,
    ConfigError,
    DataError,
    RefusedError,
    UnavailableError,
    UsageError,
)
from bft.domain.orders import Reason


class ErrorBody(BaseModel):
    """What went wrong: `error` is a reason of the closed set, `rule` the number of a risk rule."""

    error: str = Field(description="reason, one of a closed set")
    message: str
    rule: int | None = None
    value: Any = Field(default=None, description="what that rule saw; null: not a number, unknown")
    limit: Any = Field(default=None, description="what it held it against")
    details: Any = None
    request_id: str
    decision: str | None = Field(default=None, description="id for /v1/why")


class Problem(Exception):  # noqa: N818  an answer, not a fault
    """An answer that is no success."""

    def __init__(
        self,
        status: int,
        reason: Reason,
        message: str,
        *,
        details: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.reason, self.message = status, reason, message
        self.details, self.headers = details, dict(headers or {})


def unknown(what: str) -> Problem:
    """404 for an id that nobody knows."""
    return Problem(404, Reason.OTHER, f"no {what}")


def shape(message: str, *, details: Any = None) -> Problem:
    """422 for a body or parameter of another form."""
    return Problem(422, Reason.VALIDATION, message, details=details)


_STATUS: tuple[tuple[type[BftError], int, Reason], ...] = (
    (UnavailableError, 503, Reason.NOT_ARMED),
    (RefusedError, 409, Reason.OTHER),
    (ConfigError, 422, Reason.VALIDATION),
    (UsageError, 422, Reason.VALIDATION),
    (DataError, 400, Reason.VALIDATION),
)


def problem_of(error: BftError) -> Problem:
    """The answer to a fault bft understands."""
    for kind, status, reason in _STATUS:
        if isinstance(error, kind):
            return Problem(status, reason, str(error))
    return Problem(500, Reason.OTHER, "internal error; the log names it by request_id")


def error_body(problem: Problem, *, request_id: str, decision: str | None = None) -> dict[str, Any]:
    """The body of an answer that is no success; `decision`: the denial on record."""
    return {
        "error": problem.reason.value,
        "message": problem.message,
        "rule": None,
        "value": None,
        "limit": None,
        "details": problem.details,
        "request_id": request_id,
        "decision": decision,
    }
