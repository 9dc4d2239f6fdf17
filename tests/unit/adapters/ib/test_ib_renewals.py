"""Quiet lines are asked for anew: a dead one tells its price again (ADR 0101)."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from brokers import OPEN, usd
from ib_gateways import Desk, play
from virtual_time import settle

from bft.domain.broker import ErrorKind, ErrorReport, FeedLine, Quote, QuoteReport
from bft.domain.orders import Contract

LOOK_S = 0.05


async def watched(desk: Desk) -> Contract:
    contract = await desk.aapl()
    desk.broker.watch(contract)
    await desk.expect(QuoteReport)
    return contract


async def looked(desk: Desk, contract: Contract, seconds: float) -> tuple[list[Any], set[int]]:
    """What the quote was at each look, and the requests that were on."""
    quotes, numbers = list[Any](), set[int]()
    for _ in range(int(seconds / LOOK_S)):
        await asyncio.sleep(LOOK_S)
        quotes.append(desk.broker.quote(contract))
        tickers = desk.venue.sim.board.data.tickers.items()
        numbers |= {n for (_, n), t in tickers if t.contract.con_id == contract.con_id}
    return quotes, numbers


def alive(desk: Desk, contract: Contract) -> bool:
    found = desk.broker.line(contract)
    assert found is not None
    return found.alive_at is not None


def test_line_that_died_without_a_sign_tells_its_price_again(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract = await watched(desk)
        desk.fault("dead_line", symbol="AAPL")
        await desk.price(70, "70.02")
        assert seen(desk, contract).bid_usd == 100
        assert alive(desk, contract), "it looks as alive as a quiet one"
        quotes, numbers = await looked(desk, contract, 50)
        assert seen(desk, contract).bid_usd == 70
        assert (desk.clock.now() - seen(desk, contract).at).total_seconds() < 6
        assert {quote.bid_usd for quote in quotes} == {usd(100), usd(70)}, "never without a price"
        assert len(numbers) == 2
        await desk.price(60, "60.02")
        assert seen(desk, contract).bid_usd == 60

    play(story, tmp_path)


def seen(desk: Desk, contract: Contract) -> Quote:
    found = desk.broker.quote(contract)
    assert found is not None
    return found


def test_quiet_line_is_asked_for_every_45_s_and_never_looks_older_than_a_minute(
    tmp_path: Path,
) -> None:
    async def story(desk: Desk) -> None:
        contract = await watched(desk)
        quotes, numbers = await looked(desk, contract, 600)
        assert None not in quotes
        assert 1 + 600 // 47 <= len(numbers) <= 1 + 600 // 45
        assert len(desk.venue.sim.board.data.tickers) == 1
        assert (desk.clock.now() - seen(desk, contract).at).total_seconds() < 47
        assert not [r for r in desk.of(ErrorReport) if r.kind is not ErrorKind.FARM_OK]

    play(story, tmp_path)


def test_line_that_ticks_is_left_alone(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract = await watched(desk)
        numbers = set[int]()
        for bid in range(100, 110):
            await desk.price(bid)
            numbers |= (await looked(desk, contract, 40))[1]
        assert len(numbers) == 1

    play(story, tmp_path)


@pytest.mark.parametrize("code", [354, 200])
def test_line_that_a_code_speaks_of_is_not_asked_for(tmp_path: Path, code: int) -> None:
    async def story(desk: Desk) -> None:
        contract = await watched(desk)
        ((_, number),) = desk.venue.sim.board.data.tickers
        desk.venue.say(4, 2, number, code, "no", "")
        assert len((await looked(desk, contract, 300))[1]) == 1

    play(story, tmp_path)


def test_halted_line_is_not_asked_for(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract = await watched(desk)
        ((_, number),) = desk.venue.sim.board.data.tickers
        desk.venue.say(45, 6, number, 49, 1.0)
        assert len((await looked(desk, contract, 300))[1]) == 1
        assert seen(desk, contract).halted

    play(story, tmp_path)


def test_while_nothing_trades_silence_is_no_question(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract = await watched(desk)
        assert len((await looked(desk, contract, 300))[1]) == 1

    play(story, tmp_path, at=OPEN - timedelta(minutes=10))


def test_future_is_asked_for_at_night_and_not_while_it_is_closed(tmp_path: Path) -> None:
    """Friday's 16:00 Chicago ends its week: what it told last stands, though nothing answers."""

    async def story(desk: Desk) -> None:
        wanted = Contract(con_id=0, symbol="NQ", sec_type="FUT", local_symbol="NQH6")
        contract = await desk.broker.contract(replace(wanted, exchange="CME"))
        future = desk.venue.sim.market.catalogue.by_id(contract.con_id)
        desk.venue.sim.tick(future, bid=usd(20_000), ask=usd("20000.25"))
        desk.broker.watch(contract)
        await desk.expect(QuoteReport)
        assert len((await looked(desk, contract, 60))[1]) == 2
        for name in ("tickPrice", "tickSize"):
            desk.fault("drop", when={"msg": name, "times": 999})
        await asyncio.sleep(15)
        assert len((await looked(desk, contract, 300))[1]) == 1
        assert seen(desk, contract).bid_usd == 20_000

    play(story, tmp_path, at=datetime(2026, 1, 9, 21, 58, 50, tzinfo=UTC))


def test_flapping_farm_has_a_line_asked_for_once_in_15_s(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract = await watched(desk)
        await asyncio.sleep(20)
        numbers = set[int]()
        for _ in range(10):
            for code in (2103, 2104):
                desk.venue.say(4, 2, -1, code, "Market data farm connection:usfarm", "")
            numbers |= (await looked(desk, contract, 3))[1]
        assert 2 <= len(numbers) <= 1 + 1 + 30 // 15

    play(story, tmp_path)


def test_line_that_answers_nothing_is_unknown_after_5_s_and_asked_for_each_minute(
    tmp_path: Path,
) -> None:
    async def story(desk: Desk) -> None:
        contract = await watched(desk)
        for name in ("tickPrice", "tickSize", "marketDataType"):
            desk.fault("drop", when={"msg": name, "times": 999})
        await asyncio.sleep(43)
        assert seen(desk, contract).bid_usd == 100
        await asyncio.sleep(10)
        assert desk.broker.quote(contract) is None
        assert desk.broker.line(contract) == FeedLine(problem="its line is not said to be live")
        numbers = (await looked(desk, contract, 240))[1]
        assert 3 <= len(numbers) <= 5
        desk.venue.sim.faults.lift()
        await asyncio.sleep(65)
        assert seen(desk, contract).bid_usd == 100
        assert alive(desk, contract)

    play(story, tmp_path)


def test_renewals_keep_no_new_line_waiting(tmp_path: Path) -> None:
    """Sixty quiet lines, and one that an entry needs now."""

    async def story(desk: Desk) -> None:
        stocks = desk.venue.sim.market.catalogue.stocks
        others = [stock for stock in stocks if stock.symbol != "AAPL"][:60]
        for stock in others:
            desk.venue.sim.tick(stock, bid=usd(10), ask=usd("10.02"))
            desk.broker.watch(Contract(con_id=stock.con_id, symbol=stock.symbol))
        await asyncio.sleep(100)
        desk.reports.clear()
        contract = await desk.aapl()
        desk.broker.watch(contract)
        await desk.expect(QuoteReport, lambda r: r.quote.contract.con_id == contract.con_id, 1.5)
        await asyncio.sleep(120)
        ages = [desk.clock.now() - seen(desk, _stock(one)).at for one in others]
        assert max(age.total_seconds() for age in ages) < 75
        assert not [r for r in desk.of(ErrorReport) if r.kind is ErrorKind.PACING]
        await settle()

    play(story, tmp_path)


def _stock(one: Any) -> Contract:
    return Contract(con_id=one.con_id, symbol=one.symbol)
