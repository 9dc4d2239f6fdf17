"""A desk without a loop: the real state and fold, a broker that records, a clock set by hand."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from books import ACCOUNT, AT, booked, bracket_orders, fill
from executors import usd

from bft.domain.broker import AccountValues, FeedLine, PlacedOrder, Quote, SessionState
from bft.domain.journal import Entry
from bft.domain.orders import Contract
from bft.domain.trading import Direction, ExitPolicy
from bft.ledger import entries
from bft.ledger.state import BookState
from bft.ports import Page
from bft.risk.profiles import EQUITIES
from bft.services.executor.clocks import Skew
from bft.services.executor.covers import Cover, counted, to_bracket
from bft.services.executor.desk import Desk
from bft.services.executor.facts import Facts
from bft.services.executor.live_lock import Route
from bft.services.executor.marker import Process
from bft.services.executor.option_facts import OptionDesk, no_chains


class Clock:
    """An instant that a test moves; `timer` counts with it."""

    def __init__(self, at: datetime) -> None:
        self.at, self.zero = at, at

    def now(self) -> datetime:
        return self.at

    def timer(self) -> float:
        return (self.at - self.zero).total_seconds()


@dataclass
class FakeBroker:
    """Quotes and account values as a test sets them; what was asked of it."""

    state: SessionState = SessionState.ARMED
    name: str = "paper"
    simulated: bool = True
    client_id: int = 10
    epoch: int = 1
    values: AccountValues | None = None
    quotes: dict[int, Quote] = field(default_factory=dict)
    lines: dict[int, FeedLine] = field(default_factory=dict)
    placed: list[PlacedOrder] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    watched: list[Contract] = field(default_factory=list)
    next_id: int = 100

    def quote(self, contract: Contract) -> Quote | None:
        return self.quotes.get(contract.con_id)

    def line(self, contract: Contract) -> FeedLine | None:
        return self.lines.get(contract.con_id)

    def watch(self, contract: Contract) -> None:
        self.watched.append(contract)

    def account_values(self) -> AccountValues | None:
        return self.values

    async def send_token(self, _priority: object) -> None:
        return None

    def reserve_ids(self, count: int) -> list[int]:
        self.next_id += count
        return list(range(self.next_id - count, self.next_id))

    def place(self, orders: list[PlacedOrder]) -> None:
        self.placed += orders

    def cancel(self, order_id: int) -> None:
        self.cancelled.append(order_id)


@dataclass
class FakeWriter:
    """Keeps pages; every one is durable at once."""

    pages: list[Page] = field(default_factory=list)
    joined: list[bool] = field(default_factory=list)
    lease: object = "held"
    writable: bool = True
    problem: str | None = None

    def submit(self, page: Page, *, gives_up: bool = False, joins: bool = False) -> "Durable":
        """A page that joins is one with the page before it."""
        del gives_up
        self.joined.append(joins)
        self.pages.append(page)
        return Durable()

    def end(self, error: Exception) -> None:
        """Nothing more is written; here a test has gone wrong."""
        raise error


class Durable:
    """A commit that went through."""

    def add_done_callback(self, then: Callable[[Any], None]) -> None:
        then(self)

    def exception(self) -> None:
        return None

    def __await__(self) -> Any:
        return iter(())


@dataclass
class Case:
    """A desk with what a test looks at."""

    desk: Desk
    clock: Clock
    broker: FakeBroker
    writer: FakeWriter
    spawned: list[str] = field(default_factory=list)

    def told(self, kind: str) -> list[Entry]:
        return [item for page in self.writer.pages for item in page.entries if item.kind == kind]

    def alerts(self) -> list[str]:
        return [item.body["name"] for item in self.told("alert")]

    def price(self, contract: Contract, mid: object, **given: Any) -> None:
        bid = usd(mid)
        quote = Quote(contract=contract, at=self.clock.at, bid_usd=bid, ask_usd=bid, **given)
        self.broker.quotes[contract.con_id] = quote

    def equity(self, amount: object) -> None:
        self.broker.values = AccountValues(
            account=ACCOUNT, at=self.clock.at, equity_usd=usd(amount), available_usd=usd(amount)
        )

    def wait(self, **span: float) -> None:
        self.clock.at += timedelta(**span)


class StillDesk(Desk):
    """A desk whose tasks run at once, to their first pause, on no loop."""

    __slots__ = ("names",)

    def spawn(self, work: Coroutine[Any, Any, Any], what: str) -> Any:
        self.names.append(what)
        try:
            work.send(None)
        except StopIteration:
            return None
        work.close()
        return None


def case(*told: Entry, at: datetime = AT, **given: Any) -> Case:
    """A desk at an instant, after what was told; inside a loop its tasks are real ones."""
    clock, broker, writer = Clock(at), FakeBroker(), FakeWriter()
    route = Route(mode="paper", account=ACCOUNT, broker="ib", profile="equities")
    values: dict[str, Any] = {
        "route": route,
        "folder": Path(),
        "state": BookState(),
        "writer": writer,
        "broker": broker,
        "clock": clock,
        "marker": FakeMarker(),
        "profile": EQUITIES,
        "timer": clock.timer,
        "skew": Skew(timer=clock.timer),
    }
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        still = StillDesk(**{**values, **given})
        still.names = spawned = []
        desk: Desk = still
    else:
        desk, spawned = Desk(**{**values, **given}), []
    made = Case(desk=desk, clock=clock, broker=broker, writer=writer, spawned=spawned)
    for entry in told:
        desk.note(entry)
    writer.pages.clear()
    return made


@dataclass
class FakeMarker:
    """A marker file: which orders it proves unsent, which it names that nobody knows."""

    unsent: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()
    process: Process = field(default_factory=lambda: Process(boot_id="boot", lease_token=1))

    def mark(self, _ids: object) -> None:
        return None

    def proves_unsent(self, intent_id: str, before: str) -> bool:
        del before
        return intent_id in self.unsent

    def strangers(self, known: object) -> list[str]:
        del known
        return list(self.unknown)


def bought(
    signal: str = "s1",
    *,
    qty: int = 100,
    price: str = "100",
    at: datetime = AT,
    policy: ExitPolicy | None = None,
    **given: Any,
) -> tuple[list[Entry], Cover]:
    """An entry filled at once, with its stop and target at the broker, and its cover."""
    order_id = given.pop("order_id", 1)
    entry, target, stop = bracket_orders(signal, order_id=order_id, qty=qty, **given)
    legs = (entry, target, stop)
    told = [
        entries.intents(at, intents=legs, facts=None),
        entries.sent(at, intent_ids=[leg.intent_id for leg in legs]),
        booked(fill(entry, qty, price, id=f"{signal}.01", at=at)),
    ]
    plan = Cover(
        entry=entry.intent_id,
        account=ACCOUNT,
        contract=entry.contract,
        direction=Direction.LONG,
        policy=policy or ExitPolicy(stop_frac=0.05, target_frac=0.15),
        strategy_id=entry.strategy_id,
        opened_at=at,
    )
    state = BookState()
    scratch = case(*told, state=state)
    filled = scratch.desk.state.intents[entry.intent_id]
    execution = fill(entry, qty, price, id=f"{signal}.01", at=at)
    cover = counted(plan, filled, [], [execution])
    told.append(entries.bracket(to_bracket(cover, at=at, closed=False)))
    return told, cover


def facts_of(desk: Desk) -> Facts:
    """Facts of a desk that holds no covers and reads no chains."""
    return Facts(desk, {}, OptionDesk(desk, no_chains))
