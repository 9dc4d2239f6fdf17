"""An entry that somebody closed before it filled: what it fills all the same leaves by itself."""

from pathlib import Path

from crossings import could_close, held
from executors import signal, usd
from scenes import WireScene, wired

from bft.domain.broker import SessionState
from bft.domain.orders import IntentState, Leg
from bft.services.executor.closing import ALL, Selection


async def rests(scene: WireScene) -> None:
    """An entry at 100.50 waits below the market."""
    scene.price("AAPL", "101.00")
    await scene.submit(signal(limit_price_usd=usd("100.50")))
    await scene.wait(lambda: scene.entry().state is IntentState.ACKED, within_s=2)


def at_exchange(scene: WireScene) -> tuple[int, int]:
    """Units held, and units that orders would sell."""
    share = scene.sim.contract("AAPL")
    return held(scene, share), could_close(scene, share, "SELL", targets=True)


def test_fill_that_crosses_its_cancel_leaves_and_others_units_stay(tmp_path: Path) -> None:
    """`bft close --all`, once; what a person buys a second later was not meant."""

    async def story(scene: WireScene) -> None:
        await rests(scene)
        scene.fault("cancel_race", when={"msg": "cancelOrder"})
        (asked,) = scene.executor.closing.close(ALL)
        assert asked.what == "cancel entry"
        scene.fault("manual_order", symbol="AAPL", side="BUY", qty=40, kind="MKT")
        await scene.wait(lambda: scene.entry().state is IntentState.FILLED, within_s=3)
        await scene.wait(lambda: scene.qty() == 40, within_s=5)
        await scene.sleep(3)
        assert at_exchange(scene) == (40, 0)
        (exit_,) = scene.intents(Leg.EXIT)
        assert exit_.filled_qty == scene.entry().qty

    wired(tmp_path, story)


def test_fill_during_an_outage_leaves_also_by_the_next_process(tmp_path: Path) -> None:
    """Closed while the session was down; it fills there, and the process that was asked dies."""

    async def story(scene: WireScene) -> None:
        await rests(scene)
        scene.cut()
        await scene.wait(lambda: scene.executor.desk.broker.state is SessionState.DOWN)
        scene.executor.closing.close(Selection(symbols=("AAPL",)))
        await scene.executor.desk.writer.flush()
        await scene.crash()
        scene.price("AAPL", "100.40")
        await scene.sleep(1)
        assert at_exchange(scene)[0] > 0
        await scene.start()
        await scene.rearmed()
        await scene.sleep(4)
        assert (scene.qty(), at_exchange(scene)) == (0, (0, 0))

    wired(tmp_path, story)


def test_entry_closed_during_an_outage_is_cancelled_by_the_next_process(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await rests(scene)
        scene.cut()
        await scene.wait(lambda: scene.executor.desk.broker.state is SessionState.DOWN)
        scene.executor.closing.close(Selection(symbols=("AAPL",)))
        await scene.executor.desk.writer.flush()
        await scene.crash()
        await scene.start()
        await scene.rearmed()
        await scene.wait(lambda: scene.entry().state is IntentState.CANCELLED, within_s=3)

    wired(tmp_path, story)


async def partly_filled(scene: WireScene) -> None:
    """20 units of an entry at 100.50 have filled; the rest waits below the market."""
    await rests(scene)
    scene.price("AAPL", "100.40", "100.45", size=20)
    await scene.wait(lambda: scene.entry().state is IntentState.PARTIAL, within_s=3)
    scene.price("AAPL", "101.00")
    await scene.wait(lambda: scene.protected() == 20, within_s=5)


def test_rest_of_a_partly_filled_entry_that_crosses_its_cancel_leaves_too(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await partly_filled(scene)
        scene.fault("drop", when={"msg": "cancelOrder"})
        asked = scene.executor.closing.close(ALL)
        assert [(closed.what, closed.qty) for closed in asked] == [
            ("exit", 20),
            ("cancel entry", 29),
        ]
        await scene.wait(lambda: scene.qty() == 0, within_s=5)
        scene.price("AAPL", "100.40")
        await scene.wait(lambda: scene.entry().state is IntentState.FILLED, within_s=3)
        await scene.wait(lambda: scene.qty() == 0, within_s=5)
        await scene.sleep(3)
        assert at_exchange(scene) == (0, 0)
        assert sum(exit_.filled_qty for exit_ in scene.intents(Leg.EXIT)) == 49

    wired(tmp_path, story)


def test_rest_of_a_partly_filled_entry_is_cancelled_by_the_next_process(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await partly_filled(scene)
        scene.cut()
        await scene.wait(lambda: scene.executor.desk.broker.state is SessionState.DOWN)
        scene.executor.closing.close(Selection(symbols=("AAPL",)))
        await scene.executor.desk.writer.flush()
        await scene.crash()
        await scene.start()
        await scene.rearmed()
        await scene.wait(lambda: scene.entry().state is IntentState.CANCELLED, within_s=3)
        await scene.wait(lambda: scene.qty() == 0, within_s=5)
        assert at_exchange(scene) == (0, 0)

    wired(tmp_path, story)
