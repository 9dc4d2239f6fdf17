"""The gateway: exchange, prices, clock and clients put together, for one event loop.

In-process use, in the caller's loop::

    sim = GatewaySim(GatewayConfig(prices="control"), clock=now)
    await sim.start()  # sim.port is then known
    sim.tick("AAPL", bid="100", ask="100.02")
    await sim.stop()
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from bft.domain.errors import ConfigError, UnavailableError, UsageError
from bft.domain.orders import Side
from bft.sim.gateway import config as settings
from bft.sim.gateway import tape
from bft.sim.gateway.agenda import Action, Agenda, Now, VirtualClock
from bft.sim.gateway.catalogue import Catalogue, Wanted, listed
from bft.sim.gateway.config import GatewayConfig
from bft.sim.gateway.control import ControlServer, start_control
from bft.sim.gateway.exchange.books import Books
from bft.sim.gateway.exchange.contracts import Contract
from bft.sim.gateway.exchange.exchange import Exchange
from bft.sim.gateway.exchange.intake import check_form
from bft.sim.gateway.exchange.orders import Key, Order, Quote, Terms, is_option
from bft.sim.gateway.faults.actions import Actions
from bft.sim.gateway.faults.data import DataFaults
from bft.sim.gateway.faults.engine import FaultEngine
from bft.sim.gateway.faults.orders import OrderFaults
from bft.sim.gateway.faults.script import parse, rule_of
from bft.sim.gateway.manual import terms_of, tick_of
from bft.sim.gateway.market import Market
from bft.sim.gateway.prices.control import ControlPrices
from bft.sim.gateway.prices.sources import make_prices
from bft.sim.gateway.records import changed, instant, restore
from bft.sim.gateway.rounds import Rounds
from bft.sim.gateway.session import Session
from bft.sim.gateway.store import FileStore, MemoryStore
from bft.sim.gateway.switchboard import Switchboard

KEEPS_EVERY = timedelta(seconds=1)  # so far behind may the stored instant be after a kill


class GatewaySim:
    """A simulated IB Gateway.

    `clock` is read for every instant, and must move with the loop's time; `at` in the config
    makes a virtual one instead, which only `advance` moves.

    Raises:
        ConfigError: a setting, price source or fault script that cannot be.
        UnavailableError: the state folder is in use or not writable.
    """

    def __init__(self, config: GatewayConfig, clock: Now | None = None) -> None:
        settings.check(config)
        self.config = config
        self.virtual = None if config.at is None else VirtualClock(config.at)
        given = clock or self.virtual
        if given is None or (clock and self.virtual):
            raise ConfigError("give a gateway either a clock or `at`, the start of a virtual one")
        self._clock: Now = given
        self.agenda = Agenda(self.now)
        prices = make_prices(config.prices, seed=config.seed)
        names = prices.names or [(s, s) for s in config.symbols] or listed()
        self.market = Market(Catalogue(names), prices)
        self.order_faults = OrderFaults(self)
        self.data_faults = DataFaults(self)
        self.exchange = Exchange(
            Books(
                config.rules,
                config.accounts,
                cash=config.cash_usd,
                seed=config.seed,
                hooks=self.order_faults,
            )
        )
        self.tape: list[str] = []
        self.board = Switchboard(self)
        self.rounds = Rounds(self)
        self.actions = Actions(self)
        script = parse(config.script, name=config.script_name)
        self.faults = FaultEngine(self, script, config.seed)
        self.store = FileStore(config.state) if config.state else MemoryStore()
        self._server: asyncio.Server | None = None
        self._control: ControlServer | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._kept_at = self.now()
        self._restore()

    # life --------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """Port it listens on."""
        if self._server is None:
            raise UsageError("the gateway has not been started; await start() first")
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def control_port(self) -> int | None:
        """Port of the control server, where one was asked for."""
        return self._control.port if self._control is not None else None

    async def start(self) -> None:
        """Listen, in the running loop.

        Raises:
            UnavailableError: the port is taken.
        """
        loop = self._loop = asyncio.get_running_loop()
        host, port = self.config.host, self.config.port
        try:
            self._server = await loop.create_server(lambda: Session(self.board, loop), host, port)
        except OSError as error:
            free = 4002 if port == 7497 else 7497  # the ports that executors take for paper
            text = f"end what listens there, or --port {free} and, for the executor, "
            text += f"BFT_IB_PORT={free}"
            raise UnavailableError(f"{host}:{port}: {error.strerror}; {text}") from error
        if self.config.control_port is not None:
            self._control = await start_control(self, self.config.control_port)
        if self.virtual is None:
            self.agenda.follow(loop)
        self.rounds.begin()
        self.faults.begin()

    async def stop(self) -> None:
        """Close every socket and the state."""
        if self._server is not None:
            self._server.close()
            self.board.close_all()
            await self._server.wait_closed()
            if self._control is not None:
                await self._control.stop()
            await asyncio.sleep(0)  # transports tell their sessions in the next turn
        self.agenda.stop()
        try:
            self._keep()
        finally:
            self.store.close()

    def now(self) -> datetime:
        """The exchange's instant, aware UTC."""
        return self._clock()

    def loop_time(self) -> float:
        """Seconds of the running loop, for limits on traffic."""
        return self._loop.time() if self._loop is not None else 0.0

    def soon(self, action: Action) -> None:
        """Run an action in the loop's next turn."""
        if self._loop is None:
            action()
        else:
            self._loop.call_soon(action)

    def fault(self, do: str, **rest: Any) -> None:
        """Add a fault: a word, its parameters, and perhaps `when`; without one, now.

        Raises:
            ConfigError: an unknown word, parameter or key. UsageError: it cannot be done.
        """
        self.faults.add(rule_of({"do": do, **rest}, name="fault"))

    def advance(self, to: datetime) -> None:
        """Move the virtual clock, and with it everything that falls due.

        Raises:
            UsageError: back in time, or the clock is not virtual.
        """
        self.agenda.advance(self._virtual(), to)
        self._keep_due()

    async def walk(self, to: datetime) -> None:
        """As `advance`; clients and other requests are served in between, each at its instant.

        Raises:
            UsageError: back in time, or the clock is not virtual.
        """
        await self.agenda.walk(self._virtual(), to)
        self._keep_due()

    def _virtual(self) -> VirtualClock:
        if self.virtual is None:
            raise UsageError("advance: this gateway's clock is not virtual; start it with --at")
        return self.virtual

    # the market --------------------------------------------------------------------------

    def tick(self, symbol: str | Contract, **market: Any) -> Quote:
        """Set a market of prices `control`: bid, ask, and the other fields of `Tick`.

        Raises:
            UsageError: another source of prices, an unknown symbol or a field that is no number.
        """
        prices = self.market.prices
        if not isinstance(prices, ControlPrices):
            raise UsageError("tick: prices come from elsewhere; start with --prices control")
        contract = symbol if isinstance(symbol, Contract) else self.contract(symbol)
        made = prices.tick(contract, tick_of(market), self.now())
        self.note("tick", symbol=contract.local_symbol, bid=made.bid, ask=made.ask, last=made.last)
        self.show(contract, made)
        for option in self.rounds.watched():
            if is_option(option) and option.symbol == contract.symbol and option != contract:
                self.refresh(option)
        return made

    def contract(self, symbol: str) -> Contract:
        """A contract by symbol, OCC option symbol future such as NQZ6, or VIX.

        Raises:
            UsageError: there is none, or several.
        """
        for sec_type in ("STK", "FUT", "OPT", "IND"):
            wanted = Wanted(sec_type=sec_type, local_symbol=symbol)
            found = self.market.find(wanted, self.now())
            if len(found) == 1:
                return found[0]
        raise UsageError(f"no contract {symbol!r}; give a symbol such as AAPL, NQZ6 or an OCC one")

    def refresh(self, contract: Contract) -> Quote | None:
        """Fetch the newest quote of a contract and let its orders meet it."""
        quote = self.market.quote(contract, self.now())
        given = isinstance(self.market.prices, ControlPrices) and not is_option(contract)
        if quote is not None and not given:
            self.show(contract, quote)
        return self.exchange.books.quotes.get(contract.con_id)

    def show(self, contract: Contract, quote: Quote) -> None:
        """Bring a quote to the exchange and to those who watch."""
        self.exchange.quote(contract, self.data_faults.traded(contract, quote))
        self.settle()
        self.board.data.publish(contract, quote)
        self.board.accounts.marked()

    # orders ------------------------------------------------------------------------------

    def place(self, terms: Terms) -> None:
        """Take a client's order or change."""
        self.refresh(terms.contract)
        self.exchange.place(terms, self.now())
        self.settle()

    def place_manual(self, **order: Any) -> Order:
        """Enter an order as a person at the gateway; see `manual.terms_of` for the words.

        Raises:
            UsageError: no such contract, an unknown word, or the order would be refused.
        """
        terms = terms_of(self.contract(str(order.pop("symbol", ""))), self.account_names[0], order)
        refusal = check_form(self.exchange.books, terms)
        if refusal:
            raise UsageError(f"order refused with {refusal.code}: {refusal.text}")
        self.refresh(terms.contract)
        if terms.client_id:
            self.exchange.books.use_id(terms.key)
        made = self.exchange.place_manual(terms, self.now())
        self.settle()
        return made

    def close_position(self, symbol: str, account: str = "") -> Order | None:
        """Close a position by a manual market order; None where there is none.

        Raises:
            UsageError: no such contract.
        """
        name, contract = account or self.account_names[0], self.contract(symbol)
        held = self.exchange.books.open_qty(name, contract)
        side = Side.SELL if held > 0 else Side.BUY
        if not held:
            return None
        return self.place_manual(symbol=symbol, side=side, qty=abs(held), account=name)

    def cancel(self, key: Key) -> None:
        """Cancel a client's order."""
        self.exchange.cancel(key, self.now())
        self.settle()

    def cancel_all(self) -> None:
        """Cancel every order."""
        self.exchange.cancel_all(self.now())
        self.settle()

    def next_id(self, client_id: int) -> int:
        """Order id a client may use next."""
        rolled_back = self.exchange.books.highest_id(client_id) + 1 - self.board.rollback
        return max(rolled_back, 1)

    @property
    def account_names(self) -> Sequence[str]:
        """Managed accounts, in order."""
        return self.board.account_names

    # saying ------------------------------------------------------------------------------

    def settle(self) -> None:
        """Store what changed, then tell it, then plan what comes next.

        Raises:
            UnavailableError: the state could not be written; nothing is told then.
        """
        books = self.exchange.books
        self._keep_due()
        events, books.events = books.events, []
        for event in events:
            written = tape.of(event, self.now())
            if written is not None:
                self.tape.append(written)
            self.board.route(event)
        self.rounds.plan()
        self.order_faults.after()

    def _keep_due(self) -> None:
        if self.exchange.books.dirty or self.now() - self._kept_at >= KEEPS_EVERY:
            self._keep()

    def _keep(self) -> None:
        """Store what changed, and what the clock shows by then."""
        self._kept_at = self.now()
        self.store.save([*changed(self.exchange.books), instant(self._kept_at)])

    def note(self, what: str, **values: object) -> None:
        """Write a line on the tape."""
        self.tape.append(tape.line(self.now(), what, **values))

    def _restore(self) -> None:
        books = self.exchange.books
        restore(books, self.store)
        held = [p.contract for p in books.positions.values()]
        for contract in map(self.market.catalogue.know, [*held, *books.working.contracts()]):
            quote = self.market.quote(contract, self.now())
            if quote is not None:
                books.quotes[contract.con_id] = quote
