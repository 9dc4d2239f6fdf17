"""Units that no bracket holds are closed, whatever dies between the wish and its order."""

from pathlib import Path

from scenes import WireScene, wired

from bft.domain.broker import SessionState
from bft.services.executor.closing import Selection


def test_units_bought_by_hand_are_closed_by_the_next_process(tmp_path: Path) -> None:
    """Asked for while the broker was away: nothing was sent when the process died."""

    async def story(scene: WireScene) -> None:
        scene.sim.place_manual(symbol="AAPL", side="BUY", qty=40)
        await scene.wait(lambda: scene.qty() == 40)
        scene.cut()
        await scene.wait(lambda: scene.executor.desk.broker.state is SessionState.DOWN)
        closed = scene.executor.closing.close(Selection(symbols=("AAPL",)))
        assert [item.qty for item in closed] == [40]
        await scene.executor.desk.writer.flush()
        await scene.crash()
        await scene.start()
        await scene.rearmed()
        scene.price("AAPL", "100.00")
        await scene.wait(lambda: scene.qty() == 0)
        await scene.wait(lambda: not scene.executor.desk.state.bare_closes)
        assert await scene.broker_qty() == 0

    wired(tmp_path, story)
