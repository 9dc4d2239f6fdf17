"""Executors that die and come back, on paper or at the simulated gateway, and what must hold then.

The invariants are those of executor specification, section 12.
"""

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from crashes import Gate, GatedBook, GatedBroker, Point
from executors import OPEN, World, signal, usd
from virtual_time import LoopClock, run, settle

from bft.adapters.broker.ib import Ib, IbSettings
from bft.domain.orders import REF_PREFIX, Intent, IntentState, Leg
from bft.ledger.verify import compare
from bft.ports import Broker
from bft.services.executor.executor import Executor
from bft.services.executor.live_lock import Route
from bft.services.executor.protection import is_live
from bft.sim.gateway.config import GatewayConfig
from bft.sim.gateway.gateway import GatewaySim

ACCOUNT = "DU0000001"
START_AT = OPEN + timedelta(minutes=6)
ENDED = frozenset({"Filled", "Cancelled", "ApiCancelled", "Inactive"})
logging.getLogger("ib_async").setLevel(logging.CRITICAL + 1)


@dataclass
class Scene(World):
    """A World whose process may die at a point, and whose disk may fill."""

    gate: Gate = field(default_factory=Gate)
    past: list[Gate] = field(default_factory=list)
    refs: Counter[str] = field(default_factory=Counter)  # orders ever sent, by reference
    forgotten: bool = False  # the broker has dropped a day's fills: what they moved is fenced

    async def start(self, **changes: Any) -> Executor:
        self.past.append(self.gate)  # tasks of the dead wait there for ever
        self.gate = Gate()
        return await super().start(**{"offload": self.gate.offload, **changes})

    def new_broker(self) -> Any:
        return GatedBroker(self.real_broker(), self.gate)

    def real_broker(self) -> Broker:
        return super().new_broker()

    def new_book(self) -> Any:
        return GatedBook(super().new_book(), self.gate)

    def remember(self) -> None:
        """Count what this life sent, before it is forgotten."""
        self.refs.update(order.order_ref for order in self.broker.placed)
        self.broker.placed.clear()

    async def crash(self) -> None:
        self.gate.kill()
        self.remember()
        await super().crash()

    async def again(self, **changes: Any) -> None:
        """Another process on the same disk, armed."""
        await self.start(**changes)
        await self.until_armed()

    async def rearmed(self, within_s: float = 90.0) -> None:
        """The session is reconciled and armed, whatever else forbids opening."""
        await self.wait(lambda: self.executor.desk.reconciled, within_s=within_s)
        await self.wait(lambda: self.executor.desk.broker.state == "ARMED", within_s=within_s)

    async def die_at(
        self, point: Point, *, nth: int = 1, work: Awaitable[Any] | None = None
    ) -> None:
        """Run into the point, then be gone."""
        self.gate.trap = (point, nth)
        task = asyncio.ensure_future(work) if work is not None else None
        async with asyncio.timeout(120):
            await self.gate.died.wait()
        await self.crash()
        if task is not None:
            task.cancel()
            with suppress(BaseException):
                await task

    # what must hold

    async def problems(self) -> list[str]:
        """Every broken invariant, in words; the session must be settled."""
        snapshot = await self.broker.snapshot(full=True)
        found = [*self._doubles(snapshot), *self._books(snapshot), *self._protection(snapshot)]
        found += self._fills(snapshot)
        ended = self.executor.ended
        found += [f"ended: {ended.result()}"] if ended.done() else []
        return found

    async def stored_problems(self) -> list[str]:
        """The same of what is on disk: decisions, the chain, tables as the journal gives them."""
        await self.executor.desk.writer.flush()
        found = self._decisions()
        rows = [row.entry for row in self.book.journal()]
        found += [str(d) for d in compare(rows, lambda table: self.book.rows(table))]
        self.book.verify_chain()
        return found

    def _doubles(self, snapshot: Any) -> list[str]:
        """I-a, and no order sent twice in all lives."""
        live = Counter(
            o.order_ref for o in snapshot.open_orders if o.order_ref.startswith(REF_PREFIX)
        )
        sent = self.refs + Counter(order.order_ref for order in self.broker.placed)
        twice = [f"I-a: {ref} is live {n} times" for ref, n in live.items() if n > 1]
        known = {intent.order_ref for intent in self.executor.desk.state.intents.values()}
        strange = [f"I-a: {ref} is live, not in state" for ref in live if ref not in known]
        return (
            twice
            + strange
            + [f"duplicate: {ref} sent {n} times" for ref, n in sent.items() if n > 1]
        )

    def _books(self, snapshot: Any) -> list[str]:
        """I-b."""
        broker = {p.contract.symbol: p.qty for p in snapshot.positions if p.qty}
        held = self.executor.desk.state.positions.values()
        book = {p.contract.symbol: p.qty for p in held if p.qty}
        differ = {s for s in broker.keys() | book.keys() if broker.get(s) != book.get(s)}
        differ -= self._fenced()
        return [f"I-b: {differ} of book {book}, broker {broker}"] if differ else []

    def _fenced(self) -> set[str]:
        """Symbols whose difference no execution can explain any more; a person must look."""
        halts = self.executor.desk.state.active_halts(self.executor.desk.now)
        return {h.key for h in halts if h.rule == "position_mismatch" and self.forgotten}

    def _protection(self, snapshot: Any) -> list[str]:
        """I-c: stops that live at the broker hold just what the covers hold."""
        wanted = Counter[str]()
        for cover in self.executor.guard.covers.values():
            wanted[cover.contract.symbol] += cover.open_qty
        stops = Counter[str]()
        for order in snapshot.open_orders:
            ours = order.order_ref.startswith(REF_PREFIX) and order.order_type.startswith("STP")
            if ours and "child" not in order.why_held:
                stops[order.contract.symbol] += int(order.qty - (order.filled_qty or 0))
        return [
            f"I-c: {symbol} {wanted[symbol]} open, stops for {stops[symbol]}"
            for symbol in sorted(wanted.keys() | stops.keys())
            if wanted[symbol] != stops[symbol] and symbol not in self._fenced()
        ]

    def _decisions(self) -> list[str]:
        """I-d: each entry has its stored, complete, allowing decision."""
        decided = {row["signal_id"]: row for row in self.book.rows("decisions") if row["allowed"]}
        found = []
        for intent in self.executor.desk.state.intents.values():
            if intent.leg is not Leg.ENTRY:
                continue
            row = decided.get(intent.signal_id)
            if row is None or len(row["body"]["rules"]) != 32 or not row["context"]:
                found.append(f"I-d: entry {intent.intent_id} without a complete decision")
        return found

    def _fills(self, snapshot: Any) -> list[str]:
        """No fill lost, none booked to another order."""
        booked = self.executor.desk.state.executions
        found = []
        for told in snapshot.executions or ():
            mine = booked.get(told.exec_id)
            if mine is None:
                found.append(f"lost: {told.exec_id} {told.side} {told.qty}")
            elif told.order_ref.startswith(REF_PREFIX) and (
                mine.intent_id != told.order_ref.removeprefix(REF_PREFIX)
            ):
                found.append(f"misattributed: {told.exec_id} to {mine.intent_id}")
        return found

    async def calm(self, within_s: float = 60.0) -> None:
        """Wait until nothing is wrong, then be sure that it stays so."""
        end = self.clock.now() + timedelta(seconds=within_s)
        while found := await self.problems():
            assert self.clock.now() < end, found
            await self.sleep(0.5)
        assert await self.stored_problems() == []

    def journal(self) -> list[str]:
        """The journal's hashes: equal hashes are equal bytes."""
        return [row.hash for row in self.book.journal()]


@dataclass
class WireScene(Scene):
    """A Scene at the gateway simulator, through the adapter and the real client library."""

    config: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    sim: GatewaySim = field(init=False)

    async def serve(self, port: int = 0) -> None:
        """Start the gateway; again on the same port after `sim.stop()`."""
        given = {"prices": "control", "accounts": (ACCOUNT,), "cash_usd": Decimal(100_000)}
        given |= {"state": self.folder / "gateway", "port": port, "reset_at": None, **self.config}
        self.sim = GatewaySim(GatewayConfig(**given), clock=self._now)
        await self.sim.start()

    def _now(self) -> datetime:
        return self.clock.now()

    async def start(self, **changes: Any) -> Executor:
        route = Route(mode="paper", account=ACCOUNT, broker="ib", profile="equities")
        return await super().start(**{"route": route, **changes})

    def real_broker(self) -> Broker:
        given = {"host": "127.0.0.1", "port": self.sim.port, "account": ACCOUNT, **self.settings}
        return Ib(IbSettings(**given), clock=self.clock, rng=random.Random(7))

    def price(
        self, symbol: str, bid: object, ask: object | None = None, size: int = 10_000
    ) -> None:
        low = usd(bid)
        high = usd(ask) if ask is not None else low + usd("0.02")
        self.sim.tick(symbol, bid=low, ask=high, last=low, bid_size=size, ask_size=size)

    def fault(self, word: str, **params: Any) -> None:
        self.sim.fault(word, **params)

    def cut(self) -> None:
        """Close every socket of the gateway."""
        self.sim.board.abort_all()

    def at_broker(self, intent: Intent) -> list[Any]:
        """Orders of that reference that live at the gateway."""
        live = self.sim.exchange.books.live()
        return [order for order in live if order.terms.order_ref == intent.order_ref]


def wired(
    folder: Path,
    story: Callable[[WireScene], Awaitable[None]],
    *,
    at: datetime = START_AT,
    calm: bool = True,
    kind: type[WireScene] = WireScene,
    **given: Any,
) -> None:
    """Run a story at a gateway, armed, AAPL at 100.00 to 100.02; the invariants hold at its end."""

    async def main() -> None:
        scene = kind(folder=folder, clock=LoopClock(at), **given)
        await scene.serve()
        try:
            scene.price("AAPL", "100.00")
            await scene.start()
            await scene.until_armed()
            await story(scene)
            if calm:
                await scene.rearmed()
                await scene.calm()
            await scene.stop()
        finally:
            await settle()
            await scene.sim.stop()

    run(main())


def papered(
    folder: Path,
    story: Callable[[Scene], Awaitable[None]],
    *,
    at: datetime = START_AT,
    calm: bool = True,
    kind: type[Scene] = Scene,
    **given: Any,
) -> None:
    """The same with the paper broker."""

    async def main() -> None:
        scene = kind(folder=folder, clock=LoopClock(at), **given)
        await scene.start()
        await scene.until_armed()
        scene.price("AAPL", "100.00")
        await story(scene)
        if calm:
            await scene.rearmed()
            await scene.calm()
        await scene.stop()

    run(main())


async def bought(scene: Scene, **changes: Any) -> Intent:
    """A signal became a filled, protected position; its entry."""
    opened = await scene.submit(signal(**changes))
    assert opened.decision.allowed, opened.decision.detail
    assert opened.lapsed is None
    state = scene.executor.desk.state
    entry = state.intents[opened.intent_id or ""]
    await scene.wait(lambda: state.intents[entry.intent_id].state is IntentState.FILLED, within_s=5)
    symbol = entry.contract.symbol
    await scene.wait(lambda: guarded(scene, symbol) == scene.qty(symbol) > 0, within_s=5)
    return state.intents[entry.intent_id]


def guarded(scene: World, symbol: str = "AAPL") -> int:
    """Units of a symbol that live stops would close."""
    stops = (leg for leg in scene.intents(Leg.STOP) if leg.contract.symbol == symbol)
    return sum(leg.remaining_qty for leg in stops if is_live(leg))
