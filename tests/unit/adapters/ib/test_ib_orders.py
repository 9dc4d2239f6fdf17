"""Orders through the gateway: what is written, what is told, what counts (sections 3, 7.1, 12)."""

import asyncio
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from brokers import CLOSE, usd
from ib_gateways import ACCOUNT, LIMIT, Desk, play
from virtual_time import settle

from bft.adapters.broker.ib import IbSettings
from bft.adapters.broker.ib.settings import check
from bft.domain.broker import (
    ErrorKind,
    ErrorReport,
    ExecutionReport,
    FeeReport,
    OrderReport,
    SessionState,
)
from bft.domain.errors import ConfigError, DataError, RefusedError, UnavailableError
from bft.domain.orders import Contract, FillSource, OrderType, Side, TimeInForce
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
        assert desk.of(ExecutionReport) == []
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


def test_read_only_ids_refuse_to_place(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        (order,) = await desk.legs([{"side": Side.BUY, "qty": 1, **LIMIT}])
        with pytest.raises(RefusedError, match="only reads"):
            desk.broker.place([order])
        with pytest.raises(RefusedError):
            desk.broker.amend(order)
        with pytest.raises(RefusedError):
            desk.broker.cancel(1)
        with pytest.raises(RefusedError):
            await desk.broker.what_if(order)
        assert (await desk.broker.snapshot()).open_orders == ()

    play(story, tmp_path, settings={"client_id": 50})


@pytest.mark.parametrize("client_id", [0, 1, 9, 11, 19, 35, 41, 60, 89])
def test_client_ids_outside_the_table_are_refused(client_id: int) -> None:
    with pytest.raises(ConfigError, match="client id"):
        check(IbSettings(host="127.0.0.1", port=4002, account="DU1", client_id=client_id))


def test_an_account_must_be_named() -> None:
    with pytest.raises(ConfigError, match="BFT_ACCOUNT"):
        check(IbSettings(host="127.0.0.1", port=4002, account=""))


def test_what_if_tells_margins_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        (order,) = await desk.legs([{"side": Side.BUY, "qty": 10, **LIMIT}])
        told = await desk.broker.what_if(order)
        assert told.initial_margin_after_usd is not None
        assert told.initial_margin_after_usd > 0
        assert told.equity_with_loan_after_usd is not None
        assert told.commission_usd == 1
        assert live(desk) == []
        assert desk.of(OrderReport) == []
        off_tick = replace(order, order_id=order.order_id + 1, limit_price_usd=usd("99.001"))
        with pytest.raises(DataError, match="gateway 110"):
            await desk.broker.what_if(off_tick)

    play(story, tmp_path)


def test_share_classes_options_and_futures_resolve_and_trade(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        sim = desk.venue.sim
        sim.tick("BRK B", bid=Decimal(400), ask=Decimal("400.1"))
        share = await desk.broker.contract(Contract(con_id=0, symbol="BRK-B"))
        assert (share.symbol, share.local_symbol) == ("BRK-B", "BRK B")
        wanted = Contract(con_id=0, symbol="NQ", sec_type="FUT", local_symbol="NQH6")
        future = await desk.broker.contract(wanted)
        assert (future.symbol, future.multiplier, future.tick_usd) == ("NQ", 20, usd("0.25"))
        coded = Contract(con_id=0, symbol="NQH6", sec_type="FUT")
        assert await desk.broker.contract(coded) == future
        chain = Contract(con_id=0, symbol="AAPL", sec_type="OPT", strike_usd=usd(100), right="C")
        with pytest.raises(DataError, match="contracts fit"):
            await desk.broker.contract(chain)
        friday = CLOSE.date().replace(day=9)
        option = await desk.broker.contract(replace(chain, expiry=friday))
        assert (option.multiplier, option.right, option.strike_usd) == (100, "C", 100)
        for contract in (share, option):
            order = await desk.order(Side.BUY, 1, contract=contract)
            (fill,) = await desk.filled(order, 1)
            assert fill.contract == contract

    play(story, tmp_path)
