"""One connection to the gateway: what is sent on it, and when it is over.

A link lives from connect to close and never connects again. The client library is reached through
`client.GatewayClient` alone; what comes in goes to the link's `inbox`.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol

import ib_async

from bft.adapters.broker.ib import contracts, orders
from bft.adapters.broker.ib.client import GatewayClient, Handler
from bft.adapters.broker.ib.figures import generic_ticks
from bft.adapters.broker.ib.identity import DONE
from bft.adapters.broker.ib.inbox import NO_CODE, Inbox
from bft.adapters.broker.ib.increments import Steps, rule_of
from bft.adapters.broker.ib.pacer import Pacer
from bft.adapters.broker.ib.quotes import Feed
from bft.adapters.broker.ib.requests import Requests, Slot
from bft.adapters.broker.ib.settings import IbSettings
from bft.domain.broker import (
    BrokerOrder,
    BrokerPosition,
    ErrorKind,
    PlacedOrder,
    Priority,
    Report,
    SessionState,
)
from bft.domain.errors import UnavailableError
from bft.domain.orders import Contract, Execution

RULE_S = 2.0  # a market rule is waited for so long
AMEND_RETRY_S, AMEND_RETRIES = 1.0, 3  # of 2102 (executor specification, section 7.1)


class Owner(Protocol):
    """The session a link belongs to."""

    state: SessionState

    def report(self, report: Report) -> None:
        """Something for the executor."""

    def greeted(self, link: "Link") -> None:
        """Version, accounts and next order id are known, or the accounts came again."""

    def said(self, link: "Link", code: int, text: str) -> None:
        """A code that belongs to no order or request."""

    def now(self) -> datetime:
        """The clock."""


class Link:
    """One connection. `closed` is done, with reason and code, once it is over."""

    def __init__(
        self,
        settings: IbSettings,
        client_id: int,
        *,
        owner: Owner,
        pacer: Pacer,
        feed: Feed,
        known: dict[int, Contract],
    ) -> None:
        self.settings, self.client_id = settings, client_id
        self._owner, self._pacer = owner, pacer
        loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[tuple[str, int | None]] = loop.create_future()
        self.requests = Requests(pacer, stuck=self.close)
        self.inbox = Inbox(
            settings.account,
            client_id,
            listener=self,
            requests=self.requests,
            feed=feed,
            known=known,
        )
        self._asks_fills = asyncio.Lock()
        self._amended: dict[int, tuple[PlacedOrder, int]] = {}  # newest change, retries left
        receivers = self.inbox.receivers()
        self.client = GatewayClient(receivers, malformed=self.close, closed=self._gone)

    # life --------------------------------------------------------------------------------

    @property
    def epoch(self) -> int:
        """Number of the connection; 0 until it is counted."""
        return self.inbox.epoch

    async def open(self) -> None:
        """Open the socket and begin the handshake.

        Raises:
            OSError: nobody listens there.
        """
        await self.client.open(self.settings.host, self.settings.port, self.client_id)

    def close(self, reason: str, code: int | None = None) -> None:
        """Close the socket now. Harmless when done before."""
        if not self.closed.done():
            self._finish(reason, code)
            self.client.abort()

    async def leave(self) -> None:
        """Close the socket so that what was written still arrives."""
        if self.closed.done():
            return
        self._finish("stopped", None)
        self.client.disconnect()
        for _ in range(100):  # a peer that reads nothing must not hold us up
            if self.client.conn.transport is None:
                return
            await asyncio.sleep(0.01)
        self.client.abort()

    def _finish(self, reason: str, code: int | None) -> None:
        self.inbox.silent = True
        self.closed.set_result((reason, code or self.inbox.connection_code))
        self.requests.close(reason)
        self._pacer.fail(reason)
        for waiting in self.inbox.asked_time:
            if not waiting.done():
                waiting.set_exception(UnavailableError(f"{reason}; ask again later"))

    def _gone(self) -> None:
        self.close("the gateway closed the socket")

    # what the inbox tells ----------------------------------------------------------------

    def report(self, report: Report) -> None:
        """Pass a report on, unless the connection is over."""
        if not self.closed.done():
            self._owner.report(report)

    def now(self) -> datetime:
        """The clock."""
        return self._owner.now()

    def greeted(self) -> None:
        """Tell the session once the handshake is whole."""
        if self.client.ready and not self.closed.done():
            self._owner.greeted(self)

    def complained(self) -> None:
        """Too much is sent."""
        self._pacer.complained()

    def amend_again(self, order_id: int) -> None:
        """Try the newest change of an order once more in a second."""
        if order_id in self._amended:
            asyncio.get_running_loop().call_later(AMEND_RETRY_S, self._retry, order_id)

    def _retry(self, order_id: int) -> None:
        order, left = self._amended.get(order_id, (None, 0))
        live = self.inbox.orders.amendable(order_id)
        if order is None or not (left and live and self._owner.state.may_close):
            return
        if not self.closed.done():
            self._amended[order_id] = order, left - 1
            self.place([order])

    def said(self, code: int, text: str) -> None:
        """Pass a code on."""
        if not self.closed.done():
            self._owner.said(self, code, text)

    # orders ------------------------------------------------------------------------------

    def place(self, placed: Sequence[PlacedOrder]) -> None:
        """Write legs to the socket, in this order; all are ready before the first is sent."""
        wired = [(o, contracts.named(o.contract), orders.wired(o)) for o in placed]
        for order, contract, terms in wired:
            self.inbox.orders.sent(order)
            if order.contract.con_id:
                self.inbox.known.setdefault(order.contract.con_id, order.contract)
            self.client.placeOrder(order.order_id, contract, terms)
            self._pacer.sent()

    def amend(self, order: PlacedOrder) -> None:
        """Send an order again under its id; not when that would make a new order of it."""
        if self.inbox.orders.amendable(order.order_id):
            self._amended[order.order_id] = order, AMEND_RETRIES
            parent = self.inbox.orders.parent_of(order.order_id)
            self.place([replace(order, parent_order_id=parent)])
            return
        text = f"order {order.order_id} is not known to be live: nothing was sent"
        report = self.inbox.error(ErrorKind.UNCHANGED, NO_CODE, text, order.order_id)
        asyncio.get_running_loop().call_soon(self.report, report)

    def cancel(self, order_id: int) -> None:
        """Send a cancel; a change that waits to be sent again is forgotten."""
        self._amended.pop(order_id, None)
        self.client.cancelOrder(order_id)
        self._pacer.sent(cancel=True)

    # questions ---------------------------------------------------------------------------

    async def ask_positions(self, timeout_s: float) -> tuple[BrokerPosition, ...]:
        """Positions of the account that are not zero."""
        send = self._sender(self.client.reqPositions)
        rows = await self.requests.listed(Slot.POSITIONS, send, timeout_s)
        held = {row.contract.con_id: row for row in rows}
        self.inbox.forget_positions(set(held))
        return tuple(row for row in held.values() if row.qty)

    async def ask_open_orders(self, timeout_s: float) -> tuple[BrokerOrder, ...]:
        """Open orders of all clients, each as it stands at the end of the answer."""
        send = self._sender(self.client.reqAllOpenOrders)
        rows = await self.requests.listed(Slot.OPEN_ORDERS, send, timeout_s)
        now = {(o.client_id, o.order_id, o.perm_id): o for o in map(self.inbox.orders.told, rows)}
        return tuple(order for order in now.values() if order.status not in DONE)

    async def ask_completed(self, timeout_s: float) -> tuple[BrokerOrder, ...]:
        """Orders that ended since the gateway's last reset."""
        send = self._sender(self.client.reqCompletedOrders, apiOnly=False)
        return tuple(await self.requests.listed(Slot.COMPLETED_ORDERS, send, timeout_s))

    async def ask_executions(
        self, timeout_s: float, since: datetime | None = None
    ) -> tuple[Execution, ...]:
        """Executions with their fees, oldest first."""
        text = f"{since.astimezone(UTC):%Y%m%d-%H:%M:%S}" if since else ""
        wanted = ib_async.ExecutionFilter(acctCode=self.settings.account, time=text)
        send = self._sender(self.client.reqExecutions, wanted)
        async with self._asks_fills:
            try:
                rows: list[Execution] = await self.requests.numbered(send, timeout_s)
            finally:
                self.inbox.fills_of_answer.clear()
        fees = [replace(row, fee_usd=self.inbox.fees.get(row.exec_id)) for row in rows]
        return tuple(sorted(fees, key=lambda e: (e.at, e.exec_id)))

    async def ask_contracts(self, wanted: Contract, timeout_s: float) -> list[Contract]:
        """Contracts a description fits."""
        send = self._sender(self.client.reqContractDetails, contracts.asked(wanted))
        rows: list[ib_async.ContractDetails] = await self.requests.numbered(send, timeout_s)
        found = [one for one in map(contracts.resolved, rows) if one is not None]
        if len(found) == 1 and found[0].sec_type == "OPT":
            found = [replace(found[0], increments=await self._increments(rows[0]))]
        self.inbox.known.update({one.con_id: one for one in found})
        return found

    async def _increments(self, details: ib_async.ContractDetails) -> Steps:
        """Price steps of an option; its smallest step alone would have orders refused (110)."""
        number = rule_of(details)
        if number is None:
            return ()
        await self._pacer.token(Priority.QUERY)
        ask = self._sender(self.client.reqMarketRule)
        return await self.inbox.rules.steps(number, ask, RULE_S)

    async def ask_what_if(self, order: PlacedOrder, timeout_s: float) -> Any:
        """State of an order that is only tried."""

        def send(number: int) -> None:
            terms = orders.wired(order, what_if=True)
            self.client.placeOrder(number, contracts.named(order.contract), terms)
            self._pacer.sent()

        rows = await self.requests.numbered(send, timeout_s, req_id=order.order_id)
        return rows[0]

    async def ask_time(self, timeout_s: float) -> datetime:
        """The gateway's clock; questions at the same time share an answer."""
        alone = not self.inbox.asked_time
        waiting: asyncio.Future[datetime] = asyncio.get_running_loop().create_future()
        self.inbox.asked_time.append(waiting)
        try:
            async with asyncio.timeout(timeout_s):
                if alone:
                    self._sender(self.client.reqCurrentTime)()
                return await waiting
        except TimeoutError as error:
            raise UnavailableError(f"gateway: no current time within {timeout_s:g} s") from error
        finally:
            if waiting in self.inbox.asked_time:
                self.inbox.asked_time.remove(waiting)

    async def ask_account(self) -> None:
        """Ask for all account figures anew; they come as reports.

        A second subscription alone would bring nothing, and by itself the gateway tells only every
        three minutes.
        """
        send = self._sender(self.client.reqAccountUpdates, acctCode=self.settings.account)
        for subscribe in (False, True) if self.inbox.account_told.is_set() else (True,):
            await self._pacer.token(Priority.QUERY)
            send(subscribe=subscribe)

    async def account_told(self, timeout_s: float) -> None:
        """Wait for the first whole set of account figures, but not longer."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self.inbox.account_told.wait(), timeout_s)

    def fresh_id(self) -> int:
        """A number for a request."""
        return self.requests.fresh_id()

    def ask_quotes(self, number: int, contract: Contract) -> None:
        """Begin a line of market data."""
        wanted = contracts.named(contract)
        kind = {"genericTickList": generic_ticks(contract), "mktDataOptions": []}
        send = self._sender(self.client.reqMktData, **kind)
        send(number, wanted, snapshot=False, regulatorySnapshot=False)

    def stop_quotes(self, number: int) -> None:
        """End a line of market data."""
        self._sender(self.client.cancelMktData)(number)

    def ask_data_type(self) -> None:
        """Say which kind of quotes later lines shall have."""
        self._sender(self.client.reqMarketDataType, self.settings.data_type)()

    def _sender(self, request: Handler, *given: Any, **named: Any) -> Handler:
        """A call of the client, counted by the pacer; what it is called with goes first."""

        def send(*first: Any, **more: Any) -> None:
            if self.closed.done():
                raise UnavailableError("the session has just ended; ask again later")
            request(*first, *given, **named, **more)
            self._pacer.sent()

        return send
