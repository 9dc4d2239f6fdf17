"""An event loop whose clock jumps to the next timer as soon as nothing else can happen.

Hours pass in milliseconds, and always alike. Sockets keep working: while one is ready time stands
still. A connection to a server of the same loop is a socket pair, where what was sent is there at
once; over loopback the kernel's own thread delivers, after time has jumped when it is busy. Work in
threads (`run_in_executor`) is waited for in real time. A peer in another process needs
`patience_s`: so long the loop waits for it before each jump.
"""

import asyncio
import os
import selectors
import socket
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
START = datetime(2026, 1, 5, 14, 0, tzinfo=UTC)  # Monday, 09:00 in New York
YIELDS = 3  # chances for the kernel's own thread to deliver what loopback has taken


class _Selector(selectors.DefaultSelector):
    """A selector that moves the loop's clock instead of waiting."""

    loop: "VirtualTimeLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.loop.in_threads:
            return super().select(None)
        ready = self._delivered()
        if ready:
            return ready
        if timeout is None:  # no timer: only the outside can wake the loop
            return self._outside()
        self.loop.jump(timeout)
        return []

    def _delivered(self) -> list[tuple[selectors.SelectorKey, int]]:
        if len(self.get_map()) == 1:  # nothing but the loop's own wake-up pipe
            return []
        for _ in range(YIELDS):
            os.sched_yield()
            if ready := super().select(0):
                return ready
        return super().select(self.loop.patience_s) if self.loop.patience_s else []

    def _outside(self) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(self.loop.stall_s)
        if not ready:
            raise RuntimeError("virtual time stands still: no timer is set, no socket is ready")
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop with a clock of its own; `time()` starts at 0 and moves by timers alone."""

    def __init__(self, *, patience_s: float = 0.0, stall_s: float = 5.0) -> None:
        self._now_s = 0.0
        self.patience_s, self.stall_s = patience_s, stall_s
        self.in_threads = 0
        self._served: dict[int, tuple[asyncio.Server, Any]] = {}
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self._now_s

    async def create_server(self, protocol_factory: Any, *where: Any, **more: Any) -> Any:
        """As always; connections from this loop take the short way."""
        server = await super().create_server(protocol_factory, *where, **more)
        for listening in server.sockets:
            self._served[listening.getsockname()[1]] = (server, protocol_factory)
        return server

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **more: Any
    ) -> Any:
        """As always, but to a server of this loop through a socket pair."""
        server, other_factory = self._served.get(port, (None, None))
        if server is None or not server.is_serving() or more:
            return await super().create_connection(protocol_factory, host, port, **more)
        ours, theirs = socket.socketpair()
        for end in (ours, theirs):
            end.setblocking(False)
        await self.connect_accepted_socket(other_factory, theirs)
        return await super().create_connection(protocol_factory, sock=ours)

    def jump(self, by_s: float) -> None:
        """Move the clock forward."""
        self._now_s += by_s

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> Any:
        """As always; time stands still until the thread is done."""
        future = super().run_in_executor(executor, func, *args)
        self.in_threads += 1
        future.add_done_callback(self._left_thread)
        return future

    def _left_thread(self, _: object) -> None:
        self.in_threads -= 1


class LoopClock:
    """The Clock port on the time of the running loop."""

    def __init__(self, start: datetime = START) -> None:
        self.start = start
        self._loop = asyncio.get_running_loop()
        self._zero_s = self._loop.time()

    def now(self) -> datetime:
        """`start` plus what has passed since; whole microseconds."""
        return self.start + timedelta(seconds=round(self._loop.time() - self._zero_s, 6))


def run(main: Coroutine[Any, Any, T], *, patience_s: float = 0.0, stall_s: float = 5.0) -> T:
    """Run a coroutine to its end in virtual time; what it leaves running is cancelled.

    What a callback or a forgotten task raises is raised here, not merely logged.
    """
    raised: list[BaseException] = []

    def note(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        raised.append(context.get("exception") or RuntimeError(context["message"]))

    def loop() -> VirtualTimeLoop:
        made = VirtualTimeLoop(patience_s=patience_s, stall_s=stall_s)
        made.set_exception_handler(note)
        return made

    try:
        with asyncio.Runner(loop_factory=loop) as runner:
            result = runner.run(main)
    except BaseException as error:
        if raised:
            raise raised[0] from error
        raise
    if raised:
        raise raised[0]
    return result


async def until(at: datetime, clock: LoopClock) -> None:
    """Sleep until the clock shows an instant; returns at once when it has passed."""
    await asyncio.sleep(max(0.0, (at - clock.now()).total_seconds()))


async def settle() -> None:
    """Let all happen that is due or on its way; a microsecond passes."""
    await asyncio.sleep(1e-6)
