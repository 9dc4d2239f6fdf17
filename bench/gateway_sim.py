"""Orders a second through the gateway simulator, with durable state; goal 120 (executor, 11).

The real client, its own pacing off, sends market orders and waits for every commission; client
and simulator share one core. Parity first: a second gateway on the state finds every execution.
Then 500 limit orders come to rest in one symbol; the last fifty cost what the first fifty did. The
last line is the ratio to the goal (met at >= 1).
"""

import asyncio
import logging
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from ib_async import IB, LimitOrder, MarketOrder, Stock, Trade

from bft.sim.gateway.config import GatewayConfig
from bft.sim.gateway.exchange.contracts import con_id
from bft.sim.gateway.gateway import GatewaySim

GOAL, ORDERS, RUNS = 120, 400, 5
CROWD, BATCH = 500, 50
AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
AAPL = Stock("AAPL", "SMART", "USD", conId=con_id("STK:AAPL"))


async def begun(folder: Path) -> tuple[GatewaySim, IB]:
    """A gateway with a market, and a client of it."""
    config = GatewayConfig(at=AT, prices="control", state=folder, messages_per_s=0)
    sim = GatewaySim(config)
    await sim.start()
    sim.tick("AAPL", bid=100, ask="100.02", bid_size=10**9, ask_size=10**9)
    ib = IB()
    ib.client.MaxRequests = 0
    await ib.connectAsync("127.0.0.1", sim.port, clientId=10)
    return sim, ib


async def crowded(folder: Path) -> list[float]:
    """Milliseconds an order, batch by batch, while orders come to rest."""
    sim, ib = await begun(folder)
    took_ms, resting, rested = [], set(), asyncio.Event()

    def count(trade: Trade) -> None:
        resting.add(trade.order.orderId)
        if len(resting) % BATCH == 0:
            rested.set()

    ib.orderStatusEvent += count
    for _ in range(CROWD // BATCH):
        rested.clear()
        began = time.perf_counter()
        for _ in range(BATCH):
            ib.placeOrder(AAPL, LimitOrder("BUY", 1, 90))
        await rested.wait()
        took_ms.append((time.perf_counter() - began) * 1000 / BATCH)
    await ended(sim, ib)
    return took_ms


async def ended(sim: GatewaySim, ib: IB) -> None:
    ib.disconnect()
    await asyncio.sleep(0)
    await sim.stop()


async def run(folder: Path) -> float:
    """Orders a second of one run."""
    sim, ib = await begun(folder)
    done, charged = asyncio.Event(), []

    def count(*_report: object) -> None:
        charged.append(1)
        if len(charged) == ORDERS:
            done.set()

    ib.commissionReportEvent += count
    began = time.perf_counter()
    for number in range(ORDERS):
        ib.placeOrder(AAPL, MarketOrder("SELL" if number % 2 else "BUY", 1))
        if number % 20 == 0:
            await asyncio.sleep(0)
    await done.wait()
    rate = ORDERS / (time.perf_counter() - began)
    await ended(sim, ib)
    return rate


def main() -> int:
    """Print minimum, median, maximum and the ratio to the goal."""
    logging.getLogger("ib_async").setLevel(logging.CRITICAL)
    rates = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as name:
            rates.append(asyncio.run(run(Path(name))))
            again = GatewaySim(GatewayConfig(at=AT, prices="control", state=Path(name)))
            if len(again.exchange.books.executions) != ORDERS:
                raise SystemExit("executions are missing from the state")
            again.store.close()
    with tempfile.TemporaryDirectory() as name:
        took_ms = asyncio.run(crowded(Path(name)))
    told = f"first {BATCH} {took_ms[0]:.1f} ms, last {BATCH} {took_ms[-1]:.1f} ms an order"
    print(f"{CROWD} resting in one symbol: {told}")
    low, middle, high = min(rates), statistics.median(rates), max(rates)
    print(f"orders/s: {low:.0f} {middle:.0f} {high:.0f} (goal {GOAL})")
    print(f"{middle / GOAL:.2f}")
    return 0 if middle >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
