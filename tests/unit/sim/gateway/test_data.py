"""Market data as the client holds it: ticks, types, snapshots, greeks, depth, bars."""

import asyncio
import math
from datetime import UTC, datetime

from gateways import AAPL, MORNING, Stage, play, settle, stock
from ib_async import Option

CLOSED = datetime(2026, 11, 21, 15, 0, tzinfo=UTC)  # a Saturday


def test_ticker_holds_what_was_ticked() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02, last=100.01, bid_size=300, ask_size=200, previous=98)
        ib = await stage.client()
        ticker = ib.reqMktData(AAPL, "233")
        await settle()
        assert (ticker.bid, ticker.ask, ticker.last, ticker.close) == (100, 100.02, 100.01, 98)
        assert (ticker.bidSize, ticker.askSize, ticker.lastSize) == (300, 200, 100)
        assert (ticker.open, ticker.high, ticker.low) == (100.01, 100.01, 100.01)
        assert ticker.marketDataType == 1
        assert (ticker.minTick, ticker.halted) == (0.01, 0)
        assert ticker.lastTimestamp == MORNING
        stage.tick(101, 101.02, last=101.01, bid_size=0)
        await settle()
        assert (ticker.bid, ticker.ask, ticker.high) == (-1, 101.02, 101.01)  # no size, no price
        assert (ticker.volume, ticker.rtVolume) == (200, 200)
        assert ticker.vwap == 101.01

    play(body)


def test_only_changes_are_sent_and_nothing_after_a_cancel() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02, last=100)
        ib = await stage.client()
        ticker = ib.reqMktData(AAPL)
        await settle()
        ib.heard.clear()
        stage.tick(100, 100.03, last=100)
        await settle()
        assert [f[3] for f in ib.heard.of(1)] == ["2"]
        ib.cancelMktData(AAPL)
        await settle()
        stage.tick(105, 105.02)
        await settle()
        assert ticker.ask == 100.03

    play(body)


def test_no_price_means_no_tick() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        ticker = ib.reqMktData(AAPL)
        (snapshot,) = await ib.reqTickersAsync(stock("MSFT"))
        assert all(math.isnan(x) for x in (ticker.bid, ticker.last, snapshot.bid, snapshot.last))

    play(body)


def test_delayed_and_frozen_types() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02, last=100.01)
        ib = await stage.client()
        live = ib.reqMktData(AAPL)
        await settle()
        assert (live.bid, live.ask, live.last) == (-1, -1, 100.01)  # nothing trades on Saturday
        for kind, ticks in {2: {1, 2, 4}, 3: {66, 67, 68}, 4: {66, 67, 68}}.items():
            ib.cancelMktData(AAPL)
            ib.reqMarketDataType(kind)
            ib.heard.clear()
            ticker = ib.reqMktData(AAPL)
            await settle()
            assert ticker.marketDataType == kind
            assert ticks <= {int(f[3]) for f in ib.heard.of(1)}
            shown = kind != 3  # frozen ones keep the last bid
            assert (ticker.bid == 100) is shown

    play(body, CLOSED)


def test_snapshot_ends_and_leaves_no_subscription() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        (ticker,) = await ib.reqTickersAsync(AAPL)
        assert (ticker.bid, ticker.ask) == (100, 100.02)
        assert stage.sim.board.data.tickers == {}

    play(body)


def test_option_greeks_agree_with_put_call_parity() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100, last=100, previous=100)
        ib = await stage.client()
        pair = [Option("AAPL", "20261218", 100, right, "SMART") for right in "CP"]
        await ib.qualifyContractsAsync(*pair)
        call, put = [ib.reqMktData(contract, "100,101") for contract in pair]
        await settle()
        assert call.modelGreeks is not None
        assert put.modelGreeks is not None
        assert abs(call.modelGreeks.delta - put.modelGreeks.delta - 1) < 1e-9
        assert abs(call.modelGreeks.gamma - put.modelGreeks.gamma) < 1e-12
        years = (datetime(2026, 12, 18, 21, 0, tzinfo=UTC) - MORNING).total_seconds() / 31_536_000
        forward = 100 - 100 * math.exp(-0.03 * years)
        assert abs(call.modelGreeks.optPrice - put.modelGreeks.optPrice - forward) < 1e-9
        assert call.bid < call.modelGreeks.optPrice + 0.05 < call.ask + 0.1
        assert call.modelGreeks.undPrice == 100
        assert call.callVolume >= 100
        assert put.putOpenInterest >= 1000

    play(body)


def test_depth_has_full_rows_that_follow_the_touch() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        ticker = ib.reqMktDepth(AAPL, numRows=3)
        await settle()
        assert [level.price for level in ticker.domBids] == [100, 99.99, 99.98]
        assert [level.price for level in ticker.domAsks] == [100.02, 100.03, 100.04]
        stage.tick(101, 101.02)
        await settle()
        assert [level.price for level in ticker.domBids] == [101, 100.99, 100.98]
        ib.cancelMktDepth(AAPL)
        smart = ib.reqMktDepth(AAPL, numRows=1, isSmartDepth=True)
        await settle()
        assert smart.domBids[0].marketMaker == "SMART"
        others = [stock(symbol) for symbol in ("MSFT", "GOOG", "IBM")]
        for contract in others:
            ib.reqMktDepth(contract)
        await settle()
        assert ib.codes[-1][1] == 309  # three books at most

    play(body)


def test_hundred_tickers_are_the_most() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        for contract in stage.sim.market.catalogue.stocks[:101]:
            ib.reqMktData(stock(contract.symbol))
        await asyncio.sleep(5)
        assert ib.codes[-1][1] == 101

    play(body)


def test_real_time_bars_come_every_five_seconds() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        bars = ib.reqRealTimeBars(AAPL, 5, "TRADES", True)
        await asyncio.sleep(15.5)
        assert [bar.time.second % 5 for bar in bars] == [0, 0, 0]
        assert all(bar.low <= bar.open_ <= bar.high and bar.volume > 0 for bar in bars)
        ib.cancelRealTimeBars(bars)
        await asyncio.sleep(6)
        assert len(bars) == 3

    play(body, prices="walk")


def test_walk_moves_each_second_and_is_the_same_for_the_same_seed() -> None:
    seen: list[list[float]] = []
    for seed in (7, 7, 8):

        async def body(stage: Stage) -> None:
            ib = await stage.client()
            ticker = ib.reqMktData(AAPL)
            prices = []
            for _ in range(20):
                await asyncio.sleep(1)
                prices.append(ticker.last)
            seen.append(prices)
            assert len(set(prices)) > 3

        play(body, prices="walk", seed=seed)
    assert seen[0] == seen[1] != seen[2]
