"""Every broker keeps the promises of its port (bft/ports/broker.py)."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from brokers import CLOSE, OPEN, PaperVenue, Seat, Venue, running, usd
from ib_gateways import IbVenue
from virtual_time import run, settle

from bft.domain.broker import (
    ErrorKind,
    ErrorReport,
    ExecutionReport,
    FeeReport,
    OrderReport,
    QuoteReport,
    SessionReport,
    SessionState,
)
from bft.domain.errors import DataError, UnavailableError
from bft.domain.orders import Contract, OrderType, Side, TimeInForce

VENUES: dict[str, Callable[[], Venue]] = {"paper": PaperVenue, "ib": IbVenue}
Story = Callable[[Seat], Awaitable[None]]
Play = Callable[[Story], None]
LIVE = ("Submitted", "PreSubmitted")
LIMIT, STOP = OrderType.LIMIT, OrderType.STOP


@pytest.fixture(params=VENUES)
def venue(request: pytest.FixtureRequest) -> Venue:
    return VENUES[request.param]()


@pytest.fixture
def play(venue: Venue, tmp_path: Path) -> Play:
    return lambda story: run(running(venue, tmp_path, story))


def needs(venue: Venue, feature: str) -> None:
    if feature not in venue.features:
        pytest.skip(f"{type(venue).__name__} has no {feature}")


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


# session ---------------------------------------------------------------------------------


def test_session_rises_in_order_and_each_change_is_reported(play: Play) -> None:
    async def story(seat: Seat) -> None:
        states = [report.state for report in seat.of(SessionReport)]
        assert states[-3:] == [
            SessionState.SYNCING,
            SessionState.RECONCILING,
            SessionState.ARMED,
        ]
        assert seat.broker.state is SessionState.ARMED
        assert seat.broker.epoch == seat.epochs == 1

    play(story)


def test_resync_returns_to_reconciling_and_waits_for_arm(play: Play) -> None:
    async def story(seat: Seat) -> None:
        seat.reports.clear()
        seat.broker.resync("a test")
        await seat.session(SessionState.SYNCING)
        await seat.session(SessionState.RECONCILING)
        assert seat.broker.state is SessionState.RECONCILING
        seat.broker.arm()
        await seat.session(SessionState.ARMED)

    play(story)


def test_nothing_is_sent_or_asked_after_stop(play: Play) -> None:
    async def story(seat: Seat) -> None:
        (order,) = await seat.legs([{"side": Side.BUY, "qty": 1}])
        await seat.broker.stop()
        assert seat.broker.state is SessionState.DOWN
        with pytest.raises(UnavailableError):
            seat.broker.place([order])
        with pytest.raises(UnavailableError):
            await seat.broker.snapshot()

    play(story)


def test_a_restart_counts_another_epoch(play: Play) -> None:
    async def story(seat: Seat) -> None:
        await seat.restart()
        assert seat.broker.epoch == 2
        assert {r.epoch for r in seat.of(SessionReport) if r.state is SessionState.ARMED} == {2}

    play(story)


# orders ----------------------------------------------------------------------------------


def test_ids_rise_above_floor_and_are_never_given_twice(play: Play) -> None:
    async def story(seat: Seat) -> None:
        first = seat.broker.reserve_ids(3)
        second = seat.broker.reserve_ids(2)
        assert [*first, *second] == sorted({*first, *second})
        seat.floor = second[-1] + 100
        assert seat.broker.reserve_ids(1)[0] >= seat.floor

    play(story)


def test_market_order_fills_and_its_name_comes_back_everywhere(play: Play) -> None:
    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        await seat.price(99.99, 100.01)
        order = await seat.order(Side.BUY, 10)
        (fill,) = await seat.filled(order, 10)
        assert (fill.side, fill.account) == (Side.BUY, seat.broker.account)
        assert usd(99.99) <= fill.price_usd <= usd(100.10)
        told = await seat.status(order, "Filled")
        assert told.order_ref == fill.order_ref == order.order_ref
        assert told.perm_id == fill.perm_id
        await seat.expect(FeeReport, lambda r: r.exec_id == fill.exec_id)
        snapshot = await seat.broker.snapshot(full=True)
        assert [(p.contract.symbol, p.qty) for p in snapshot.positions] == [("AAPL", 10)]
        assert [o.order_ref for o in snapshot.completed or ()] == [order.order_ref]
        assert [e.exec_id for e in snapshot.executions or ()] == [fill.exec_id]

    play(story)


def test_reports_come_after_place_has_returned(play: Play) -> None:
    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        await seat.price(100)
        before = len(seat.reports)
        order = await seat.order(Side.BUY, 1)
        assert len(seat.reports) == before
        await seat.filled(order, 1)

    play(story)


def test_limit_waits_for_its_price(play: Play) -> None:
    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        await seat.price(101)
        terms = {"order_type": LIMIT, "limit_price_usd": usd(100)}
        order = await seat.order(Side.BUY, 5, **terms)
        told = await seat.status(order, *LIVE)
        assert (told.qty, told.limit_price_usd, told.order_type) == (5, 100, "LMT")
        assert seat.of(ExecutionReport) == []
        await seat.price(99.50)
        (fill,) = await seat.filled(order, 5)
        assert fill.price_usd <= usd(100)

    play(story)


def test_cancel_ends_an_order_and_says_so(play: Play) -> None:
    async def story(seat: Seat) -> None:
        terms = {"order_type": LIMIT, "limit_price_usd": usd(50)}
        order = await seat.order(Side.BUY, 5, **terms)
        await seat.status(order, *LIVE)
        seat.broker.cancel(order.order_id)
        await seat.status(order, "Cancelled")
        assert (await seat.error(order)).kind is ErrorKind.CANCELLED
        assert await seat.broker.open_orders() == ()
        assert [o.status for o in await seat.broker.completed_orders()] == ["Cancelled"]

    play(story)


def test_cancel_that_loses_the_race_changes_nothing(play: Play) -> None:
    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        await seat.price(100)
        order = await seat.order(Side.BUY, 5)
        await seat.filled(order, 5)
        seat.broker.cancel(order.order_id)
        assert (await seat.error(order)).kind is ErrorKind.UNCHANGED
        assert seat.state_of(order) == "Filled"

    play(story)


def test_amend_keeps_the_order_and_takes_the_new_price(play: Play, venue: Venue) -> None:
    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        await seat.price(101)
        terms = {"order_type": LIMIT, "limit_price_usd": usd(99)}
        order = await seat.order(Side.BUY, 5, **terms)
        first = await seat.status(order, *LIVE)
        fresh = replace(order, limit_price_usd=usd("99.50"), qty=4)
        seat.broker.amend(fresh)
        found = await seat.expect(OrderReport, lambda r: r.order.limit_price_usd == usd("99.50"))
        assert (found.order.order_ref, found.order.qty) == (order.order_ref, 4)
        assert found.order.order_id == first.order_id
        (told,) = await seat.broker.open_orders()
        assert (told.limit_price_usd, told.qty) == (usd("99.50"), 4)
        await seat.price(99.40)
        await seat.filled(order, 4)

    play(story)


def test_an_order_that_cannot_be_is_refused_and_never_live(play: Play) -> None:
    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        await seat.price(100)
        terms = {"order_type": LIMIT, "limit_price_usd": usd(100)}
        order = await seat.order(Side.BUY, 1_000_000, **terms)
        assert (await seat.error(order)).kind is ErrorKind.REFUSED
        assert await seat.broker.open_orders() == ()
        assert seat.of(ExecutionReport) == []

    play(story)


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
        await settle()
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


def test_partial_fill_is_told_and_the_rest_stays(play: Play, venue: Venue) -> None:
    needs(venue, "partial")

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

    play(story)


def test_partial_exit_shrinks_the_other_leg(play: Play, venue: Venue) -> None:
    needs(venue, "reduce")

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

    play(story)


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
        await seat.at(OPEN)
        terms = {"order_type": LIMIT, "limit_price_usd": usd(50)}
        day = await seat.order(Side.BUY, 5, **terms)
        gtc = await seat.order(Side.BUY, 5, time_in_force=TimeInForce.GTC, **terms)
        await seat.status(day, *LIVE)
        await seat.status(gtc, *LIVE)
        await seat.at(CLOSE - timedelta(seconds=1))
        assert seat.state_of(day) in LIVE
        await seat.at(CLOSE)
        await seat.status(day, "Cancelled")
        assert [o.order_ref for o in await seat.broker.open_orders()] == [gtc.order_ref]

    play(story)


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
        await seat.at(OPEN + timedelta(minutes=5))
        await seat.price(100)
        second = await seat.order(Side.BUY, 2)
        await seat.filled(second, 2)
        assert [e.qty for e in await seat.broker.executions()] == [1, 2]
        since = OPEN + timedelta(minutes=4)
        assert [e.qty for e in await seat.broker.executions(since=since)] == [2]

    play(story)


# questions -------------------------------------------------------------------------------


def test_contract_is_resolved_once_and_unknown_is_said(play: Play) -> None:
    async def story(seat: Seat) -> None:
        found = await seat.aapl()
        assert found.con_id > 0
        assert await seat.broker.contract(found) == found
        with pytest.raises(DataError, match="NO SUCH"):
            await seat.broker.contract(Contract(con_id=0, symbol="NO SUCH"))

    play(story)


def test_account_and_time_are_told(play: Play) -> None:
    async def story(seat: Seat) -> None:
        values = seat.broker.account_values()
        assert values is not None
        assert values.equity_usd == values.cash_usd == Decimal(100_000)
        skew = await seat.broker.broker_time() - seat.clock.now()
        assert abs(skew) < timedelta(seconds=2)

    play(story)


def test_quotes_of_watched_contracts_are_reported(play: Play, venue: Venue) -> None:
    needs(venue, "quotes")

    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        contract = await seat.aapl()
        await seat.price(100, 101)
        assert seat.broker.quote(contract) is None
        seat.broker.watch(contract)
        await seat.price(102, 103)
        told = (await seat.expect(QuoteReport, lambda r: r.quote.bid_usd == 102)).quote
        assert (told.ask_usd, told.contract) == (103, contract)
        assert seat.broker.quote(contract) == told
        seat.broker.unwatch(contract)
        seat.reports.clear()
        await seat.price(104)
        assert seat.of(QuoteReport) == []

    play(story)


def test_errors_name_an_order_of_ours(play: Play) -> None:
    async def story(seat: Seat) -> None:
        seat.broker.cancel(999_999)
        said = await seat.expect(ErrorReport, lambda r: r.order_id is not None)
        assert (said.order_id, said.kind) == (999_999, ErrorKind.UNCHANGED)

    play(story)
