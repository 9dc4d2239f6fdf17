"""Time at the exchange: the opening auction, the close, the night; who sees which order."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from gateways import AAPL, Stage, play, settle, stock, until
from ib_async import ExecutionFilter, Future, LimitOrder, MarketOrder, StopOrder

EARLY = datetime(2026, 11, 20, 13, 0, tzinfo=UTC)  # 08:00 New York
OPEN = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
CLOSE = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
HALF_DAY = datetime(2026, 11, 27, 17, 59, tzinfo=UTC)  # closes at 13:00 New York


async def reach(stage: Stage, at: datetime) -> None:
    await asyncio.sleep(max((at - stage.sim.now()).total_seconds(), 0))


def test_orders_sent_before_the_open_meet_the_opening_price_whole() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        collar, far, market = await stage.place(
            ib, LimitOrder("BUY", 500, 101), LimitOrder("BUY", 5, 99), MarketOrder("BUY", 5)
        )
        found = [t.orderStatus.status for t in (collar, far, market)]
        assert found == ["PreSubmitted"] * 3
        await reach(stage, OPEN)
        stage.tick(100, 100.02, last=100.5, ask_size=100)
        await settle()
        assert [f.execution.price for f in collar.fills + market.fills] == [100.5, 100.5]
        assert collar.fills[0].execution.shares == 500
        assert far.orderStatus.status == "Submitted"

    play(body, EARLY)


def test_nothing_fills_before_the_open_even_on_a_tick() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        stage.tick(100, 100.02)
        (trade,) = await stage.place(ib, MarketOrder("BUY", 5))
        stage.tick(100, 100.02)
        await settle()
        assert not trade.fills

    play(body, EARLY)


def test_walk_opens_with_the_daily_bar_and_fills_at_its_open() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        (trade,) = await stage.place(ib, MarketOrder("BUY", 5))
        await reach(stage, OPEN + timedelta(seconds=3))
        await settle()
        bars = await ib.reqHistoricalDataAsync(AAPL, "", "1 D", "1 day", "TRADES", True)
        assert [f.execution.price for f in trade.fills] == [bars[-1].open]
        assert trade.fills[0].execution.time == OPEN

    play(body, OPEN - timedelta(seconds=30), prices="walk")


@pytest.mark.parametrize("now", [CLOSE - timedelta(minutes=1), HALF_DAY])
def test_day_orders_end_at_the_close_and_gtc_stays(now: datetime) -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        day, gtc = await stage.place(
            ib, LimitOrder("BUY", 10, 99), LimitOrder("BUY", 10, 99, tif="GTC")
        )
        await asyncio.sleep(61)
        assert day.orderStatus.status == "Cancelled"
        assert gtc.orderStatus.status == "Submitted"
        (ended,) = await ib.reqCompletedOrdersAsync(apiOnly=False)
        assert ended.order.permId == day.order.permId
        fields = ib.heard.of(101)[0]
        assert fields[89] == "20261120 16:00:00 America/New_York" or now == HALF_DAY
        assert fields[90] == "The order expired at the close"

    play(body, now)


def test_day_order_sent_after_the_close_lives_through_the_next_session() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        (trade,) = await stage.place(ib, LimitOrder("BUY", 10, 99))
        (order,) = stage.sim.exchange.books.live()
        assert order.expires_at == datetime(2026, 11, 23, 21, 0, tzinfo=UTC)  # Monday
        assert trade.orderStatus.status == "PreSubmitted"

    play(body, CLOSE)


def test_futures_trade_in_the_evening_when_stocks_do_not() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        nq = Future("NQ", "202612", "CME")
        await ib.qualifyContractsAsync(nq)
        assert (nq.localSymbol, nq.multiplier, nq.lastTradeDateOrContractMonth) == (
            "NQZ6",
            "20",
            "20261218",
        )
        stage.tick(20_000, 20_000.25, symbol="NQZ6")
        (trade,) = await stage.place(ib, MarketOrder("BUY", 1), contract=nq)
        assert trade.orderStatus.status == "Filled"
        assert trade.fills[0].commissionReport.commission == 2.25

    play(body, datetime(2026, 11, 19, 23, 30, tzinfo=UTC))  # Thursday 18:30 New York


def test_own_all_and_bound_orders() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        mine, other = await stage.client(10), await stage.client(11)
        (one,) = await stage.place(mine, LimitOrder("BUY", 1, 99))
        (two,) = await stage.place(other, LimitOrder("BUY", 2, 99))
        manual = stage.sim.place_manual(symbol="AAPL", side="BUY", qty=3, kind="LMT", limit=99)
        assert [t.order.permId for t in await mine.reqOpenOrdersAsync()] == [one.order.permId]
        seen = await mine.reqAllOpenOrdersAsync()
        assert [(t.order.clientId, t.order.orderId, t.order.totalQuantity) for t in seen] == [
            (10, one.order.orderId, 1),
            (11, two.order.orderId, 2),
            (0, 0, 3),
        ]
        boss = await stage.client(0)  # binds manual orders when it connects
        assert [t.order.permId for t in boss.openTrades()] == [manual.perm_id]
        stage.sim.place_manual(symbol="AAPL", side="BUY", qty=4)
        await settle()
        assert boss.trades()[-1].filled() == 4
        assert len(mine.trades()) == 3

    play(body)


def test_global_cancel_ends_every_order_of_every_client() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        mine, other = await stage.client(10), await stage.client(11)
        (one,) = await stage.place(mine, LimitOrder("BUY", 1, 99))
        (two,) = await stage.place(other, LimitOrder("BUY", 2, 99))
        mine.reqGlobalCancel()
        await settle()
        assert [t.orderStatus.status for t in (one, two)] == ["Cancelled"] * 2

    play(body)


def test_executions_pass_their_filter_and_bring_commissions() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        stage.tick(50, 50.02, symbol="MSFT")
        ib, other = await stage.client(10), await stage.client(11)
        await stage.place(ib, MarketOrder("BUY", 10), MarketOrder("SELL", 4))
        await asyncio.sleep(5)
        await stage.place(other, MarketOrder("BUY", 7), contract=stock("MSFT"))
        reader = await stage.client(20)

        async def found(**rest: Any) -> list[float]:
            fills = await reader.reqExecutionsAsync(ExecutionFilter(**rest))
            return [f.execution.shares for f in fills]

        assert await found() == [10, 4, 7]
        assert await found(clientId=10) == [10, 4]
        assert await found(symbol="MSFT") == [7]
        assert await found(side="SELL") == [4]
        assert await found(time="20261120-15:00:02") == [7]
        assert await found(time="20261120 10:00:00 America/New_York") == [10, 4, 7]
        assert await found(acctCode="DU0000009") == []
        assert [f.commissionReport.commission for f in reader.fills()] == [1, 1, 1]

    play(body)


@pytest.mark.parametrize("ending", ["close", "1101", "1102"])
def test_nightly_reset_is_silent_then_ends_and_forgets_the_day(ending: str) -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        await stage.place(ib, MarketOrder("BUY", 10), LimitOrder("BUY", 1, 50, tif="GTC"))
        await stage.place(ib, LimitOrder("BUY", 1, 50))
        ib.reqMktData(AAPL)
        await reach(stage, datetime(2026, 11, 21, 4, 45, tzinfo=UTC) + timedelta(seconds=30))
        assert ib.codes[-1][1] == 1100
        asked = asyncio.ensure_future(ib.reqCurrentTimeAsync())
        await asyncio.sleep(29)
        assert not asked.done()
        await asyncio.sleep(2)
        asked.cancel()
        assert ib.isConnected() is (ending != "close")
        if ending != "close":
            assert ib.codes[-1][1] == int(ending)
            assert len(stage.sim.board.data.tickers) == (0 if ending == "1101" else 1)
        fresh = await stage.client(20)
        assert await fresh.reqCompletedOrdersAsync(apiOnly=False) == []
        assert fresh.fills() == []
        assert [p.position for p in fresh.positions()] == [10]
        assert len(await fresh.reqAllOpenOrdersAsync()) == 1

    play(body, reset_s=60, reset_ending=ending)


def test_stop_of_yesterday_meets_a_gap_at_the_open() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        await stage.place(ib, MarketOrder("BUY", 10))
        (stop,) = await stage.place(ib, StopOrder("SELL", 10, 95, tif="GTC"))
        await reach(stage, datetime(2026, 11, 23, 14, 30, tzinfo=UTC))
        stage.tick(90, 90.02, last=90.01)
        await until(lambda: stop.fills or not ib.isConnected())
        (made,) = [e for e in stage.sim.exchange.books.executions.values() if e.side == "SELL"]
        assert made.price == 90

    play(body, CLOSE - timedelta(minutes=5), reset_at=None)
