"""A part between the cut of its protection and its order: a process ends there, and how."""

import sqlite3
from pathlib import Path

from crossings import LAG, could_close, held, never_oversold
from scenes import WireScene, bought, guarded, wired

from bft.domain.orders import Leg
from bft.services.executor.closing import Selection


def at_exchange(scene: WireScene) -> tuple[int, int, int]:
    """Units held, units that may be sold, and those without targets."""
    share = scene.sim.contract("AAPL")
    both = could_close(scene, share, "SELL", targets=True)
    return held(scene, share), both, could_close(scene, share, "SELL", targets=False)


async def part(scene: WireScene) -> None:
    scene.executor.closing.close_part(Selection(symbols=("AAPL",)), 10)


async def cut(scene: WireScene) -> None:
    """49 are held; the stop is asked down to 39 at the exchange, and no order has left."""
    await bought(scene)
    await scene.sleep(2)
    await part(scene)
    await scene.wait(lambda: at_exchange(scene)[1:] == (39, 39))
    assert (scene.qty(), scene.intents(Leg.EXIT)) == (49, [])


def test_sigterm_between_cut_and_order_sends_the_order(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await cut(scene)
        began = scene.clock.now()
        await scene.stop()
        assert (scene.clock.now() - began).total_seconds() < 1
        await scene.sleep(1)
        assert at_exchange(scene) == (39, 39, 39)
        await scene.again()
        await scene.sleep(2)
        assert scene.qty() == guarded(scene) == 39

    wired(tmp_path, story, config={"script": LAG})


def test_sigterm_gives_back_what_makes_no_room(tmp_path: Path) -> None:
    """The broker confirms no cut: stop and target are whole again before the process ends."""

    async def story(scene: WireScene) -> None:
        await bought(scene)
        await scene.sleep(2)
        scene.fault("delay", ms=6000, when={"msg": "openOrder"})
        scene.fault("delay", ms=6000, when={"msg": "orderStatus"})
        await part(scene)
        await scene.wait(lambda: at_exchange(scene)[1:] == (39, 39))
        began = scene.clock.now()
        await scene.stop()
        assert (scene.clock.now() - began).total_seconds() < 5
        await scene.sleep(1)
        assert at_exchange(scene) == (49, 49, 49)
        await scene.again()
        await scene.sleep(8)
        assert scene.qty() == guarded(scene) == 39

    wired(tmp_path, story)


def test_sigkill_between_cut_and_order_heals_in_2_s(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await cut(scene)
        await scene.crash()
        await scene.sleep(30)
        assert at_exchange(scene) == (49, 39, 39)
        await scene.again()
        await scene.sleep(2)
        assert at_exchange(scene) == (39, 39, 39)
        assert scene.qty() == guarded(scene) == 39

    wired(tmp_path, story, config={"script": LAG})


def test_an_order_that_ends_meanwhile_is_followed_beside_the_cut_stop(tmp_path: Path) -> None:
    """Requests under way keep a process that was told to end: the broker ends a part's order."""

    async def story(scene: WireScene) -> None:
        await bought(scene)
        await scene.sleep(2)
        share = scene.sim.contract("AAPL")
        async with never_oversold(scene, share):
            scene.fault("partial_fill", fractions=[0.3], when={"msg": "placeOrder", "leg": "entry"})
            await part(scene)
            await scene.wait(lambda: scene.qty() == 46)
            await scene.sleep(5)
            scene.executor.desk.closing_down = True
            (exit_,) = scene.at_broker(scene.intents(Leg.EXIT)[0])
            scene.sim.cancel(exit_.terms.key)
            await scene.sleep(3)
            await scene.stop()
            await scene.sleep(1)
            await scene.again()
            await scene.sleep(2)
        assert at_exchange(scene) == (39, 39, 39)

    wired(tmp_path, story, config={"script": LAG})


def test_a_process_that_lost_its_lease_gives_nothing_back(tmp_path: Path) -> None:
    """By then another process holds the account, and may have sent the part's order."""

    async def story(scene: WireScene) -> None:
        await bought(scene)
        await scene.sleep(2)
        for told in ("openOrder", "orderStatus"):
            scene.fault("delay", ms=60_000, when={"msg": told})
        with sqlite3.connect(tmp_path / "state.db") as other:
            other.execute("UPDATE executor_lease SET token = token + 1, holder = 'another'")
        await part(scene)
        await scene.wait(lambda: scene.executor.ended.done(), within_s=30)
        assert at_exchange(scene) == (49, 39, 39)
        await scene.stop()
        assert at_exchange(scene) == (49, 39, 39)

    wired(tmp_path, story, calm=False)
