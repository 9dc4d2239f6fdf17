"""Scripts of faults at the gateway simulator, and what their tests do first."""

from typing import Any

from gateways import Client, Stage
from ib_async import LimitOrder, Trade


def script(*faults: str, seed: int = 7) -> str:
    return f"seed = {seed}\n" + "\n".join(f"[[fault]]\n{fault}" for fault in faults)


async def ready(stage: Stage, client_id: int = 10) -> Client:
    stage.tick(100, 100.02)
    return await stage.client(client_id)


async def buy(stage: Stage, ib: Client, qty: int = 10, **rest: Any) -> Trade:
    (trade,) = await stage.place(ib, LimitOrder("BUY", qty, 100.05, **rest))
    return trade


def live(stage: Stage) -> list[int]:
    return [order.perm_id for order in stage.sim.exchange.books.live()]
