"""Questions to the gateway: each has one answer, complete or not at all.

An answer counts only with its end marker, without an error, on the connection that asked. Answers
without a number (positions, orders) have one slot each: questions queue for it, and after a
time-out the end marker still owed is waited off, lest the rest of a late answer passes for a whole
one. Source: wire specification, section 9; executor specification, section 7.1.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bft.adapters.broker.ib.pacer import Pacer
from bft.domain.broker import Priority
from bft.domain.errors import BftError, UnavailableError

REQUEST_IDS_FROM = 1 << 30
"""Ids from here on are requests, below are orders: a code's id is never ambiguous."""


class Slot(StrEnum):
    """Answers that carry no number."""

    POSITIONS = "positions"
    OPEN_ORDERS = "open orders"
    COMPLETED_ORDERS = "completed orders"


class PacedError(UnavailableError):
    """The gateway wants the question later."""


@dataclass(slots=True)
class _Pending:
    """An answer on its way."""

    done: asyncio.Future[list[Any]]
    items: list[Any] = field(default_factory=list)


@dataclass(slots=True)
class _Lane:
    """One slot: who asks now, and how many end markers of given-up questions are to come.

    `missed` counts time-outs in a row.
    """

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    pending: _Pending | None = None
    owed: int = 0
    missed: int = 0


class Requests:
    """Questions of one connection. `stuck` runs when a slot stays unanswered twice in a row."""

    def __init__(self, pacer: Pacer, *, stuck: Callable[[str], None]) -> None:
        self._pacer, self._stuck = pacer, stuck
        self._lanes = {slot: _Lane() for slot in Slot}
        self._numbered: dict[int, _Pending] = {}
        self._next_id = REQUEST_IDS_FROM
        self._ended = ""

    def fresh_id(self) -> int:
        """A number for a request."""
        self._next_id += 1
        return self._next_id

    async def listed(self, slot: Slot, send: Callable[[], None], timeout_s: float) -> list[Any]:
        """Ask for what has no number; one at a time for each slot.

        Raises:
            UnavailableError: no end marker in time, or the session ended.
        """
        lane = self._lanes[slot]
        async with lane.lock:
            await self._leave()
            pending = lane.pending = _Pending(self._future())
            try:
                send()
                rows = await asyncio.wait_for(pending.done, timeout_s)
                lane.missed = 0
                return rows
            except TimeoutError as error:
                self._missed(slot, lane)
                what = f"gateway: {slot}: no end marker within {timeout_s:g} s; ask again"
                raise UnavailableError(what) from error
            finally:
                lane.pending = None
                lane.owed += not pending.done.done() or pending.done.cancelled()

    async def numbered(
        self, send: Callable[[int], None], timeout_s: float, *, req_id: int | None = None
    ) -> list[Any]:
        """Ask for what has a number; asked again after a pause where the gateway is too busy.

        Raises:
            UnavailableError: no end in time, or the session ended.
            BftError: what `failed` was given.
        """
        while True:
            number = self.fresh_id() if req_id is None else req_id
            await self._leave()
            pending = self._numbered[number] = _Pending(self._future())
            try:
                send(number)
                return await asyncio.wait_for(pending.done, timeout_s)
            except PacedError:
                await asyncio.sleep(self._pacer.complained())
            except TimeoutError as error:
                what = f"gateway: request {number}: no answer within {timeout_s:g} s; ask again"
                raise UnavailableError(what) from error
            finally:
                self._numbered.pop(number, None)

    # what the gateway says ---------------------------------------------------------------

    def asking(self, slot: Slot) -> bool:
        """Whether an answer is being collected."""
        return self._lanes[slot].pending is not None

    def item(self, slot: Slot, item: Any) -> None:
        """A row of an answer; rows nobody asked for are not kept."""
        pending = self._lanes[slot].pending
        if pending is not None:
            pending.items.append(item)

    def end(self, slot: Slot) -> None:
        """The end marker of a slot."""
        lane = self._lanes[slot]
        if lane.owed:
            lane.owed -= 1
            if lane.pending is not None:
                lane.pending.items.clear()
        elif lane.pending is not None and not lane.pending.done.done():
            lane.pending.done.set_result(lane.pending.items)

    def knows(self, number: int) -> bool:
        """Whether a numbered question waits for its answer."""
        return number in self._numbered

    def numbered_item(self, number: int, item: Any) -> None:
        """A row of a numbered answer."""
        if number in self._numbered:
            self._numbered[number].items.append(item)

    def numbered_end(self, number: int) -> None:
        """The end of a numbered answer."""
        pending = self._numbered.get(number)
        if pending is not None and not pending.done.done():
            pending.done.set_result(pending.items)

    def failed(self, number: int, error: BftError) -> None:
        """A numbered question came to nothing."""
        pending = self._numbered.get(number)
        if pending is not None and not pending.done.done():
            pending.done.set_exception(error)

    def close(self, reason: str) -> None:
        """The connection is gone: no answer will come."""
        self._ended = reason
        lanes = [lane.pending for lane in self._lanes.values() if lane.pending is not None]
        for pending in (*lanes, *self._numbered.values()):
            if not pending.done.done():
                pending.done.set_exception(UnavailableError(f"{reason}; ask again later"))

    async def _leave(self) -> None:
        if self._ended:
            raise UnavailableError(f"{self._ended}; ask again later")
        await self._pacer.token(Priority.QUERY)

    def _missed(self, slot: Slot, lane: _Lane) -> None:
        lane.missed += 1
        if lane.missed > 1:
            self._stuck(f"{slot}: no end marker, twice")

    @staticmethod
    def _future() -> asyncio.Future[list[Any]]:
        return asyncio.get_running_loop().create_future()
