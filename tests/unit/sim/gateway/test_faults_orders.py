"""Fault words of orders, holdings and market data, seen from the real client."""

import asyncio
from math import isnan

import pytest
from fault_scripts import buy, live, ready, script
from gateways import AAPL, Stage, play, settle, stock
from ib_async import LimitOrder, MarketOrder, Option


def test_silent_accept_works_the_order_without_a_word() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        (trade,) = await stage.place(ib, LimitOrder("BUY", 10, 99))
        assert trade.orderStatus.status == "PendingSubmit"
        (seen,) = await ib.reqOpenOrdersAsync()
        assert seen.order.permId == live(stage)[0]

    play(body, script=script('do = "silent_accept"'))


def test_reject_warn_and_child_reject_use_their_codes() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        rejected, warned = await buy(stage, ib), await buy(stage, ib)
        assert rejected.orderStatus.status == "Inactive"
        assert ib.codes_of(rejected.order.orderId) == [201]
        assert ib.codes_of(warned.order.orderId) == [399]
        assert warned.filled() == 10
        trades = await stage.place(ib, *ib.bracketOrder("BUY", 10, 100.05, 110, 95))
        found = [t.orderStatus.status for t in trades]
        assert found == ["Filled", "Submitted", "Inactive"]

    rules = [
        'when = {nth = 1}\ndo = "reject"\ncode = 201\ntext = "no"',
        'when = {nth = 2}\ndo = "warn"\ncode = 399',
        'do = "child_reject"\nleg = "stop"',
    ]
    play(body, script=script(*rules))


def test_reject_of_a_change_leaves_the_order() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        (trade,) = await stage.place(ib, LimitOrder("BUY", 10, 99))
        trade.order.lmtPrice = 98
        await stage.place(ib, trade.order)
        assert ib.codes_of(trade.order.orderId) == [2102]
        (order,) = stage.sim.exchange.books.live()
        assert order.terms.limit == 99

    play(body, script=script('when = {nth = 2}\ndo = "reject"\ncode = 2102'))


def test_partial_fill_follows_its_fractions_then_rests() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        trade = await buy(stage, ib)
        assert trade.filled() == 3
        for _ in range(3):
            stage.tick(100, 100.02)
        await settle()
        assert [f.execution.shares for f in trade.fills] == [3, 2]
        assert trade.orderStatus.status == "Submitted"

    play(body, script=script('do = "partial_fill"\nfractions = [0.3, 0.2]'))


def test_overfill_fills_more_than_was_asked() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        trade = await buy(stage, ib)
        assert [f.execution.shares for f in trade.fills] == [10, 4]
        assert [p.position for p in ib.positions()] == [14]

    play(body, script=script('do = "overfill"\nqty = 4'))


def test_fill_then_cancel_leaves_a_part() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        trade = await buy(stage, ib)
        assert (trade.filled(), trade.orderStatus.status) == (5, "Cancelled")

    play(body, script=script('do = "fill_then_cancel"'))


def test_cancel_race_is_won_by_the_fill() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        (trade,) = await stage.place(ib, LimitOrder("BUY", 10, 99))
        ib.cancelOrder(trade.order)
        await settle()
        assert [f.execution.price for f in trade.fills] == [99]
        assert trade.orderStatus.status == "Filled"
        assert ib.codes_of(trade.order.orderId) == [161]

    play(body, script=script('do = "cancel_race"'))


def test_two_perm_ids_stand_under_one_reference() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        await stage.place(ib, LimitOrder("BUY", 10, 99, orderRef="bft1.A"))
        seen = await ib.reqAllOpenOrdersAsync()
        assert [t.order.orderRef for t in seen] == ["bft1.A"] * 2
        assert len({t.order.permId for t in seen}) == 2
        ib.cancelOrder(seen[1].order)
        await settle()
        assert live(stage) == [seen[0].order.permId]

    play(body, script=script('do = "two_perm_ids"'))


def test_clock_skew_accounts_and_empty_positions() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        await buy(stage, ib)
        stage.sim.fault("clock_skew", s=300)
        stage.sim.fault("accounts", list=["DU7", "DU0000001"])
        stage.sim.fault("positions_empty", s=10)
        await settle()
        told = await ib.reqCurrentTimeAsync()
        assert abs((told - stage.sim.now()).total_seconds() - 300) < 2
        assert ib.managedAccounts() == ["DU7", "DU0000001"]
        assert await ib.reqPositionsAsync() == []
        await asyncio.sleep(11)
        assert [p.position for p in await ib.reqPositionsAsync()] == [10]

    play(body)


def test_manual_and_foreign_orders_appear_without_a_client() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        await buy(stage, ib)
        order = {"symbol": "AAPL", "side": "BUY", "qty": 5, "kind": "LMT", "limit": 90}
        stage.sim.fault("manual_order", **order)
        stage.sim.fault("foreign_client", **order, client=33, ref="x")
        seen = await ib.reqAllOpenOrdersAsync()
        assert [(t.order.clientId, t.order.orderId) for t in seen] == [(0, 0), (33, 1)]
        stage.sim.fault("manual_close", symbol="AAPL")
        await settle()
        assert ib.positions() == []

    play(body)


def test_correction_comes_as_a_second_revision() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        trade = await buy(stage, ib)
        stage.sim.fault("correction", price=99.5)
        await settle()
        ids = [f.execution.execId for f in trade.fills]
        assert [i[-3:] for i in ids] == [".01", ".02"]
        assert ids[0][:-3] == ids[1][:-3]
        assert trade.fills[1].execution.price == 99.5
        assert [round(p.avgCost, 6) for p in ib.positions()] == [99.6]  # 99.5 + 1/10
        assert [e.exec_id for e in stage.sim.exchange.books.executions.values()] == [ids[1]]

    play(body)


def test_split_and_rename_change_holdings_overnight() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        await buy(stage, ib)
        cost = ib.positions()[0].avgCost
        stage.sim.fault("split", symbol="AAPL", ratio=4)
        stage.sim.fault("rename", symbol="AAPL", to="APL")
        await settle()
        (held,) = ib.positions()
        assert (held.position, held.contract.symbol, held.contract.conId) == (40, "APL", AAPL.conId)
        assert abs(held.avgCost - cost / 4) < 1e-5

    play(body)


def test_assignment_delivers_shares_and_expiry_takes_the_option() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02, previous=100)
        ib = await stage.client()
        calls = [Option("AAPL", "20261218", strike, "C", "SMART") for strike in (100, 105)]
        await ib.qualifyContractsAsync(*calls)
        await stage.place(ib, MarketOrder("SELL", 2), contract=calls[0])
        await stage.place(ib, MarketOrder("BUY", 1), contract=calls[1])
        stage.sim.fault("assign", symbol=calls[0].localSymbol)
        stage.sim.fault("expire", symbol=calls[1].localSymbol)
        await settle()
        (held,) = ib.positions()
        assert (held.contract.secType, held.position, held.avgCost) == ("STK", -200, 100)
        fills = await (await stage.client(20)).reqExecutionsAsync()
        assert [f.execution.price for f in fills][2:] == [0, 100, 0]

    play(body)


def test_data_faults_change_what_is_shown_not_what_fills() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        ticker, other = ib.reqMktData(AAPL), ib.reqMktData(stock("MSFT"))
        await settle()

        async def during(word: str) -> tuple[float, float, int]:
            stage.sim.fault(word, symbol="AAPL", s=10)
            stage.tick(101, 101.02)
            stage.tick(50, 50.02, symbol="MSFT")
            await settle()
            seen = (ticker.bid, ticker.ask, ticker.marketDataType)
            assert (other.bid, other.marketDataType) == (50, 1)
            await asyncio.sleep(11)
            stage.tick(100, 100.02)
            await settle()
            assert (ticker.bid, ticker.ask, ticker.marketDataType) == (100, 100.02, 1)
            return seen

        assert await during("stale") == (100, 100.02, 1)
        assert await during("frozen") == (100, 100.02, 2)
        assert await during("delayed") == (101, 101.02, 3)
        assert await during("zero") == (0, 0, 1)
        bid, ask, _ = await during("crossed")
        assert bid > ask
        stage.sim.fault("halted", symbol="AAPL", s=10)
        trade = await buy(stage, ib)
        assert ticker.halted == 1
        assert not trade.fills
        await asyncio.sleep(11)
        stage.tick(100, 100.02)
        await settle()
        assert trade.fills

    play(body)


def test_dead_line_sends_nothing_more_and_another_request_does() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        ticker, other = ib.reqMktData(AAPL), ib.reqMktData(stock("MSFT"))
        await settle()
        codes = len(ib.codes)
        stage.sim.fault("dead_line", symbol="AAPL")
        stage.tick(90, 90.02)
        stage.tick(50, 50.02, symbol="MSFT")
        await settle()
        assert (ticker.bid, ticker.marketDataType, other.bid) == (100, 1, 50)
        assert len(ib.codes) == codes, "nobody is told"
        ib.cancelMktData(AAPL)
        again = ib.reqMktData(AAPL)
        await settle()
        assert again.bid == 90
        stage.tick(80, 80.02)
        await settle()
        assert again.bid == 80

    play(body)


@pytest.mark.parametrize(("word", "bid"), [("stale", None), ("zero", 0), ("frozen", 100)])
def test_new_subscription_is_shown_what_the_fault_in_force_shows(
    word: str, bid: float | None
) -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        stage.sim.fault(word, symbol="AAPL", s=10)
        ticker = ib.reqMktData(AAPL)
        await settle()
        assert ticker.bid == bid or (bid is None and isnan(ticker.bid))

    play(body)


def test_pacing_refuses_a_history_request() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        assert list(await ib.reqHistoricalDataAsync(AAPL, "", "1 D", "1 day", "TRADES", True)) == []
        assert ib.codes[-1][1] == 162

    play(body, prices="walk", script=script('do = "pacing"'))
