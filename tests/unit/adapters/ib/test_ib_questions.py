"""Answers are whole or none: end markers, slots, time-outs, codes (ib-wire, section 9)."""

import asyncio
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from brokers import OPEN
from ib_gateways import LIMIT, Desk, now_s, play
from virtual_time import run

from bft.adapters.broker.ib.pacer import Pacer
from bft.adapters.broker.ib.requests import REQUEST_IDS_FROM, Requests, Slot
from bft.adapters.broker.ib.values import Values
from bft.domain.broker import AccountReport, PositionReport, Priority, SessionState
from bft.domain.errors import DataError, UnavailableError
from bft.domain.orders import Contract, Side


def requests() -> tuple[Requests, list[str]]:
    stuck: list[str] = []
    return Requests(Pacer(), stuck=stuck.append), stuck


def test_rest_of_a_late_answer_is_not_taken_for_a_whole_one() -> None:
    async def main() -> None:
        asked, stuck = requests()
        with pytest.raises(UnavailableError, match="no end marker within 10 s"):
            await asked.listed(Slot.POSITIONS, lambda: None, 10)
        second = asyncio.ensure_future(asked.listed(Slot.POSITIONS, lambda: None, 10))
        await asyncio.sleep(1)
        asked.item(Slot.POSITIONS, "late")  # of the first question, of which the head is lost
        asked.end(Slot.POSITIONS)
        await asyncio.sleep(1)
        assert not second.done()
        for row in ("a", "b"):
            asked.item(Slot.POSITIONS, row)
        asked.end(Slot.POSITIONS)
        assert await second == ["a", "b"]
        assert stuck == []

    run(main())


def test_questions_of_one_slot_wait_for_each_other() -> None:
    async def main() -> None:
        asked, _ = requests()
        sent: list[int] = []
        questions = [
            asyncio.ensure_future(
                asked.listed(Slot.OPEN_ORDERS, lambda n=n: sent.append(n), 10)  # type: ignore[misc]
            )
            for n in (1, 2)
        ]
        await asyncio.sleep(1)
        assert sent == [1]
        asked.item(Slot.OPEN_ORDERS, "x")
        asked.end(Slot.OPEN_ORDERS)
        await asyncio.sleep(1)
        assert sent == [1, 2]
        asked.end(Slot.OPEN_ORDERS)
        assert await asyncio.gather(*questions) == [["x"], []]

    run(main())


def test_a_question_given_up_leaves_its_end_marker_owed() -> None:
    async def main() -> None:
        asked, stuck = requests()
        for _ in range(3):
            question = asyncio.ensure_future(asked.listed(Slot.POSITIONS, lambda: None, 10))
            await asyncio.sleep(1)
            question.cancel()
            await asyncio.sleep(0)
        last = asyncio.ensure_future(asked.listed(Slot.POSITIONS, lambda: None, 10))
        await asyncio.sleep(1)
        for _ in range(3):
            asked.end(Slot.POSITIONS)
            await asyncio.sleep(0)
            assert not last.done()
        asked.end(Slot.POSITIONS)
        assert await last == []
        assert stuck == []

    run(main())


def test_slot_that_stays_unanswered_twice_is_stuck() -> None:
    async def main() -> None:
        asked, stuck = requests()
        for _ in range(2):
            assert stuck == []
            with pytest.raises(UnavailableError):
                await asked.listed(Slot.COMPLETED_ORDERS, lambda: None, 10)
        assert stuck == ["completed orders: no end marker, twice"]

    run(main())


def test_closing_fails_every_question() -> None:
    async def main() -> None:
        asked, _ = requests()
        listed = asyncio.ensure_future(asked.listed(Slot.POSITIONS, lambda: None, 10))
        numbered = asyncio.ensure_future(asked.numbered(lambda _: None, 10))
        await asyncio.sleep(1)
        asked.close("gone")
        for question in (listed, numbered, asked.listed(Slot.POSITIONS, lambda: None, 10)):
            with pytest.raises(UnavailableError, match="gone"):
                await question

    run(main())


@pytest.mark.parametrize(
    "marker", ["positionEnd", "openOrderEnd", "completedOrdersEnd", "execDetailsEnd"]
)
def test_snapshot_without_an_end_marker_is_none(tmp_path: Path, marker: str) -> None:
    async def story(desk: Desk) -> None:
        await desk.resting()
        desk.fault("no_end", msg=marker)
        with pytest.raises(UnavailableError):
            await desk.broker.snapshot(full=True)
        assert desk.broker.state is SessionState.ARMED

    play(story, tmp_path)


def test_empty_positions_with_their_end_marker_are_an_answer(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        order = await desk.order(Side.BUY, 10)
        await desk.filled(order, 10)
        (held,) = (await desk.broker.snapshot()).positions
        told = await desk.expect(PositionReport)
        assert told.position.qty == held.qty == 10
        desk.fault("positions_empty", s=10)
        assert (await desk.broker.snapshot()).positions == ()
        await asyncio.sleep(11)
        assert [p.qty for p in (await desk.broker.snapshot()).positions] == [10]

    play(story, tmp_path)


def test_pacing_puts_a_question_off_and_loses_no_order(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.fault("drop", when={"msg": "reqContractDetails"})
        began_s = now_s()
        found = asyncio.ensure_future(desk.aapl())
        await asyncio.sleep(0.1)
        desk.venue.say(4, 2, REQUEST_IDS_FROM + 2, 322, "duplicate or too many", "")
        await asyncio.sleep(0.5)
        assert not found.done()
        await desk.broker.send_token(Priority.OPENING)  # orders do not wait
        assert now_s() - began_s < 1
        assert (await found).symbol == "AAPL"
        assert 1 <= now_s() - began_s < 2.5

    play(story, tmp_path)


def test_codes_of_a_look_up_are_data_errors_and_no_orders(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.reports.clear()
        with pytest.raises(DataError, match="NOPE: gateway 200"):
            await desk.broker.contract(Contract(con_id=0, symbol="NOPE"))
        assert {getattr(r, "order_id", None) for r in desk.reports} <= {None}

    play(story, tmp_path)


def test_account_figures_come_at_once_and_stay_fresh(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        values = desk.broker.account_values()
        assert values is not None
        assert (values.equity_usd, values.available_usd) == (100_000, 100_000)
        assert values.account_type == "SIMULATED"
        assert desk.broker.simulated
        for _ in range(10):
            await asyncio.sleep(20)
            newest = desk.broker.account_values()
            assert newest is not None
            assert (desk.clock.now() - newest.at).total_seconds() < 60
            assert newest.equity_at is not None
            assert (desk.clock.now() - newest.equity_at).total_seconds() < 60
        desk.venue.say(6, 2, "NetLiquidation", "nan", "USD", "DU0000001")
        await asyncio.sleep(0.01)
        assert desk.of(AccountReport)[-1].values.equity_usd is None
        desk.cut()
        await desk.session(SessionState.DOWN)
        assert desk.broker.account_values() is None

    play(story, tmp_path)


def test_each_other_figure_leaves_the_instant_of_the_equity() -> None:
    told, later = OPEN, OPEN + timedelta(seconds=70)
    values = Values("DU1")
    assert values.take("AccountType", "SIMULATED", "", told)
    assert values.newest is not None
    assert values.newest.equity_at is None
    assert values.take("NetLiquidation", "100.5", "USD", told)
    assert values.take("AvailableFunds", "90", "USD", later)
    assert not values.take("NetLiquidation", "80", "EUR", later)
    newest = values.newest
    assert newest is not None
    assert (newest.equity_usd, newest.equity_at, newest.at) == (Decimal("100.5"), told, later)
    assert (newest.available_usd, newest.available_at) == (Decimal(90), later)


def test_executions_since_an_instant(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        first = await desk.order(Side.BUY, 1)
        await desk.filled(first, 1)
        await asyncio.sleep(60)
        since = desk.clock.now()
        second = await desk.order(Side.BUY, 2)
        await desk.filled(second, 2)
        assert [e.qty for e in await desk.broker.executions()] == [1, 2]
        assert [e.qty for e in await desk.broker.executions(since=since)] == [2]

    play(story, tmp_path)


def test_clock_skew_is_seen_and_questions_share_an_answer(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        desk.fault("clock_skew", s=300)
        told = await asyncio.gather(desk.broker.broker_time(), desk.broker.broker_time())
        assert told[0] == told[1]
        assert 299 <= (told[0] - desk.clock.now()).total_seconds() <= 301
        desk.fault("drop", when={"msg": "reqCurrentTime"})
        with pytest.raises(UnavailableError, match="current time"):
            await desk.broker.broker_time()

    play(story, tmp_path)


def test_nothing_of_a_dead_connection_is_answered(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        await desk.order(Side.BUY, 1, **LIMIT)
        desk.fault("delay", when={"msg": "reqPositions"}, ms=5000)
        question = asyncio.ensure_future(desk.broker.snapshot())
        await asyncio.sleep(1)
        desk.cut()
        with pytest.raises(UnavailableError):
            await question

    play(story, tmp_path)
