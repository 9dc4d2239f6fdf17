"""Messages to Alpaca, one after another; cancels overtake. No order is sent twice."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import chain, count, repeat
from typing import Any

from bft.adapters.broker.alpaca.client import TOO_MANY, Client, Refused
from bft.adapters.broker.alpaca.desk import Desk
from bft.adapters.broker.alpaca.orders import Told
from bft.domain import sessions
from bft.domain.broker import ErrorKind, ErrorReport, PlacedOrder, Priority, Report
from bft.domain.errors import BftError

BACK_OFF_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0)  # executor specification, 7.1, pacing codes
UNSURE_S = 60.0  # how long an order without an answer is looked for
NOT_FOUND = 404
_log = logging.getLogger(__name__)
Send = Callable[[], Awaitable[None]]


class Outbox:
    """A queue by priority, then by arrival; `tell` takes what an answer brings."""

    def __init__(
        self, client: Client, desk: Desk, tell: Callable[[Iterable[Report]], None]
    ) -> None:
        self._client, self._desk, self._tell = client, desk, tell
        self._queue: asyncio.PriorityQueue[tuple[int, int, Send]] = asyncio.PriorityQueue()
        self._numbers = count()
        self._unsure: dict[str, float] = {}
        self._unposted: set[int] = set()

    def post(self, body: Mapping[str, Any], legs: Sequence[PlacedOrder]) -> None:
        """Send a new order later, never before this returns."""
        self._unposted |= {leg.order_id for leg in legs}
        self._put(1, partial(self._post, body, legs))

    def holds(self, order_id: int) -> bool:
        """Whether an order has not been answered yet."""
        return order_id in self._unposted

    def after(self, act: Callable[[], None]) -> None:
        """Act when all that was posted before has been answered."""

        async def later() -> None:
            act()

        self._put(1, later)

    def change(self, method: str, body: Mapping[str, Any] | None, now: Told) -> None:
        """Send a change (PATCH) or a cancel (DELETE) of an order."""
        self._put(0 if method == "DELETE" else 1, partial(self._change, method, body, now))

    def clear(self) -> None:
        """Forget what was not sent."""
        self._unposted.clear()
        while not self._queue.empty():
            self._queue.get_nowait()

    async def run(self) -> None:
        """Send for ever. What was refused for the pace was not taken: it is sent again."""
        while True:
            _, _, send = await self._queue.get()
            for wait_s in chain(BACK_OFF_S, repeat(BACK_OFF_S[-1])):
                if await self._accepted(send):
                    break
                await asyncio.sleep(wait_s)

    async def search(self) -> list[Report]:
        """Look for orders whose sending was not answered."""
        reports: list[Report] = []
        for name, until_s in list(self._unsure.items()):
            try:
                raw = await self._client.get("/v2/orders:by_client_order_id", client_order_id=name)
            except Refused as error:
                late = asyncio.get_running_loop().time() > until_s
                if error.status != NOT_FOUND or not late:
                    continue
            else:
                raw = await self._client.get(f"/v2/orders/{raw['id']}", nested="true")
                reports += self._desk.take(raw)
            del self._unsure[name]
        return reports

    def end_day(self, now: datetime) -> None:
        """Cancel entries whose session is over: Alpaca keeps them for their exits' sake."""
        for one in [t for t in self._desk.by_uid.values() if t.live and t.session_only]:
            if session_end(one.submitted_at) <= now and one.order.status != "PendingCancel":
                self.change("DELETE", None, one)

    def _put(self, first: int, send: Send) -> None:
        self._queue.put_nowait((first, next(self._numbers), send))

    async def _accepted(self, send: Send) -> bool:
        try:
            await send()
        except Refused as error:
            if error.status != TOO_MANY:
                raise
            return False
        except BftError as error:  # a late amendment, or an answer that the next poll reads again
            _log.warning("alpaca.not_done reason=%s", error)
        return True

    async def _post(self, body: Mapping[str, Any], legs: Sequence[PlacedOrder]) -> None:
        """Send a new order; without an answer, or one that is understood, it is looked for by name.

        Whatever went wrong after it may have left: it counts as not sent no longer.
        """
        try:
            raw = await self._client.send("POST", "/v2/orders", body, Priority.OPENING)
            reports = self._desk.take(raw)
        except Refused as error:
            if error.status == TOO_MANY:
                raise
            twice = "must be unique" in error.message
            kind = ErrorKind.DUPLICATE_ID if twice else ErrorKind.REFUSED
            reports = [self._said(leg, kind, error.status, error.message) for leg in legs]
        except Exception as error:  # noqa: BLE001  whatever it was: the order may be there
            if not isinstance(error, BftError):
                _log.exception("alpaca.answer_not_read")
            until_s = asyncio.get_running_loop().time() + UNSURE_S
            self._unsure[str(body["client_order_id"])] = until_s
            reports = [self._said(leg, ErrorKind.UNLISTED, 0, str(error)) for leg in legs]
        self._unposted -= {leg.order_id for leg in legs}
        self._tell(reports)

    async def _change(self, method: str, body: Mapping[str, Any] | None, now: Told) -> None:
        """Send a change or a cancel; a poll tells what came of it."""
        priority = Priority.CANCEL if method == "DELETE" else Priority.AMEND
        try:
            raw = await self._client.send(method, f"/v2/orders/{now.uid}", body, priority)
        except Refused as error:
            if error.status == TOO_MANY:
                raise
            kind = ErrorKind.UNCHANGED
            self._tell([self._desk.error(now.order, kind, error.status, error.message)])
        except BftError as error:
            self._tell([self._desk.error(now.order, ErrorKind.UNLISTED, 0, str(error))])
        else:
            self._tell(self._desk.take(raw) if raw else [])

    def _said(self, leg: PlacedOrder, kind: ErrorKind, code: int, text: str) -> ErrorReport:
        return ErrorReport(
            kind=kind,
            code=code,
            text=text,
            epoch=self._desk.epoch,
            order_id=leg.order_id,
            order_ref=leg.order_ref,
        )


async def lasting(run: Callable[[], Awaitable[None]]) -> None:
    """Run for ever; after a fault that nobody thought of it begins anew."""
    while True:
        try:
            await run()
        except Exception:  # noqa: BLE001  orders must go on leaving
            _log.exception("alpaca.begins_anew")
        await asyncio.sleep(BACK_OFF_S[0])


def session_end(submitted_at: datetime) -> datetime:
    """Close of the session a DAY order lives in."""
    day = sessions.on_or_after(submitted_at.astimezone(sessions.NEW_YORK).date())
    closes = sessions.close_at(day)
    return closes if closes > submitted_at else sessions.close_at(sessions.shift(day, 1))
