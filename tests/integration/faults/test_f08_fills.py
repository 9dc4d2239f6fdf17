"""F8, F9, F12, F16: fills in parts, late, twice, too large, or in place of a cancel."""

from dataclasses import replace
from pathlib import Path

import pytest
from executors import signal, usd
from scenes import Scene, WireScene, bought, guarded, papered, wired

from bft.domain.broker import ExecutionReport
from bft.domain.orders import IntentState, Leg
from bft.services.executor.closing import Selection
from bft.sim.gateway.exchange.books import ChildMode, Orphans, Rules

MODES = [ChildMode.HELD, ChildMode.PROPORTIONAL, ChildMode.FULL]
SETTLED_S = 2.5  # 2 s, and the turn of the monitor that begins them


async def covered(scene: WireScene, qty: int, *, within_s: float = SETTLED_S) -> None:
    """So many units are held, and just so many protected."""
    await scene.wait(lambda: scene.qty() == qty and guarded(scene) == qty, within_s=within_s)


@pytest.mark.parametrize("orphans", list(Orphans))
@pytest.mark.parametrize("mode", MODES)
def test_f08_part_then_cancel_then_stop(tmp_path: Path, mode: ChildMode, orphans: Orphans) -> None:
    async def story(scene: WireScene) -> None:
        scene.fault("fill_then_cancel", fraction=0.4)
        await scene.submit(signal())
        await scene.wait(lambda: scene.entry().state is IntentState.CANCELLED, within_s=5)
        await covered(scene, 20)
        await scene.sleep(10)
        await covered(scene, 20, within_s=0.1)
        scene.price("AAPL", "92.90")
        await scene.wait(lambda: scene.qty() == 0, within_s=2)
        await scene.wait(lambda: not list(scene.sim.exchange.books.live()), within_s=5)

    wired(tmp_path, story, config={"rules": Rules(child_mode=mode, orphans=orphans)})


@pytest.mark.parametrize("mode", MODES)
def test_f08_each_part_of_an_entry_is_protected(tmp_path: Path, mode: ChildMode) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "100.00", size=10)
        await scene.submit(signal())
        held = 0
        for _ in range(4):
            held += 10
            await covered(scene, held)
            scene.price("AAPL", "100.00", size=10)
        scene.price("AAPL", "100.00")
        await covered(scene, 49)
        await scene.sleep(8)
        await covered(scene, 49, within_s=0.1)
        assert await scene.broker_qty() == 49

    wired(tmp_path, story, config={"rules": Rules(child_mode=mode)})


@pytest.mark.parametrize("mode", MODES)
def test_f08_part_of_an_exit_shrinks_the_rest(tmp_path: Path, mode: ChildMode) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.price("AAPL", "112.50", size=9)
        await scene.wait(lambda: scene.qty() == 40, within_s=2)
        await covered(scene, 40)
        scene.price("AAPL", "92.90", size=15)
        await scene.wait(lambda: scene.qty() == 25, within_s=2)
        await covered(scene, 25)
        scene.price("AAPL", "92.80")
        await scene.wait(lambda: scene.qty() == 0, within_s=2)

    wired(tmp_path, story, config={"rules": Rules(child_mode=mode)})


def test_f08_overfill_is_closed_at_once(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.fault("overfill", qty=7)
        await scene.submit(signal())
        await covered(scene, 49)
        assert "Overfill" in scene.alerts()
        (extra,) = scene.intents(Leg.EXIT)
        assert (extra.filled_qty, extra.reason) == (7, "overfill")

    wired(tmp_path, story)


def test_f09_fill_wins_against_the_cancel(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        await scene.submit(signal(limit_price_usd=usd("100.50")))
        await scene.wait(lambda: scene.entry().state is IntentState.ACKED, within_s=2)
        scene.fault("cancel_race")
        scene.executor.cancelling.cancel(scene.entry(), why="a person")
        await scene.wait(lambda: scene.entry().state is IntentState.FILLED, within_s=2)
        await covered(scene, 49)

    wired(tmp_path, story)


@pytest.mark.parametrize("lost", ["execDetails", "orderStatus"])
def test_f09_cancel_race_with_a_lost_report(tmp_path: Path, lost: str) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        await scene.submit(signal(limit_price_usd=usd("100.50")))
        await scene.wait(lambda: scene.entry().state is IntentState.ACKED, within_s=2)
        scene.fault("cancel_race")
        scene.fault("drop", when={"msg": lost})
        scene.executor.cancelling.cancel(scene.entry(), why="a person")
        await covered(scene, 49, within_s=15)
        await scene.wait(lambda: scene.entry().state is IntentState.FILLED, within_s=1)

    wired(tmp_path, story)


def test_f12_second_perm_id_is_cancelled(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        scene.fault("two_perm_ids")
        await scene.submit(signal(limit_price_usd=usd("100.50")))
        await scene.wait(lambda: len(scene.at_broker(scene.entry())) == 1, within_s=40)
        (kept,) = scene.at_broker(scene.entry())
        assert kept.perm_id == scene.entry().perm_id
        assert "UnknownOrder" in scene.alerts()

    wired(tmp_path, story)


def test_f12_second_order_that_fills_is_closed(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.fault("two_perm_ids")
        await scene.submit(signal())
        await covered(scene, 49, within_s=5)
        assert "Overfill" in scene.alerts()

    wired(tmp_path, story)


def test_f12_amend_during_an_outage_makes_no_second_order(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.fault("disconnect", when={"msg": "placeOrder", "nth": 1})
        scene.price("AAPL", "112.50", size=9)  # the target fills in part: the stop is amended
        await scene.rearmed()
        await covered(scene, 40, within_s=10)
        (stop,) = [leg for leg in scene.intents(Leg.STOP) if not leg.state.terminal]
        assert len(scene.at_broker(stop)) == 1

    wired(tmp_path, story)


def test_f16_reports_twice_and_out_of_order_count_once(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.fault("duplicate", n=3, when={"msg": "execDetails", "times": 9})
        scene.fault("reorder", window=4, when={"msg": "execDetails", "nth": 1})
        scene.fault("duplicate", n=2, when={"msg": "orderStatus", "times": 9})
        scene.fault("reorder", window=2, when={"msg": "commissionReport", "nth": 1})
        await bought(scene)
        assert scene.qty() == 49
        (fill,) = scene.executor.desk.state.executions.values()
        assert fill.execution.fee_usd == usd(1)

    wired(tmp_path, story)


def test_f16_correction_replaces_the_fill_it_names(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.fault("correction", price=99.5)
        state = scene.executor.desk.state
        await scene.wait(lambda: len(state.executions) == 2, within_s=2)
        assert scene.qty() == 49
        (position,) = state.positions.values()
        assert position.average_cost_usd == usd("99.5")
        assert scene.executor.guard.covers[scene.entry().intent_id].open_qty == 49
        await covered(scene, 49)

    wired(tmp_path, story)


def test_f09_stop_that_fills_while_an_exit_waits_leaves_it_nothing(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.executor.closing.close(Selection(symbols=("AAPL",)))
        scene.price("AAPL", "92.00")
        await scene.sleep(5)
        assert scene.qty() == 0

    wired(tmp_path, story)


async def bought_and_busted(scene: Scene) -> None:
    await bought(scene)
    (booked,) = scene.executor.desk.state.executions.values()
    bust = replace(booked.execution, exec_id=f"{booked.execution.base_id}.02", qty=0)
    scene.executor.hearing.hear(ExecutionReport(execution=bust, epoch=scene.broker.epoch))


def test_f16_bust_takes_the_fill_back(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await bought_and_busted(scene)
        await scene.sleep(3)
        assert scene.qty() == 0
        assert scene.executor.desk.state.trades[scene.entry().intent_id].pnl_usd in {None, 0}
        assert not scene.executor.ended.done()
        scene.price("MSFT", "100.00")
        assert (await scene.submit(signal("MSFT"))).decision.allowed

    papered(tmp_path, story, calm=False)


def test_f16_bust_takes_along_what_would_sell_units_that_nobody_holds(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await bought_and_busted(scene)
        await scene.sleep(5)
        assert (await scene.broker.snapshot()).open_orders == ()

    papered(tmp_path, story, calm=False)
