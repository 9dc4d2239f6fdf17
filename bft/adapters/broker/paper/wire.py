"""The line to the paper exchange: first in, first out, each message with its own delay."""

import asyncio
from collections import deque
from collections.abc import Callable
from random import Random


class Wire:
    """Delivers messages after a delay drawn from `low_s` to `high_s`; none overtakes another."""

    def __init__(self, latency_s: tuple[float, float], random: Random) -> None:
        self._latency_s, self._random = latency_s, random
        self._waiting: deque[Callable[[], None]] = deque()
        self._last_s = 0.0
        self._line = 0

    def send(self, deliver: Callable[[], None]) -> None:
        """Call `deliver` later, never before this returns."""
        loop = asyncio.get_running_loop()
        delay_s = self._random.uniform(*self._latency_s) if self._latency_s[1] else 0.0
        self._last_s = max(self._last_s, loop.time() + delay_s)
        self._waiting.append(deliver)
        loop.call_at(self._last_s, self._next, self._line)

    def cut(self) -> None:
        """Lose what is on its way."""
        self._waiting.clear()
        self._line += 1

    def _next(self, line: int) -> None:
        if line == self._line:
            self._waiting.popleft()()
