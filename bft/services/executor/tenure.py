"""The lease of the account: taken, renewed, lost, given back.

Source: executor specification, section 3; decision record 0150.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from bft.domain.errors import BftError, RefusedError, UnavailableError
from bft.ports import Lease
from bft.services.executor.alerts import mail
from bft.services.executor.desk import Desk
from bft.services.executor.parts import Parts

TTL_S, RENEW_S = 15.0, 5.0
PAGE_S = 4.0  # of the 10 s that a clean end may take


def acquire(parts: Parts) -> Lease:
    """Take the lease of the account.

    Raises:
        RefusedError: another holds it.
        UnavailableError: the database does not answer.
    """
    name = f"executor:{parts.route.account}"
    return parts.book.acquire(name, holder=parts.holder, ttl_s=TTL_S, now=parts.clock.now())


class Tenure:
    """Holds the lease that the writer has; `end_process` hears why it is over."""

    def __init__(self, desk: Desk, parts: Parts, end_process: Callable[[str], None]) -> None:
        self._desk, self._parts, self._end_process = desk, parts, end_process
        self._page: asyncio.Future[object] | None = None

    async def renew(self) -> None:
        """Hold it; one that no lock holds is lost when it ends, also while no book answers."""
        book, clock = self._parts.book, self._parts.clock
        while (lease := self._desk.writer.lease) is not None:
            await asyncio.sleep(min(RENEW_S, self._left_s(lease)))
            try:
                renewed = partial(book.renew, lease, ttl_s=TTL_S, now=clock.now())
                async with asyncio.timeout(None if lease.locked else self._left_s(lease)):
                    held = await self._parts.offload(renewed)
                self._desk.writer.lease = held if self._desk.writer.lease is not None else None
            except RefusedError as error:
                self.lost(str(error))
            except (UnavailableError, TimeoutError) as error:
                if clock.now() >= lease.expires_at:
                    self.lost(str(error) or "it ended before the book answered")

    def lost(self, why: str) -> None:
        """Send nothing from this tick on but cancels of entries; end when the lease has ended."""
        desk, lease = self._desk, self._desk.writer.lease
        if lease is None:
            return
        desk.writer.lease = None
        desk.writer.end(RefusedError(f"{why}; nothing is written any more"))
        desk.closing_down = True
        told = {"name": "LeaseLost", "severity": "page", "key": desk.account, "text": why}
        send = partial(self._parts.notifier.notify, *mail(told))  # no journal takes it any more
        self._page = asyncio.ensure_future(self._parts.slow(send))
        end = partial(self._end_process, f"lease lost: {why}")
        asyncio.get_running_loop().call_later(self._left_s(lease), end)

    async def end(self) -> None:
        """Give it back; where it was lost, wait a moment until that is told."""
        if self._page is not None:
            with suppress(TimeoutError, BftError):
                await asyncio.wait_for(self._page, PAGE_S)
        if self._desk.writer.lease is not None:
            lease, self._desk.writer.lease = self._desk.writer.lease, None
            with suppress(BftError):
                await self._parts.offload(lambda: self._parts.book.release(lease))

    def _left_s(self, lease: Lease) -> float:
        left_s = (lease.expires_at - self._parts.clock.now()).total_seconds()
        return min(TTL_S, max(0.0, left_s))
