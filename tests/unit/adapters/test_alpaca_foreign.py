"""Orders of others at Alpaca, of every shape: recorded or told, and never in our way.

Source: executor specification, section 6 (order or fill of others); Alpaca API reference, orders
(`qty` is null where an order is for `notional` dollars, symbol and side where it has legs).
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from brokers import OPEN, AlpacaVenue, Seat, running, usd
from virtual_time import run

from bft.domain.broker import (
    ErrorKind,
    ErrorReport,
    ExecutionReport,
    PlacedOrder,
    SessionReport,
    SessionState,
)
from bft.domain.orders import OrderType, Side, TimeInForce

ENTRY = {"side": Side.BUY, "qty": 10, "order_type": OrderType.LIMIT, "limit_price_usd": usd(100)}
STOP = {"side": Side.SELL, "qty": 10, "order_type": OrderType.STOP, "stop_price_usd": usd(95)}
BY_HAND = {"symbol": "AAPL", "qty": "5", "side": "sell", "type": "limit", "limit_price": "500"}
BY_HAND |= {"time_in_force": "day"}


def play(folder: Path, story: Callable[[Seat], Any]) -> None:
    run(running(AlpacaVenue(), folder, story))


def standin(seat: Seat) -> Any:
    return seat.venue.state  # type: ignore[attr-defined]


async def opened(seat: Seat) -> list[PlacedOrder]:
    await seat.at(OPEN)
    await seat.price(100)
    entry, stop = await seat.legs([ENTRY, STOP])
    group = {"parent_order_id": entry.order_id, "oca_group": entry.order_ref, "oca_type": 2}
    legs = [replace(entry, transmit=False)]
    legs.append(replace(stop, time_in_force=TimeInForce.GTC, **group))
    seat.broker.place(legs)
    return legs


def by_hand(seat: Seat, **shown: Any) -> None:
    """Somebody rests an order, which Alpaca shows with other fields than the usual ones."""
    standin(seat).add(BY_HAND, client_order_id="by-hand")
    show(seat, lambda row: row["client_order_id"] == "by-hand", **shown)


def show(seat: Seat, meant: Callable[[Any], bool], **shown: Any) -> None:
    """Have Alpaca tell these fields of some orders from now on."""
    plain = type(standin(seat)).told

    def told(order: Any, *, nested: bool = False) -> Any:
        row = plain(standin(seat), order, nested=nested)
        return {**row, **shown} if meant(row) else row

    standin(seat).told = told


def told(seat: Seat) -> list[str]:
    messages = (r for r in seat.reports if isinstance(r, ErrorReport))
    return [r.text for r in messages if r.kind is ErrorKind.MESSAGE]


def states(seat: Seat) -> list[SessionState]:
    return [r.state for r in seat.reports if isinstance(r, SessionReport)]


@pytest.mark.parametrize(
    ("more", "skipped"),
    [
        ({"qty": None, "notional": "500"}, 0),
        ({"submitted_at": None}, 0),
        ({"submitted_at": None, "order_class": "oco"}, 0),
        ({"submitted_at": None, "created_at": None, "order_class": "oco"}, 1),
        ({"symbol": None, "side": "", "order_class": "mleg"}, 1),
        ({"qty": "many"}, 1),
    ],
)
def test_order_of_somebody_else_leaves_ours_in_sight(
    tmp_path: Path, more: dict[str, Any], skipped: int
) -> None:
    async def story(seat: Seat) -> None:
        await seat.quiet()
        began = len(states(seat))
        by_hand(seat, **more)
        legs = await opened(seat)
        await seat.filled(legs[0], 10)
        await asyncio.sleep(20)
        assert seat.broker.state is SessionState.ARMED
        assert states(seat)[began:] == []
        assert len(told(seat)) == skipped
        opens = await seat.broker.open_orders()
        assert len([o for o in opens if o.order_ref == "by-hand"]) == 1 - skipped
        seat.broker.cancel(legs[1].order_id)
        await asyncio.sleep(5)
        assert legs[1].order_ref not in {o.order_ref for o in await seat.broker.open_orders()}

    play(tmp_path, story)


def test_order_of_dollars_has_the_units_that_filled(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        by_hand(seat, qty=None, notional="500", filled_qty="4.5")
        (order,) = await seat.broker.open_orders()
        assert (order.qty, order.filled_qty, order.order_id) == (usd("4.5"), usd("4.5"), 0)

    play(tmp_path, story)


def test_unusable_order_of_ours_ends_the_session_until_it_can_be_read(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await opened(seat)
        await asyncio.sleep(5)
        show(seat, lambda _: True, qty=None)
        await asyncio.sleep(10)
        assert seat.broker.state is SessionState.DOWN
        show(seat, lambda _: False)
        await asyncio.sleep(40)
        assert seat.broker.state.may_close

    play(tmp_path, story)


def test_order_whose_answer_nobody_can_read_is_in_doubt_and_found(tmp_path: Path) -> None:
    """It may rest there. Red: it stood as not yet sent, and nobody looked for it."""

    async def story(seat: Seat) -> None:
        await seat.quiet()
        show(seat, lambda _: True, legs=7)
        legs = await opened(seat)
        await asyncio.sleep(0.5)
        doubts = [r for r in seat.reports if isinstance(r, ErrorReport)]
        doubts = [r for r in doubts if r.kind is ErrorKind.UNLISTED]
        assert {r.order_ref for r in doubts} == {leg.order_ref for leg in legs}
        show(seat, lambda _: False)
        await asyncio.sleep(40)
        assert seat.broker.state.may_close
        await seat.filled(legs[0], 10)
        found = {order.order_ref for order in await seat.broker.open_orders()}
        assert found == {legs[1].order_ref}
        posts = [path for _, method, path in standin(seat).calls if method == "POST"]
        assert posts == ["/v2/orders"]

    play(tmp_path, story)


def test_answer_nobody_thought_of_is_a_broken_session_and_no_blind_one(tmp_path: Path) -> None:
    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        standin(seat).fills.append({"id": "x", "transaction_time": OPEN.isoformat()})
        await asyncio.sleep(10)
        assert seat.broker.state is SessionState.DOWN
        standin(seat).fills.clear()
        await asyncio.sleep(40)
        assert seat.broker.state.may_close
        await opened(seat)
        assert (await seat.expect(ExecutionReport)).execution.qty == 10

    play(tmp_path, story)
