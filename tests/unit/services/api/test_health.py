"""What health says beyond yes and no."""

from datetime import timedelta
from pathlib import Path

from api_world import Api
from executors import OPEN, World
from virtual_time import LoopClock, run


def test_entries_of_the_session_are_said_to_open_later(tmp_path: Path) -> None:
    """From 09:30 to 09:35 the window of close-decided entries alone is open."""

    async def main() -> None:
        world = World(folder=tmp_path, clock=LoopClock(OPEN + timedelta(minutes=2)))
        api = Api(world, {"root_id": "0123456789abcdef"})
        await api.up()
        await world.until_armed()
        told = (await api.client.get("/v1/health")).json()
        assert told["may_open"]
        assert told["note"] == "for entries decided at a close; others from Mon 09:35 New York"
        assert told["market_opens"] is None
        assert told["root"] == "0123456789abcdef"
        await world.sleep(200)
        assert (await api.client.get("/v1/health")).json()["note"] == ""
        await api.client.aclose()
        await world.stop()

    run(main())
