"""Entries that rest for too long: moved on fresh prices only, cancelled whatever befell them."""

from dataclasses import replace
from pathlib import Path

import pytest
from crashes import Point
from executors import World, armed, signal, usd
from scenes import Scene, papered
from virtual_time import run

from bft.domain.orders import IntentState
from bft.risk.profiles import EQUITIES
from bft.services.executor.fencing import fence

PROFILE = replace(EQUITIES, lifetime_s=60, reprice_after_s=20, reprice_spread_frac=usd("0.5"))


async def rested(world: World) -> None:
    world.price("AAPL", "101.00", "101.10")
    await world.submit(signal(limit_price_usd=usd("100.50")))
    await world.wait(lambda: world.entry().state is IntentState.ACKED, within_s=2)


def test_entry_moves_once_to_the_mid_and_a_part_of_the_spread(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await rested(world)
        await world.sleep(19)
        world.price("AAPL", "100.60", "100.80")
        await world.sleep(2)
        assert world.entry().limit_price_usd == usd("100.80")
        await world.wait(lambda: world.entry().state is IntentState.FILLED, within_s=2)

    run(armed(tmp_path, story, profile=PROFILE))


@pytest.mark.parametrize("what", ["stale", "halted", "fenced"])
def test_entry_is_not_moved(tmp_path: Path, what: str) -> None:
    async def story(world: World) -> None:
        await rested(world)
        await world.sleep(18)
        if what != "stale":
            world.price("AAPL", "100.60", "100.80")
        if what == "halted":
            world.executor.desk.killed = True
        if what == "fenced":
            fence(world.executor.desk, "AAPL", rule="test", why="test", alert="PositionMismatch")
        await world.sleep(3)
        assert world.entry().limit_price_usd == usd("100.50")
        world.executor.desk.killed = False

    run(armed(tmp_path, story, profile=PROFILE))


def test_entry_found_again_after_a_crash_ends_with_its_lifetime(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        scene.price("AAPL", "101.00", "101.10")
        order = signal(limit_price_usd=usd("100.50"))
        await scene.die_at(Point.AFTER_SEND, work=scene.submit(order))
        await scene.again()
        scene.price("AAPL", "101.00", "101.10")
        await scene.wait(lambda: scene.entry().state is IntentState.ACKED, within_s=5)
        await scene.sleep(65)
        assert scene.entry().state is IntentState.CANCELLED

    papered(tmp_path, story, profile=replace(EQUITIES, lifetime_s=60))
