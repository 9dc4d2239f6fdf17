"""What rests at the gateway may never trade more than is held: watched at the exchange itself."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

from scenes import ACCOUNT, WireScene

LAG = '[[fault]]\nwhen = {msg = "orderStatus", p = 1.0}\ndo = "delay"\nms = 150\n'


def could_close(scene: WireScene, contract: Any, out: str, *, targets: bool) -> int:
    """Units that would trade if all of a side filled that can: of a group one, of others each."""
    groups: Counter[str] = Counter()
    for order in scene.sim.exchange.books.live():
        terms = order.terms
        closes = terms.contract.con_id == contract.con_id and terms.side == out
        if closes and order.why_held != "child" and (targets or not _target(terms)):
            name = terms.oca_group or str(order.perm_id)
            groups[name] = max(groups[name], int(order.remaining))
    return groups.total()


def _target(terms: Any) -> bool:
    """A limit in a group; beside one it is an exit."""
    return bool(terms.oca_group) and terms.kind == "LMT"


def held(scene: WireScene, contract: Any) -> int:
    """Signed units at the exchange."""
    return int(scene.sim.exchange.books.open_qty(ACCOUNT, contract))


async def _watch(scene: WireScene, contracts: Sequence[Any], out: str, bare_s: float) -> None:
    whole_at = [scene.clock.now()] * len(contracts)
    while True:
        now = scene.clock.now()
        for number, contract in enumerate(contracts):
            qty = held(scene, contract) * (1 if out == "SELL" else -1)
            assert qty >= 0, f"{contract}: flipped"
            assert could_close(scene, contract, out, targets=True) <= qty, f"{contract}: {qty} held"
            if could_close(scene, contract, out, targets=False) == qty:
                whole_at[number] = now
            assert now - whole_at[number] <= timedelta(seconds=bare_s), contract
        await scene.sleep(0.02)


@asynccontextmanager
async def never_oversold(
    scene: WireScene, *contracts: Any, out: str = "SELL", bare_s: float = 1.0
) -> AsyncIterator[None]:
    """Never too much, and too little for 1 s at most, as long as this lasts."""
    watching = asyncio.ensure_future(_watch(scene, contracts, out, bare_s))
    try:
        yield
        if watching.done():
            watching.result()
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
