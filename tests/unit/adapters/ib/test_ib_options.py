"""Options over the wire: figures of the feed, the VIX."""

import asyncio
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from brokers import usd
from ib_async import IB, Index, Option
from ib_gateways import Desk, play
from virtual_time import settle

from bft.domain.broker import OptionFigures, QuoteReport, SessionState
from bft.domain.errors import DataError
from bft.domain.orders import Contract

EXPIRY = date(2026, 1, 16)
MODEL, CALL_INTEREST, PUT_INTEREST, VOLUME = 13, 27, 28, 8


def option(right: str = "C", strike: object = 100) -> Contract:
    return Contract(
        con_id=0,
        symbol="AAPL",
        sec_type="OPT",
        multiplier=Decimal(100),
        expiry=EXPIRY,
        strike_usd=usd(strike),
        right=right,
    )


VIX = Contract(con_id=0, symbol="VIX", sec_type="IND", exchange="CBOE")


async def watched(desk: Desk, wanted: Contract) -> tuple[Contract, int]:
    """The contract, its line complete, and the number of its request."""
    contract = await desk.broker.contract(wanted)
    desk.broker.watch(contract)
    await desk.expect(QuoteReport, lambda r: r.quote.contract == contract)
    await settle()
    (number,) = (n for (_, n), t in lines(desk).items() if t.contract.con_id == contract.con_id)
    return contract, number


def lines(desk: Desk) -> Any:
    return desk.venue.sim.board.data.tickers


def figures(desk: Desk, contract: Contract) -> OptionFigures:
    found = desk.broker.option_figures(contract)
    assert found is not None
    return found


@pytest.mark.parametrize("right", ["C", "P"])
def test_figures_are_what_the_real_client_is_told(tmp_path: Path, right: str) -> None:
    """ib_async's own ticker is the oracle: same model, volume and open interest."""

    async def story(desk: Desk) -> None:
        contract, _ = await watched(desk, option(right))
        ib = IB()
        await ib.connectAsync("127.0.0.1", desk.venue.port, clientId=91)
        wanted = Option("AAPL", "20260116", 100.0, right, "SMART", currency="USD")
        await ib.qualifyContractsAsync(wanted)
        ticker = ib.reqMktData(wanted, "101")
        await settle()
        seen, model = figures(desk, contract), ticker.modelGreeks
        assert contract.con_id == wanted.conId
        assert model is not None
        assert (float(seen.delta or 0), float(seen.implied_volatility or 0)) == (
            model.delta,
            model.impliedVol,
        )
        interest = ticker.callOpenInterest if right == "C" else ticker.putOpenInterest
        assert (seen.volume, seen.open_interest) == (ticker.volume, interest)
        assert seen.live
        for at in (seen.model_at, seen.volume_at, seen.open_interest_at):
            assert at is not None
            assert (desk.clock.now() - at).total_seconds() < 1
        ib.disconnect()

    play(story, tmp_path)


def test_delta_moves_with_the_underlying_and_carries_its_instant(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract, _ = await watched(desk, option())
        before = figures(desk, contract)
        await asyncio.sleep(40)
        assert figures(desk, contract).model_at == before.model_at
        await desk.price(108, "108.02")
        after = figures(desk, contract)
        assert (after.delta or 0) > (before.delta or 0)
        assert after.model_at is not None
        assert (desk.clock.now() - after.model_at).total_seconds() < 0.1
        assert after.open_interest_at == before.open_interest_at

    play(story, tmp_path)


@pytest.mark.parametrize("told", [(-1, -2), ("", ""), ("nan", "nan"), (0, 1.5)])
def test_a_computation_without_numbers_is_unknown(tmp_path: Path, told: Any) -> None:
    async def story(desk: Desk) -> None:
        contract, number = await watched(desk, option())
        desk.venue.say(21, number, MODEL, 0, *told, *("",) * 6)
        await settle()
        seen = figures(desk, contract)
        assert (seen.implied_volatility, seen.delta) == (None, None)
        assert desk.broker.state is SessionState.ARMED

    play(story, tmp_path)


def test_only_the_models_greeks_and_the_own_rights_interest_count(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract, number = await watched(desk, option("P"))
        before = figures(desk, contract)
        for kind in (10, 11, 12):
            desk.venue.say(21, number, kind, 0, 0.9, -0.9, 1, 0, 0, 0, 0, 100)
        desk.venue.say(2, 6, number, CALL_INTEREST, 7)
        await settle()
        assert figures(desk, contract) == before
        desk.venue.say(2, 6, number, PUT_INTEREST, 7)
        desk.venue.say(2, 6, number, VOLUME, -1)
        await settle()
        assert (figures(desk, contract).open_interest, figures(desk, contract).volume) == (7, None)

    play(story, tmp_path)


@pytest.mark.parametrize("word", ["frozen", "delayed"])
def test_figures_of_a_feed_that_is_not_live_say_so(tmp_path: Path, word: str) -> None:
    async def story(desk: Desk) -> None:
        contract, _ = await watched(desk, option())
        desk.fault(word, symbol="AAPL", s=20)
        await asyncio.sleep(1)
        assert not figures(desk, contract).live
        await asyncio.sleep(30)
        assert figures(desk, contract).live

    play(story, tmp_path)


def test_figures_come_again_after_a_reconnect(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract, _ = await watched(desk, option())
        before = figures(desk, contract)
        desk.cut()
        await desk.rearm()
        await asyncio.sleep(5)
        after = figures(desk, contract)
        assert after.delta != before.delta  # time has passed
        assert after.model_at > before.model_at  # type: ignore[operator]
        assert after.open_interest_at > before.open_interest_at  # type: ignore[operator]

    play(story, tmp_path)


def test_a_stock_has_no_figures(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract, _ = await watched(desk, Contract(con_id=0, symbol="AAPL"))
        assert desk.broker.option_figures(contract) is None

    play(story, tmp_path)


def test_vix_is_a_level_that_nobody_bids_for(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.venue.sim.tick("VIX", bid=17, ask=17, last=17, previous="16.5")
        contract, _ = await watched(desk, VIX)
        seen = desk.broker.quote(contract)
        assert seen is not None
        assert (seen.last_usd, seen.bid_usd, seen.ask_usd) == (17, None, None)
        assert (seen.close_usd, contract.sec_type, contract.exchange) == (
            usd("16.5"),
            "IND",
            "CBOE",
        )
        ib = IB()
        await ib.connectAsync("127.0.0.1", desk.venue.port, clientId=91)
        wanted = Index("VIX", "CBOE", "USD")
        await ib.qualifyContractsAsync(wanted)
        ticker = ib.reqMktData(wanted)
        await settle()
        assert (ticker.last, ticker.bid) == (17, -1)
        ib.disconnect()

    play(story, tmp_path)


def test_an_option_that_is_not_listed_is_named(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        with pytest.raises(DataError, match="AAPL"):
            await desk.broker.contract(option(strike="100.37"))

    play(story, tmp_path)


def test_an_option_carries_the_price_steps_of_its_market_rule(tmp_path: Path) -> None:
    """Rule 110: 0.01 below 3 USD, 0.05 from there on; ib_async tells the same."""

    async def story(desk: Desk) -> None:
        contract = await desk.broker.contract(option())
        assert contract.increments == ((usd(0), usd("0.01")), (usd(3), usd("0.05")))
        steps = [contract.tick_at(usd(price)) for price in ("0.5", "2.99", "3", "80")]
        assert steps == [usd("0.01"), usd("0.01"), usd("0.05"), usd("0.05")]
        ib = IB()
        await ib.connectAsync("127.0.0.1", desk.venue.port, clientId=91)
        rule = await ib.reqMarketRuleAsync(110)
        assert rule is not None
        told = tuple((usd(step.lowEdge), usd(step.increment)) for step in rule)
        assert told == contract.increments
        stock = await desk.aapl()
        assert (stock.increments, stock.tick_at(usd(500))) == ((), usd("0.01"))
        ib.disconnect()

    play(story, tmp_path)


def test_without_an_answer_the_smallest_step_stands(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.fault("drop", when={"msg": "marketRule"})
        contract = await desk.broker.contract(option())
        assert (contract.increments, contract.tick_at(usd(9))) == ((), usd("0.01"))
        assert desk.broker.state is SessionState.ARMED

    play(story, tmp_path)
