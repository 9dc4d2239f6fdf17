"""Market data: ticks as the gateway sends them, flags, subscriptions that come back."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from brokers import usd
from ib_gateways import Desk, now_s, play
from virtual_time import settle

from bft.adapters.broker.ib.requests import REQUEST_IDS_FROM
from bft.domain.broker import ErrorKind, ErrorReport, Quote, QuoteReport, SessionState
from bft.domain.orders import Contract

BID, ASK, LAST, CLOSE, DELAYED_BID, DELAYED_ASK = 1, 2, 4, 9, 66, 67
UNSET = "1.7976931348623157E308"


async def watched(desk: Desk) -> tuple[Contract, int]:
    """AAPL, its quotes seen once, and the number of the request."""
    contract = await desk.aapl()
    desk.broker.watch(contract)
    await desk.expect(QuoteReport)
    ((_, number),) = desk.venue.sim.board.data.tickers
    assert number > REQUEST_IDS_FROM
    return contract, number


def quote(desk: Desk, contract: Contract) -> Quote:
    found = desk.broker.quote(contract)
    assert found is not None
    return found


def test_quote_holds_what_the_feed_shows_and_when(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract, _ = await watched(desk)
        seen = quote(desk, contract)
        assert (seen.bid_usd, seen.ask_usd, seen.bid_size) == (100, usd("100.02"), 10_000)
        assert (seen.frozen, seen.delayed, seen.halted) == (False, False, False)
        await asyncio.sleep(30)
        assert quote(desk, contract).at == seen.at
        at = desk.clock.now()
        await desk.price(101, "101.02")
        assert (quote(desk, contract).at - at).total_seconds() < 0.1
        assert quote(desk, contract).bid_usd == 101

    play(story, tmp_path)


@pytest.mark.parametrize("price", ["", "-1", "nan", "inf", UNSET, "-7.5"])
def test_no_price_is_none(tmp_path: Path, price: str) -> None:
    async def story(desk: Desk) -> None:
        contract, number = await watched(desk)
        for tick in (BID, ASK, LAST, CLOSE):
            desk.venue.say(1, 6, number, tick, price, 100, 0)
        await settle()
        seen = desk.of(QuoteReport)[-1].quote
        assert (seen.bid_usd, seen.ask_usd, seen.last_usd, seen.close_usd) == (None,) * 4
        assert seen.mid_usd is None
        assert desk.broker.quote(contract) is None
        assert desk.broker.state is SessionState.ARMED

    play(story, tmp_path)


def test_zero_is_told_and_a_touch_without_size_is_none(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract, number = await watched(desk)
        desk.venue.say(1, 6, number, BID, "0.0", 100, 0)
        desk.venue.say(1, 6, number, ASK, "100.5", 0, 0)
        await settle()
        seen = quote(desk, contract)
        assert (seen.bid_usd, seen.ask_usd, seen.mid_usd) == (Decimal(0), None, None)
        desk.venue.say(2, 6, number, 3, -5)
        await settle()
        assert quote(desk, contract).ask_size is None

    play(story, tmp_path)


@pytest.mark.parametrize(
    ("word", "flag"), [("frozen", "frozen"), ("delayed", "delayed"), ("halted", "halted")]
)
def test_frozen_delayed_and_halted_are_flagged(tmp_path: Path, word: str, flag: str) -> None:
    async def story(desk: Desk) -> None:
        contract, _ = await watched(desk)
        desk.fault(word, symbol="AAPL", s=20)
        await desk.price(101, "101.02")
        await asyncio.sleep(1)
        assert getattr(quote(desk, contract), flag)

    play(story, tmp_path)


@pytest.mark.parametrize("kind", [(2, True, False), (3, False, True), (4, True, True)])
def test_types_of_data_set_the_flags_and_live_clears_them(tmp_path: Path, kind: Any) -> None:
    async def story(desk: Desk) -> None:
        contract, number = await watched(desk)
        desk.venue.say(58, 1, number, kind[0])
        desk.venue.say(1, 6, number, DELAYED_BID, "99.5", 3, 0)
        await settle()
        seen = quote(desk, contract)
        assert (seen.frozen, seen.delayed, seen.bid_usd, seen.bid_size) == (*kind[1:], usd(99.5), 3)
        desk.venue.say(58, 1, number, 1)
        await settle()
        assert not quote(desk, contract).frozen
        assert not quote(desk, contract).delayed

    play(story, tmp_path)


@pytest.mark.parametrize("code", [354, 10089, 10090, 10167, 10168, 10197])
def test_codes_of_missing_data_make_quotes_delayed(tmp_path: Path, code: int) -> None:
    async def story(desk: Desk) -> None:
        contract, number = await watched(desk)
        desk.venue.say(4, 2, number, code, "not subscribed", "")
        said = await desk.expect(ErrorReport, lambda r: r.code == code)
        assert (said.kind, said.order_id) == (ErrorKind.DATA, None)
        assert quote(desk, contract).delayed
        assert desk.broker.state is SessionState.ARMED

    play(story, tmp_path)


def test_unknown_ticks_change_nothing(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract, number = await watched(desk)
        before = quote(desk, contract)
        desk.venue.say(1, 6, number, 999, "5", 1, 0)
        desk.venue.say(45, 6, number, 998, 1.0)
        desk.venue.say(46, 6, number, 997, "text")
        desk.venue.say(21, number, 10, 0, *["nan"] * 8)
        desk.venue.say(9999, 1)
        desk.venue.say(1, 6, number + 77, BID, "5", 1, 0)
        await settle()
        assert quote(desk, contract) == before
        assert desk.broker.state is SessionState.ARMED

    play(story, tmp_path)


@pytest.mark.parametrize("how", ["1101", "reconnect"])
def test_subscriptions_come_back(tmp_path: Path, how: str) -> None:
    async def story(desk: Desk) -> None:
        contract, _ = await watched(desk)
        desk.reports.clear()
        if how == "1101":
            desk.fault("code", code=1100)
            desk.fault("code", code=1101)
        else:
            desk.cut()
            await desk.session(SessionState.DOWN)
        assert len(desk.venue.sim.board.data.tickers) == 0
        await desk.rearm()
        await asyncio.sleep(1)
        assert len(desk.venue.sim.board.data.tickers) == 1
        desk.reports.clear()
        await desk.price(105, "105.02")
        assert (await desk.expect(QuoteReport)).quote.bid_usd == 105
        assert quote(desk, contract).bid_usd == 105

    play(story, tmp_path)


@pytest.mark.parametrize("how", ["1101", "reconnect"])
def test_prices_of_an_ended_subscription_are_not_made_fresh_by_the_next(
    tmp_path: Path, how: str
) -> None:
    async def story(desk: Desk) -> None:
        contract, number = await watched(desk)
        desk.fault("drop", when={"msg": "tickPrice", "times": 99})
        desk.fault("drop", when={"msg": "tickSize", "times": 99})
        await asyncio.sleep(40)
        if how == "1101":
            desk.fault("code", code=1100)
            desk.fault("code", code=1101)
        else:
            desk.cut()
            await desk.session(SessionState.DOWN)
        await desk.rearm()
        await asyncio.sleep(1)
        ((_, again),) = desk.venue.sim.board.data.tickers
        assert again != number
        assert desk.broker.quote(contract) is None, "what it showed before is not known now"
        desk.venue.sim.faults.lift()
        desk.venue.say(1, 6, again, BID, "99.5", 3, 0)
        await settle()
        assert (quote(desk, contract).bid_usd, quote(desk, contract).ask_usd) == (usd(99.5), None)

    play(story, tmp_path)


@pytest.mark.parametrize("flag", [(58, 1, None, 1), (45, 6, None, 49, 0.0)])
def test_flags_alone_make_no_price_fresh(tmp_path: Path, flag: Any) -> None:
    async def story(desk: Desk) -> None:
        contract, number = await watched(desk)
        before = quote(desk, contract)
        await asyncio.sleep(40)
        desk.venue.say(*(number if field is None else field for field in flag))
        await settle()
        assert quote(desk, contract).at == before.at

    play(story, tmp_path)


def test_watching_while_down_begins_with_the_connection_and_unwatch_ends(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract = await desk.aapl()
        desk.cut()
        await desk.session(SessionState.DOWN)
        desk.broker.watch(contract)
        desk.broker.watch(contract)
        desk.reports.clear()
        await desk.rearm()
        await desk.expect(QuoteReport)
        assert len(desk.venue.sim.board.data.tickers) == 1
        desk.broker.unwatch(contract)
        desk.broker.unwatch(contract)
        await asyncio.sleep(1)
        assert len(desk.venue.sim.board.data.tickers) == 0

    play(story, tmp_path)


def test_lines_are_asked_for_at_two_a_second_after_five(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        began_s = now_s()
        for stock in desk.venue.sim.market.catalogue.stocks[:15]:
            desk.broker.watch(Contract(con_id=stock.con_id, symbol=stock.symbol))
        await asyncio.sleep(0.1)
        tickers = desk.venue.sim.board.data.tickers
        assert len(tickers) == 5
        await asyncio.sleep(4.8)
        assert len(tickers) == 14
        await asyncio.sleep(1)
        assert len(tickers) == 15
        assert now_s() - began_s < 7

    play(story, tmp_path)


def test_too_many_lines_wait_and_are_asked_for_again(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract, number = await watched(desk)
        board = desk.venue.sim.board.data
        board.tickers.clear()
        desk.venue.say(4, 2, number, 101, "Max number of tickers has been reached", "")
        said = await desk.expect(ErrorReport, lambda r: r.code == 101)
        assert said.kind is ErrorKind.PACING
        assert len(board.tickers) == 0
        await asyncio.sleep(5)
        assert len(board.tickers) == 1
        await desk.price(103)
        assert quote(desk, contract).bid_usd == 103

    play(story, tmp_path)
