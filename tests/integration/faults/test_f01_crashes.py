"""F1: the process dies around an order's way out.

Where the faults of executor specification, section 12, are provoked:

| fault | file of this folder |
|---|---|
| F1 | test_f01_crashes, test_f01_sigkill, test_bare_units, test_restored, test_soak |
| F2 F3 | test_f02_sessions, test_evidence |
| F4 F5 F6 F17 F18 F19 F22 | test_f04_state, test_turns; as processes ../test_execute_faults |
| F7 F13 F14 F20 F21 | test_f07_market, test_f20_tickers |
| F21 | test_f21_legs |
| F8 F9 F12 F16 | test_f08_fills, test_f12_twins, test_races |
| F15 | test_f15_protection |
| F10 F11 | test_f10_codes |
"""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from crashes import Point
from executors import signal
from scenes import Scene, WireScene, bought, papered, wired

from bft.domain.orders import IntentState, Leg
from bft.ledger import entries

NOT_SENT = {Point.AFTER_FSYNC, Point.AFTER_MARK, Point.BETWEEN_LEGS}


@pytest.mark.parametrize("point", list(Point))
def test_crash_around_an_entry_leaves_one_order_or_none(tmp_path: Path, point: Point) -> None:
    async def story(scene: WireScene) -> None:
        await scene.die_at(point, work=scene.submit(signal()))
        await scene.again()
        again = await scene.submit(signal())
        assert not again.decision.allowed or point is Point.BEFORE_FSYNC
        if point is not Point.BEFORE_FSYNC:
            assert again.decision.reason in {"duplicate", "halted"}
        await scene.calm()
        assert (scene.qty() > 0) == (point not in NOT_SENT)

    wired(tmp_path, story)


@pytest.mark.parametrize(
    ("point", "state"),
    [
        (Point.AFTER_FSYNC, IntentState.LAPSED),
        (Point.AFTER_MARK, IntentState.UNKNOWN),
    ],
)
def test_no_marker_proves_that_nothing_was_sent(
    tmp_path: Path, point: Point, state: IntentState
) -> None:
    async def story(scene: WireScene) -> None:
        await scene.die_at(point, work=scene.submit(signal()))
        await scene.again()
        assert scene.entry().state is state
        await scene.sleep(70)
        halted = {halt.rule for halt in scene.executor.desk.state.active_halts(scene.clock.now())}
        assert ("unknown_order" in halted) == (state is IntentState.UNKNOWN)
        assert scene.at_broker(scene.entry()) == []

    wired(tmp_path, story)


def test_ids_of_lapsed_orders_are_no_rollback(tmp_path: Path) -> None:
    """The gateway never saw them and counts from below; one that it acknowledged is told."""

    async def story(scene: WireScene) -> None:
        await scene.die_at(Point.AFTER_FSYNC, work=scene.submit(signal()))
        await scene.again()
        assert scene.entry().state is IntentState.LAPSED
        assert "IdRollback" not in scene.alerts()
        entry = await bought(scene, signal_id="another")
        assert (entry.order_id or 0) > (scene.intents(Leg.STOP)[0].order_id or 0)
        scene.fault("id_rollback", n=2)
        scene.cut()
        await scene.wait(lambda: "IdRollback" in scene.alerts())
        await scene.rearmed()

    wired(tmp_path, story)


def test_another_boot_of_the_machine_proves_nothing(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await scene.die_at(Point.AFTER_FSYNC, work=scene.submit(signal()))
        await scene.again(boot_id="another")
        assert scene.entry().state is IntentState.UNKNOWN

    wired(tmp_path, story)


def tear(folder: Path) -> None:
    """A record that did not get whole."""
    (marker,) = folder.glob("send.marker.*")
    marker.write_bytes(marker.read_bytes() + b"half a rec")


def test_torn_marker_proves_nothing(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await scene.die_at(Point.AFTER_FSYNC, work=scene.submit(signal()))
        tear(tmp_path)
        await scene.again()
        assert scene.entry().state is IntentState.UNKNOWN

    wired(tmp_path, story)


@pytest.mark.parametrize("point", [Point.AFTER_FSYNC, Point.AFTER_MARK, Point.AFTER_SEND])
def test_crash_while_a_stop_is_replaced_doubles_none(tmp_path: Path, point: Point) -> None:
    async def story(scene: WireScene) -> None:
        entry = await bought(scene)
        (stop,) = scene.intents(Leg.STOP)
        live = scene.at_broker(stop)[0]
        scene.gate.trap = (point, 1)
        scene.sim.exchange.books.erase(live)  # gone without a word: another stop must go out
        scene.executor.reconciler.query(executions=True)
        async with asyncio.timeout(60):
            await scene.gate.died.wait()
        await scene.crash()
        await scene.again()
        await scene.calm()
        assert scene.qty() == entry.qty

    wired(tmp_path, story)


def test_old_orders_that_memory_let_go_of_are_no_strangers(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await bought(scene)
        scene.price("AAPL", "92.90")
        await scene.wait(lambda: not any(not i.state.terminal for i in scene.intents()))
        later = scene.clock.now() + timedelta(days=35)  # it lives on so long: memory is trimmed
        await scene.executor.desk.note(entries.epoch(later, number=99))
        assert scene.intents() == []
        await scene.crash()
        await scene.at(later)
        await scene.start()
        assert "StateRestored" not in scene.alerts()
        assert scene.executor.desk.state.active_halts(scene.clock.now()) == []

    papered(tmp_path, story, calm=False)


def test_restored_older_state_halts_the_account(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await scene.crash()
        old = (tmp_path / "state.db").read_bytes()
        await scene.again()
        await bought(scene)
        await scene.crash()
        for name in ("state.db-wal", "state.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
        (tmp_path / "state.db").write_bytes(old)
        await scene.start()
        await scene.rearmed()
        assert "StateRestored" in scene.alerts()
        again = await scene.submit(signal("MSFT"))
        assert again.decision.reason == "halted"

    wired(tmp_path, story, calm=False)


def test_crash_on_paper_is_no_different(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.die_at(Point.AFTER_SEND, work=scene.submit(signal()))
        await scene.again()
        scene.price("AAPL", "100.00")
        await scene.calm()
        assert scene.entry().state is IntentState.FILLED

    papered(tmp_path, story)
