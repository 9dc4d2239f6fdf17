"""The Broker port over a session with IB Gateway or TWS."""

import random
from collections.abc import Sequence
from datetime import datetime

from bft.adapters.broker.ib import orders as words
from bft.adapters.broker.ib import settings as rules
from bft.adapters.broker.ib.link import Link
from bft.adapters.broker.ib.pacer import Bucket
from bft.adapters.broker.ib.requests import REQUEST_IDS_FROM
from bft.adapters.broker.ib.session import LIST_S, PROBE_S, Session
from bft.adapters.broker.ib.settings import EXECUTOR_ID, IbSettings
from bft.domain.broker import (
    AccountValues,
    BrokerOrder,
    FeedLine,
    OptionFigures,
    PlacedOrder,
    Priority,
    Quote,
    SessionState,
    Snapshot,
    WhatIf,
)
from bft.domain.errors import DataError, RefusedError, UnavailableError, UsageError
from bft.domain.orders import Contract, Execution
from bft.ports.broker import BrokerHooks
from bft.ports.night import Clock

CONTRACTS_PER_S, CONTRACTS_BURST = 1.0, 3
WHAT_IF_S = 5.0
_CONNECTED = frozenset(SessionState) - {
    SessionState.DOWN,
    SessionState.HANDSHAKE,
    SessionState.HALF_OPEN,
}


class Ib:
    """One account at Interactive Brokers.

    All times come from `clock` and the running loop; the generator only spreads reconnects.

    Raises:
        ConfigError: a setting that can never work.
    """

    name = "ib"

    def __init__(self, settings: IbSettings, *, clock: Clock, rng: random.Random) -> None:
        rules.check(settings)
        self.account = settings.account
        self._clock = clock
        self._session = Session(settings, clock=clock, rng=rng)
        self._definitions = Bucket(per_s=CONTRACTS_PER_S, burst=CONTRACTS_BURST)
        self._hooks: BrokerHooks | None = None

    # session -----------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        """State of the session."""
        return self._session.state

    @property
    def epoch(self) -> int:
        """Number of the connection."""
        return self._session.epoch

    async def start(self, hooks: BrokerHooks) -> None:
        """Begin to connect in the background."""
        if self._hooks is not None:
            raise UsageError("this broker was started before; make another one")
        self._hooks = hooks
        self._session.start(hooks)

    async def stop(self) -> None:
        """Close the session; what rests at the broker stays there."""
        await self._session.stop()

    def arm(self) -> None:
        """Allow openings, now or as soon as nothing forbids them."""
        self._session.arm()

    def resync(self, reason: str) -> None:
        """Ask for everything again."""
        self._session.resync(reason)

    # orders ------------------------------------------------------------------------------

    async def send_token(self, priority: Priority) -> None:
        """Wait for leave to send one message; a bracket takes one for each leg."""
        self._link(may=self.state in _CONNECTED, what="messages")
        await self._session.pacer.token(priority)

    def reserve_ids(self, count: int) -> list[int]:
        """Order ids above nextValidId, the stored floor and the library's counter."""
        link = self._link(may=self.state in _CONNECTED, what="order ids")
        hooks = self._hooks
        if hooks is None:
            raise UnavailableError("ib: not started")
        found = self._session.reserve_ids(count, link, hooks.id_floor)
        if found[-1] >= REQUEST_IDS_FROM:
            raise DataError(
                f"order id {found[-1]} is too high; reset the order id sequence in the gateway"
            )
        return found

    def place(self, orders: Sequence[PlacedOrder]) -> None:
        """Write legs to the socket, in this order."""
        self._placing(may=self.state.may_close, what="orders").place(orders)

    def amend(self, order: PlacedOrder) -> None:
        """Send new terms of a live order; one that is not known to be live is reported so."""
        self._placing(may=self.state.may_close, what="amendments").amend(order)

    def cancel(self, order_id: int) -> None:
        """Send a cancel."""
        self._placing(may=self.state.may_cancel, what="cancels").cancel(order_id)

    # questions ---------------------------------------------------------------------------

    async def snapshot(self, *, full: bool = False) -> Snapshot:
        """Positions and open orders; `full` adds completed orders and executions."""
        link = self._link()
        executions = await link.ask_executions(LIST_S) if full else None
        completed = await link.ask_completed(LIST_S) if full else None
        return Snapshot(
            epoch=link.epoch,
            account=self.account,
            open_orders=await link.ask_open_orders(LIST_S),
            positions=await link.ask_positions(LIST_S),
            completed=completed,
            executions=executions,
            at=self._clock.now(),
        )

    async def open_orders(self) -> tuple[BrokerOrder, ...]:
        """Open orders of all clients and of the gateway's window."""
        return await self._link().ask_open_orders(LIST_S)

    async def completed_orders(self) -> tuple[BrokerOrder, ...]:
        """Orders that ended since the nightly reset; they name no order id."""
        return await self._link().ask_completed(LIST_S)

    async def executions(self, *, since: datetime | None = None) -> tuple[Execution, ...]:
        """Executions since the nightly reset, oldest first."""
        return await self._link().ask_executions(LIST_S, since)

    async def contract(self, wanted: Contract) -> Contract:
        """The one contract that fits."""
        self._link()
        await self._definitions.take()
        try:
            found = await self._link().ask_contracts(wanted, LIST_S)
        except DataError as error:
            raise DataError(f"{wanted.symbol}: {error}; check symbol and terms") from error
        if len(found) != 1:
            names = ", ".join(f"{c.local_symbol} {c.trading_class} {c.con_id}" for c in found[:9])
            raise DataError(f"{wanted.symbol}: {len(found)} contracts fit: {names}; say more")
        return found[0]

    async def what_if(self, order: PlacedOrder) -> WhatIf:
        """Margins after an order that is never sent."""
        link = self._placing(may=self.state.may_close, what="what-if orders")
        return words.what_if(await link.ask_what_if(order, WHAT_IF_S))

    async def broker_time(self) -> datetime:
        """The gateway's clock, whole seconds."""
        return await self._link().ask_time(PROBE_S)

    def account_values(self) -> AccountValues | None:
        """Newest figures of this connection."""
        link = self._session.link
        return link.inbox.values.newest if link is not None else None

    # quotes ------------------------------------------------------------------------------

    def watch(self, contract: Contract) -> None:
        """Report quotes of a contract; asked for again after every reconnect."""
        self._session.feed.watch(contract)

    def unwatch(self, contract: Contract) -> None:
        """Stop."""
        self._session.feed.unwatch(contract)

    def quote(self, contract: Contract) -> Quote | None:
        """Newest quote of a watched contract."""
        return self._session.feed.quote(contract)

    def line(self, contract: Contract) -> FeedLine:
        """Whether the gateway would have told what changed, and until when that is known."""
        return self._session.line(contract)

    def option_figures(self, contract: Contract) -> OptionFigures | None:
        """Newest figures of a watched option."""
        return self._session.feed.option_figures(contract)

    # small things ------------------------------------------------------------------------

    @property
    def client_id(self) -> int:
        """The id this client bears; a reader's may change while it connects."""
        return self._session.client_id

    @property
    def simulated(self) -> bool:
        """Whether fills are not real: a paper account, or a peer that says so."""
        return self._session.simulated

    def _placing(self, *, may: bool, what: str) -> Link:
        if self.client_id != EXECUTOR_ID:
            raise RefusedError(
                f"client id {self.client_id} only reads; orders go through the executor, id 10"
            )
        return self._link(may=may, what=what)

    def _link(self, *, may: bool | None = None, what: str = "questions") -> Link:
        """The link, where the session allows what is wanted."""
        allowed = self.state in _CONNECTED - {SessionState.LOST} if may is None else may
        link = self._session.link
        if link is None or not allowed or link.closed.done():
            raise UnavailableError(f"ib session is {self.state}: no {what} now; try again")
        return link
