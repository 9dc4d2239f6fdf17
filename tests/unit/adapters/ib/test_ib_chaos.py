"""Whatever the wire does, the session comes back and its answers are the gateway's own books."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path

import pytest
from brokers import usd
from ib_gateways import LIMIT, Desk, play

from bft.domain.broker import ExecutionReport, PlacedOrder, Priority, SessionState
from bft.domain.errors import UnavailableError
from bft.domain.orders import Side

WORDS = "drop delay duplicate reorder corrupt slow_bytes half_open disconnect".split()
MESSAGES = (
    "openOrder orderStatus execDetails commissionReport position positionEnd openOrderEnd "
    "completedOrdersEnd execDetailsEnd currentTime placeOrder cancelOrder reqAllOpenOrders "
    "reqPositions reqExecutions reqCompletedOrders tickPrice accountValue error"
).split()


async def act(desk: Desk, draw: random.Random, mine: list[PlacedOrder]) -> None:
    """One thing an executor does, where the session lets it."""
    broker = desk.broker
    try:
        await broker.send_token(Priority.OPENING)
        word = draw.choice(("place", "place", "cancel", "amend", "ask"))
        if word == "place":
            (order,) = await desk.legs([{"side": Side.BUY, "qty": draw.randint(1, 9), **LIMIT}])
            broker.place([order])
            mine.append(order)
        elif word == "ask":
            await broker.snapshot(full=True)
        elif mine and word == "cancel":
            broker.cancel(draw.choice(mine).order_id)
        elif mine:
            broker.amend(replace(draw.choice(mine), limit_price_usd=usd(98)))
    except UnavailableError:
        await asyncio.sleep(1)


async def keep_armed(desk: Desk) -> None:
    while True:
        desk.broker.arm()
        await asyncio.sleep(0.5)


@pytest.mark.parametrize("seed", range(12))
def test_session_recovers_and_tells_the_truth(tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)

    async def story(desk: Desk) -> None:
        arming = asyncio.ensure_future(keep_armed(desk))
        mine: list[PlacedOrder] = []
        desk.broker.watch(await desk.aapl())
        for _ in range(12):
            when = {"msg": draw.choice(MESSAGES), "nth": draw.randint(1, 3)}
            desk.fault(draw.choice(WORDS), when=when)
            for _ in range(3):
                await act(desk, draw, mine)
            await desk.price(draw.choice((98, 100)), draw.choice((99, 101)))
            await asyncio.sleep(draw.uniform(0, 20))
        await desk.venue.sim.stop()
        await desk.venue.serve(desk.venue.port)  # the same state, no faults any more
        await truth(desk)
        arming.cancel()

    play(story, tmp_path)


async def truth(desk: Desk) -> None:
    """The answer, once there is one, against the gateway's state."""
    await asyncio.sleep(60)
    assert desk.broker.state is SessionState.ARMED
    snapshot = await desk.broker.snapshot(full=True)
    books = desk.venue.sim.exchange.books
    told = {(o.order_ref, o.perm_id, o.qty, o.limit_price_usd) for o in snapshot.open_orders}
    assert told == {(o.terms.order_ref, o.perm_id, o.qty, o.terms.limit) for o in books.live()}
    assert {e.exec_id for e in snapshot.executions or ()} == set(books.executions)
    held = {p.contract.con_id: p.qty for p in snapshot.positions}
    assert held == {p.contract.con_id: p.qty for p in books.positions.values() if p.qty}
    heard = {r.execution.exec_id for r in desk.of(ExecutionReport)}
    assert heard <= set(books.executions)
