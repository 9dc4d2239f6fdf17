"""What happens when: actions by instant, driven by a loop's timers or by hand."""

import asyncio
import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

from bft.domain.errors import UsageError

Now = Callable[[], datetime]
Action = Callable[[], None]


class VirtualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, at: datetime) -> None:
        self.at = at.astimezone(UTC)

    def __call__(self) -> datetime:
        """The instant it shows."""
        return self.at


class Planned:
    """One action of an agenda; it can be called off."""

    __slots__ = ("action",)

    def __init__(self, action: Action) -> None:
        self.action: Action | None = action

    def cancel(self) -> None:
        """Do not run it."""
        self.action = None


class Agenda:
    """Actions in order of their instant, equal instants in order of planning."""

    def __init__(self, now: Now) -> None:
        self.now = now
        self._heap: list[tuple[datetime, int, Planned]] = []
        self._number = count()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def at(self, when: datetime, action: Action) -> Planned:
        """Plan an action; an instant that has passed means at once."""
        planned = Planned(action)
        heapq.heappush(self._heap, (when, next(self._number), planned))
        self._set_timer()
        return planned

    def after(self, seconds: float, action: Action) -> Planned:
        """Plan an action so many seconds from now."""
        return self.at(self.now() + timedelta(seconds=seconds), action)

    def follow(self, loop: asyncio.AbstractEventLoop) -> None:
        """Let a loop's timers run the actions; the clock must move with the loop's."""
        self._loop = loop
        self._set_timer()

    def stop(self) -> None:
        """Run nothing more."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop = self._timer = None
        self._heap.clear()

    def advance(self, clock: VirtualClock, to: datetime) -> None:
        """Move a clock by hand and run what falls due, each action at its own instant.

        Raises:
            UsageError: back in time.
        """
        if to < clock.at:
            raise UsageError(f"advance to {to.isoformat()}: it is {clock.at.isoformat()} already")
        while self._step(clock, to):
            pass

    async def walk(self, clock: VirtualClock, to: datetime) -> None:
        """As `advance`, but the loop serves others between two actions.

        Raises:
            UsageError: back in time.
        """
        if to < clock.at:
            raise UsageError(f"advance to {to.isoformat()}: it is {clock.at.isoformat()} already")
        while self._step(clock, to):  # noqa: ASYNC110  it waits for nothing: others have a turn
            await asyncio.sleep(0)

    def _step(self, clock: VirtualClock, to: datetime) -> bool:
        """The next action due by then; without one the clock is there. Tell whether there was."""
        if not self._heap or self._heap[0][0] > to:
            clock.at = max(clock.at, to)
            return False
        clock.at = max(clock.at, self._heap[0][0])
        self._run_first()
        return True

    def _run_first(self) -> None:
        planned = heapq.heappop(self._heap)[2]
        if planned.action is not None:
            planned.action()

    def _set_timer(self) -> None:
        if self._loop is None or not self._heap:
            return
        if self._timer is not None:
            self._timer.cancel()
        wait_s = max((self._heap[0][0] - self.now()).total_seconds(), 0)
        self._timer = self._loop.call_later(min(wait_s, 3600), self._due)

    def _due(self) -> None:
        self._timer = None
        now = self.now()
        while self._heap and self._heap[0][0] <= now:
            self._run_first()
        self._set_timer()
