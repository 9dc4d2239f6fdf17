"""One effect per key: claims, stored answers, replays, conflicts.

Source: executor specification, section 1.3.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import structlog

from bft.domain.encoding import encode, money_text
from bft.domain.journal import canonical_json
from bft.domain.orders import Reason
from bft.ports import Answered, Book, Claim, Page
from bft.services.executor.api.problems import Problem, shape
from bft.services.executor.opening import KeyClaim
from bft.services.executor.writer import Offload

WAIT_S = 5.0
KEY_CHARS = 255
REMEMBERED = 50_000  # claimed keys in memory, 5 MB; with more of them each key is looked up
REPLAYED = "Idempotency-Replayed"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Status and body; `kept`: the same request gets it again."""

    status: int
    body: Mapping[str, Any]
    kept: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A request under its key; `given`: the caller chose it."""

    key: str
    subject: str
    request_hash: str
    given: bool


Act = Callable[[KeyClaim | None], Awaitable[Answer]]
"""Does the work; what it is handed is committed with the effect, None: the key is taken."""
Recall = Callable[[str], Awaitable[Answer]]
"""The answer that an intent gives."""
Submit = Callable[[Page], asyncio.Future[None]]
"""Queues a page; the future ends when it is durable."""


def key_of(header: str | None, *others: str | None) -> tuple[str, bool]:
    """The key of a request and whether it was given: header, signal id, client order id, or new.

    Raises:
        Problem: 422, a header that is no key.
    """
    if header is not None and not (1 <= len(header) <= KEY_CHARS and _printable(header)):
        raise shape(f"Idempotency-Key: 1 to {KEY_CHARS} printable characters")
    found = next((text for text in (header, *others) if text), None)
    return (found, True) if found else (secrets.token_hex(16), False)


def hash_of(value: Any) -> str:
    """sha256 of a body's canonical JSON; 95 and 95.0 are one number."""
    return hashlib.sha256(canonical_json(_plain(value)).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return money_text(Decimal(value))
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else encode(value)


class Keys:
    """Answers each key once; touched on the loop's thread only."""

    def __init__(self, book: Book, submit: Submit, lookup: Offload[Any]) -> None:
        """`submit` writes, in turn with what was claimed; `lookup` reads, behind no write."""
        self._book, self._submit, self._lookup = book, submit, lookup
        self._storing: set[asyncio.Future[None]] = set()
        self._running: dict[str, tuple[str, asyncio.Future[Answer | None]]] = {}
        self._claimed: set[int] | None = None  # hashes; None: not read yet, or too many
        self._since: set[int] = set()  # of keys that this process claims

    async def answer(self, asking: Asking, act: Act, recall: Recall) -> Answer:
        """The stored answer of the key, or that of `act`, which is then stored.

        Raises:
            Problem: 409, another body under this key, or the first call still runs.
        """
        first = self._running.get(asking.key)
        if first is not None:
            return await self._follow(asking, first)
        done: asyncio.Future[Answer | None] = asyncio.get_running_loop().create_future()
        self._running[asking.key] = (asking.request_hash, done)
        kept = False
        try:
            made = await self._once(asking, act, recall)
            kept = made.kept and REPLAYED not in made.headers
            done.set_result(made)
        finally:
            if not done.done():
                done.set_result(None)
            if not kept:
                del self._running[asking.key]
        if kept:
            self._store(asking.key, made).add_done_callback(lambda _: self._running.pop(asking.key))
        return made

    async def drain(self) -> None:
        """Wait until every answer given is stored, or cannot be."""
        await asyncio.gather(*self._storing, return_exceptions=True)

    async def _once(self, asking: Asking, act: Act, recall: Recall) -> Answer:
        claim = await self._known(asking) if asking.given else None
        if claim is None:
            if len(self._since) <= REMEMBERED:  # with one more none is told fresh any more
                self._since.add(hash(asking.key))
            return await act(_claim(asking))
        if claim.status is not None:
            return _replayed(Answer(status=claim.status, body=claim.body or {}))
        if claim.intent_id is None:
            return await act(None)
        found = await recall(claim.intent_id)
        self._store(asking.key, found)
        return _replayed(found)

    async def read(self) -> None:
        """Remember which keys are claimed: an order with another waits for no look at the book.

        What is not among them was never claimed, as claims are this process's alone to write.
        """
        keys = await self._lookup(lambda: self._book.claimed(most=REMEMBERED))
        self._claimed = None if keys is None else set(map(hash, keys))

    def _fresh(self, key: str) -> bool:
        """Whether nobody can have claimed a key."""
        if self._claimed is None or len(self._since) > REMEMBERED:
            return False
        return hash(key) not in self._claimed and hash(key) not in self._since

    async def _known(self, asking: Asking) -> Claim | None:
        if self._fresh(asking.key):
            return None
        claim: Claim | None = await self._lookup(lambda: self._book.claim(asking.key))
        if claim is not None and claim.request_hash != asking.request_hash:
            raise conflict(asking.key)
        return claim

    async def _follow(
        self, asking: Asking, first: tuple[str, asyncio.Future[Answer | None]]
    ) -> Answer:
        request_hash, done = first
        if request_hash != asking.request_hash:
            raise conflict(asking.key)
        try:
            async with asyncio.timeout(WAIT_S):
                made = await asyncio.shield(done)
        except TimeoutError:
            made = None
        if made is None or not made.kept:
            text = f"the first call with key {asking.key!r} has not ended; try again"
            raise Problem(409, Reason.IN_PROGRESS, text, headers={"Retry-After": "1"})
        return _replayed(made)

    def _store(self, key: str, made: Answer) -> asyncio.Future[None]:
        """Keep an answer behind its claim; where the book cannot, the intent gives it again."""
        told = Answered(key=key, status=made.status, body=dict(made.body))
        storing = self._submit(Page(entries=(), answers=(told,)))
        self._storing.add(storing)
        storing.add_done_callback(self._stored)
        return storing

    def _stored(self, storing: asyncio.Future[None]) -> None:
        self._storing.discard(storing)
        error = None if storing.cancelled() else storing.exception()
        if error is not None:
            log.warning("executor.answer_not_kept", error=str(error))


def conflict(key: str) -> Problem:
    """409: the key belongs to another body."""
    text = f"key {key!r} was used with another body; send a new key, or the same body"
    return Problem(409, Reason.IDEMPOTENCY_CONFLICT, text)


def _claim(asking: Asking) -> KeyClaim:
    return KeyClaim(key=asking.key, subject=asking.subject, request_hash=asking.request_hash)


def _replayed(made: Answer) -> Answer:
    """The same again; what was created the first time is there already."""
    headers = {**made.headers, REPLAYED: "true"}
    return replace(made, status=200 if made.status == 201 else made.status, headers=headers)


def _printable(text: str) -> bool:
    return text.isascii() and text.isprintable()
