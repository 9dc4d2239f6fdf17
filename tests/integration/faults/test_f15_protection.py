"""F15: stops and exits that are refused, silent, or cannot be changed."""

from pathlib import Path

import pytest
from executors import signal
from scenes import WireScene, bought, guarded, wired

from bft.domain.orders import IntentState, Leg
from bft.domain.trading import ExitPolicy
from bft.services.executor.closing import Selection

SETTLED_S = 2.5  # 2 s, and the turn of the monitor that begins them


async def covered(scene: WireScene, qty: int, *, within_s: float = SETTLED_S) -> None:
    """So many units are held, and just so many protected."""
    await scene.wait(lambda: scene.qty() == qty and guarded(scene) == qty, within_s=within_s)


@pytest.mark.parametrize("code", [201, 203])
def test_f15_rejected_stop_is_replaced_in_2_s(tmp_path: Path, code: int) -> None:
    async def story(scene: WireScene) -> None:
        scene.fault("child_reject", leg="stop", code=code)
        await scene.submit(signal())
        await covered(scene, 49)
        first, second = sorted(scene.intents(Leg.STOP), key=lambda leg: leg.attempt)
        assert (first.state, second.attempt) == (IntentState.REJECTED, 1)

    wired(tmp_path, story)


def test_f15_no_stop_to_be_had_means_flat_within_7_s(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.fault("child_reject", leg="stop")
        scene.fault("reject", when={"msg": "placeOrder", "nth": 4})  # the stop that replaces it
        await scene.submit(signal())
        await scene.wait(lambda: scene.entry().state is IntentState.FILLED, within_s=1)
        await scene.wait(lambda: scene.qty() == 0, within_s=7)
        assert "ProtectionMissing" in scene.alerts()

    wired(tmp_path, story)


def test_f15_silent_stops_mean_flat_within_7_s_or_another(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.fault("child_reject", leg="stop")
        scene.fault("drop", when={"msg": "placeOrder", "nth": 4})  # its replacement is never seen
        await scene.submit(signal())
        await scene.wait(lambda: scene.entry().state is IntentState.FILLED, within_s=1)
        safe = lambda: guarded(scene) == scene.qty()  # noqa: E731
        await scene.wait(safe, within_s=7.5)
        await scene.sleep(20)
        assert safe()

    wired(tmp_path, story)


def test_f15_target_rejected_leaves_the_stop(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.fault("child_reject", leg="target")
        await scene.submit(signal())
        await covered(scene, 49)
        await scene.wait(
            lambda: any(leg.state is IntentState.ACKED for leg in scene.intents(Leg.TARGET)),
            within_s=5,
        )

    wired(tmp_path, story)


def test_f15_refused_exit_is_tried_again_in_steps(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.fault("reject", when={"msg": "placeOrder", "times": 3})
        scene.executor.closing.close(Selection(symbols=("AAPL",)))
        await scene.sleep(8)
        assert len(scene.intents(Leg.EXIT)) == 2
        await scene.wait(lambda: scene.qty() == 0, within_s=16)
        assert 3 <= len(scene.intents(Leg.EXIT)) <= 4

    wired(tmp_path, story)


def test_f15_exit_refused_in_its_group_leaves_without_it(tmp_path: Path) -> None:
    """Target first, stop last: the sum of stop and exit is above the position for a moment."""

    async def story(scene: WireScene) -> None:
        await bought(scene, exits=ExitPolicy(stop_frac=0.07, target_frac=0.12))
        scene.fault("reject", when={"msg": "placeOrder", "times": 1})
        scene.price("AAPL", "100.00", size=9)
        scene.executor.closing.close(Selection(symbols=("AAPL",)))
        await scene.wait(lambda: scene.qty() == 40, within_s=4)
        refused, alone = scene.intents(Leg.EXIT)
        assert (refused.state, alone.oca_group) == (IntentState.REJECTED, None)
        await scene.sleep(2)
        live = [leg for leg in scene.intents() if scene.at_broker(leg)]
        assert [(leg.leg, leg.remaining_qty) for leg in live] == [(Leg.EXIT, 40)]
        scene.price("AAPL", "100.00")
        await scene.wait(lambda: scene.qty() == 0, within_s=3)

    wired(tmp_path, story)


def test_f15_stop_that_cannot_grow_gets_another_beside_it(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "100.00", size=10)
        await scene.submit(signal())
        await covered(scene, 10)
        scene.fault("reject", code=201, when={"msg": "placeOrder", "times": 3})  # the changes
        scene.price("AAPL", "100.00", size=10)
        await scene.wait(lambda: scene.qty() == 20, within_s=2)
        await covered(scene, 20, within_s=9)
        live = [leg for leg in scene.intents(Leg.STOP) if scene.at_broker(leg)]
        assert sum(leg.remaining_qty for leg in live if leg.attempt) == 20

    wired(tmp_path, story)
