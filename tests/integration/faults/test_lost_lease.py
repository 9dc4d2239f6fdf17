"""From the loss of the lease to the end: nothing leaves that the next holder may not expect.

Lost at t = 0 of these stories, the old holder knows nothing of what the new one decides; its
session keeps the new one out of the gateway for as long as it lasts.
"""

import asyncio
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from crossings import could_close, held
from executors import Told, signal, usd
from scenes import Scene, WireScene, bought, guarded, papered, wired
from virtual_time import settle

from bft.domain.errors import UnavailableError
from bft.domain.orders import IntentState, Leg
from bft.services.executor.closing import Selection


def take_away(folder: Path) -> None:
    """The lease becomes another's."""
    with sqlite3.connect(folder / "state.db") as other:
        other.execute("UPDATE executor_lease SET token = token + 1, holder = 'another'")


async def lose(scene: Scene) -> None:
    take_away(scene.folder)
    scene.executor.desk.event("SYSTEM", "INFO", "probe", "a page that is refused")
    await scene.wait(lambda: not scene.executor.desk.lease_held, within_s=6)


def stops(scene: WireScene) -> int:
    """Units that stops at the exchange would sell."""
    return could_close(scene, scene.sim.contract("AAPL"), "SELL", targets=False)


def test_stop_is_left_to_the_next_holder(tmp_path: Path) -> None:
    """A person sells 10 of 49: the old holder leaves the stop as it is, the next one cuts it."""

    async def story(scene: WireScene) -> None:
        await bought(scene)
        await scene.sleep(2)
        await lose(scene)
        scene.fault("manual_order", symbol="AAPL", side="SELL", qty=10, kind="MKT")
        await scene.wait(lambda: scene.executor.ended.done(), within_s=20)
        assert (held(scene, scene.sim.contract("AAPL")), stops(scene)) == (39, 49)
        await scene.stop()
        await scene.again()
        await scene.sleep(2)
        assert scene.qty() == stops(scene) == guarded(scene) == 39

    wired(tmp_path, story)


def test_stop_of_a_position_that_is_gone_is_not_cancelled(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        await scene.sleep(2)
        await lose(scene)
        scene.fault("manual_order", symbol="AAPL", side="SELL", qty=49, kind="MKT")
        await scene.wait(lambda: scene.executor.ended.done(), within_s=20)
        assert (held(scene, scene.sim.contract("AAPL")), stops(scene)) == (0, 49)
        await scene.stop()
        await scene.again()
        await scene.sleep(2)
        assert stops(scene) == 0

    wired(tmp_path, story)


def test_entries_are_cancelled_by_the_kill_switch_still(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        await scene.submit(signal(limit_price_usd=usd("100.50")))
        await scene.wait(lambda: scene.entry().state is IntentState.ACKED, within_s=2)
        await lose(scene)
        scene.executor.killing.latch("api", by="ada")
        await scene.wait(lambda: not scene.at_broker(scene.entry()), within_s=2)

    wired(tmp_path, story, calm=False)


def test_session_ends_when_the_lease_has_ended_and_the_page_is_sent(tmp_path: Path) -> None:
    """Not 15 s later: meanwhile nobody guards, and the next holder finds the client id in use."""

    async def story(scene: Scene) -> None:
        await bought(scene)
        await scene.sleep(3)
        lease = scene.executor.desk.writer.lease
        assert lease is not None
        await lose(scene)
        await scene.wait(lambda: scene.executor.ended.done(), within_s=20)
        assert abs(scene.clock.now() - lease.expires_at) <= timedelta(seconds=0.1)
        await scene.executor.stop()
        assert f"[bft page] LeaseLost: {scene.executor.desk.account}" in [
            subject for subject, _ in scene.told.mails
        ]

    papered(tmp_path, story, calm=False)


class Silent(Told):
    """Takes no mail while `down`."""

    down = True

    def notify(self, subject: str, text: str) -> None:
        if self.down:
            raise UnavailableError("the mail server does not answer")
        super().notify(subject, text)


def test_mails_that_wait_are_left_to_the_next_holder(tmp_path: Path) -> None:
    """It reads them in the book: sent and marked by both, one of them may be lost."""

    async def story(scene: Scene) -> None:
        assert isinstance(scene.told, Silent)
        scene.executor.desk.alert("ExitStuck", "x", "waits")
        await scene.sleep(3)
        waiting = scene.book.pending_outbox(limit=9)
        assert waiting
        await lose(scene)
        scene.told.down = False
        await scene.wait(lambda: scene.executor.ended.done(), within_s=20)
        assert scene.book.pending_outbox(limit=9) == waiting
        assert not [subject for subject, _ in scene.told.mails if "ExitStuck" in subject]

    papered(tmp_path, story, calm=False, told=Silent())


class Remote:
    """A book on a database server: no file lock goes with its lease."""

    def __init__(self, book: Any) -> None:
        self._book = book

    def __getattr__(self, name: str) -> Any:
        return getattr(self._book, name)

    def acquire(self, *args: Any, **given: Any) -> Any:
        return replace(self._book.acquire(*args, **given), locked=False)


class RemoteScene(Scene):
    """A Scene whose book is one, and may not answer (`silent`) or answer `late_s` after the act."""

    silent, late_s = False, 0.0

    def new_book(self) -> Any:
        return Remote(super().new_book())

    async def offload(self, work: Any) -> Any:
        if self.silent:
            await asyncio.Event().wait()
        done = work()
        if self.late_s:
            await asyncio.sleep(self.late_s)
        return done


def test_lease_ends_in_time_when_the_database_is_silent(tmp_path: Path) -> None:
    """No answer, no error: a network that swallows packets. Another may hold it 15 s later."""

    async def story(scene: RemoteScene) -> None:
        await scene.stop()
        await scene.start(offload=scene.offload)
        await scene.until_armed()
        scene.price("AAPL", "100.00")
        await bought(scene)
        await settle()
        scene.silent, began = True, scene.clock.now()
        await scene.wait(lambda: scene.executor.ended.done(), within_s=20)
        assert timedelta(seconds=10) <= scene.clock.now() - began <= timedelta(seconds=15.1)
        assert not scene.executor.desk.lease_held
        scene.silent = False

    papered(tmp_path, story, calm=False, kind=RemoteScene)


def test_exit_committed_before_and_answered_after_the_end_is_not_sent(tmp_path: Path) -> None:
    async def story(scene: RemoteScene) -> None:
        await scene.stop()
        await scene.start(offload=scene.offload)
        await scene.until_armed()
        scene.price("AAPL", "100.00")
        await bought(scene)
        placed, scene.late_s = len(scene.broker.placed), 20.0
        scene.executor.closing.close(Selection(symbols=("AAPL",)))
        await scene.sleep(25)
        assert scene.intents(Leg.EXIT)
        assert not scene.executor.desk.lease_held
        assert len(scene.broker.placed) == placed
        scene.late_s = 0.0

    papered(tmp_path, story, calm=False, kind=RemoteScene)
