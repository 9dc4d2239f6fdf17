"""The VIX at the simulator: quoted by every source, traded by none."""

import pytest
from gateways import Stage, play, settle
from ib_async import Index, MarketOrder


@pytest.mark.parametrize("prices", ["walk", "market-sim"])
def test_vix_has_a_level_a_close_and_no_touch(prices: str) -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        (vix,) = await ib.qualifyContractsAsync(Index("VIX", "CBOE", "USD"))
        ticker = ib.reqMktData(vix)
        await settle()
        assert 5 < ticker.last < 60
        assert 5 < ticker.close < 60
        assert (ticker.bid, ticker.ask) == (-1, -1)

    play(body, prices=prices)


def test_vix_of_prices_by_hand_is_silent_until_it_is_set() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        (vix,) = await ib.qualifyContractsAsync(Index("VIX", "CBOE", "USD"))
        ticker = ib.reqMktData(vix)
        await settle()
        assert ticker.last != ticker.last
        stage.tick(21, 21, "VIX", last=21)
        await settle()
        assert ticker.last == 21

    play(body)


def test_nobody_trades_the_index_itself() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(21, 21, "VIX", last=21)
        ib = await stage.client()
        (vix,) = await ib.qualifyContractsAsync(Index("VIX", "CBOE", "USD"))
        (trade,) = await stage.place(ib, MarketOrder("BUY", 1), contract=vix)
        assert ib.codes_of(trade.order.orderId) == [387]

    play(body)
