"""Orders through the gateway: what is written, what is told, what counts (sections 3, 7.1, 12)."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from brokers import usd
from ib_gateways import LIMIT, Desk, now_s, play
from ib_venue import ACCOUNT
from virtual_time import settle

from bft.domain.broker import (
    ErrorKind,
    ErrorReport,
    ExecutionReport,
    FeeReport,
    OrderReport,
    Priority,
    SessionState,
)
from bft.domain.errors import UnavailableError
from bft.domain.orders import FillSource, OrderType, Side, TimeInForce
from bft.sim.gateway.wire import order_fields


def live(desk: Desk) -> list[str]:
    return [o.terms.order_ref for o in desk.venue.sim.exchange.books.live()]


def test_bracket_is_written_parent_first_with_all_its_words(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        entry, target, stop = await desk.legs(
            [
                {"side": Side.BUY, "qty": 7, **LIMIT},
                {"side": Side.SELL, "qty": 7, **LIMIT, "limit_price_usd": usd("110.25")},
                {
                    "side": Side.SELL,
                    "qty": 7,
                    "order_type": OrderType.STOP_LIMIT,
                    "stop_price_usd": usd(95),
                    "limit_price_usd": usd("94.5"),
                    "trigger_method": 4,
                },
            ]
        )
        group = {
            "parent_order_id": entry.order_id,
            "oca_group": "bft1.G",
            "oca_type": 2,
            "time_in_force": TimeInForce.GTC,
        }
        legs = [replace(entry, transmit=False), replace(target, transmit=False, **group)]
        legs.append(replace(stop, **group))
        desk.broker.place(legs)
        await desk.status(stop, "PreSubmitted")
        books = desk.venue.sim.exchange.books
        first, second, third = (o.terms for o in books.live())
        assert [t.order_id for t in (first, second, third)] == [o.order_id for o in legs]
        assert (first.kind, first.limit, first.tif, first.account) == ("LMT", 99, "DAY", ACCOUNT)
        assert (second.parent_id, second.oca_group, second.oca_type) == (
            entry.order_id,
            "bft1.G",
            2,
        )
        assert (second.tif, second.limit, second.side) == ("GTC", Decimal("110.25"), "SELL")
        assert (third.kind, third.aux, third.limit) == ("STP LMT", 95, Decimal("94.5"))
        assert (third.trigger_method, third.transmit, third.order_ref) == (4, True, stop.order_ref)

    play(story, tmp_path)


def test_untransmitted_legs_are_not_at_the_broker(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        (entry,) = await desk.legs([{"side": Side.BUY, "qty": 1, **LIMIT}])
        desk.broker.place([replace(entry, transmit=False)])
        await settle()
        assert live(desk) == []
        assert await desk.broker.open_orders() == ()

    play(story, tmp_path)


@pytest.mark.parametrize("code", [399, 2109, 10349, 2137])
def test_messages_end_no_order(tmp_path: Path, code: int) -> None:
    async def story(desk: Desk) -> None:
        desk.fault("warn", code=code, text="Order TIF was set to DAY based on order preset.")
        order = await desk.resting()
        said = await desk.error(order)
        assert (said.kind, said.order_ref) == (ErrorKind.MESSAGE, order.order_ref)
        assert desk.state_of(order) == "Submitted"
        (told,) = await desk.broker.open_orders()
        assert told.status == "Submitted"

    play(story, tmp_path)


def test_unlisted_codes_end_no_order(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        order = await desk.resting()
        desk.venue.say(4, 2, order.order_id, 9999, "something new", "")
        said = await desk.error(order)
        assert said.kind is ErrorKind.UNLISTED
        assert desk.state_of(order) == "Submitted"

    play(story, tmp_path)


@pytest.mark.parametrize(
    ("code", "kind"),
    [(201, ErrorKind.REFUSED), (110, ErrorKind.REFUSED), (103, ErrorKind.DUPLICATE_ID)],
)
def test_refusals_name_the_order_and_its_epoch(tmp_path: Path, code: int, kind: ErrorKind) -> None:
    async def story(desk: Desk) -> None:
        desk.fault("reject", code=code, text="Order rejected")
        order = await desk.order(Side.BUY, 1, **LIMIT)
        said = await desk.error(order)
        assert (said.kind, said.code, said.epoch) == (kind, code, 1)
        assert said.order_ref == order.order_ref
        assert live(desk) == []

    play(story, tmp_path)


def test_fills_during_an_outage_are_recovered_with_their_fees(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        order = await desk.resting()
        desk.cut()
        await desk.session(SessionState.DOWN)
        await desk.price(98, "98.02")  # fills while nobody listens
        desk.reports.clear()
        await desk.rearm()
        snapshot = await desk.broker.snapshot(full=True)
        assert desk.of(ExecutionReport) == desk.of(FeeReport) == []  # the answer holds them
        (fill,) = snapshot.executions or ()
        assert (fill.order_ref, fill.qty, fill.source) == (
            order.order_ref,
            10,
            FillSource.RECOVERED,
        )
        assert fill.fee_usd == 1  # the least of the fixed schedule
        assert [(p.contract.symbol, p.qty) for p in snapshot.positions] == [("AAPL", 10)]
        (done,) = snapshot.completed or ()
        assert (done.order_ref, done.status, done.filled_qty) == (order.order_ref, "Filled", 10)
        assert snapshot.open_orders == ()

    play(story, tmp_path)


def test_asking_again_repeats_no_reports(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.resting()
        desk.reports.clear()
        assert len(await desk.broker.open_orders()) == 1
        await desk.broker.snapshot(full=True)
        assert desk.reports == []

    play(story, tmp_path)


def test_order_that_fills_while_listed_is_not_open_any_more(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        order = await desk.resting()
        desk.fault("drop", when={"msg": "openOrderEnd"})
        answer = asyncio.ensure_future(desk.broker.open_orders())
        await asyncio.sleep(0.1)
        await desk.price(98, "98.02")
        await desk.filled(order, 10)
        desk.venue.say(53, 1)
        assert await answer == ()

    play(story, tmp_path)


def test_orders_sent_without_leave_count_for_the_rate(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await asyncio.sleep(2)
        desk.broker.place(await desk.legs([{"side": Side.BUY, "qty": 1, **LIMIT}] * 30))
        began_s = now_s()
        for _ in range(4):
            await desk.broker.send_token(Priority.OPENING)
        assert now_s() == began_s
        for _ in range(2):
            await desk.broker.send_token(Priority.OPENING)
        assert now_s() - began_s > 0.9

    play(story, tmp_path)


def test_vanished_order_is_in_no_complete_answer(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        order = await desk.resting()
        desk.fault("code", code=1100)
        await desk.session(SessionState.LOST)
        desk.fault("vanish", s=60)
        desk.fault("code", code=1102)
        desk.reports.clear()
        await desk.rearm()
        snapshot = await desk.broker.snapshot(full=True)
        assert (snapshot.open_orders, snapshot.completed, snapshot.executions) == ((), (), ())
        assert desk.of(OrderReport) == []  # nothing says it is dead
        assert desk.last(order) is None

    play(story, tmp_path)


def test_duplicated_reordered_and_corrected_reports_are_told_as_they_are(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.fault("duplicate", when={"msg": "execDetails"}, n=1)
        desk.fault("reorder", when={"msg": "execDetails", "nth": 2}, window=2)
        await desk.order(Side.BUY, 10)
        await desk.expect(FeeReport)
        told = [r.execution for r in desk.of(ExecutionReport)]
        assert len(told) >= 2
        assert len({e.exec_id for e in told}) == 1
        desk.fault("correction", price=99.5)
        await desk.expect(ExecutionReport, lambda r: r.execution.revision == 2)
        newest = desk.of(ExecutionReport)[-1].execution
        assert (newest.base_id, newest.price_usd) == (told[0].base_id, usd("99.5"))

    play(story, tmp_path)


def test_two_perm_ids_under_one_name_are_both_told(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.fault("two_perm_ids")
        order = await desk.order(Side.BUY, 1, **LIMIT)
        await asyncio.sleep(1)
        found = await desk.broker.open_orders()
        assert {o.order_ref for o in found} == {order.order_ref}
        assert len({o.perm_id for o in found}) == 2

    play(story, tmp_path)


def test_orders_of_others_are_listed_and_their_ids_are_not_ours(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        word = {"symbol": "AAPL", "side": "BUY", "qty": 3, "kind": "LMT", "limit": 90}
        desk.fault("manual_order", **word)
        desk.fault("foreign_client", **word, client=77)
        found = {(o.client_id, o.order_ref, o.qty) for o in await desk.broker.open_orders()}
        assert found == {(0, "", 3), (77, "", 3)}
        mine = await desk.resting()
        assert len(await desk.broker.open_orders()) == 3
        told = [r for r in desk.of(OrderReport) if r.order.order_ref == mine.order_ref]
        assert {r.order.client_id for r in told} == {10}

    play(story, tmp_path)


def test_status_of_an_unconfirmed_perm_id_is_fenced(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        order = await desk.resting()
        perm_id = desk.last(order).perm_id  # type: ignore[union-attr]
        desk.reports.clear()
        tail = (0, 10, 0.0, perm_id + 1, 0, 0.0, 10, "", 0.0)
        desk.venue.say(3, order.order_id, "Filled", *tail)
        said = await desk.error(order)
        assert (said.kind, said.order_ref) == (ErrorKind.UNLISTED, None)
        assert desk.of(OrderReport) == []
        desk.venue.say(3, order.order_id + 40, "Cancelled", *tail)
        await desk.expect(ErrorReport, lambda r: r.order_id == order.order_id + 40)
        assert desk.of(OrderReport) == []

    play(story, tmp_path)


def test_another_accounts_data_is_ignored(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        order = await desk.resting()
        (mine,) = desk.venue.sim.exchange.books.live()
        fields = order_fields.open_order(mine)
        desk.reports.clear()
        desk.venue.say(*["DU0000002" if f == ACCOUNT else f for f in fields])
        desk.venue.say(61, 3, "DU0000002", *fields[2:13], 5, 100.0)
        desk.venue.say(6, 2, "NetLiquidation", "1", "USD", "DU0000002")
        await settle()
        assert desk.reports == []
        assert desk.broker.account_values().equity_usd != 1  # type: ignore[union-attr]
        assert [o.order_ref for o in await desk.broker.open_orders()] == [order.order_ref]

    play(story, tmp_path)


def test_amend_never_makes_a_new_order_of_a_finished_or_unknown_one(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        order = await desk.resting()
        desk.broker.cancel(order.order_id)
        await desk.status(order, "Cancelled")
        desk.reports.clear()
        desk.broker.amend(replace(order, qty=5))
        said = await desk.error(order)
        assert (said.kind, said.order_ref) == (ErrorKind.UNCHANGED, order.order_ref)
        (unknown,) = await desk.legs([{"side": Side.BUY, "qty": 1, **LIMIT}])
        desk.broker.amend(unknown)
        assert (await desk.error(unknown)).kind is ErrorKind.UNCHANGED
        desk.fault("reject", code=201, text="no")
        refused = await desk.order(Side.BUY, 1, **LIMIT)
        await desk.error(refused)
        desk.reports.clear()
        desk.broker.amend(refused)
        assert (await desk.error(refused)).kind is ErrorKind.UNCHANGED
        assert live(desk) == []

    play(story, tmp_path)


def test_amend_after_a_reconnect_finds_the_order_by_its_open_order(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        order = await desk.resting()
        desk.cut()
        await desk.session(SessionState.DOWN)
        with pytest.raises(UnavailableError):
            desk.broker.amend(replace(order, qty=5))
        desk.reports.clear()
        await desk.rearm()
        desk.broker.amend(replace(order, qty=5))
        await desk.expect(OrderReport, lambda r: r.order.qty == 5)
        assert len(live(desk)) == 1

    play(story, tmp_path)


def test_late_orders_raise_the_ids_and_reserved_ids_never_return(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        first = desk.broker.reserve_ids(3)
        desk.cut()
        await desk.session(SessionState.DOWN)
        with pytest.raises(UnavailableError):
            desk.broker.reserve_ids(1)
        desk.reports.clear()
        await desk.rearm()
        assert desk.broker.reserve_ids(1) == [first[-1] + 1]

    play(story, tmp_path)


def test_amend_at_a_bad_moment_is_tried_again_three_times(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        order = await desk.resting()
        desk.fault("drop", when={"msg": "placeOrder", "times": 10})
        desk.broker.amend(replace(order, qty=5))
        await settle()
        sent: list[int] = []
        for _ in range(5):
            desk.venue.say(4, 2, order.order_id, 2102, "Unable to modify this order", "")
            before = told_rate(desk)
            await asyncio.sleep(1.1)
            sent.append(told_rate(desk) - before)
        assert sent == [1, 1, 1, 0, 0]
        assert (await desk.error(order)).kind is ErrorKind.UNCHANGED

    def told_rate(desk: Desk) -> int:
        return sum('"drop"' in line for line in desk.venue.sim.tape)

    play(story, tmp_path)


def test_amended_child_keeps_its_parent(tmp_path: Path) -> None:
    """The gateway refuses a change that names another parent, or none, with 105."""

    async def story(desk: Desk) -> None:
        entry, stop = await desk.legs(
            [
                {"side": Side.BUY, "qty": 7, **LIMIT},
                {
                    "side": Side.SELL,
                    "qty": 7,
                    "order_type": OrderType.STOP,
                    "stop_price_usd": usd(90),
                },
            ]
        )
        child = replace(stop, parent_order_id=entry.order_id, time_in_force=TimeInForce.GTC)
        desk.broker.place([replace(entry, transmit=False), child])
        await desk.status(child, "PreSubmitted")
        for qty in (5, 4):
            desk.broker.amend(replace(stop, qty=qty, time_in_force=TimeInForce.GTC))
            await desk.expect(OrderReport, lambda r, qty=qty: r.order.qty == qty)
            desk.cut()
            await desk.session(SessionState.DOWN)
            desk.reports.clear()
            await desk.rearm()

    play(story, tmp_path)


def test_ids_rise_above_what_is_told_of_this_client(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.fault("two_perm_ids")  # a second order, under an id nobody reserved
        order = await desk.resting()
        twin = max(o.terms.order_id for o in desk.venue.sim.exchange.books.live())
        assert twin > order.order_id
        assert desk.broker.reserve_ids(1)[0] > twin

    play(story, tmp_path)
