"""Fewer than 200 calls a minute, the urgent ones first."""

import asyncio
from collections import deque

from bft.domain.broker import Priority

WINDOW_S = 60.0
CAPS = {
    Priority.CANCEL: 190,
    Priority.CLOSING: 185,
    Priority.AMEND: 180,
    Priority.OPENING: 170,
    Priority.QUERY: 150,
    Priority.DATA: 100,
}
"""Calls of the last minute up to which a priority may add one; Alpaca's limit is 200."""


class Pace:
    """Counts calls over the last minute; a token taken ahead pays for the next message."""

    def __init__(self) -> None:
        self._calls: deque[float] = deque()
        self._ahead: deque[float] = deque()
        self._lines = {priority: asyncio.Lock() for priority in Priority}

    async def token(self, priority: Priority) -> None:
        """Wait for leave to send a message, and count it already."""
        await self.call(priority)
        self._ahead.append(self._calls[-1])

    async def message(self, priority: Priority) -> None:
        """Use a token taken ahead, or wait for one."""
        self._forget()
        if self._ahead:
            self._ahead.popleft()
        else:
            await self.call(priority)

    async def call(self, priority: Priority) -> None:
        """Wait until this priority may call; first come, first served within it."""
        loop = asyncio.get_running_loop()
        async with self._lines[priority]:
            self._forget()
            while len(self._calls) >= CAPS[priority]:
                free_s = self._calls[len(self._calls) - CAPS[priority]] + WINDOW_S
                await asyncio.sleep(max(free_s - loop.time(), 0.001))
                self._forget()
            self._calls.append(loop.time())

    def _forget(self) -> None:
        oldest = asyncio.get_running_loop().time() - WINDOW_S
        for line in (self._calls, self._ahead):
            while line and line[0] <= oldest:
                line.popleft()
