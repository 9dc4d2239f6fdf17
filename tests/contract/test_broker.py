"""Every broker keeps the promises of its port (bft/ports/broker.py)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from brokers import OPEN, Seat, usd

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
from bft.domain.orders import Contract, OrderType, Side

Play = Callable[..., None]
LIVE = ("Submitted", "PreSubmitted")
LIMIT, STOP = OrderType.LIMIT, OrderType.STOP


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


def test_cancel_right_after_placing_reaches_the_order(play: Play) -> None:
    async def story(seat: Seat) -> None:
        terms = {"order_type": LIMIT, "limit_price_usd": usd(50)}
        order = await seat.order(Side.BUY, 5, **terms)
        seat.broker.cancel(order.order_id)
        await seat.status(order, "Cancelled")
        assert await seat.broker.open_orders() == ()

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


def test_amend_keeps_the_order_and_takes_the_new_price(play: Play) -> None:
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


def test_quotes_of_watched_contracts_are_reported(play: Play) -> None:

    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        contract = await seat.aapl()
        await seat.price(100, 101)
        await seat.quiet()
        assert seat.broker.quote(contract) is None
        seat.broker.watch(contract)
        await seat.price(102, 103)
        told = (await seat.expect(QuoteReport, lambda r: r.quote.bid_usd == 102)).quote
        assert (told.ask_usd, told.contract) == (103, contract)
        now = seat.broker.quote(contract)
        assert now is not None
        assert (now.bid_usd, now.ask_usd) == (102, 103)
        line = seat.broker.line(contract)  # where nobody knows of lines it is None
        assert line is None or (line.alive_at or now.at) >= now.at
        assert line is None or not line.problem
        seat.broker.unwatch(contract)
        seat.reports.clear()
        await seat.price(104)
        await seat.quiet()
        assert seat.of(QuoteReport) == []

    play(story, needs="quotes")


def test_what_is_no_option_has_no_figures(play: Play) -> None:
    async def story(seat: Seat) -> None:
        await seat.at(OPEN)
        contract = await seat.aapl()
        assert seat.broker.option_figures(contract) is None
        seat.broker.watch(contract)
        await seat.price(102, "102.02")
        await seat.expect(QuoteReport, lambda r: r.quote.bid_usd == 102)
        assert seat.broker.option_figures(contract) is None

    play(story, needs="quotes")


def test_errors_name_an_order_of_ours(play: Play) -> None:
    async def story(seat: Seat) -> None:
        seat.broker.cancel(999_999)
        said = await seat.expect(ErrorReport, lambda r: r.order_id is not None)
        assert (said.order_id, said.kind) == (999_999, ErrorKind.UNCHANGED)

    play(story)
