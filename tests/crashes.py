"""A process that dies at a chosen point: what it wrote and sent stays, nothing more leaves it."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, TypeVar

from bft.adapters.store.book import SqlBook
from bft.domain.broker import PlacedOrder
from bft.domain.errors import UnavailableError
from bft.ports import Broker, BrokerHooks, Page

T = TypeVar("T")


class Point(StrEnum):
    """Where a process dies, around one order's way out (executor specification, F1)."""

    BEFORE_FSYNC = "before_fsync"
    AFTER_FSYNC = "after_fsync"
    AFTER_MARK = "after_mark"
    BETWEEN_LEGS = "between_legs"
    AFTER_SEND = "after_send"
    ACK_UNCOMMITTED = "ack_uncommitted"
    FILL_UNCOMMITTED = "fill_uncommitted"


_KINDS = {
    Point.BEFORE_FSYNC: "intents",
    Point.AFTER_FSYNC: "intents",
    Point.ACK_UNCOMMITTED: "order",
    Point.FILL_UNCOMMITTED: "execution",
}


class KilledError(Exception):
    """Raised where the process dies: whatever runs there goes no further."""


class Gate:
    """Between an executor and the world; once `dead`, nothing passes. `trap` is (point, nth)."""

    def __init__(self) -> None:
        self.dead = False
        self.died = asyncio.Event()
        self.trap: tuple[Point, int] | None = None
        self.disk: str | None = None  # a fault of the disk, in words
        self.free_commits = 0  # commits that the reserve still holds
        self._waiting: list[asyncio.Future[None]] = []

    def reach(self, point: Point) -> None:
        """Die here, if the trap says so."""
        if self.trap is None or self.trap[0] is not point:
            return
        self.trap = (point, self.trap[1] - 1)
        if self.trap[1] <= 0:
            self.kill()
            raise KilledError(point)

    def kill(self) -> None:
        """Die now."""
        self.dead, self.trap = True, None
        self.died.set()

    async def offload(self, work: Callable[[], T]) -> T:
        """SQL of this process, on the loop's thread."""
        if self.dead:
            self._waiting.append(asyncio.get_running_loop().create_future())
            await self._waiting[-1]
        return work()


class GatedBook:
    """A Book whose process may die around a commit, and whose disk may be full."""

    def __init__(self, book: SqlBook, gate: Gate) -> None:
        self._book, self._gate = book, gate

    def __getattr__(self, name: str) -> Any:
        return getattr(self._book, name)

    def commit(self, pages: Sequence[Page], **rest: Any) -> Any:
        gate = self._gate
        kinds = {entry.kind for page in pages for entry in page.entries}
        for point in (Point.BEFORE_FSYNC, Point.ACK_UNCOMMITTED, Point.FILL_UNCOMMITTED):
            if _KINDS[point] in kinds:
                gate.reach(point)
        if gate.disk is not None and gate.free_commits <= 0:
            raise UnavailableError(gate.disk)
        gate.free_commits -= gate.disk is not None
        done = self._book.commit(pages, **rest)
        if "intents" in kinds:
            gate.reach(Point.AFTER_FSYNC)
        return done


class GatedBroker:
    """A Broker whose process may die around the bytes of an order."""

    def __init__(self, broker: Broker, gate: Gate) -> None:
        self._broker, self._gate = broker, gate
        self.placed: list[PlacedOrder] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    async def start(self, hooks: BrokerHooks) -> None:
        def report(told: Any) -> None:
            if not self._gate.dead:
                hooks.report(told)

        await self._broker.start(replace(hooks, report=report))

    def place(self, orders: Sequence[PlacedOrder]) -> None:
        self._alive()
        self._gate.reach(Point.AFTER_MARK)
        if len(orders) > 1 and self._gate.trap and self._gate.trap[0] is Point.BETWEEN_LEGS:
            self._broker.place(orders[:1])
            self.placed += orders[:1]
            self._gate.reach(Point.BETWEEN_LEGS)
            orders = orders[1:]
        self._broker.place(orders)
        self.placed += orders
        self._gate.reach(Point.AFTER_SEND)

    def amend(self, order: PlacedOrder) -> None:
        self._alive()
        self._broker.amend(order)

    def cancel(self, order_id: int) -> None:
        self._alive()
        self._broker.cancel(order_id)

    def _alive(self) -> None:
        if self._gate.dead:
            raise UnavailableError("the process is dead")
