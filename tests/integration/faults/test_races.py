"""What happens to an order while a message about it still waits for leave or for the disk."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from crashes import Gate, GatedBroker
from executors import World, signal, usd
from scenes import Scene, papered
from virtual_time import settle

from bft.adapters.broker.paper import Paper, PaperLog, PaperSettings, Prices, ib_fixed
from bft.domain.broker import Priority
from bft.domain.errors import UnavailableError
from bft.domain.orders import Contract, IntentState, Leg
from bft.services.executor.closing import Selection
from bft.services.executor.opening import KeyClaim, Opened

RESTING = {"limit_price_usd": usd("100.50")}


class Queue:
    """A broker whose leave to amend can be held back, as a pacer with others before it does."""

    def __init__(self, broker: Any) -> None:
        self._broker = broker
        self.free = asyncio.Event()
        self.free.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    async def send_token(self, priority: Priority) -> None:
        if priority is Priority.AMEND:
            await self.free.wait()
        await self._broker.send_token(priority)


def queued(world: World) -> Any:
    return Queue(
        Paper(
            PaperLog(world.folder / "paper.jsonl", sync=lambda _: None),
            clock=world.clock,
            prices=Prices(),
            fee=ib_fixed,
            settings=PaperSettings(seed=1, latency_s=(0.0, 0.0)),
        )
    )


async def held_back(scene: Scene, meanwhile: Callable[[], None], **change: Any) -> None:
    """Amend the entry; while leave is awaited something happens."""
    scene.broker.free.clear()
    entry = scene.entry()
    terms = {"remaining": entry.remaining_qty, "price_usd": usd("100.60"), **change}
    waiting = asyncio.ensure_future(scene.executor.sender.amend(entry, **terms))
    await settle()
    meanwhile()
    await settle()
    scene.broker.free.set()
    await waiting
    await scene.sleep(0.2)


async def rested(scene: Scene) -> int:
    """An entry rests at the broker; its units."""
    scene.price("AAPL", "101.00")
    opened = await scene.submit(signal(**RESTING))
    assert opened.decision.allowed, opened.decision.detail
    await scene.wait(lambda: scene.entry().state is IntentState.ACKED, within_s=2)
    return scene.entry().qty


def test_amended_entry_never_grows_by_what_filled_meanwhile(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        qty = await rested(scene)
        await held_back(scene, lambda: scene.price("AAPL", "100.40", "100.45", size=20))
        assert scene.entry().filled_qty == 20
        assert scene.entry().qty == qty
        scene.price("AAPL", "100.40", "100.45")
        await scene.sleep(2)
        assert scene.qty() == qty

    papered(tmp_path, story, make_broker=queued)


def test_entry_is_not_moved_once_the_kill_switch_is_pulled(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await rested(scene)

        def pull() -> None:
            scene.executor.desk.killed = True

        await held_back(scene, pull)
        assert scene.entry().limit_price_usd == usd("100.50")
        scene.executor.desk.killed = False

    papered(tmp_path, story, make_broker=queued)


class Disk(Gate):
    """A gate whose work can be held back, and let go piece by piece in its order."""

    def __init__(self) -> None:
        super().__init__()
        self.busy = False
        self.waiting: list[asyncio.Event] = []

    async def offload(self, work: Any) -> Any:
        if self.busy:
            self.waiting.append(asyncio.Event())
            await self.waiting[-1].wait()
        return await super().offload(work)

    def free(self) -> None:
        self.busy = False
        for event in self.waiting:
            event.set()


async def held_opening(scene: Scene) -> tuple[Disk, "asyncio.Future[Opened]"]:
    """An order whose commitment waits for the disk."""
    disk = Disk()
    await scene.stop()
    await scene.start(offload=disk.offload)
    await scene.until_armed()
    scene.price("AAPL", "100.00")
    disk.busy = True
    opening = asyncio.ensure_future(scene.submit(signal()))
    await scene.wait(lambda: bool(scene.intents(Leg.ENTRY)), within_s=3)
    assert scene.entry().state is IntentState.RESERVED
    return disk, opening


def test_order_cancelled_before_it_was_sent_is_never_sent(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        disk, opening = await held_opening(scene)
        await scene.executor.sender.cancel(scene.entry(), why="a person")
        disk.free()
        opened = await opening
        await scene.sleep(2)
        assert opened.lapsed
        assert {intent.state for intent in scene.intents()} == {IntentState.LAPSED}
        assert scene.broker.placed == []
        assert scene.executor.guard.covers == {}

    papered(tmp_path, story)


def test_nothing_opens_on_a_lease_that_ran_out_while_the_disk_was_busy(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        disk, opening = await held_opening(scene)
        await scene.sleep(16)  # the lease lives for 15 s, its renewal waits for the disk, too
        scene.price("AAPL", "100.00")
        disk.waiting[0].set()
        opened = await opening
        assert opened.lapsed
        assert scene.broker.placed == []
        disk.free()

    papered(tmp_path, story)


class Torn(Queue):
    """A broker whose connection breaks between two legs, without a word of its own."""

    def place(self, orders: Any) -> None:
        self._broker.place(orders[:1])
        raise ConnectionError("Not connected")


def test_order_of_which_only_a_part_was_written_is_unknown(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        with pytest.raises(ConnectionError):
            await scene.submit(signal())
        assert {intent.state for intent in scene.intents()} == {IntentState.UNKNOWN}

    papered(tmp_path, story, calm=False, make_broker=lambda world: Torn(queued(world)))


class Deaf:
    """A broker that does not hear the first cancel."""

    def __init__(self, broker: Any) -> None:
        self._broker, self.heard = broker, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def cancel(self, order_id: int) -> None:
        self.heard += 1
        if self.heard > 1:
            self._broker.cancel(order_id)


def deaf(world: World) -> Any:
    return Deaf(queued(world))


def test_entry_whose_cancel_was_lost_ends_all_the_same(tmp_path: Path) -> None:
    """No answer in 10 s: unknown; then found working: the wish to close stands."""

    async def story(scene: Scene) -> None:
        await rested(scene)
        scene.executor.closing.close(Selection(symbols=("AAPL",)))
        await scene.wait(lambda: scene.entry().state is IntentState.CANCEL_PENDING, within_s=1)
        await scene.wait(lambda: scene.entry().state is IntentState.CANCELLED, within_s=60)

    papered(tmp_path, story, make_broker=deaf)


def test_cancel_that_a_crash_cut_off_goes_on(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await rested(scene)
        scene.executor.closing.close(Selection(symbols=("AAPL",)))
        await scene.wait(lambda: scene.entry().state is IntentState.CANCEL_PENDING, within_s=1)
        await scene.crash()
        scene.make_broker = queued
        await scene.start()
        await scene.wait(lambda: scene.entry().state is IntentState.CANCELLED, within_s=60)

    papered(tmp_path, story, make_broker=deaf)


class DeafBroker(GatedBroker):
    """Calls itself armed, and does not answer the calls named in `deaf`."""

    deaf = ""

    async def contract(self, wanted: Contract) -> Contract:
        self._heard("contract")
        return await self._broker.contract(wanted)

    async def send_token(self, priority: Priority) -> None:
        self._heard("send_token")
        await self._broker.send_token(priority)

    def _heard(self, what: str) -> None:
        if self.deaf == what:
            raise UnavailableError(f"{what}: no answer")


class DeafScene(Scene):
    def new_broker(self) -> DeafBroker:
        return DeafBroker(self.real_broker(), self.gate)


@pytest.mark.parametrize("call", ["contract", "send_token"])
def test_broker_that_does_not_answer_denies_for_now(tmp_path: Path, call: str) -> None:
    """A moment's silence must not cost the signal: it is posted again, and its key is free."""

    async def story(scene: DeafScene) -> None:
        scene.price("MSFT", "100.00")
        scene.broker.deaf = call
        claim = KeyClaim(key="k", subject="ada", request_hash="h")
        denied = (await scene.submit(signal("MSFT"), claim)).decision
        assert (denied.allowed, denied.reason, denied.http_code) == (False, "not_armed", 503)
        assert denied.transient
        scene.broker.deaf = ""
        scene.price("MSFT", "100.00")
        assert (await scene.submit(signal("MSFT"), claim)).intent_id
        await scene.sleep(3)

    papered(tmp_path, story, kind=DeafScene)
