"""What health says beyond yes and no."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from api_world import Api, armed
from executors import OPEN, World, signal
from virtual_time import LoopClock, run

from bft.risk.profiles import EQUITIES


def test_entries_of_the_session_are_said_to_open_later(tmp_path: Path) -> None:
    """From 09:30 to 09:35 the window of close-decided entries alone is open."""

    async def main() -> None:
        world = World(folder=tmp_path, clock=LoopClock(OPEN + timedelta(minutes=2)))
        api = Api(world, {"root_id": "0123456789abcdef"})
        await api.up()
        await world.until_armed()
        told = (await api.client.get("/v1/health")).json()
        assert told["may_open"]
        assert told["note"] == "to entries decided at a close; others from Mon 09:35 New York"
        assert told["market_opens"] is None
        assert told["root"] == "0123456789abcdef"
        await world.sleep(200)
        assert (await api.client.get("/v1/health")).json()["note"] == ""
        await api.client.aclose()
        await world.stop()

    run(main())


def test_limit_of_the_day_that_is_used_up_is_told_before_it_denies(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        assert (await api.client.get("/v1/health")).json()["may_open"]
        await api.world.submit(signal())
        await api.world.wait(lambda: api.world.protected() == api.world.qty() > 0)
        api.world.price("MSFT", "100.00")
        told = (await api.client.get("/v1/health")).json()
        assert (told["may_open"], told["reasons"]) == (False, ["entries today, 1 of 1 (rule 20)"])
        denied = await api.world.submit(signal("MSFT"))
        assert denied.decision.reason == "daily_trades"
        ready = await api.client.get("/v1/health/ready")
        assert (ready.status_code, ready.json()["may_open"]) == (200, False)

    armed(tmp_path, then, profile=replace(EQUITIES, max_entries_per_day=1))
