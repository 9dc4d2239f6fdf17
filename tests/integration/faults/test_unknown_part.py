"""A part whose order was lost with the process that sent it; docs/runbooks/UnknownOrder.md."""

from pathlib import Path

from executors import usd
from scenes import WireScene, bought, guarded, wired

from bft.domain.orders import IntentState, Leg
from bft.services.executor.closing import Selection
from bft.services.executor.reconcile import UNKNOWN_ORDER


def halted(scene: WireScene) -> set[str]:
    return {h.rule for h in scene.executor.desk.state.active_halts(scene.executor.desk.now)}


def test_part_lost_in_a_kill_leaves_again_and_is_paged_later(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.fault("drop", when={"msg": "placeOrder", "leg": "entry"})  # the exit has no parent
        scene.executor.closing.close_part(Selection(symbols=("AAPL",)), 10)
        await scene.wait(lambda: bool(scene.intents(Leg.EXIT)), within_s=2)
        await scene.sleep(0.5)
        await scene.crash()
        await scene.start()
        (lost,) = scene.intents(Leg.EXIT)
        assert lost.state is IntentState.UNKNOWN  # told at once
        await scene.rearmed()
        began = scene.clock.now()
        await scene.sleep(4)
        assert (scene.qty(), guarded(scene), len(scene.intents(Leg.EXIT))) == (49, 39, 1)
        await scene.wait(lambda: scene.qty() == 39, within_s=3)  # 5 s after it was looked at first
        assert (guarded(scene), halted(scene)) == (39, set())
        await scene.sleep(57 - (scene.clock.now() - began).total_seconds())
        scene.price("AAPL", usd("100.00"))
        assert halted(scene) == set()
        await scene.sleep(6)
        assert halted(scene) == {UNKNOWN_ORDER}
        assert "UnknownOrder" in scene.alerts()
        assert scene.executor.desk.state.intents[lost.intent_id].state is IntentState.UNKNOWN
        assert scene.qty() == guarded(scene) == 39

    wired(tmp_path, story)
