"""Orders a second through the gateway simulator, with durable state; goal 120 (executor, 11).

The real client, its own pacing off, sends market orders and waits for every commission; client
and simulator share one core. Parity first: a second gateway on the state finds every execution.
The last line is the ratio to the goal (met at >= 1).
"""

import asyncio
import logging
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from ib_async import IB, MarketOrder, Stock

from bft.sim.gateway.config import GatewayConfig
from bft.sim.gateway.exchange.contracts import con_id
from bft.sim.gateway.gateway import GatewaySim

GOAL, ORDERS, RUNS = 120, 400, 5
AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
AAPL = Stock("AAPL", "SMART", "USD", conId=con_id("STK:AAPL"))


async def run(folder: Path) -> float:
    """Orders a second of one run."""
    config = GatewayConfig(at=AT, prices="control", state=folder, messages_per_s=0)
    sim = GatewaySim(config)
    await sim.start()
    sim.tick("AAPL", bid=100, ask="100.02", bid_size=10**9, ask_size=10**9)
    ib, done, charged = IB(), asyncio.Event(), []
    ib.client.MaxRequests = 0
    await ib.connectAsync("127.0.0.1", sim.port, clientId=10)

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
    ib.disconnect()
    await asyncio.sleep(0)
    await sim.stop()
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
    low, middle, high = min(rates), statistics.median(rates), max(rates)
    print(f"orders/s: {low:.0f} {middle:.0f} {high:.0f} (goal {GOAL})")
    print(f"{middle / GOAL:.2f}")
    return 0 if middle >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
