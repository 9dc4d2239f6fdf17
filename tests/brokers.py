"""A seat at a broker for tests: start it, set prices, let time pass, expect reports.

A venue is what stands behind a Broker: an exchange whose prices a test sets. To put another broker
under the contract suite, write a venue and name it in `VENUES` below.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol, TypeVar

from alpaca_standin import StandIn
from http_app import HttpApp
from ib_venue import IbVenue
from virtual_time import START, LoopClock, settle, until

from bft.adapters.broker.alpaca import Alpaca, AlpacaSettings
from bft.adapters.broker.paper import (
    Paper,
    PaperLog,
    PaperSettings,
    Prices,
    ib_fixed,
)
from bft.domain import sessions
from bft.domain.broker import (
    BrokerOrder,
    ErrorReport,
    ExecutionReport,
    OrderReport,
    PlacedOrder,
    Report,
    SessionReport,
    SessionState,
)
from bft.domain.orders import Contract, Execution, OrderType, Side
from bft.ports.broker import Broker, BrokerHooks

R = TypeVar("R", bound=Report)
DAY = START.date()
OPEN, CLOSE = sessions.open_at(DAY), sessions.close_at(DAY)
EARLY = OPEN - timedelta(seconds=5)


def usd(value: object) -> Decimal:
    return Decimal(str(value))


class Venue(Protocol):
    """What stands behind a broker. `features` names what it can do beyond the common part.

    partial: a price with a size fills no more than that. reduce: a partial fill shrinks the other
    orders of the group. quotes: prices are reported.
    """

    features: frozenset[str]
    slow_s: float  # within which everything is told

    async def open(self, folder: Path, clock: LoopClock) -> None: ...

    def broker(self) -> Broker: ...

    async def price(self, symbol: str, bid: Decimal, ask: Decimal, size: int | None) -> None: ...

    async def close(self) -> None: ...


class Seat:
    """One executor's view: the broker, what it reported, and the venue behind it."""

    def __init__(self, venue: Venue, clock: LoopClock) -> None:
        self.venue, self.clock = venue, clock
        self.reports: list[Report] = []
        self.epochs, self.floor, self.patience_s = 0, 1, 30.0
        self.acknowledged = 0
        self.listen: Callable[[Report], None] = self.reports.append
        self.broker: Broker = venue.broker()

    # session

    async def start(self, *, arm: bool = True) -> None:
        hooks = BrokerHooks(
            report=lambda report: self.listen(report),
            next_epoch=self._epoch,
            id_floor=lambda: self.floor,
            id_acknowledged=lambda: self.acknowledged,
        )
        await self.broker.start(hooks)
        await self.session(SessionState.RECONCILING)
        if arm:
            self.broker.arm()
            await self.session(SessionState.ARMED)

    async def restart(self) -> None:
        """Another process takes over: only what broker and venue have kept is left."""
        await self.broker.stop()
        self.reports.clear()
        self.broker = self.venue.broker()
        await self.start()

    async def session(self, state: SessionState) -> SessionReport:
        return await self.expect(SessionReport, lambda r: r.state is state)

    def _epoch(self) -> int:
        self.epochs += 1
        return self.epochs

    # reports

    def also(self, spy: Callable[[Report], None]) -> None:
        """Show each report to another, too, at the moment it is made."""

        def both(report: Report) -> None:
            spy(report)
            self.reports.append(report)

        self.listen = both

    def of(self, kind: type[R]) -> list[R]:
        return [report for report in self.reports if isinstance(report, kind)]

    async def expect(
        self,
        kind: type[R],
        test: Callable[[R], bool] = lambda _: True,
        within_s: float | None = None,
    ) -> R:
        """First report of that kind that passes, waited for in virtual time."""
        end = asyncio.get_running_loop().time() + (within_s or self.patience_s)
        while True:
            if found := next((r for r in self.of(kind) if test(r)), None):
                return found
            if asyncio.get_running_loop().time() > end:
                raise AssertionError(f"no {kind.__name__} as wanted among {self.of(kind)}")
            await asyncio.sleep(0.05)

    async def status(self, order: PlacedOrder, *words: str) -> BrokerOrder:
        """The order once its newest report shows one of these states."""
        await self.expect(
            OrderReport,
            lambda r: r.order.order_ref == order.order_ref and self.state_of(order) in words,
        )
        found = self.last(order)
        assert found is not None
        return found

    def last(self, order: PlacedOrder) -> BrokerOrder | None:
        mine = [r.order for r in self.of(OrderReport) if r.order.order_ref == order.order_ref]
        return mine[-1] if mine else None

    def state_of(self, order: PlacedOrder) -> str:
        found = self.last(order)
        return found.status if found else ""

    async def filled(self, order: PlacedOrder, qty: int) -> list[Execution]:
        """Executions of an order once they add up."""

        def mine() -> list[Execution]:
            said = [r.execution for r in self.of(ExecutionReport)]
            return [e for e in said if e.order_ref == order.order_ref]

        await self.expect(ExecutionReport, lambda _: sum(e.qty for e in mine()) >= qty)
        assert sum(e.qty for e in mine()) == qty
        return mine()

    async def error(self, order: PlacedOrder) -> ErrorReport:
        return await self.expect(ErrorReport, lambda r: r.order_id == order.order_id)

    # market and time

    async def price(self, bid: Any, ask: Any = None, *, size: int | None = None) -> None:
        """Set the market of AAPL and let it be seen."""
        low = usd(bid)
        await self.venue.price("AAPL", low, usd(bid if ask is None else ask), size)
        await settle()

    async def quiet(self) -> None:
        """Wait until the broker has had time to tell everything."""
        await asyncio.sleep(self.venue.slow_s)

    async def at(self, instant: datetime) -> None:
        await until(instant, self.clock)

    # orders

    async def aapl(self) -> Contract:
        return await self.broker.contract(Contract(con_id=0, symbol="AAPL"))

    async def order(self, side: Side, qty: int, **terms: Any) -> PlacedOrder:
        """One order of AAPL, a market order unless told; placed."""
        (made,) = await self.legs([{"side": side, "qty": qty, **terms}])
        self.broker.place([made])
        return made

    async def legs(self, wanted: list[dict[str, Any]]) -> list[PlacedOrder]:
        """Orders with fresh ids, not placed yet."""
        contract = await self.aapl()
        ids = self.broker.reserve_ids(len(wanted))
        self.floor = ids[-1] + 1
        common = {"contract": contract, "account": self.broker.account}
        made = []
        for number, terms in zip(ids, wanted, strict=True):
            named = {"order_id": number, "order_ref": f"bft1.{number:026d}"}
            kind = {"order_type": OrderType.MARKET}
            made.append(PlacedOrder(**{**common, **named, **kind, **terms}))
        return made


def running(
    venue: Venue, folder: Path, story: Callable[[Seat], Any], *, start: datetime = EARLY
) -> Any:
    """The coroutine of one test: a seat at the venue, armed; closed at the end."""

    async def main() -> Any:
        clock = LoopClock(start)
        await venue.open(folder, clock)
        seat = Seat(venue, clock)
        try:
            await seat.start()
            return await story(seat)
        finally:
            await seat.broker.stop()
            await venue.close()

    return main()


class PaperVenue:
    """The paper account, driven by ticks; not synced to disk for speed."""

    features = frozenset(["partial", "reduce", "quotes"])
    slow_s = 0.01

    def __init__(
        self,
        prices: Prices | None = None,
        *,
        sync: Callable[[int], None] = lambda _: None,
        **settings: Any,
    ) -> None:
        self.prices, self.sync = prices or Prices(), sync
        self.settings = PaperSettings(**{"latency_s": (0.0, 0.0), **settings})

    async def open(self, folder: Path, clock: LoopClock) -> None:
        self.folder, self.clock = folder, clock

    def broker(self) -> Paper:
        self.made = Paper(
            PaperLog(self.folder / "paper.jsonl", sync=self.sync),
            clock=self.clock,
            prices=self.prices,
            fee=ib_fixed,
            settings=self.settings,
        )
        return self.made

    async def price(self, symbol: str, bid: Decimal, ask: Decimal, size: int | None) -> None:
        self.made.tick(symbol, (bid + ask) / 2, bid_usd=bid, ask_usd=ask, size=size)

    async def close(self) -> None:
        pass


class AlpacaVenue:
    """Alpaca's stand-in on loopback."""

    features = frozenset(["partial", "reduce", "quotes"])
    slow_s = 3.0

    def __init__(self, **settings: Any) -> None:
        self.changes = settings

    async def open(self, folder: Path, clock: LoopClock) -> None:
        self.clock, self.state = clock, StandIn(clock)
        self.app = await HttpApp(self.state.handle).__aenter__()

    def broker(self) -> Alpaca:
        keys = {"account": "PA1", "key_id": "KEY", "secret": "SECRET"}
        urls = {"url": self.app.url, "data_url": self.app.url}
        settings = AlpacaSettings(**{**keys, **urls, **self.changes})
        return Alpaca(settings, clock=self.clock)

    async def price(self, symbol: str, bid: Decimal, ask: Decimal, size: int | None) -> None:
        self.state.price(symbol, bid, ask, size)

    async def close(self) -> None:
        await self.app.__aexit__(None, None, None)


VENUES: dict[str, Callable[[], Venue]] = {
    "paper": PaperVenue,
    "alpaca": AlpacaVenue,
    "ib": IbVenue,
}
"""What the contract suite runs over."""
