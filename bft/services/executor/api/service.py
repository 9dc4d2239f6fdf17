"""What the routes share: the executor, its book, and who may ask."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from fastapi import Request

from bft.ledger import entries
from bft.ports import Book
from bft.risk.profiles import Profile
from bft.services.executor.api.auth import Keyring
from bft.services.executor.api.collecting import Collector
from bft.services.executor.api.idempotency import Keys
from bft.services.executor.api.limits import WriteLimit
from bft.services.executor.api.metrics import Metrics
from bft.services.executor.api.problems import Problem
from bft.services.executor.api.translate import source_of
from bft.services.executor.desk import Desk
from bft.services.executor.executor import Executor
from bft.services.executor.writer import Offload, inline

FAILURES, FAILURES_S = 10, 300.0
DETAIL_CHARS = 500  # of a refused body; its sender is told all
STORED_S = 1.0  # closing is told of before it is stored, where the book takes longer


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What this process says of itself; settings are shown with secrets masked."""

    version: str
    environment: str
    timezone: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    host: str = ""
    port: int = 0
    credentials: bool = False
    telegram_secret: str = ""
    telegram_users: frozenset[str] = frozenset()
    root_id: str = ""


Command = Callable[[list[str]], Awaitable[tuple[int, dict[str, Any]]]]
"""Runs `bft WORDS --json` in a process of its own: exit code and JSON line."""


@dataclass(kw_only=True)
class Service:
    """One executor behind its API; touched on the loop's thread only."""

    executor: Executor
    book: Book
    offload: Offload[Any]
    aside: Offload[Any]
    keyring: Keyring
    about: About
    command: Command
    configured: Profile
    lookup: Offload[Any] = inline
    metrics: Metrics = field(default_factory=Metrics)
    tick_at: float = 0.0
    began: float = 0.0
    probed: tuple[float, float] | None = None
    failures: list[float] = field(default_factory=list)
    decisions: dict[str, str] = field(default_factory=dict)  # of signals whose entry was looked up

    @property
    def desk(self) -> Desk:
        """The executor's shared state."""
        return self.executor.desk

    @property
    def now(self) -> datetime:
        """The executor's clock."""
        return self.desk.now

    @property
    def live(self) -> bool:
        """Whether this is real money."""
        return self.desk.route.mode == "live"

    @cached_property
    def keys(self) -> Keys:
        """Idempotency keys."""
        return Keys(self.book, self.desk.writer.submit, self.lookup)

    @cached_property
    def collector(self) -> Collector:
        """Figures that are read off the state."""
        return Collector(self.desk, self.metrics)

    @cached_property
    def writes(self) -> WriteLimit:
        """Writes a second of each subject."""
        return WriteLimit(lambda: self.desk.profile.writes_per_s, timer=self.desk.timer)

    def refused(self, request: Request, name: str, why: str) -> bool:
        """Put on record that somebody was not let in; page nobody for one, warn for ten.

        False: no more of them is kept, a flood must not fill the journal.
        """
        remote = request.client.host if request.client else ""
        now = self.desk.timer()
        self.failures = [at for at in self.failures if now - at < FAILURES_S] + [now]
        kept = len(self.failures) <= FAILURES * 10
        if kept:
            self.desk.note(entries.auth_failure(self.now, subject=name, reason=why, remote=remote))
        if len(self.failures) >= FAILURES:
            text = f"{len(self.failures)} refused tokens in 5 min, the last from {remote}"
            self.desk.alert("AuthFailures", remote, text)
        return kept

    def turned_away(self, problem: Problem, *, subject: str, user_agent: str) -> str:
        """Put on record that a body was refused before risk saw it; the id of the denial."""
        name = secrets.token_hex(12)
        told = {
            "subject": subject,
            "source": source_of(user_agent),
            "http_code": problem.status,
        }
        self.desk.note(
            entries.refusal(
                self.now,
                refusal_id=name,
                told=told,
                reason=problem.reason,
                detail=problem.message[:DETAIL_CHARS],
            )
        )
        return name

    async def stored(self) -> None:
        """Wait, for a moment, until what was noted would survive this process."""
        with suppress(TimeoutError):
            async with asyncio.timeout(STORED_S):
                await self.desk.writer.flush()

    async def rows(self, table: str, **query: Any) -> list[dict[str, Any]]:
        """Rows of the book, read beside the loop."""
        found: list[dict[str, Any]] = await self.offload(lambda: self.book.rows(table, **query))
        return found


def service_of(request: Request) -> Service:
    """The service behind a request."""
    found: Service = request.app.state.service
    return found
