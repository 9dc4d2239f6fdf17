"""The gateway simulator as a venue of the Broker contract suite."""

import logging
import random
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from virtual_time import LoopClock, settle

from bft.adapters.broker.ib import Ib, IbSettings
from bft.sim.gateway.config import GatewayConfig
from bft.sim.gateway.gateway import GatewaySim

ACCOUNT = "DU0000001"
logging.getLogger("ib_async").setLevel(logging.CRITICAL + 1)


class IbVenue:
    """The gateway simulator, its prices set by hand; `config` is the gateway's."""

    features = frozenset(["partial", "reduce", "quotes"])
    slow_s = 0.01

    def __init__(self, **config: Any) -> None:
        common = {"prices": "control", "accounts": (ACCOUNT,), "cash_usd": Decimal(100_000)}
        self.config = {**common, **config}
        self.settings: dict[str, Any] = {}

    async def open(self, folder: Path, clock: LoopClock) -> None:
        self.folder, self.clock = folder, clock
        await self.serve()

    async def serve(self, port: int = 0) -> None:
        """Start the gateway; again on the same port after `sim.stop()`."""
        config = GatewayConfig(**{"state": self.folder / "gateway", "port": port, **self.config})
        self.sim = GatewaySim(config, clock=self._now)
        await self.sim.start()
        self.port = self.sim.port

    def _now(self) -> datetime:
        return self.clock.now()

    def broker(self) -> Ib:
        given = {"host": "127.0.0.1", "port": self.port, "account": ACCOUNT, **self.settings}
        return Ib(IbSettings(**given), clock=self.clock, rng=random.Random(7))

    async def price(self, symbol: str, bid: Decimal, ask: Decimal, size: int | None) -> None:
        sizes = {} if size is None else {"bid_size": size, "ask_size": size}
        self.sim.tick(symbol, bid=bid, ask=ask, **sizes)
        await settle()

    def say(self, *values: object) -> None:
        """A raw message to the executor's client."""
        self.sim.board.clients[10].send(values)

    async def close(self) -> None:
        await settle()
        await self.sim.stop()
