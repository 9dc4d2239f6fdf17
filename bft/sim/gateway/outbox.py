"""Bytes on their way to a client: at once, late, in another order, or in drops.

Delays are of the wire, so the loop's timers run them, not the exchange's clock.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

Write = Callable[[bytes], None]
_HELD_MOST_S = 1.0  # a held message goes out after this long even if nothing follows


@dataclass(slots=True, eq=False)
class _Held:
    """A message that others may overtake: so many still."""

    data: bytes
    passing: int


class Outbox:
    """Keeps the order of messages except where a fault changes it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, write: Write) -> None:
        self._loop, self._write = loop, write
        self._waiting: deque[bytes] = deque()
        self._stalls = 0
        self._held: list[_Held] = []
        self._timers: set[asyncio.TimerHandle] = set()

    def send(self, data: bytes) -> None:
        """Write a message after those that wait."""
        if self._stalls:
            self._waiting.append(data)
        else:
            self._write(data)
        for held in list(self._held):
            held.passing -= 1
            if held.passing == 0:
                self._release(held)

    def stall(self, seconds: float) -> None:
        """Let this long pass before anything else is written."""
        self._stalls += 1
        self._later(seconds, self._resume)

    def hold(self, data: bytes, window: int) -> None:
        """Let so many later messages overtake this one."""
        held = _Held(data, max(window, 1))
        self._held.append(held)
        self._later(_HELD_MOST_S, lambda: self._release(held))

    def trickle(self, data: bytes, seconds: float) -> None:
        """Write one byte at a time, so long apart; the rest waits."""
        self._stalls += 1

        def step(at: int) -> None:
            self._write(data[at : at + 1])
            if at + 1 < len(data):
                self._later(seconds, lambda: step(at + 1))
            else:
                self._resume()

        step(0)

    def stop(self) -> None:
        """Forget what waits."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self._waiting.clear()
        self._held.clear()

    def _resume(self) -> None:
        self._stalls -= 1
        while self._waiting and not self._stalls:
            self._write(self._waiting.popleft())

    def _release(self, held: "_Held") -> None:
        if held in self._held:
            self._held.remove(held)
            self.send(held.data)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            action()

        timer = self._loop.call_later(seconds, run)
        self._timers.add(timer)
