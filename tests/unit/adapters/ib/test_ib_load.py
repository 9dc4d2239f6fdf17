"""How long a full book takes (executor specification, section 16), and what leaves how fast."""

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

from ib_gateways import LIMIT, Desk, now_s, play

from bft.domain.broker import ErrorKind, ErrorReport, PlacedOrder, Priority, SessionState
from bft.domain.orders import Contract, Side

SYMBOLS = 20


async def book(desk: Desk, size: int) -> list[PlacedOrder]:
    """Resting orders, spread over symbols, each sent with leave."""
    legs = await desk.legs([{"side": Side.BUY, "qty": 1, **LIMIT}] * size)
    contracts = []
    for stock in desk.venue.sim.market.catalogue.stocks[:SYMBOLS]:
        desk.venue.sim.tick(stock, bid=Decimal(100), ask=Decimal(101))
        contracts.append(await desk.broker.contract(Contract(con_id=stock.con_id, symbol="X")))
    named = list(spread(legs, contracts))
    for leg in named:
        await desk.broker.send_token(Priority.OPENING)
        desk.broker.place([leg])
    await desk.status(named[-1], "Submitted")
    return named


def spread(legs: list[PlacedOrder], contracts: list[Contract]) -> Iterator[PlacedOrder]:
    for number, leg in enumerate(legs):
        terms = {name: getattr(leg, name) for name in leg.__dataclass_fields__}
        yield PlacedOrder(**{**terms, "contract": contracts[number % len(contracts)]})


def test_five_hundred_orders_reconcile_within_5_s(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        began_s = now_s()
        await book(desk, 500)
        assert now_s() - began_s > 500 / 35  # nobody was faster than the rate
        assert not [r for r in desk.of(ErrorReport) if r.kind is ErrorKind.PACING]
        desk.cut()
        await desk.session(SessionState.DOWN)
        desk.reports.clear()
        began_s = time.perf_counter()
        await desk.rearm(5)
        snapshot = await desk.broker.snapshot(full=True)
        assert time.perf_counter() - began_s < 5
        assert len(snapshot.open_orders) == 500

    play(story, tmp_path, cash_usd=Decimal(10_000_000))


def test_fifty_cancels_overtake_and_are_out_within_1500_ms(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        orders = await book(desk, 50)
        began_s = now_s()
        for order in orders:
            await desk.broker.send_token(Priority.CANCEL)
            desk.broker.cancel(order.order_id)
        assert now_s() - began_s <= 1.5
        for order in orders:
            await desk.status(order, "Cancelled")
        assert not [r for r in desk.of(ErrorReport) if r.kind is ErrorKind.PACING]

    play(story, tmp_path)
