"""The executor as command lines see it: questions over its API, and answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer that says something of the matter: JSON, or text where the route gives text.

    `replayed`: the key was used before, nothing happened now.
    """

    status: int
    body: Any
    replayed: bool = False


class ExecutorApi(Protocol):
    """One executor's API, as one subject; every call is one question with one answer."""

    @property
    def url(self) -> str:
        """Where it is asked."""

    def ask(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
        wait_s: float = 30.0,
    ) -> Reply:
        """Ask once, `wait_s` seconds at most; any answer but those below is returned.

        Raises:
            UnavailableError: no answer, or a fault of the executor's own (500, 429).
            RefusedError: the token, its role or the mode is refused (401, 403).
        """
