"""The one writer: pages of entries become durable in the order in which they were decided.

Entries are folded into memory when they are submitted and written behind it; an order is sent only
when its page is on disk. While the book cannot be written, pages wait in order and are tried again.
Source: executor specification, sections 2 and 3.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog

from bft.domain.errors import RefusedError, UnavailableError
from bft.ports import Book, Clock, Lease, Page

T = TypeVar("T")
Offload = Callable[[Callable[[], T]], Awaitable[T]]

GROUP = 32  # pages that share one commit
RETRY_S = 0.5
LINGER_S = 0.005
PATIENT = frozenset(
    "sent state order execution fee bracket cooldown mark equity event alert snapshot "
    "reconciliation".split()
)
"""Kinds that may wait so long: what a crash takes is told again by the broker, or decided again."""
RESERVE_BYTES = 16 * 1024 * 1024

log = structlog.get_logger()


async def inline(work: Callable[[], T]) -> T:
    """Run on the loop's own thread: for tests whose order of events must repeat."""
    return work()


@dataclass(slots=True)
class _Waiting:
    page: Page
    durable: asyncio.Future[None]
    gives_up: bool
    joins: bool  # shares the commit of the page before it


class Writer:
    """Commits pages through `offload`; at most `GROUP` of them share a transaction."""

    def __init__(self, book: Book, *, clock: Clock, folder: Path, offload: Offload[object]) -> None:
        self._book, self._clock, self._offload = book, clock, offload
        self._reserve = folder / "reserve"
        self._waiting: deque[_Waiting] = deque()
        self._task: asyncio.Task[None] | None = None
        self._last: asyncio.Future[None] | None = None
        self._hurry = asyncio.Event()
        self.lease: Lease | None = None
        self.on_lease_lost: Callable[[str], None] = lambda _reason: None
        self.took: Callable[[float], None] = lambda _seconds: None
        self.on_bug: Callable[[str], None] = lambda _reason: None
        self.problem: str | None = None
        self.notes = 0  # for the outbox, written by this process
        self._over: Exception | None = None

    @property
    def writable(self) -> bool:
        """The last commit went through and the reserve is in place."""
        return self.problem is None

    def submit(
        self, page: Page, *, gives_up: bool = False, joins: bool = False
    ) -> asyncio.Future[None]:
        """Queue a page; the future ends when it is durable.

        `gives_up`: an opening order's page. Its future fails with UnavailableError as soon as the
        book cannot be written, and the caller records that nothing was sent. `joins`:
        durable with the page before it, which was submitted in the same turn of the loop, or not.
        """
        future = self._last = asyncio.get_running_loop().create_future()
        if self._over is not None:
            _fail(future, self._over)
            return future
        self._waiting.append(_Waiting(page, future, gives_up, joins))
        if page.claims or any(entry.kind not in PATIENT for entry in page.entries):
            self._hurry.set()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._drain())
        return future

    async def flush(self) -> None:
        """Wait until everything submitted by now is durable (or the lease is lost)."""
        self._hurry.set()
        last = self._last
        if last is None:
            return
        await asyncio.wait({last})
        given_up = last.cancelled() or last.exception() is not None
        if given_up and self._task is not None and not self._task.done():
            await asyncio.wait({self._task})

    def keep_reserve(self) -> None:
        """Put the reserve file (back) in place; a full disk leaves `problem` set.

        It is what closing orders are committed into when the disk is full.
        """
        if self._reserve.exists() and self._reserve.stat().st_size == RESERVE_BYTES:
            return
        try:
            self._reserve.write_bytes(bytes(RESERVE_BYTES))
        except OSError as error:
            self._release()
            self.problem = f"{self._reserve}: {error.strerror}"
            return
        self.problem = None

    def mend(self) -> None:
        """Try for the reserve again where it alone is missing: nothing may come to be written."""
        if self.problem is not None and not self._waiting:
            self.keep_reserve()

    async def _drain(self) -> None:
        while self._waiting:
            await self._linger()
            batch = self._batch()
            try:
                await self._commit(batch)
            except UnavailableError as error:
                self._failed(batch, error)
                await asyncio.sleep(RETRY_S)
            except RefusedError as error:
                self._drop(batch, error)
                self.on_lease_lost(str(error))
                return
            except Exception as error:
                log.exception("executor.page_refused")
                self._drop(batch, error)
                self.on_bug(f"the book refused a page: {error!r}")
                return

    def _batch(self) -> list[_Waiting]:
        """What the next commit writes; pages that belong together are never parted."""
        batch = [self._waiting.popleft() for _ in range(min(GROUP, len(self._waiting)))]
        while self._waiting and self._waiting[0].joins:
            batch.append(self._waiting.popleft())
        return batch

    async def _linger(self) -> None:
        """Let more pages share a commit while nobody waits for one."""
        if len(self._waiting) < GROUP:
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER_S):
                    await self._hurry.wait()
        if len(self._waiting) <= GROUP:
            self._hurry.clear()

    async def _commit(self, batch: list[_Waiting]) -> None:
        pages = [item.page for item in batch]
        lease, now = self.lease, self._clock.now()
        began = asyncio.get_running_loop().time()
        await self._offload(lambda: self._book.commit(pages, lease=lease, now=now))
        self.took(asyncio.get_running_loop().time() - began)
        self.notes += sum(len(page.outbox) for page in pages)
        if self.problem is not None:
            self.problem = None
            self.keep_reserve()
        for item in batch:
            if not item.durable.done():
                item.durable.set_result(None)

    def _failed(self, batch: list[_Waiting], error: UnavailableError) -> None:
        self.problem = str(error)
        self._release()
        self._waiting.extendleft(reversed(batch))
        for item in self._waiting:
            if item.gives_up and not item.durable.done():
                item.durable.set_exception(error)

    def _release(self) -> None:
        """Give the reserve's space to what waits; on a disk that is read-only it stays."""
        with suppress(OSError):
            self._reserve.unlink()

    def end(self, error: Exception) -> None:
        """Write nothing more: another process's word, or a new one's, counts from now on."""
        self._over = self._over or error
        for item in self._waiting:
            _fail(item.durable, error)
        self._waiting.clear()

    def _drop(self, batch: list[_Waiting], error: Exception) -> None:
        self._waiting.extendleft(reversed(batch))
        self.end(error)


def _fail(durable: asyncio.Future[None], error: Exception) -> None:
    if not durable.done():
        durable.set_exception(error)
        durable.exception()  # nobody may be waiting for it
