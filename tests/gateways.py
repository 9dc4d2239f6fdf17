"""A gateway simulator and the real ib_async client in one loop whose time only passes when idle."""

import asyncio
import logging
import selectors
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from ib_async import IB, Contract, Order, Stock, Trade

from bft.sim.gateway.config import GatewayConfig
from bft.sim.gateway.exchange.contracts import con_id
from bft.sim.gateway.gateway import GatewaySim

MORNING = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)  # a Friday, 10:00 New York
AAPL = Stock("AAPL", "SMART", "USD", conId=con_id("STK:AAPL"))
_PATIENCE = 100
_SETTLE_S = 0.0005  # how long real sockets get before time jumps


class _IdleSelector(selectors.DefaultSelector):  # type: ignore[valid-type,misc]
    """Polls sockets; where nothing comes, time jumps by what the loop would have waited."""

    jumped = 0.0
    idle_turns = 0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None:
            return super().select(None)
        ready = super().select(min(timeout, _SETTLE_S))
        self.idle_turns = 0 if ready or timeout else self.idle_turns + 1
        if not ready:
            self.jumped += timeout
        if self.idle_turns > _PATIENCE:  # a timer that asks for "later than now" at once again
            self.jumped += 1e-6
        return ready


class IdleLoop(asyncio.SelectorEventLoop):
    """An event loop whose time stands still while there is work."""

    def __init__(self) -> None:
        self._idle = _IdleSelector()
        super().__init__(self._idle)

    def time(self) -> float:
        return self._idle.jumped


@dataclass
class Heard:
    """Everything an ib_async client was told, in order, as (message number, fields)."""

    messages: list[tuple[int, list[str]]] = field(default_factory=list)
    on_message: Callable[[int, list[str]], None] = lambda _number, _fields: None

    def numbers(self, *wanted: int) -> list[int]:
        return [n for n, _ in self.messages if not wanted or n in wanted]

    def of(self, number: int) -> list[list[str]]:
        return [fields for n, fields in self.messages if n == number]

    def clear(self) -> None:
        self.messages.clear()


class Client(IB):
    """The real client; `heard` keeps the raw messages, `codes` the errors."""

    def __init__(self) -> None:
        super().__init__()
        self.heard, self.codes = Heard(), []
        self.codes: list[tuple[int, int, str]]
        self.errorEvent += lambda req_id, code, text, _contract: self.codes.append(
            (req_id, code, text)
        )
        interpret = self.client.decoder.interpret

        def listen(fields: list[str]) -> None:
            self.heard.messages.append((int(fields[0]), list(fields)))
            self.heard.on_message(int(fields[0]), fields)
            interpret(list(fields))

        self.client.decoder.interpret = listen

    def codes_of(self, req_id: int) -> list[int]:
        return [code for number, code, _ in self.codes if number == req_id]


class Stage:
    """A started gateway, and clients on demand."""

    def __init__(self, sim: GatewaySim) -> None:
        self.sim = sim
        self.clients: list[Client] = []

    async def client(self, client_id: int = 10, **options: Any) -> Client:
        made = Client()
        self.clients.append(made)
        await made.connectAsync("127.0.0.1", self.sim.port, clientId=client_id, **options)
        return made

    async def place(self, ib: Client, *orders: Order, contract: Contract = AAPL) -> list[Trade]:
        trades = [ib.placeOrder(contract, order) for order in orders]
        await settle()
        return trades

    def tick(self, bid: object, ask: object, symbol: str = "AAPL", **rest: object) -> None:
        self.sim.tick(symbol, bid=bid, ask=ask, **rest)


def stock(symbol: str) -> Stock:
    """A stock as a client holds it once it is qualified."""
    return Stock(symbol, "SMART", "USD", conId=con_id(f"STK:{symbol}"))


async def settle(seconds: float = 0.02) -> None:
    """Let sockets deliver; virtual, so it costs nothing."""
    for _ in range(3):
        await asyncio.sleep(seconds / 3)


async def until(condition: Callable[[], object], seconds: float = 600) -> None:
    """Wait for a condition in the loop's time."""
    end = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < end, "the condition never came true"
        await asyncio.sleep(0.05)


@asynccontextmanager
async def staged(at: datetime = MORNING, **config: Any) -> Any:
    """A stage whose clock moves with the loop, from `at` on."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    options = {"prices": "control", **config}
    sim = GatewaySim(
        GatewayConfig(**options), clock=lambda: at + timedelta(seconds=loop.time() - began)
    )
    await sim.start()
    stage = Stage(sim)
    try:
        yield stage
    finally:
        for client in stage.clients:
            if client.isConnected():
                client.disconnect()
        await settle()
        await sim.stop()


@contextmanager
def _quiet() -> Iterator[None]:
    logging.getLogger("ib_async").setLevel(logging.CRITICAL + 1)
    yield


def play(body: Callable[[Stage], Awaitable[None]], at: datetime = MORNING, **config: Any) -> None:
    """Run a test body on a stage."""

    async def run() -> None:
        async with staged(at, **config) as stage:
            await body(stage)

    with _quiet(), asyncio.Runner(loop_factory=IdleLoop) as runner:
        runner.run(run())
