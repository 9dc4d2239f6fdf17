"""Every broker keeps the promises of its port: brackets, the day's end, what a restart finds."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from brokers import CLOSE, OPEN, Seat, usd

from bft.domain.broker import (
    ExecutionReport,
    FeeReport,
    OrderReport,
)
from bft.domain.orders import OrderType, Side, TimeInForce

Play = Callable[..., None]
LIVE = ("Submitted", "PreSubmitted")
LIMIT, STOP = OrderType.LIMIT, OrderType.STOP


async def bracket(seat: Seat, qty: int = 10) -> tuple[Any, Any, Any]:
    """Entry 100, target 110, stop 95, placed as the executor does: parent, target, stop."""
    entry, target, stop = await seat.legs(
        [
            {"side": Side.BUY, "qty": qty, "order_type": LIMIT, "limit_price_usd": usd(100)},
            {"side": Side.SELL, "qty": qty, "order_type": LIMIT, "limit_price_usd": usd(110)},
            {"side": Side.SELL, "qty": qty, "order_type": STOP, "stop_price_usd": usd(95)},
        ]
    )
    group = {
        "parent_order_id": entry.order_id,
        "oca_group": entry.order_ref,
        "oca_type": 2,
        "time_in_force": TimeInForce.GTC,
    }
    legs = (replace(entry, transmit=False), replace(target, transmit=False, **group))
    legs = (*legs, replace(stop, **group))
    seat.broker.place(legs)
    return legs


# brackets --------------------------------------------------------------------------------


def test_bracket_children_wait_for_the_entry(play: Play) -> None:
    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        await seat.price(105)
        entry, target, stop = await bracket(seat)
        for leg in (entry, target, stop):
            await seat.status(leg, *LIVE)
        for leg in (target, stop):
            told = seat.last(leg)
            assert told is not None
            assert told.why_held == "child"
        await seat.price(111)  # the target's price, before there is anything to sell
        await seat.quiet()
        assert seat.of(ExecutionReport) == []
        refs = {o.order_ref for o in await seat.broker.open_orders()}
        assert refs == {entry.order_ref, target.order_ref, stop.order_ref}

    play(story)


@pytest.mark.parametrize(("price", "winner"), [(110.5, 1), (94.5, 2)])
def test_bracket_exit_that_fills_cancels_the_other(play: Play, price: float, winner: int) -> None:
    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        await seat.price(100)
        legs = await bracket(seat)
        await seat.filled(legs[0], 10)
        await seat.expect(
            OrderReport,
            lambda r: r.order.order_ref == legs[winner].order_ref and r.order.why_held != "child",
        )
        await seat.price(price)
        (fill,) = await seat.filled(legs[winner], 10)
        assert fill.side is Side.SELL
        await seat.status(legs[3 - winner], "Cancelled")
        snapshot = await seat.broker.snapshot()
        assert (snapshot.positions, snapshot.open_orders) == ((), ())

    play(story)


def test_cancelled_entry_takes_its_children_with_it(play: Play) -> None:
    async def story(seat: Seat) -> None:
        entry, target, stop = await bracket(seat)
        await seat.status(entry, *LIVE)
        seat.broker.cancel(entry.order_id)
        for leg in (entry, target, stop):
            await seat.status(leg, "Cancelled")
        assert await seat.broker.open_orders() == ()

    play(story)


def test_partial_fill_is_told_and_the_rest_stays(play: Play) -> None:

    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        terms = {"order_type": LIMIT, "limit_price_usd": usd(100)}
        order = await seat.order(Side.BUY, 10, **terms)
        await seat.price(100, size=4)
        await seat.filled(order, 4)
        (told,) = await seat.broker.open_orders()
        assert (told.filled_qty, told.qty) == (4, 10)
        seat.broker.cancel(order.order_id)
        ended = await seat.status(order, "Cancelled")
        assert ended.filled_qty == 4
        assert [p.qty for p in (await seat.broker.snapshot()).positions] == [4]

    play(story, needs="partial")


def test_partial_exit_shrinks_the_other_leg(play: Play) -> None:

    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        await seat.price(100)
        entry, target, stop = await bracket(seat)
        await seat.filled(entry, 10)
        await seat.price(110, size=4)
        await seat.filled(target, 4)
        told = await seat.expect(
            OrderReport, lambda r: r.order.order_ref == stop.order_ref and r.order.qty == 6
        )
        assert told.order.status in LIVE
        await seat.price(94)
        await seat.filled(stop, 6)
        await seat.status(target, "Cancelled")
        assert (await seat.broker.snapshot()).positions == ()

    play(story, needs="reduce")


# time ------------------------------------------------------------------------------------


def test_day_order_sent_before_the_open_meets_the_opening_price(play: Play) -> None:
    async def story(seat: Seat) -> None:
        await seat.price(99)  # before the open
        terms = {"order_type": LIMIT, "limit_price_usd": usd(101)}
        order = await seat.order(Side.BUY, 5, **terms)
        await seat.status(order, *LIVE)
        await seat.at(OPEN - timedelta(seconds=1))
        assert seat.of(ExecutionReport) == []
        await seat.at(OPEN)
        await seat.price(100.50)
        (fill,) = await seat.filled(order, 5)
        assert fill.price_usd == usd("100.50")

    play(story)


def test_day_order_ends_at_the_close_and_gtc_stays(play: Play) -> None:
    async def story(seat: Seat) -> None:
        terms = {"order_type": LIMIT, "limit_price_usd": usd(50)}
        day = await seat.order(Side.BUY, 5, **terms)
        gtc = await seat.order(Side.BUY, 5, time_in_force=TimeInForce.GTC, **terms)
        entry, target, stop = await bracket(seat)
        await seat.status(day, *LIVE)
        await seat.status(gtc, *LIVE)
        await seat.at(CLOSE - timedelta(seconds=1))
        assert seat.state_of(day) in LIVE
        await seat.at(CLOSE)
        for leg in (day, entry, target, stop):
            await seat.status(leg, "Cancelled")
        assert [o.order_ref for o in await seat.broker.open_orders()] == [gtc.order_ref]

    play(story, start=CLOSE - timedelta(seconds=20))


def test_restart_finds_orders_executions_and_positions(play: Play) -> None:
    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        await seat.price(100)
        done = await seat.order(Side.BUY, 7)
        (fill,) = await seat.filled(done, 7)
        terms = {"order_type": LIMIT, "limit_price_usd": usd(50)}
        gone = await seat.order(Side.BUY, 1, **terms)
        await seat.status(gone, *LIVE)
        seat.broker.cancel(gone.order_id)
        await seat.status(gone, "Cancelled")
        resting = await seat.order(Side.BUY, 1, **terms)
        before = await seat.status(resting, *LIVE)
        fee = await seat.expect(FeeReport)

        await seat.restart()
        snapshot = await seat.broker.snapshot(full=True)
        assert [o.order_ref for o in snapshot.open_orders] == [resting.order_ref]
        assert snapshot.open_orders[0].perm_id == before.perm_id
        refs = {o.order_ref: o.status for o in snapshot.completed or ()}
        assert refs == {done.order_ref: "Filled", gone.order_ref: "Cancelled"}
        (found,) = snapshot.executions or ()
        assert (found.exec_id, found.order_ref) == (fill.exec_id, done.order_ref)
        assert (found.price_usd, found.at) == (fill.price_usd, fill.at)
        assert found.fee_usd == fee.fee_usd
        assert [(p.contract.con_id, p.qty) for p in snapshot.positions] == [
            (fill.contract.con_id, 7)
        ]
        seat.broker.cancel(resting.order_id)
        await seat.status(resting, "Cancelled")

    play(story)


def test_executions_since_leaves_older_ones_out(play: Play) -> None:
    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        await seat.price(100)
        first = await seat.order(Side.BUY, 1)
        await seat.filled(first, 1)
        await seat.at(OPEN + timedelta(seconds=40))
        await seat.price(100)
        second = await seat.order(Side.BUY, 2)
        await seat.filled(second, 2)
        assert [e.qty for e in await seat.broker.executions()] == [1, 2]
        since = OPEN + timedelta(seconds=30)
        assert [e.qty for e in await seat.broker.executions(since=since)] == [2]

    play(story)
