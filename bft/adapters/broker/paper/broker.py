"""The paper broker: an account of this process that fills on prices it is shown.

Orders, executions and cash are on disk before they are reported, so that a restart finds them as
at a real broker (executor specification, section 7; decision record 0027).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal
from functools import partial
from random import Random
from typing import TYPE_CHECKING

from bft.adapters.broker.paper.account import PaperAccount, PaperSettings, margin_after
from bft.adapters.broker.paper.board import Board
from bft.adapters.broker.paper.books import Books, stored_account
from bft.adapters.broker.paper.contracts import resolved
from bft.adapters.broker.paper.exchange import Exchange
from bft.adapters.broker.paper.hours import opened
from bft.adapters.broker.paper.orders import key_of
from bft.adapters.broker.paper.prices import Price, Prices
from bft.adapters.broker.paper.sanity import Sanity
from bft.adapters.broker.paper.wire import Wire
from bft.domain.broker import (
    AccountReport,
    AccountValues,
    BrokerOrder,
    OptionFigures,
    PlacedOrder,
    Priority,
    Quote,
    SessionReport,
    SessionState,
    Snapshot,
    WhatIf,
)
from bft.domain.errors import BftError, RefusedError, UnavailableError
from bft.domain.orders import Contract, Execution

if TYPE_CHECKING:
    from datetime import datetime

    from bft.adapters.broker.paper.fees import Fee
    from bft.adapters.broker.paper.log import PaperLog, Row
    from bft.adapters.broker.paper.matching import Bar
    from bft.ports import Clock
    from bft.ports.broker import BrokerHooks

RETRY_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # executor specification, section 7.1, state DOWN
ACCOUNT_EVERY_S = 30.0  # figures are missing after 60 s (executor specification, section 15)
LONGEST_WAIT_S = 3600.0  # then the clock is asked again: it may have been set


class Paper:
    """The Broker port over the paper exchange."""

    name, simulated = "paper", True

    def __init__(
        self, log: PaperLog, *, clock: Clock, prices: Prices, fee: Fee, settings: PaperSettings
    ) -> None:
        self.account, self.client_id = settings.account, settings.client_id
        self._log, self._clock, self._prices, self._fee = log, clock, prices, fee
        self._settings = settings
        self._wire = Wire(settings.latency_s, Random(settings.seed))  # noqa: S311  no secret
        self._state, self._epoch, self._failures, self._next_id = SessionState.DOWN, 0, 0, 1
        self._pending: dict[int, list[PlacedOrder]] = {}
        self._board = Board(lambda report: self._hooks.report(report))
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._task: asyncio.Task[None] | None = None

    # session -----------------------------------------------------------------------------

    @property
    def state(self) -> SessionState:
        """State of the session now."""
        return self._state

    @property
    def epoch(self) -> int:
        """Number of the connection; 0 before the first."""
        return self._epoch

    @property
    def source(self) -> str:
        """Where prices come from: tick, files or market-sim."""
        return self._prices.name

    async def start(self, hooks: BrokerHooks) -> None:
        """Open the account in the background.

        Raises:
            RefusedError: the file is another account's.
            DataError: the file is broken.
        """
        self._hooks = hooks
        with suppress(UnavailableError):  # tried again in the background
            self._stored()
        self._later("connect", 0.0, self._connect)

    async def stop(self) -> None:
        """Close the account's file; resting orders stay in it."""
        self._down("stopped")

    def arm(self) -> None:
        """RECONCILING becomes ARMED."""
        if self._state is SessionState.RECONCILING:
            self._enter(SessionState.ARMED, "reconciled")

    def resync(self, reason: str) -> None:
        """Go back to SYNCING; RECONCILING follows at once."""
        if self._state.may_close:
            self._enter(SessionState.SYNCING, reason)
            self._later("synced", 0.0, self._synced)

    def _connect(self) -> None:
        self._epoch = self._hooks.next_epoch()
        self._enter(SessionState.HANDSHAKE, "opening the paper account")
        try:
            self._load()
        except BftError as error:
            self._lost(error)
            return
        self._failures = 0
        self._prices.begin(self._clock.now())
        self._enter(SessionState.SYNCING, "")
        loop = asyncio.get_running_loop()
        self._task = loop.create_task(self._prices.run(self._keys, self._polled))
        self._heartbeat()
        self._wake()
        self._synced()

    def _synced(self) -> None:
        if self._state is SessionState.SYNCING:
            self._enter(SessionState.RECONCILING, "")

    def _stored(self) -> tuple[list[Row], PaperAccount]:
        rows, now = self._log.read(), self._clock.now()
        fresh = PaperAccount(name=self.account, created_at=now, cash_usd=self._settings.cash_usd)
        account = stored_account(rows) or fresh
        if account.name != self.account:
            raise RefusedError(
                f"{self._log.path} holds account {account.name}, not {self.account}; "
                "give the account its own state folder"
            )
        return rows, account

    def _load(self) -> None:
        rows, account = self._stored()
        books = Books(account, seed=self._settings.seed, client_id=self.client_id)
        books.epoch, books.close_usd = self._epoch, self._hooks.close_usd
        books.load(rows)
        books.forget(self._clock.now())
        self._log.replace(books.rows())
        self._exchange = Exchange(books, self._fee)
        self._sanity = Sanity(self._board, books, self._hooks)

    def _enter(self, state: SessionState, reason: str) -> None:
        self._state = state
        self._hooks.report(SessionReport(state=state, epoch=self._epoch, reason=reason))

    def _lost(self, error: BftError) -> None:
        """Forget what is not on disk and try again: the file alone is the account."""
        self._down(str(error))
        self._later("connect", RETRY_S[min(self._failures, len(RETRY_S) - 1)], self._connect)
        self._failures += 1

    def _down(self, reason: str) -> None:
        self._wire.cut()
        self._pending.clear()
        self._board.clear()
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._log.close()
        if self._state is not SessionState.DOWN:
            self._enter(SessionState.DOWN, reason)

    # orders ------------------------------------------------------------------------------

    async def send_token(self, priority: Priority) -> None:
        """Return at once: the paper exchange has no limit."""
        del priority

    def reserve_ids(self, count: int) -> list[int]:
        """Order ids above the floor, above all accepted and above all reserved before."""
        books = self._books(may=self._state.may_close, what="order ids")
        first = max(self._next_id, self._hooks.id_floor(), books.account.last_order_id + 1)
        self._next_id = first + count
        return list(range(first, self._next_id))

    def place(self, orders: Sequence[PlacedOrder]) -> None:
        """Send legs; those with `transmit` False wait for a later leg of their bracket."""
        self._books(may=self._state.may_close, what="orders")
        for placed in orders:
            root = placed.parent_order_id or placed.order_id
            legs = self._pending.setdefault(root, [])
            legs.append(placed)
            if placed.transmit:
                taken, quoted = self._pending.pop(root), self._prices.quoted
                self._send(partial(self._exchange.accept, taken, quoted=quoted))

    def amend(self, order: PlacedOrder) -> None:
        """Send new terms of a live order."""
        self._books(may=self._state.may_close, what="amendments")
        self._send(partial(self._exchange.amend, order, quoted=self._prices.quoted))

    def cancel(self, order_id: int) -> None:
        """Send a cancel."""
        self._books(may=self._state.may_cancel, what="cancels")
        self._send(lambda at: self._exchange.cancel(order_id, at))

    def _send(self, act: Callable[[datetime], None]) -> None:
        self._wire.send(lambda: self._do(act))

    def _do(self, act: Callable[[datetime], None]) -> None:
        act(self._clock.now())
        self._flush()

    # questions ---------------------------------------------------------------------------

    async def snapshot(self, *, full: bool = False) -> Snapshot:
        """Positions and open orders; `full` adds what is done and the executions."""
        books = self._books()
        holdings = books.account.holdings
        return Snapshot(
            epoch=self._epoch,
            account=self.account,
            at=self._clock.now(),
            positions=tuple(books.account.position(h.contract) for h in holdings),
            open_orders=await self.open_orders(),
            completed=await self.completed_orders() if full else None,
            executions=await self.executions() if full else None,
        )

    async def open_orders(self) -> tuple[BrokerOrder, ...]:
        """Open orders by id."""
        orders = self._books().open
        return tuple(orders[n].told(self.client_id) for n in sorted(orders))

    async def completed_orders(self) -> tuple[BrokerOrder, ...]:
        """Orders that ended within seven days, by id."""
        orders = self._books().forget(self._clock.now()).done
        return tuple(orders[n].told(self.client_id) for n in sorted(orders))

    async def executions(self, *, since: datetime | None = None) -> tuple[Execution, ...]:
        """Executions of seven days, oldest first."""
        found = self._books().forget(self._clock.now()).executions.values()
        return tuple(e for e in found if since is None or e.at >= since)

    async def contract(self, wanted: Contract) -> Contract:
        """The contract with number, multiplier and tick; every stock exists."""
        self._books()
        return resolved(wanted)

    async def what_if(self, order: PlacedOrder) -> WhatIf:
        """Margin of an account that pays stocks and options in full; None without a price."""
        account, quote = self._books().marked(), self._board.seen(order.contract)
        return margin_after(account, order, quote, self._fee)

    async def broker_time(self) -> datetime:
        """The clock this broker was given."""
        self._books()
        return self._clock.now()

    def account_values(self) -> AccountValues | None:
        """Figures as of now, or None while there is no session."""
        if self._state is SessionState.DOWN:
            return None
        return self._exchange.books.values(self._clock.now())

    # prices ------------------------------------------------------------------------------

    def watch(self, contract: Contract) -> None:
        """Report quotes of a contract."""
        self._board.watched[key_of(contract)] = contract

    def unwatch(self, contract: Contract) -> None:
        """Stop reporting."""
        self._board.watched.pop(key_of(contract), None)

    def quote(self, contract: Contract) -> Quote | None:
        """Newest quote of a watched contract."""
        return self._board.quote(contract)

    def line(self, contract: Contract) -> None:
        """None: who tells prices is another program, and may be gone."""

    def option_figures(self, contract: Contract) -> OptionFigures | None:
        """None: a source of prices tells no greeks; the night's chain does."""

    def tick(
        self,
        symbol: str,
        price_usd: Decimal,
        *,
        bid_usd: Decimal | None = None,
        ask_usd: Decimal | None = None,
        size: int | None = None,
        confirmed: bool = False,
    ) -> None:
        """Take a price from outside; it may fill orders. Without bid and ask it is both.

        `symbol` as prices go by: a stock's, a future's code, an option's OCC symbol. `size` bounds
        what either side may fill before the next tick. `confirmed`: it is real, however far off.

        Raises:
            RefusedError: prices come from another source.
            DataError: a number is not above zero, or too far from all known of the contract.
            UnavailableError: no session.
        """
        if self.source != "tick":
            raise RefusedError(f"paper prices come from {self.source}; ticks are not taken")
        self._books()
        price = Price(
            key=symbol,
            bid_usd=price_usd if bid_usd is None else bid_usd,
            ask_usd=price_usd if ask_usd is None else ask_usd,
            last_usd=price_usd,
            bid_size=size,
            ask_size=size,
        )
        self._push(self._sanity.sound(price, self._clock.now(), confirmed=confirmed))

    def _polled(self, price: Price) -> None:
        if not self._sanity.doubt_polled(price, self._clock.now()):
            self._push(price)

    def _push(self, price: Price) -> None:
        quote = self._board.of_price(price, self._exchange.books.contracts(), self._clock.now())
        began = opened(quote.contract, quote.at)
        if price.traded_at is not None and began is not None and price.traded_at < began:
            return  # the source still tells the session before
        self._exchange.quote(price.key, quote)
        self._flush()

    def _bar(self, bar: Bar, *, opens: bool) -> None:
        quote = self._board.of_bar(bar, self._exchange.books.contracts(), opens=opens)
        (self._exchange.bar_opens if opens else self._exchange.bar_ends)(bar, quote)

    def _keys(self) -> set[str]:
        return {
            *self._board.watched,
            *(key_of(contract) for contract in self._exchange.books.contracts()),
        }

    # time --------------------------------------------------------------------------------

    def _wake(self) -> None:
        """Play what is due: bars first, then the end of DAY orders."""
        now = self._clock.now()
        for opens, bar in self._prices.due(now):
            self._bar(bar, opens=opens)
        self._exchange.expire(now)
        self._flush()

    def _heartbeat(self) -> None:
        values = self._exchange.books.values(self._clock.now())
        self._hooks.report(AccountReport(values=values, epoch=self._epoch))
        self._later("account", ACCOUNT_EVERY_S, self._heartbeat)

    def _flush(self) -> None:
        """Store what has changed, then report it, then wait for what comes next."""
        rows, reports = self._exchange.books.drain()
        try:
            if rows:
                self._log.append(rows)
        except UnavailableError as error:
            self._lost(error)
            return
        for report in reports:
            self._hooks.report(report)
        self._sleep()

    def _sleep(self) -> None:
        """Wake at the next bar or the next end of a DAY order."""
        coming = (self._prices.next_at(), self._exchange.next_expiry())
        instants = [at for at in coming if at is not None]
        if instants and self._state is not SessionState.DOWN:
            wait_s = (min(instants) - self._clock.now()).total_seconds()
            self._later("wake", min(max(wait_s, 0.0), LONGEST_WAIT_S), self._wake)

    def _later(self, name: str, wait_s: float, act: Callable[[], None]) -> None:
        """Set the one timer of that name."""
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = asyncio.get_running_loop().call_later(wait_s, act)

    def _books(self, *, may: bool | None = None, what: str = "questions") -> Books:
        ready = self._state not in {SessionState.DOWN, SessionState.HANDSHAKE}
        if not (ready if may is None else may):
            raise UnavailableError(f"paper broker is {self._state}: no {what} now; try again")
        return self._exchange.books
