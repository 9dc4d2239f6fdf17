"""An executor in one loop of virtual time, with a real book and a paper broker."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from virtual_time import START, LoopClock, settle

from bft.adapters.broker.paper import Paper, PaperLog, PaperSettings, Prices, ib_fixed
from bft.adapters.store.book import SqlBook
from bft.domain import sessions
from bft.domain.broker import SessionState
from bft.domain.orders import Intent, Leg, OrderRequest, OrderType, Side
from bft.domain.trading import ExitPolicy, Instrument, SignalKind
from bft.ports import Broker
from bft.risk.profiles import EQUITIES, Profile
from bft.services.executor.executor import Executor
from bft.services.executor.facts import Asked
from bft.services.executor.live_lock import Route
from bft.services.executor.opening import KeyClaim, Opened
from bft.services.executor.parts import Parts
from bft.services.executor.protection import protected_qty
from bft.services.executor.reference import DayBar, ForecastRow, Reference, SymbolRow
from bft.services.executor.writer import RESERVE_BYTES, inline

DAY = START.date()
OPEN, CLOSE = sessions.open_at(DAY), sessions.close_at(DAY)
NIGHT = sessions.shift(DAY, -1)
TRADER = Asked(subject="ada", roles=("trader",))


def usd(value: object) -> Decimal:
    return Decimal(str(value))


def row(symbol: str, close: object = 100, *, adv: int = 5_000_000, atr: object = 2) -> SymbolRow:
    price = usd(close)
    bar = DayBar(session=NIGHT, open_usd=price, high_usd=price, low_usd=price, close_usd=price)
    return SymbolRow(
        symbol=symbol,
        bar=bar,
        adv_20=usd(adv),
        atr_14_usd=usd(atr),
        sector="TECHNOLOGY",
        suspected_split=False,
    )


def reference(*symbols: str, close: object = 100) -> Reference:
    return Reference(
        gold_asof=NIGHT,
        forecast_asof=NIGHT,
        simulated=True,
        symbols={symbol: row(symbol, close) for symbol in symbols},
        universe=frozenset(symbols),
        forecasts={
            symbol: ForecastRow(
                ranks={3: 0.9, 10: 0.9, 30: 0.9},
                status="ok",
                model_age_days=1,
                paper_only=False,
                set_digest="d",
            )
            for symbol in symbols
        },
    )


class Told:
    """Notifications that were delivered."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, str]] = []

    def notify(self, subject: str, text: str) -> None:
        self.mails.append((subject, text))


@cache
def empty_book() -> bytes:
    """A migrated SQLite file: each of some 1,500 worlds begins with one."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "state.db")
        SqlBook(f"sqlite:///{place}", at=START).close()
        return place.read_bytes()


@dataclass
class World:
    """Everything around an executor; `restart` is a new process on the same disk."""

    folder: Path
    clock: LoopClock
    profile: Profile = EQUITIES
    night: Reference = field(default_factory=lambda: reference("AAPL", "MSFT", "NVDA"))
    make_broker: "Callable[[World], Broker] | None" = None
    told: Told = field(default_factory=Told)
    lives: int = 0
    executor: Executor = field(init=False)
    broker: Any = field(init=False)
    book: Any = field(init=False)

    def new_broker(self) -> Broker:
        if self.make_broker is not None:
            return self.make_broker(self)
        return Paper(
            PaperLog(self.folder / "paper.jsonl", sync=lambda _: None),
            clock=self.clock,
            prices=Prices(),
            fee=ib_fixed,
            settings=PaperSettings(seed=1, latency_s=(0.0, 0.0)),
        )

    def new_book(self) -> Any:
        place = self.folder / "state.db"
        if not place.exists():
            place.write_bytes(empty_book())
            with (self.folder / "reserve").open("wb") as reserve:
                reserve.truncate(RESERVE_BYTES)  # of no blocks: no test fills a disk
        return SqlBook(f"sqlite:///{place}", at=self.clock.now())

    async def start(self, **changes: Any) -> Executor:
        self.lives += 1
        self.broker = self.new_broker()
        self.book = self.new_book()
        parts = Parts(
            book=self.book,
            broker=self.broker,
            clock=self.clock,
            notifier=self.told,
            route=Route(
                mode="paper", account=self.broker.account, broker="paper", profile="equities"
            ),
            profile=self.profile,
            folder=self.folder,
            boot_id="boot",
            holder=f"test {self.lives}",
            load_reference=self._night,
            offload=inline,
        )
        self.executor = Executor(replace(parts, **changes), timer=asyncio.get_running_loop().time)
        await self.executor.start()
        await settle()
        return self.executor

    async def _night(self, held: frozenset[str]) -> Reference:
        del held
        return self.night

    async def stop(self) -> None:
        await self.executor.stop()
        self.book.close()

    async def crash(self) -> None:
        """The process is gone: nothing it held in memory survives, nothing more is written."""
        for task in list(self.executor.desk.tasks):
            task.cancel()
        await asyncio.gather(*self.executor.desk.tasks, return_exceptions=True)
        await self.broker.stop()
        self.executor.desk.marker.close()
        self.book.close()

    async def until_armed(self) -> None:
        await self.wait(lambda: self.executor.desk.may_open() is None)

    async def wait(self, done: Callable[[], bool], *, within_s: float = 60.0) -> None:
        """Let time pass until something is so."""
        end = self.clock.now() + timedelta(seconds=within_s)
        while not done():
            assert self.clock.now() < end, "it never came to be"
            await self.sleep(0.05)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def at(self, instant: Any) -> None:
        await self.sleep(max(0.0, (instant - self.clock.now()).total_seconds()))

    def price(
        self, symbol: str, bid: object, ask: object | None = None, size: int = 10_000
    ) -> None:
        low = usd(bid)
        high = usd(ask) if ask is not None else low + usd("0.02")
        told = {"bid_usd": low, "ask_usd": high, "size": size}
        self.broker.tick(symbol, low, **told, confirmed=True)  # a market may jump

    async def submit(self, order: OrderRequest, claim: KeyClaim | None = None) -> Opened:
        return await self.executor.opening.submit(order, TRADER, claim=claim)

    # what came of it

    def intents(self, leg: Leg | None = None) -> list[Intent]:
        found = self.executor.desk.state.intents.values()
        return [intent for intent in found if leg is None or intent.leg is leg]

    def entry(self) -> Intent:
        (found,) = self.intents(Leg.ENTRY)
        return found

    def qty(self, symbol: str = "AAPL") -> int:
        """The book's units."""
        held = self.executor.desk.state.positions.values()
        return sum(int(position.qty) for position in held if position.symbol == symbol)

    async def broker_qty(self, symbol: str = "AAPL") -> int:
        snapshot = await self.broker.snapshot()
        return sum(int(p.qty) for p in snapshot.positions if p.contract.symbol == symbol)

    def protected(self) -> int:
        """Units that live stops would close."""
        return protected_qty(self.intents(Leg.STOP))

    def alerts(self) -> set[str]:
        return {event.name for event in self.executor.desk.state.events}


def signal(symbol: str = "AAPL", **changes: Any) -> OrderRequest:
    """An intraday signal at the clock's start of the session, sized by risk."""
    at = OPEN + timedelta(minutes=6)
    values: Mapping[str, Any] = {
        "signal_id": f"sig-{symbol}",
        "kind": SignalKind.ENTRY,
        "symbol": symbol,
        "side": Side.BUY,
        "instrument": Instrument.STOCK,
        "qty": 0,
        "order_type": OrderType.LIMIT,
        "created_at": at,
        "decided_at": at,
        "asof": NIGHT,
        "limit_price_usd": usd("100.02"),
        "exits": ExitPolicy(stop_frac=0.07, target_frac=0.12),
        "strategy_id": "bollinger",
        "confidence": usd("0.7"),
        "source": "test",
    }
    return OrderRequest(**{**values, **changes})


async def armed(folder: Path, then: "Callable[[World], Awaitable[None]]", **changes: Any) -> None:
    """A world six minutes into the session, armed, with a price for AAPL."""
    world = World(folder=folder, clock=LoopClock(OPEN + timedelta(minutes=6)), **changes)
    await world.start()
    await world.until_armed()
    assert world.broker.state is SessionState.ARMED
    world.price("AAPL", "100.00")
    await then(world)
    await world.stop()
