"""Notifications on their way to people: those of the book, in their order.

Source: executor specification, section 14 (sent with retries).
"""

from functools import partial

from bft.domain.errors import UnavailableError
from bft.services.executor.alerts import mail
from bft.services.executor.desk import Desk
from bft.services.executor.parts import Parts

IDLE_S = 60.0  # what an earlier process left is looked for so often
AT_ONCE = 10


class Outbox:
    """Delivers what the book holds for people."""

    def __init__(self, desk: Desk, parts: Parts) -> None:
        self._desk, self._parts = desk, parts
        self._emptied, self._look_at = -1, 0.0  # notes written when the outbox was last empty

    async def deliver(self) -> None:
        """Send what waits; what the notifier does not take waits on.

        Without the lease the book is another's, who sends what waits there.
        """
        if not self._desk.lease_held:
            return
        book, notifier, now = self._parts.book, self._parts.notifier, self._desk.now
        written = self._desk.writer.notes
        if written == self._emptied and self._desk.timer() < self._look_at:
            return
        waiting = await self._parts.offload(lambda: book.pending_outbox(limit=AT_ONCE))
        for told in waiting:
            try:
                await self._parts.slow(partial(notifier.notify, *mail(told)))
            except UnavailableError:
                return
            if not self._desk.lease_held:
                return
            await self._parts.offload(partial(book.delivered, [told["id"]], at=now))
        if not waiting:
            self._emptied, self._look_at = written, self._desk.timer() + IDLE_S
