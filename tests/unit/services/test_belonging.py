"""A book is one broker's and one account's, and goes on where it ended."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from executors import OPEN, World
from virtual_time import LoopClock, run

from bft.adapters.store.book_glance import last_start
from bft.domain.advice import serve_again
from bft.domain.broker import SessionState
from bft.domain.errors import ForeignStateError
from bft.domain.journal import JournalRow
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


def gateway(account: str, *, clock: str, flags: str = "") -> Route:
    told = route("ib", account)
    return replace(told, clock=clock, flags=flags)


def test_book_of_simulated_time_is_not_left_for_the_machines(tmp_path: Path) -> None:
    async def main() -> None:
        world = World(folder=tmp_path, clock=LoopClock(NOON))
        told = gateway("DU7", clock="gateway", flags="--port 9011")
        await world.start(route=told)
        await world.stop()
        before = world_journal(world)
        world.clock = LoopClock(NOON + timedelta(days=300))
        with pytest.raises(ForeignStateError, match=r"kept by --clock gateway, last at") as caught:
            await world.start(route=gateway("DU7", clock="system"))
        again = "bft serve executor --broker ib --clock gateway --port 9011; or"
        assert again in str(caught.value)
        world.book.close()
        assert world_journal(world) == before
        await world.start(route=told)  # its own goes on
        await world.stop()

    run(main())


def test_machines_clock_may_follow_on_the_same_day(tmp_path: Path) -> None:
    async def main() -> None:
        world = World(folder=tmp_path, clock=LoopClock(NOON))
        await world.start(route=gateway("DU7", clock="gateway"))
        await world.stop()
        await world.start(route=gateway("DU7", clock="system"))
        await world.stop()

    run(main())


def test_look_at_a_book_tells_how_to_start_it_again(tmp_path: Path) -> None:
    async def main() -> None:
        world = World(folder=tmp_path, clock=LoopClock(NOON))
        account = world.new_broker().account
        clock = f"{NOON.isoformat()}"
        told = replace(route("paper", account), clock=clock, flags="--port 9011")
        await world.start(route=told)
        await world.stop()
        newest = world_journal(world)[-1].entry.at.isoformat()
        kept = last_start(f"sqlite:///{tmp_path / 'state.db'}")
        assert serve_again(kept) == f"bft serve executor --clock {newest} --port 9011"

    run(main())


def world_journal(world: World) -> list[JournalRow]:
    book = world.new_book()
    try:
        return list(book.journal())
    finally:
        book.close()
