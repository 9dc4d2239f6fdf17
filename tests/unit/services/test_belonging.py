"""A book is one broker's and one account's, and goes on where it ended."""

from datetime import timedelta
from pathlib import Path

import pytest
from executors import OPEN, World
from virtual_time import LoopClock, run

from bft.domain.broker import SessionState
from bft.domain.errors import ForeignStateError
from bft.ledger.verify import compare
from bft.services.executor.live_lock import Route

NOON = OPEN + timedelta(hours=2)


def route(broker: str, account: str) -> Route:
    return Route(mode="paper", account=account, broker=broker, profile="equities", port=4002)


def test_book_refuses_another_broker_and_another_account(tmp_path: Path) -> None:
    async def main() -> None:
        world = World(folder=tmp_path, clock=LoopClock(NOON))
        await world.start()
        own = world.broker.account
        await world.stop()
        for broker, account in (("ib", "DU7"), ("paper", "DU7")):
            with pytest.raises(ForeignStateError, match=f"paper, account {own}, not of {broker}"):
                await world.start(route=route(broker, account))
            world.book.close()
        await world.start()  # its own goes on
        told = {row["name"]: row["value"] for row in world.book.rows("counters")}
        assert (told["owner"], told["clock"]) == (f"paper, account {own}", "system")
        assert compare((r.entry for r in world.book.journal()), world.book.rows) == []
        await world.stop()

    run(main())


def test_clock_of_an_earlier_day_is_refused_and_the_lease_left(tmp_path: Path) -> None:
    async def main() -> None:
        world = World(folder=tmp_path, clock=LoopClock(NOON))
        await world.start()
        await world.stop()
        world.clock = LoopClock(NOON - timedelta(days=3))
        with pytest.raises(ForeignStateError, match="earlier trading day") as caught:
            await world.start()
        assert f"{NOON:%Y-%m-%d}" in str(caught.value)
        assert f"{NOON - timedelta(days=3):%Y-%m-%d}" in str(caught.value)
        world.book.close()
        world.clock = LoopClock(OPEN)  # an earlier hour of the same day counts on
        await world.start()
        assert world.executor.desk.broker.state is not SessionState.DOWN
        await world.stop()

    run(main())
