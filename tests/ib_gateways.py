"""The Broker over ib_async against the gateway simulator, in one loop with virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from brokers import OPEN, Seat, usd
from ib_venue import IbVenue
from virtual_time import LoopClock, run

from bft.domain.broker import SessionNote, SessionReport, SessionState
from bft.domain.orders import OrderType, Side
from bft.ports.broker import BrokerHooks

LIMIT = {"order_type": OrderType.LIMIT, "limit_price_usd": usd(99)}


class Desk(Seat):
    """A seat at the simulated gateway."""

    venue: IbVenue

    @property
    def states(self) -> list[SessionState]:
        return [r.state for r in self.of(SessionReport)]

    def hooks(self) -> BrokerHooks:
        return BrokerHooks(
            report=self.reports.append,
            next_epoch=self._epoch,
            id_floor=lambda: self.floor,
            id_acknowledged=lambda: self.acknowledged,
        )

    def fault(self, word: str, **params: Any) -> None:
        self.venue.sim.fault(word, **params)

    def cut(self) -> None:
        """Close every socket of the gateway."""
        self.venue.sim.board.abort_all()

    async def noted(self, note: SessionNote, within_s: float = 30.0) -> SessionReport:
        return await self.expect(SessionReport, lambda r: r.note is note, within_s)

    async def rearm(self, within_s: float = 60.0) -> None:
        """Wait for RECONCILING, then arm."""
        await self.expect(SessionReport, lambda r: r.state is SessionState.RECONCILING, within_s)
        self.broker.arm()

    async def resting(self, **terms: Any) -> Any:
        """A limit order that rests, acknowledged."""
        order = await self.order(Side.BUY, 10, **{**LIMIT, **terms})
        await self.status(order, "Submitted", "PreSubmitted")
        return order


def now_s() -> float:
    return asyncio.get_running_loop().time()


def play(
    story: Callable[[Desk], Awaitable[None]],
    folder: Path,
    *,
    at: datetime = OPEN,
    start: bool = True,
    settings: dict[str, Any] | None = None,
    **config: Any,
) -> None:
    """Run a story at a gateway whose market is 100.00 to 100.02 from `at` on."""

    async def main() -> None:
        clock = LoopClock(at)
        venue = IbVenue(**config)
        venue.settings = settings or {}
        await venue.open(folder, clock)
        venue.sim.tick("AAPL", bid=Decimal(100), ask=Decimal("100.02"))
        desk = Desk(venue, clock)
        try:
            if start:
                await desk.start()
            await story(desk)
        finally:
            await desk.broker.stop()
            await venue.close()

    run(main())
