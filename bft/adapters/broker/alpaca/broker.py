"""The Broker port over Alpaca's paper trading: messages by HTTP, reports by polling.

What Alpaca cannot do raises UnavailableError and says so: orders added to a live group, quantities
of bracket legs, anything but stocks, what-if (decision record 0027).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from bft.adapters.broker.alpaca.client import AlpacaSettings, Client, Refused, check
from bft.adapters.broker.alpaca.desk import KEPT, Desk
from bft.adapters.broker.alpaca.orders import STOPS, body_of, change_of
from bft.adapters.broker.alpaca.outbox import Outbox, lasting
from bft.adapters.broker.alpaca.quotes import Quotes
from bft.domain.broker import (
    AccountValues,
    BrokerOrder,
    ErrorKind,
    ErrorReport,
    OptionFigures,
    PlacedOrder,
    Priority,
    Quote,
    Report,
    SessionReport,
    SessionState,
    Snapshot,
    WhatIf,
)
from bft.domain.errors import BftError, RefusedError, UnavailableError
from bft.domain.orders import Contract, Execution

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bft.ports import Clock
    from bft.ports.broker import BrokerHooks

_log = logging.getLogger(__name__)
RETRY_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # executor specification, section 7.1, state DOWN
SLOW_S = 10.0  # between looks at account and positions
LOOKS_LOST = 2  # polls in a row without an answer that end the session
T = TypeVar("T")


class Alpaca:
    """One paper account at Alpaca.

    Raises:
        RefusedError: an address that is not paper trading.
        ConfigError: no account or keys.
    """

    name, simulated = "alpaca", True

    def __init__(self, settings: AlpacaSettings, *, clock: Clock) -> None:
        check(settings)
        self.account, self.client_id = settings.account, settings.client_id
        self._settings, self._clock = settings, clock
        self._state, self._epoch, self._next_id = SessionState.DOWN, 0, 1
        self._pending: dict[int, list[PlacedOrder]] = {}
        self._tasks: list[asyncio.Task[None]] = []

    # session -----------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        """State of the session now."""
        return self._state

    @property
    def epoch(self) -> int:
        """Number of the connection; 0 before the first."""
        return self._epoch

    async def start(self, hooks: BrokerHooks) -> None:
        """Begin to connect."""
        self._hooks, self._client = hooks, Client(self._settings)
        self._desk = Desk(self._client, self.account, self.client_id)
        self._quotes = Quotes(self._client, self._clock, hooks.report)
        self._poked, self._turn = asyncio.Event(), asyncio.Lock()
        self._outbox = Outbox(self._client, self._desk, self._sent)
        self._spawn(self._connect(), lasting(self._outbox.run), lasting(self._quotes.run))

    async def stop(self) -> None:
        """Close the session; orders stay at Alpaca."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        self._down("stopped")
        await self._client.close()

    def arm(self) -> None:
        """RECONCILING becomes ARMED."""
        if self._state is SessionState.RECONCILING:
            self._enter(SessionState.ARMED, "reconciled")

    def resync(self, reason: str) -> None:
        """Ask for everything again."""
        if self._state.may_close:
            self._enter(SessionState.SYNCING, reason)
            self._poked.set()

    async def _connect(self) -> None:
        failures = 0
        while True:
            try:
                self._epoch = self._desk.epoch = self._hooks.next_epoch()
                await self._session()
            except Exception as error:  # noqa: BLE001  else nobody looks any more
                failures = 0 if self._state.may_close else failures + 1
                known = isinstance(error, BftError | Refused)
                if not known:
                    _log.exception("alpaca.session_fault")
                self._down(str(error) if known else f"unexpected: {error!r}")
            await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S) - 1)])

    async def _session(self) -> None:
        self._enter(SessionState.HANDSHAKE, "asking for the account")
        self._tell(await self._desk.money(self._clock.now()))
        values = self._desk.values
        if values is None or values.account != self.account:
            raise RefusedError(
                f"alpaca's keys open account {values.account if values else None}, "
                f"not {self.account}; set BFT_ACCOUNT or other keys"
            )
        self._enter(SessionState.SYNCING, "")
        lost, slow_s = 0, 0.0
        while True:
            try:
                slow_s = await self._look(slow_s)
                lost = 0
            except UnavailableError:
                lost += 1
                if lost >= LOOKS_LOST or self._state is SessionState.SYNCING:
                    raise
            with suppress(TimeoutError):
                await asyncio.wait_for(self._poked.wait(), self._settings.poll_s)
            self._poked.clear()

    async def _look(self, slow_s: float) -> float:
        """Look at what may have changed; the loop time at which the rest was seen last."""
        now_s, syncing = asyncio.get_running_loop().time(), self._state is SessionState.SYNCING
        async with self._turn:
            fills = await self._look_at_orders(everything=syncing)
            if fills or syncing or now_s - slow_s >= SLOW_S:
                slow_s = now_s
                self._tell(await self._desk.holdings())
                self._tell(await self._desk.money(self._clock.now()))
        self._outbox.end_day(self._clock.now())
        if syncing:
            self._enter(SessionState.RECONCILING, "")
        return slow_s

    async def _look_at_orders(self, *, everything: bool) -> bool:
        """Look at orders and fills; tell whether there were any fills."""
        since = self._clock.now() - KEPT
        if everything:
            self._tell(await self._desk.all_orders(since))
        self._tell(await self._desk.open_orders())
        self._tell(await self._outbox.search())
        fills = await self._desk.fills(since)
        self._tell(fills)
        return bool(fills)

    def _enter(self, state: SessionState, reason: str) -> None:
        self._state = state
        self._hooks.report(SessionReport(state=state, epoch=self._epoch, reason=reason))

    def _down(self, reason: str) -> None:
        self._pending.clear()
        self._outbox.clear()
        self._quotes.newest.clear()
        if self._state is not SessionState.DOWN:
            self._enter(SessionState.DOWN, reason)

    def _spawn(self, *work: Coroutine[Any, Any, None]) -> None:
        loop = asyncio.get_running_loop()
        self._tasks += [loop.create_task(one) for one in work]

    def _sent(self, reports: Iterable[Report]) -> None:
        """Report what a message brought, and look at once what it changed."""
        self._tell(reports)
        self._poked.set()

    def _tell(self, reports: Iterable[Report]) -> None:
        for report in reports:
            self._hooks.report(report)

    # orders ------------------------------------------------------------------------------

    async def send_token(self, priority: Priority) -> None:
        """Wait for leave to call: Alpaca takes 200 calls a minute."""
        self._need(self._state.may_cancel, "calls")
        await self._client.pace.token(priority)

    def reserve_ids(self, count: int) -> list[int]:
        """Order ids above the floor, all seen and all reserved before."""
        self._need(self._state.may_close, "order ids")
        seen = max((t.order.order_id for t in self._desk.by_uid.values()), default=0)
        first = max(self._next_id, self._hooks.id_floor(), seen + 1)
        self._next_id = first + count
        return list(range(first, self._next_id))

    def place(self, orders: Sequence[PlacedOrder]) -> None:
        """Queue legs for the socket; an entry with exits, or two exits, are one order there.

        Raises:
            UnavailableError: no session, or Alpaca knows no such order.
        """
        self._need(self._state.may_close, "orders")
        for placed in orders:
            self._pending.setdefault(self._root(placed), []).append(placed)
        whole = [root for root, legs in self._pending.items() if legs[-1].transmit]
        ready = [self._pending.pop(root) for root in whole]
        bodies = [self._body(legs) for legs in ready]
        for legs, body in zip(ready, bodies, strict=True):
            self._outbox.post(body, legs)

    def _root(self, placed: PlacedOrder) -> int:
        """The first leg of the order this leg is part of."""
        if placed.parent_order_id in self._pending:
            return placed.parent_order_id
        group = placed.oca_group
        same = (n for n, legs in self._pending.items() if group and legs[0].oca_group == group)
        return next(same, placed.order_id)

    def _body(self, legs: list[PlacedOrder]) -> dict[str, Any]:
        first = legs[0]
        live = [t for t in self._desk.by_uid.values() if t.live]
        if any(t.order.order_id == first.parent_order_id for t in live if first.parent_order_id):
            raise UnavailableError(f"alpaca cannot add {first.order_ref} to a live entry")
        if any(t.order.oca_group == first.oca_group for t in live if first.oca_group):
            raise UnavailableError(
                f"alpaca cannot add {first.order_ref} to the live group {first.oca_group}; "
                "cancel the group first"
            )
        return body_of(
            sorted(legs, key=lambda leg: leg.order_type in STOPS) if _pair(legs) else legs
        )

    def amend(self, order: PlacedOrder) -> None:
        """Change price, or the quantity of a simple order; it keeps id and reference.

        Raises:
            UnavailableError: no session, or a quantity Alpaca cannot change.
        """
        self._need(self._state.may_close, "amendments")
        if self._outbox.holds(order.order_id):
            self._outbox.after(partial(self._amend_late, order))
        else:
            self._amend(order)

    def cancel(self, order_id: int) -> None:
        """Ask to cancel; Alpaca cancels the rest of a bracket with it."""
        self._need(self._state.may_cancel, "cancels")
        if self._outbox.holds(order_id):
            self._outbox.after(partial(self._cancel, order_id))
        else:
            self._cancel(order_id)

    def _amend(self, order: PlacedOrder) -> None:
        now = self._desk.current(order.order_id)
        if now is None or not now.live:
            self._unchanged(order.order_id, order.order_ref)
        else:
            self._outbox.change("PATCH", change_of(now, order), now)

    def _amend_late(self, order: PlacedOrder) -> None:
        try:
            self._amend(order)
        except UnavailableError as error:
            self._unchanged(order.order_id, order.order_ref, str(error))

    def _cancel(self, order_id: int) -> None:
        now = self._desk.current(order_id)
        if now is None or not now.live:
            self._unchanged(order_id, now.order.order_ref if now else "")
        else:
            self._outbox.change("DELETE", None, now)

    def _unchanged(self, order_id: int, order_ref: str, why: str = "not live at alpaca") -> None:
        """Say, once this call is over, that an order is what it was."""
        said = ErrorReport(
            kind=ErrorKind.UNCHANGED,
            code=404,
            text=f"order {order_id}: {why}",
            epoch=self._epoch,
            order_id=order_id,
            order_ref=order_ref or None,
        )
        asyncio.get_running_loop().call_soon(self._hooks.report, said)

    # questions ---------------------------------------------------------------------------

    async def snapshot(self, *, full: bool = False) -> Snapshot:
        """Positions and open orders, asked for now; `full` adds seven days of what is done."""
        self._need_answers()
        self._tell(await self._ask(self._desk.holdings()))
        opened = await self.open_orders()
        return Snapshot(
            epoch=self._epoch,
            account=self.account,
            at=self._clock.now(),
            positions=tuple(self._desk.positions.values()),
            open_orders=opened,
            completed=await self.completed_orders() if full else None,
            executions=await self.executions() if full else None,
        )

    async def open_orders(self) -> tuple[BrokerOrder, ...]:
        """Open orders of the account, asked for now."""
        self._need_answers()
        self._tell(await self._ask(self._desk.open_orders()))
        return tuple(t.order for t in self._desk.by_uid.values() if t.live)

    async def completed_orders(self) -> tuple[BrokerOrder, ...]:
        """Orders of seven days that ended, asked for now."""
        self._need_answers()
        since = self._clock.now() - KEPT
        self._tell(await self._ask(self._desk.all_orders(since)))
        done = [t.order for t in self._desk.by_uid.values() if not t.live and not t.replaced]
        return tuple(o for o in done if o.completed_at is not None and o.completed_at >= since)

    async def executions(self, *, since: datetime | None = None) -> tuple[Execution, ...]:
        """Fills of seven days, asked for now."""
        self._need_answers()
        oldest = self._clock.now() - KEPT
        self._tell(await self._ask(self._desk.fills(oldest)))
        oldest = oldest if since is None else max(oldest, since)
        return tuple(e for e in self._desk.executions.values() if e.at >= oldest)

    async def contract(self, wanted: Contract) -> Contract:
        """The tradable asset of a symbol."""
        self._need_answers()
        return await self._ask(self._desk.contract(wanted))

    async def what_if(self, order: PlacedOrder) -> WhatIf:
        """Raise UnavailableError: Alpaca answers no such question."""
        raise UnavailableError(f"alpaca has no what-if ({order.order_ref}); turn whatif_margin off")

    async def broker_time(self) -> datetime:
        """Alpaca's clock."""
        self._need_answers()
        raw = await self._ask(self._client.get("/v2/clock"))
        return datetime.fromisoformat(str(raw["timestamp"])).astimezone(UTC)

    def account_values(self) -> AccountValues | None:
        """Newest figures."""
        return self._desk.values if self._state is not SessionState.DOWN else None

    def watch(self, contract: Contract) -> None:
        """Report quotes of a contract."""
        self._quotes.watched[contract.symbol] = contract

    def unwatch(self, contract: Contract) -> None:
        """Stop reporting."""
        self._quotes.watched.pop(contract.symbol, None)

    def quote(self, contract: Contract) -> Quote | None:
        """Newest quote of a watched contract."""
        watched = contract.symbol in self._quotes.watched
        return self._quotes.newest.get(contract.symbol) if watched else None

    def line(self, contract: Contract) -> None:
        """None: nothing but a quote says that quotes still come."""

    def option_figures(self, contract: Contract) -> OptionFigures | None:
        """None: only stocks are traded here."""

    async def _ask(self, question: Coroutine[Any, Any, T]) -> T:
        try:
            async with self._turn:
                return await question
        except Refused as error:
            raise UnavailableError(f"alpaca: {error.status} {error.message}") from error

    def _need_answers(self) -> None:
        self._need(self._state not in {SessionState.DOWN, SessionState.HANDSHAKE}, "answers")

    def _need(self, may: bool, what: str) -> None:  # noqa: FBT001  reads as a sentence
        if not may:
            raise UnavailableError(f"alpaca session is {self._state}: no {what} now; try again")


def _pair(legs: Sequence[PlacedOrder]) -> bool:
    """Whether these are two exits of one position rather than an entry with its exits."""
    return len(legs) == 2 and legs[0].side is legs[1].side
