"""A limit set at run time, and settings that are tighter than it at the next start, in live."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from executors import OPEN, World, usd
from virtual_time import LoopClock, run

from bft.risk.profiles import EQUITIES, Profile
from bft.services.executor.api.controls import override
from bft.services.executor.api.problems import Problem
from bft.services.executor.live_lock import Route


def live(folder: Path, now: Any) -> Route:
    lock = folder / "lock.toml"
    expires = (now + timedelta(days=30)).isoformat()
    lock.write_text(f'mode="live"\naccount="U1234567"\nby="ada"\nexpires={expires}\n')
    return Route(
        mode="live",
        account="U1234567",
        broker="ib",
        profile="equities",
        lock_file=lock,
        port=4001,
    )


async def set_limits(world: World, configured: Profile, changes: dict[str, object]) -> None:
    service: Any = SimpleNamespace(desk=world.executor.desk, configured=configured, live=True)
    await override(service, changes, by="ada")


def test_setting_tighter_than_a_stored_override_holds_and_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        world = World(folder=tmp_path, clock=LoopClock(OPEN))
        route = live(tmp_path, world.clock.now())
        await world.start(route=route)
        limits = {"daily_loss_cap_usd": "4000", "max_trades_per_day": 2}
        await set_limits(world, EQUITIES, limits)
        await world.stop()
        tight = replace(EQUITIES, daily_loss_cap_usd=usd(3000))
        await world.start(route=route, profile=tight)
        desk = world.executor.desk
        assert desk.profile.daily_loss_cap_usd == usd(3000)
        assert desk.profile.max_entries_per_day == 2
        assert "OverrideLooser" in world.alerts()
        with pytest.raises(Problem, match="looser"):
            await set_limits(world, tight, {"daily_loss_cap_usd": "3500"})
        await set_limits(world, tight, {"max_trades_per_day": 1})  # the stored cap is not asked for
        found = desk.profile
        assert (found.daily_loss_cap_usd, found.max_entries_per_day) == (usd(3000), 1)
        await world.stop()

    run(main())


def test_override_that_is_tighter_still_holds_quietly(tmp_path: Path) -> None:
    async def main() -> None:
        world = World(folder=tmp_path, clock=LoopClock(OPEN))
        route = live(tmp_path, world.clock.now())
        await world.start(route=route)
        await set_limits(world, EQUITIES, {"daily_loss_cap_usd": "2000"})
        await world.stop()
        await world.start(route=route, profile=replace(EQUITIES, daily_loss_cap_usd=usd(3000)))
        assert world.executor.desk.profile.daily_loss_cap_usd == usd(2000)
        assert "OverrideLooser" not in world.alerts()
        await world.stop()

    run(main())
