"""F4, F5, F6, F17, F18, F19, F22: repeats, two processes, clocks, disks, bad numbers, halts."""

import asyncio
import sqlite3
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from executors import CLOSE, reference, signal, usd
from scenes import START_AT, Scene, WireScene, bought, guarded, papered, wired

from bft.adapters.store.book import SqlBook
from bft.domain import sessions
from bft.domain.errors import RefusedError
from bft.domain.orders import Contract, IntentState, Leg
from bft.services.executor.closing import Selection
from bft.services.executor.leaving import exit_window


def test_f04_same_signals_again_renamed_and_reordered_place_one_order_each(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        day = [signal("AAPL"), signal("NVDA")]
        scene.price("NVDA", "100.00")
        first = [await scene.submit(order) for order in day]
        assert all(opened.decision.allowed for opened in first)
        again = [await scene.submit(replace(order, source="other file")) for order in day[::-1]]
        again += await asyncio.gather(*(scene.submit(order) for order in day * 3))
        assert {opened.decision.reason for opened in again} == {"duplicate"}
        assert len(scene.intents(Leg.ENTRY)) == 2
        await scene.crash()
        await scene.again()
        assert (await scene.submit(day[0])).decision.reason == "duplicate"

    wired(tmp_path, story)


def test_f05_second_executor_of_an_account_is_refused(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        second = Scene(folder=tmp_path, clock=scene.clock)
        with pytest.raises(RefusedError, match="held"):
            await second.start()
        second.book.close()
        await bought(scene)

    papered(tmp_path, story)


def test_f05_lost_lease_opens_and_writes_nothing_more(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await bought(scene)
        with sqlite3.connect(tmp_path / "state.db") as other:
            scene.price("MSFT", "100.00")
            await scene.submit(signal("MSFT", signal_id="known", confidence=usd("0.1")))
            other.execute("UPDATE executor_lease SET token = token + 1, holder = 'another'")
        opened = None
        with pytest.raises(RefusedError, match="another"):
            opened = await scene.submit(signal("MSFT"))
        assert opened is None
        assert not scene.executor.desk.lease_held
        before = scene.journal()
        later = await asyncio.gather(scene.submit(signal("NVDA")), return_exceptions=True)
        assert getattr(later[0], "intent_id", None) is None
        assert (await asyncio.wait_for(scene.executor.ended, 20)).startswith("lease lost")
        subjects = [subject for subject, _ in scene.told.mails]
        assert f"[bft page] LeaseLost: {scene.executor.desk.account}" in subjects
        await scene.sleep(1)
        assert scene.journal() == before, "another process may have written since"
        assert len(scene.broker.placed) == 3

    papered(tmp_path, story, calm=False)


@pytest.mark.parametrize("skew_s", [300, -300, 3])
def test_f06_clock_that_differs_opens_nothing(tmp_path: Path, skew_s: int) -> None:
    async def story(scene: WireScene) -> None:
        scene.fault("clock_skew", s=skew_s)
        await scene.sleep(50)
        scene.price("AAPL", "99.99")
        await scene.sleep(0.1)
        assert (await scene.submit(signal())).decision.reason == "clock"
        assert "ClockSkew" in scene.alerts()
        scene.fault("clock_skew", s=0)
        await scene.sleep(50)
        scene.price("AAPL", "99.98")
        await scene.sleep(0.1)
        await bought(scene)

    wired(tmp_path, story)


def test_f06_clock_set_back_moves_no_timer(tmp_path: Path) -> None:
    """The stop that goes out after a rejection comes by the monotonic timer."""

    async def story(scene: WireScene) -> None:
        scene.fault("child_reject", leg="stop")
        scene.clock.start -= timedelta(minutes=5)
        scene.price("AAPL", "99.99")
        await scene.sleep(0.1)
        opened = await scene.submit(signal(decided_at=scene.clock.now()))
        assert opened.decision.allowed, opened.decision.detail
        began = asyncio.get_running_loop().time()
        while not (scene.qty() == guarded(scene) == 49):
            await asyncio.sleep(0.05)
            assert asyncio.get_running_loop().time() - began < 3

    wired(tmp_path, story, at=START_AT + timedelta(hours=1))


@pytest.mark.parametrize(
    ("day", "at", "open_"),
    [
        (date(2025, 11, 27), "15:00", False),  # Thanksgiving
        (date(2025, 11, 28), "17:30", True),  # half day, 12:30 New York
        (date(2025, 11, 28), "18:30", False),  # half day over at 13:00
        (date(2026, 3, 9), "13:35", True),  # first session of summer time: opens 13:30 UTC
        (date(2026, 3, 9), "20:30", False),
        (date(2026, 3, 6), "20:30", True),
    ],
)
def test_f06_sessions_come_from_the_calendar(day: date, at: str, open_: bool) -> None:
    from datetime import UTC, datetime, time

    now = datetime.combine(day, time.fromisoformat(at), UTC)
    assert exit_window(now, Contract(con_id=1, symbol="AAPL")) == open_


def test_f06_nothing_opens_after_the_close(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        assert (await scene.submit(signal())).decision.reason in {"session", "stale_data"}

    papered(tmp_path, story, at=CLOSE + timedelta(minutes=1))


def test_f17_full_disk_stops_opening_and_lets_closing_out(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        gate = scene.gate
        scene.price("MSFT", "100.00")
        await scene.submit(signal("MSFT", signal_id="known", confidence=usd("0.1")))
        (tmp_path / "reserve").unlink()
        (tmp_path / "reserve").mkdir()  # it cannot be put back either
        gate.disk, gate.free_commits = "disk is full", 0
        opened = await scene.submit(signal("MSFT"))
        assert (opened.decision.reason, opened.lapsed) == (None, "state not writable")
        gate.free_commits = 50  # what the reserve gives back
        await scene.sleep(1)
        assert (await scene.submit(signal("NVDA"))).decision.reason == "not_armed"
        scene.executor.closing.close(Selection(symbols=("AAPL",)))
        await scene.wait(lambda: scene.qty() == 0, within_s=5)
        assert "StateNotWritable" in scene.alerts()
        gate.disk = None
        (tmp_path / "reserve").rmdir()
        await scene.sleep(35)
        scene.price("NVDA", "100.00")
        await bought(scene, symbol="NVDA", signal_id="after")

    wired(tmp_path, story)


def test_f17_cancels_go_out_when_nothing_can_be_written(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        await scene.submit(signal(limit_price_usd=usd("100.50")))
        await scene.wait(lambda: scene.entry().state is IntentState.ACKED, within_s=2)
        scene.gate.disk = "disk is full"
        scene.executor.killing.latch("api", by="ada")
        await scene.wait(lambda: not scene.at_broker(scene.entry()), within_s=3)
        await scene.sleep(40)  # longer than a lease
        assert (tmp_path / "KILL").exists()
        scene.gate.disk = None
        await scene.sleep(2)
        assert not scene.executor.ended.done()
        assert scene.entry().state is IntentState.CANCELLED

    wired(tmp_path, story)


def test_f17_torn_last_record_is_set_aside(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        await scene.crash()
        with sqlite3.connect(tmp_path / "state.db") as file:
            torn = "SELECT max(seq) + 1, at, 'event', '{\"na', hash, 'torn' FROM journal"
            file.execute(f"INSERT INTO journal (seq, at, kind, body, prev_hash, hash) {torn}")
            file.execute("UPDATE positions SET qty = '77'")  # what the torn entry had moved
        file.close()
        await scene.again()
        assert "JournalBroken" in scene.alerts()
        assert scene.qty() == 49

    wired(tmp_path, story)


@pytest.mark.parametrize(
    "changes",
    [
        {"limit_price_usd": Decimal("NaN")},
        {"limit_price_usd": Decimal("Infinity")},
        {"limit_price_usd": Decimal(-1)},
        {"stop_price_usd": Decimal("NaN")},
        {"stop_price_usd": Decimal(101)},
        {"confidence": Decimal("NaN")},
        {"qty": -3},
    ],
)
def test_f18_bad_numbers_are_denied_with_a_reason(
    tmp_path: Path, changes: dict[str, object]
) -> None:
    async def story(scene: Scene) -> None:
        opened = await scene.submit(signal(**changes))
        assert not opened.decision.allowed
        assert opened.decision.reason in {"validation", "confidence", "price_collar"}
        assert scene.intents() == []

    papered(tmp_path, story)


def test_f18_forecasts_of_yesterday_open_nothing(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        order = signal(close_decided=True, asof=sessions.shift(signal().asof or date.min, -1))
        opened = await scene.submit(order)
        assert opened.decision.reason == "stale_data"

    papered(tmp_path, story)


def test_f19_day_loss_halt_survives_restarts(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.price("AAPL", "59.00")  # through the stop: a gap of 41 dollars on 49 shares
        await scene.wait(lambda: scene.qty() == 0, within_s=3)
        await scene.sleep(2)
        scene.price("MSFT", "100.00")
        refused = await scene.submit(signal("MSFT"))
        assert refused.decision.reason == "daily_loss"
        for end in (scene.crash, scene.stop):
            await scene.sleep(1)
            await end()
            await scene.again()
            scene.price("MSFT", "100.00")
            await scene.sleep(1)
            refused = await scene.submit(signal("MSFT", signal_id=f"m{scene.lives}"))
            assert refused.decision.reason == "halted"

    wired(tmp_path, story)


def test_f22_flood_opens_what_the_limits_allow(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("MSFT", "100.00")
        scene.price("NVDA", "100.00")
        orders = [
            signal(symbol, signal_id=f"{symbol}-{n % 40}")
            for n in range(120)
            for symbol in ("AAPL", "MSFT", "NVDA")
        ]
        told = await asyncio.gather(*(scene.submit(order) for order in orders))
        sent = [opened for opened in told if opened.decision.allowed]
        assert 1 <= len(sent) <= 5
        assert len(scene.intents(Leg.ENTRY)) == len(sent)
        rows = scene.book.rows("decisions")
        assert len(rows) == len(orders), "every decision is on record, none over another"

    wired(tmp_path, story)


def test_f22_back_dated_signal_is_stale(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        old = scene.clock.now() - timedelta(seconds=301)
        assert (await scene.submit(signal(decided_at=old))).decision.reason == "stale_data"

    papered(tmp_path, story, night=reference("AAPL"))


def test_f17_book_is_whole_for_another_reader(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await bought(scene)
        other = SqlBook(f"sqlite:///{tmp_path / 'state.db'}", at=scene.clock.now())
        assert other.verify_chain() is not None
        other.close()

    papered(tmp_path, story)
