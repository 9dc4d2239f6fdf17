"""An event loop whose clock jumps to the next timer as soon as nothing else can happen.

Hours pass in milliseconds, and always alike. Connections within this process keep working: they go
over Unix sockets, where what was written can be read at once; what loopback TCP has taken arrives
when the kernel finds time. While a socket is ready time stands still. Work in threads
(`run_in_executor`) is waited for in real time. A peer in another process needs `patience_s`: so
long the loop waits for it before each jump.
"""

import asyncio
import os
import selectors
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")
START = datetime(2026, 1, 5, 14, 0, tzinfo=UTC)  # Monday, 09:00 in New York


class _Selector(selectors.DefaultSelector):
    """A selector that moves the loop's clock instead of waiting."""

    loop: "VirtualTimeLoop"

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.loop.in_threads:
            return super().select(None)
        if self.loop.patience_s and (ready := self._from_outside()):
            return ready
        if timeout is None:  # no timer: only the outside can wake the loop
            return self._outside()
        self.loop.jump(timeout)
        return []

    def _from_outside(self) -> list[tuple[selectors.SelectorKey, int]]:
        if len(self.get_map()) == 1:  # nothing but the loop's own wake-up pipe
            return []
        return super().select(self.loop.patience_s)

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
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self._now_s

    def jump(self, by_s: float) -> None:
        """Move the clock forward."""
        self._now_s += by_s

    async def create_server(self, protocol_factory: Any, *args: Any, **options: Any) -> Any:
        """As always; connections from this loop find it under its port, see above."""
        server = await super().create_server(protocol_factory, *args, **options)
        port = server.sockets[0].getsockname()[1]
        nearby = await self.create_unix_server(protocol_factory, _nearby(port))
        return _Server(server, nearby)

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        """A connection to a server of this loop, else as always."""
        with suppress(ConnectionRefusedError):
            return await self.create_unix_connection(protocol_factory, _nearby(port))
        return await super().create_connection(protocol_factory, host, port, **options)

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> Any:
        """As always; time stands still until the thread is done."""
        future = super().run_in_executor(executor, func, *args)
        self.in_threads += 1
        future.add_done_callback(self._left_thread)
        return future

    def _left_thread(self, _: object) -> None:
        self.in_threads -= 1


def _nearby(port: int) -> str:
    """Abstract name of the server at a port."""
    return f"\0virtual-time-{os.getpid()}-{port}"


class _Server:
    """A server on TCP and its twin for connections from the same loop."""

    def __init__(self, outside: asyncio.Server, nearby: asyncio.Server) -> None:
        self._both = (outside, nearby)
        self.sockets = outside.sockets

    def close(self) -> None:
        for server in self._both:
            server.close()

    async def wait_closed(self) -> None:
        for server in self._both:
            await server.wait_closed()


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
