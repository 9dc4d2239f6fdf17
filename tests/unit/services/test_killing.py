"""The kill switch: latched first, stored with what it asks for, cleared by nobody but a person."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from books import AT, CALL, booked, bracket_orders, fill
from desk_cases import Case, bought, case
from virtual_time import run

from bft import exits
from bft.domain.alerts import FLATTENS
from bft.domain.errors import RefusedError
from bft.domain.journal import Entry
from bft.domain.orders import Intent, IntentState
from bft.ledger import entries
from bft.services.executor.closing import Closing
from bft.services.executor.guard import Guard
from bft.services.executor.kill_sources import KillSources
from bft.services.executor.killing import Killing
from bft.services.executor.leaving import Leave


class Sender:
    """Notes what is cancelled."""

    def __init__(self) -> None:
        self.cancelled: list[str] = []

    async def cancel(self, intent: Intent, *, why: str) -> None:
        self.cancelled.append(f"{intent.leg} {intent.contract.symbol} {why}")


class Leaving:
    """Notes what has to leave."""

    def __init__(self) -> None:
        self.leaves: list[Leave] = []

    def leave(self, wanted: Leave) -> None:
        self.leaves.append(wanted)


class Switch:
    """A kill switch on a desk; `folder` is where its file lies."""

    def __init__(self, folder: Path, *told: Entry) -> None:
        self.case: Case = case(*told)
        self.sender, self.folder = Sender(), folder
        self.sources = KillSources(folder, folder / "map")
        self.leaving = Leaving()
        self.guard = Guard(self.case.desk, None, self.leaving)  # type: ignore[arg-type]
        closing = Closing(self.case.desk, self.sender, self.guard, self.leaving)  # type: ignore[arg-type]
        self.killing = Killing(self.case.desk, self.sender, closing, self.sources)  # type: ignore[arg-type]

    @property
    def kill(self) -> Any:
        return self.case.desk.state.kill


def working(signal: str, **given: Any) -> list[Entry]:
    legs = bracket_orders(signal, **given)
    return [
        entries.intents(AT, intents=legs, facts=None),
        entries.sent(AT, intent_ids=[leg.intent_id for leg in legs]),
    ]


def test_latch_is_in_memory_and_in_the_journal_at_once(tmp_path: Path) -> None:
    async def story() -> None:
        switch = Switch(tmp_path)
        switch.killing.latch("api", by="ada", reason="enough")
        assert switch.case.desk.may_open() == "kill switch"
        (told,) = switch.case.told("kill")
        assert told.body == {"source": "api", "by": "ada", "reason": "enough", "flatten": False}
        switch.killing.latch("api", by="bob")
        assert len(switch.case.told("kill")) == 1
        assert switch.case.alerts() == ["KillLatched"]

    run(story())


@pytest.mark.parametrize("first", [True, False])
def test_flatten_is_stored_whenever_it_is_asked_for(tmp_path: Path, first: bool) -> None:
    async def story() -> None:
        switch = Switch(tmp_path)
        switch.killing.latch("api", by="ada", flatten=first)
        switch.killing.latch("api", by="ada", flatten=True)
        switch.killing.latch("file", by="file")
        assert (switch.kill.flatten, switch.kill.generation) == (True, 1)
        pages = [page.body for page in switch.case.told("alert")]
        closing = [page["details"]["key"] for page in pages if FLATTENS in page["message"]]
        assert closing == (["api, flatten", "file, flatten"])
        switch.killing.clear(by="ada", generation=1)
        assert not switch.kill.flatten

    run(story())


def test_every_possibly_live_entry_is_cancelled_until_it_is_over(tmp_path: Path) -> None:
    """Protection of what is held stays, and so do orders that were never sent."""

    async def story() -> None:
        unsure = bracket_orders("s3", order_id=30, contract=CALL)[0].intent_id
        lost = entries.moved(AT, intent_id=unsure, state=IntentState.UNKNOWN, evidence="")
        reserved = entries.intents(AT, intents=bracket_orders("s4", order_id=40), facts=None)
        told = [*bought("s1")[0], *working("s2", order_id=20)]
        told += [*working("s3", order_id=30, contract=CALL), lost, reserved]
        switch = Switch(tmp_path, *told)
        switch.killing.latch("api", by="ada")
        await asyncio.sleep(0.1)
        wanted = ["entry AAPL kill", f"entry {CALL.symbol} kill"]
        assert switch.sender.cancelled == wanted
        switch.case.wait(seconds=2)
        await asyncio.sleep(2)
        assert switch.sender.cancelled == wanted * 2

    run(story())


def test_entry_adopted_while_the_switch_is_latched_is_cancelled_within_a_second(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        switch = Switch(tmp_path)
        switch.killing.latch("api", by="ada")
        await asyncio.sleep(5)
        switch.case.desk.note(*working("s1"))
        await asyncio.sleep(1.1)
        assert switch.sender.cancelled == ["entry AAPL kill"]

    run(story())


def test_switch_pulled_again_cancels_at_once(tmp_path: Path) -> None:
    """Also what opened between the clear and the second pull, while the loop was asleep."""

    async def story() -> None:
        switch = Switch(tmp_path, *working("s0"))
        switch.killing.latch("api", by="ada")
        await asyncio.sleep(0.1)
        switch.killing.clear(by="ada", generation=1)
        switch.case.desk.note(*working("s1", order_id=20, contract=CALL))
        await asyncio.sleep(0.1)
        assert switch.sender.cancelled == ["entry AAPL kill"]
        switch.killing.latch("api", by="ada")
        await asyncio.sleep(0.05)
        assert f"entry {CALL.symbol} kill" in switch.sender.cancelled

    run(story())


def test_flatten_of_an_earlier_process_closes_covers_and_units_without_one(tmp_path: Path) -> None:
    async def story() -> None:
        told, cover = bought("s1")
        by_hand = booked(fill(None, 40, "100", id="m.01"))
        kill = entries.kill(AT, source="api", by="ada", reason="", flatten=True)
        switch = Switch(tmp_path, *told, by_hand, kill)
        switch.case.desk.killed = True
        switch.killing.resume()
        await asyncio.sleep(0.1)
        state = switch.guard.covers[cover.entry].state
        assert state is not None
        assert state.scheduled is exits.Reason.RISK
        assert [(leave.parent_id, leave.qty) for leave in switch.leaving.leaves] == [(None, 40)]

    run(story())


@pytest.mark.parametrize("source", ["file", "configmap", "garbage", "signal"])
def test_every_source_must_be_clear(tmp_path: Path, source: str) -> None:
    async def story() -> None:
        switch = Switch(tmp_path)
        (tmp_path / "map").mkdir()
        place = tmp_path / ("KILL" if source == "file" else "map/KILL")
        if source == "signal":
            switch.sources.signalled = True
        else:
            place.write_bytes(b"\xff\xfe" if source == "garbage" else b"now")
        switch.killing.latch(str(switch.sources.pulled()), by="x")
        with pytest.raises(RefusedError, match="generation"):
            switch.killing.clear(by="ada", generation=2)
        if source != "signal":
            with pytest.raises(RefusedError, match="still says kill"):
                switch.killing.clear(by="ada", generation=1)
            place.write_text("") if source != "file" else place.unlink()
        switch.killing.clear(by="ada", generation=1)
        assert not switch.case.desk.killed
        assert not switch.kill.latched

    run(story())


def test_clearing_with_another_generation_changes_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        switch = Switch(tmp_path)
        switch.sources.signalled = True
        switch.killing.latch("signal", by="x")
        with pytest.raises(RefusedError):
            switch.killing.clear(by="ada", generation=0)
        assert switch.case.desk.killed
        assert switch.sources.pulled() == "signal"

    run(story())
