"""When a message may leave: priorities and rates, so that the gateway never has to complain.

Source: executor specification, section 7.1, pacing.
"""

import asyncio
import heapq
from collections import deque
from itertools import count

from bft.domain.broker import Priority
from bft.domain.errors import UnavailableError

WINDOW_S = 1.05  # a second, and what the way to the gateway may compress
OTHERS_PER_S, TOTAL_PER_S = 35, 45  # all but cancels; everything
BACKOFF_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)
_RANKS = {priority: rank for rank, priority in enumerate(Priority)}
_PATIENT = frozenset({Priority.QUERY, Priority.DATA})
_TOLERANCE_S = 1e-6  # of timers that fire a touch early
_FORGET_S = 60.0  # after so long without a complaint the back-off starts anew


class Pacer:
    """Leave to send one message each, by priority and then by time of asking.

    Leave that is not used within a second lapses. Messages sent without leave count all the same,
    so the sum stays right; nothing here holds a message back by itself.
    """

    def __init__(self) -> None:
        self._number = count()
        self._waiting: list[tuple[int, int, Priority, asyncio.Future[None]]] = []
        self._window: deque[tuple[float, bool]] = deque()  # (instant, is a cancel), of leave given
        self._unused: deque[tuple[float, bool]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._held_until_s = self._complained_s = float("-inf")
        self._complaints = 0

    async def token(self, priority: Priority) -> None:
        """Wait for leave to send one message.

        Raises:
            UnavailableError: the session ended meanwhile.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        entry = (_RANKS[priority], next(self._number), priority, future)
        heapq.heappush(self._waiting, entry)
        self._serve()
        await future

    def sent(self, *, cancel: bool = False) -> None:
        """A message is on the wire: use up leave of its kind, or count it without."""
        now = asyncio.get_running_loop().time()
        self._expire(now)
        used = next((one for one in self._unused if one[1] is cancel), None)
        if used is not None:
            self._unused.remove(used)
            self._window.remove(used)
        self._window.append((now, cancel))

    def complained(self) -> float:
        """The gateway says too much is sent: hold queries and data back; returns seconds."""
        now = asyncio.get_running_loop().time()
        if now - self._complained_s > _FORGET_S:
            self._complaints = 0
        wait_s = BACKOFF_S[min(self._complaints, len(BACKOFF_S) - 1)]
        if now >= self._held_until_s:  # one step for a burst of complaints
            self._complaints += 1
            self._held_until_s = now + wait_s
        self._complained_s = now
        return self._held_until_s - now

    def fail(self, reason: str) -> None:
        """Nobody gets leave any more: the session ended."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for *_, future in self._waiting:
            if not future.done():
                future.set_exception(UnavailableError(f"{reason}; nothing can be sent now"))
        self._waiting.clear()
        self._window.clear()
        self._unused.clear()
        self._held_until_s = float("-inf")

    def _serve(self) -> None:
        """Give leave to those whose turn it is, and wake up for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = asyncio.get_running_loop().time()
        while self._waiting:
            priority, future = self._waiting[0][2:]
            if future.done():  # its task was cancelled
                heapq.heappop(self._waiting)
                continue
            wait_s = self._wait_s(priority, now)
            if wait_s > _TOLERANCE_S:
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._serve)
                return
            heapq.heappop(self._waiting)
            leave = (now, priority is Priority.CANCEL)
            self._window.append(leave)
            self._unused.append(leave)
            future.set_result(None)

    def _wait_s(self, priority: Priority, now: float) -> float:
        self._expire(now)
        ends = [at + WINDOW_S for at, _ in self._window]
        waits = [0.0]
        if len(ends) >= TOTAL_PER_S:
            waits.append(ends[-TOTAL_PER_S] - now)
        if priority is not Priority.CANCEL:
            others = [at + WINDOW_S for at, cancel in self._window if not cancel]
            if len(others) >= OTHERS_PER_S:
                waits.append(others[-OTHERS_PER_S] - now)
        if priority in _PATIENT:
            waits.append(self._held_until_s - now)
        return max(waits)

    def _expire(self, now: float) -> None:
        for times in (self._window, self._unused):
            while times and times[0][0] + WINDOW_S <= now + _TOLERANCE_S:
                times.popleft()


class Bucket:
    """A rate with a burst, for one kind of request; those who wait keep their order."""

    def __init__(self, *, per_s: float, burst: int) -> None:
        self._every_s, self._slack_s = 1 / per_s, (burst - 1) / per_s
        self._free_s = float("-inf")  # when the next one would be due without any burst

    async def take(self, units: int = 1) -> None:
        """Wait until so many units may leave."""
        now = asyncio.get_running_loop().time()
        due_s = max(self._free_s, now)
        self._free_s = due_s + units * self._every_s
        await asyncio.sleep(max(0.0, due_s - self._slack_s - now))
