"""Which lines are known to live though nothing changes on them (ADR 0101)."""

import asyncio
from pathlib import Path

import pytest
from ib_gateways import Desk, play
from virtual_time import settle

from bft.domain.broker import FeedLine, QuoteReport, SessionReport, SessionState
from bft.domain.orders import Contract

BID, HALTED = 1, 49


async def quiet(desk: Desk) -> tuple[Contract, int]:
    """AAPL, seen once and then unchanged for 20 s; the number of its request."""
    contract = await desk.aapl()
    desk.broker.watch(contract)
    await desk.expect(QuoteReport)
    await asyncio.sleep(20)
    ((_, number),) = desk.venue.sim.board.data.tickers
    return contract, number


def line(desk: Desk, contract: Contract) -> FeedLine:
    found = desk.broker.line(contract)
    assert found is not None
    return found


def alive(desk: Desk, contract: Contract) -> bool:
    return line(desk, contract).alive_at is not None


def test_quiet_line_lives_while_the_gateway_answers(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract, _ = await quiet(desk)
        told = desk.broker.quote(contract)
        assert told is not None
        assert (desk.clock.now() - told.at).total_seconds() > 19, "it is no tick that shows life"
        at = line(desk, contract).alive_at
        assert at is not None
        assert (desk.clock.now() - at).total_seconds() <= 10.1
        desk.fault("half_open", s=300, when={"msg": "currentTime"})
        await asyncio.sleep(13)
        assert line(desk, contract).alive_at == at, "what is asked is no sign of life"
        await desk.session(SessionState.DOWN)
        assert line(desk, contract) == FeedLine(problem="session DOWN")

    play(story, tmp_path)


def test_line_that_is_not_watched_is_not_known(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract, _ = await quiet(desk)
        desk.broker.unwatch(contract)
        assert line(desk, contract) == FeedLine(problem="its line is not subscribed")

    play(story, tmp_path)


@pytest.mark.parametrize(
    ("broken", "back"), [((2103, ":usfarm"), (2104, ":usfarm")), ((1100, ""), (1102, ""))]
)
def test_line_lives_again_from_the_first_tick_after_an_interruption(
    tmp_path: Path, broken: tuple[int, str], back: tuple[int, str]
) -> None:
    """It is asked for anew, so that one comes although nothing moves."""

    async def story(desk: Desk) -> None:
        contract, number = await quiet(desk)
        assert alive(desk, contract)
        desk.venue.say(4, 2, -1, broken[0], f"broken{broken[1]}", "")
        await settle()
        words = "market data usfarm is broken" if broken[1] else "session LOST"
        assert line(desk, contract) == FeedLine(problem=words)
        await asyncio.sleep(30)
        ((_, same),) = desk.venue.sim.board.data.tickers
        assert same == number, "while nothing comes nothing is asked for"
        desk.venue.say(4, 2, -1, back[0], f"ok{back[1]}", "")
        await settle()
        at = f"{desk.clock.now():%H:%M:%S}"
        assert line(desk, contract).problem == f"nothing of it since a disturbance at {at} UTC"
        await asyncio.sleep(2)
        assert alive(desk, contract)
        told = desk.broker.quote(contract)
        assert told is not None
        assert told.bid_usd == 100

    play(story, tmp_path)


def test_two_farms_are_named_and_one_that_is_back_does_not_mend_the_other(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract, _ = await quiet(desk)
        for code, farm in ((2103, "usfarm"), (2103, "cashfarm"), (2104, "cashfarm")):
            desk.venue.say(4, 2, -1, code, f"Market data farm connection:{farm}", "")
        await settle()
        assert line(desk, contract).problem == "market data usfarm is broken"

    play(story, tmp_path)


@pytest.mark.parametrize("code", [2105, 2157])
def test_farms_of_history_and_definitions_bear_no_quotes(tmp_path: Path, code: int) -> None:
    async def story(desk: Desk) -> None:
        contract, _ = await quiet(desk)
        desk.venue.say(4, 2, -1, code, "farm connection is broken:a", "")
        await desk.expect(SessionReport, lambda r: r.code == code)
        assert alive(desk, contract)

    play(story, tmp_path)


@pytest.mark.parametrize("code", [354, 10197, 10090, 200, 10186])
def test_line_with_an_error_lives_again_once_it_is_said_to_be_live_and_ticks(
    tmp_path: Path, code: int
) -> None:
    async def story(desk: Desk) -> None:
        contract, number = await quiet(desk)
        desk.venue.say(4, 2, number, code, "no", "")
        await settle()
        assert line(desk, contract) == FeedLine(problem=f"code {code} about its line")
        desk.venue.say(1, 6, number, BID, "100.0", 100, 0)
        await settle()
        assert not alive(desk, contract)
        await asyncio.sleep(1)
        desk.venue.say(58, 1, number, 1)
        await settle()
        assert not alive(desk, contract)
        desk.venue.say(1, 6, number, BID, "100.0", 100, 0)
        await settle()
        assert alive(desk, contract)

    play(story, tmp_path)


def test_warning_about_a_line_ends_nothing(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract, number = await quiet(desk)
        desk.venue.say(4, 2, number, 2176, "fractional sizes are rounded", "")
        await settle()
        assert alive(desk, contract)

    play(story, tmp_path)


@pytest.mark.parametrize("kind", [2, 3, 4])
def test_line_of_another_type_than_live_is_not_known_to_live(tmp_path: Path, kind: int) -> None:
    async def story(desk: Desk) -> None:
        contract, number = await quiet(desk)
        desk.venue.say(58, 1, number, kind)
        await settle()
        assert line(desk, contract) == FeedLine(problem="its line is not said to be live")

    play(story, tmp_path)


def test_halted_line_lives_again_with_its_first_tick_after_the_halt(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract, number = await quiet(desk)
        desk.venue.say(45, 6, number, HALTED, 1.0)
        await settle()
        assert line(desk, contract) == FeedLine(problem="halted")
        await asyncio.sleep(1)
        desk.venue.say(45, 6, number, HALTED, 0.0)
        await settle()
        assert not alive(desk, contract), "what stood before the halt may have fallen in it"
        desk.venue.say(1, 6, number, BID, "100.0", 100, 0)
        await settle()
        assert alive(desk, contract)

    play(story, tmp_path)


def test_line_without_a_type_is_not_known_to_live(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.fault("drop", when={"msg": "marketDataType", "times": 9})
        contract, number = await quiet(desk)
        assert line(desk, contract).problem == "its line is not said to be live"
        desk.venue.say(58, 1, number, 1)
        await settle()
        assert not alive(desk, contract)

    play(story, tmp_path)


def test_after_a_reconnect_the_line_is_another_one(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        contract, _ = await quiet(desk)
        desk.cut()
        await desk.session(SessionState.DOWN)
        assert line(desk, contract) == FeedLine(problem="session DOWN")
        await desk.rearm()
        await asyncio.sleep(300)
        assert alive(desk, contract), "the new subscription told its prices"

    play(story, tmp_path)
