"""The executor put together: started, watched, stopped.

Start: lease, live lock, kill latch, markers, then the broker in the background, reconcile, armed.
Source: executor specification, section 1.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Any

from bft.domain.broker import QuoteReport, SessionReport, SessionState
from bft.domain.errors import BftError, RefusedError
from bft.domain.orders import Execution, Intent, IntentState, Leg
from bft.ledger import entries
from bft.ledger.load import load
from bft.ports import BrokerHooks
from bft.risk.overrides import tightened
from bft.services.executor import kill_sources
from bft.services.executor.adoption import Adoption
from bft.services.executor.belonging import check_clock, check_day, check_owner, owner
from bft.services.executor.cancelling import Cancelling
from bft.services.executor.clocks import Skew
from bft.services.executor.closing import Closing
from bft.services.executor.day_close import DayClose
from bft.services.executor.desk import Desk
from bft.services.executor.equity import Equity
from bft.services.executor.facts import Facts
from bft.services.executor.guard import Guard
from bft.services.executor.hearing import Hearing
from bft.services.executor.killing import Killing
from bft.services.executor.leaving import Leaving
from bft.services.executor.lifetimes import Lifetimes
from bft.services.executor.live_lock import check_route, lock_problem, peer_problem
from bft.services.executor.marker import Process, SendMarker
from bft.services.executor.opening import Opening
from bft.services.executor.option_facts import OptionDesk
from bft.services.executor.outbox import Outbox
from bft.services.executor.parts import Parts
from bft.services.executor.peer_clock import sample
from bft.services.executor.reconcile import Reconciler
from bft.services.executor.recovery import recovered, restored, whole
from bft.services.executor.sending import Sender
from bft.services.executor.splits import Splits
from bft.services.executor.tenure import Tenure, acquire
from bft.services.executor.watching import Watching
from bft.services.executor.writer import Writer

REFERENCE_S, SKEW_S, OUTBOX_S, RESERVE_S = 30.0, 15.0, 1.0, 30.0
STOP_S, PRUNE_S = 8.0, 6 * 3600.0
ARM_AGAIN_S = 1.0


class Executor:
    """One executor of one account."""

    def __init__(self, parts: Parts, *, timer: Callable[[], float]) -> None:
        """Take the lease and load the state.

        Raises:
            RefusedError: another executor holds the account, or the live lock says no.
            ForeignStateError: the book is another account's, of another clock, or of a later day.
            DataError: the journal's chain is broken.
            UnavailableError: the database does not answer.
        """
        check_route(parts.route, now=parts.clock.now())
        self._parts = parts
        parts.folder.mkdir(parents=True, exist_ok=True)
        check_owner(parts.book, parts.route)
        lease = acquire(parts)
        last, self._torn = whole(parts.book, at=parts.clock.now())
        try:
            check_clock(parts.book, parts.route, last, now=parts.clock.now())
            check_day(last, now=parts.clock.now())
        except RefusedError:
            parts.book.release(lease)
            raise
        state = load(parts.book, at=last.entry.at if last else None)
        process = Process(boot_id=parts.boot_id, lease_token=lease.token)
        writer = Writer(parts.book, clock=parts.clock, folder=parts.folder, offload=parts.offload)
        writer.lease = lease
        live = parts.route.mode == "live"
        profile, self._looser = tightened(parts.profile, state.overrides, live=live)
        self.desk = Desk(
            route=parts.route,
            folder=parts.folder,
            state=state,
            writer=writer,
            broker=parts.broker,
            clock=parts.clock,
            marker=SendMarker(parts.folder, process),
            profile=profile,
            timer=timer,
            skew=Skew(timer=timer),
            restart_at=parts.restart_at,
            restricted=parts.restricted,
        )
        self.tenure = Tenure(self.desk, parts, self._end)
        writer.on_lease_lost = self.tenure.lost
        self._assemble()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._night_read = asyncio.Event()
        self.desk.fatal = writer.on_bug = self._end

    def _assemble(self) -> None:
        desk = self.desk
        self.sources = kill_sources.KillSources(desk.folder, self._parts.config_map)
        self.sender = Sender(desk)
        self.leaving = Leaving(desk, self.sender)
        self.guard = Guard(desk, self.sender, self.leaving)
        desk.poke, desk.touch = self.guard.poke, self.guard.touch
        self.hearing = Hearing(desk, self)
        self.adoption = Adoption(desk, self.guard)
        splits = Splits(desk, self.guard)
        self.reconciler = Reconciler(desk, self.hearing, splits, self.adoption)
        self.options = OptionDesk(desk, self._parts.load_chains)
        self.facts = Facts(desk, self.guard.covers, self.options)
        self.opening = Opening(desk, self.sender, self.guard, self.facts)
        self.cancelling = Cancelling(desk, self.sender)
        self.closing = Closing(desk, self.cancelling, self.guard, self.leaving)
        self.killing = Killing(desk, self.sender, self.closing, self.sources)
        self.equity = Equity(desk, self.facts, self.closing)
        self.day_close = DayClose(desk, self.guard)
        self.watching = Watching(desk)
        self.hearing.erred = self.watching.erred
        self.lifetimes = Lifetimes(desk, self.sender, self.cancelling)

    # life

    async def start(self) -> None:
        """Settle what the last process left, then watch, and connect in the background."""
        desk = self.desk
        desk.writer.keep_reserve()
        self._settle()
        desk.marker.open()
        if desk.state.kill.latched or self.sources.pulled():
            desk.killed = True
            self.killing.resume()
        for contract in desk.state.contracts.values():
            desk.contracts.setdefault(replace(contract, con_id=0), contract)
        loops: list[tuple[Coroutine[Any, Any, None], str]] = [
            (self.guard.watch(), "guard"),
            (self.reconciler.watch(), "reconcile"),
            (kill_sources.watch(self.sources, self._pulled), "kill sources"),
            (self._every(1.0, self._second), "second"),
            (self.tenure.renew(), "lease"),
            (self._every(RESERVE_S, desk.writer.mend), "reserve"),
            (self._every_async(REFERENCE_S, self.refresh), "reference"),
            (self._every_async(REFERENCE_S, self.options.refresh), "option chains"),
            (self._every_async(SKEW_S, partial(sample, desk)), "clock"),
            (self._every_async(OUTBOX_S, Outbox(desk, self._parts).deliver), "outbox"),
            (self._every_async(PRUNE_S, self._prune), "prune"),
        ]
        for work, name in loops:
            desk.spawn(work, name)
        await desk.broker.start(self._hooks())

    def _settle(self) -> None:
        desk = self.desk
        cut_off = [i for i in desk.state.live_intents() if self._shall_end(i)]
        made = recovered(desk)
        halt = restored(desk, self._parts.book)
        if halt is not None:
            made.append(entries.halt(halt))
            desk.alert("StateRestored", desk.account, halt.reason)
        process = desk.marker.process
        made.append(
            entries.boot(
                desk.now,
                boot_id=process.boot_id,
                lease_token=process.lease_token,
                mode=desk.route.mode,
                account=desk.account,
                owner=owner(broker=desk.route.broker, account=desk.account),
                clock=desk.route.clock,
                flags=desk.route.flags,
            )
        )
        desk.note(*made)
        for intent in cut_off:  # legs are the guard's
            if intent.leg is Leg.ENTRY:
                self.cancelling.cancel(intent, why="restart")
        for name, why in self._looser.items():
            desk.alert("OverrideLooser", name, f"{why}: the setting holds, not the override")
        if self._torn:
            desk.alert("JournalBroken", desk.account, self._torn)

    def _shall_end(self, intent: Intent) -> bool:
        """Whether the last process meant to cancel it: a cancel left, or somebody closed it."""
        cover = self.guard.covers.get(intent.intent_id)
        closed = cover is not None and cover.unwanted is not None
        return closed or intent.state is IntentState.CANCEL_PENDING

    async def stop(self) -> None:
        """Stop opening, finish what is being written, leave protection resting, end."""
        desk = self.desk
        desk.closing_down = True
        await self.guard.drain()
        await self._flush()
        await desk.end_tasks()
        await desk.broker.stop()
        await self._flush()  # what the end of the session left to note
        await self.tenure.end()
        desk.marker.close()

    async def _flush(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S / 2):
                await self.desk.writer.flush()

    # what the broker's reports come to

    def filled(self, intent: Intent, execution: Execution) -> None:
        """Tell people of a fill; the guard counts it in its next turn."""
        side = f"{execution.side} {execution.qty} {execution.contract.symbol}"
        self.desk.event(
            "TRADE", "INFO", "fill", f"{side} at {execution.price_usd}", intent=intent.intent_id
        )

    def foreign_fill(self, execution: Execution) -> None:
        """Tell people that somebody else traded on this account."""
        side = f"{execution.side} {execution.qty} {execution.contract.symbol}"
        self.desk.alert(
            "ForeignOrder", execution.base_id, f"{side} at {execution.price_usd}, not by bft"
        )

    def stranger(self, order_ref: str, what: str) -> None:
        """An order of ours that state does not hold: halt, and look at all of them.

        Once for each news of it: what a look cannot adopt is in the next list again.
        """
        if self.adoption.halt(order_ref, what):
            self.query(executions=True)

    def session(self, report: SessionReport) -> None:
        """Reconcile on the way to ARMED; tell what a report notes."""
        self.watching.noted(report)
        if report.state is SessionState.RECONCILING:
            self.desk.spawn(self._arm(), "arm")
        if report.state in {SessionState.DOWN, SessionState.LOST}:
            self.desk.skew.clear()

    async def _arm(self) -> None:
        self._follow_held()
        try:
            await sample(self.desk)
            self._check_peer()
            await self._night_read.wait()  # else rule 7 would deny for good what is only unread
            await self.reconciler.arm()
            self.equity.turn()
        except BftError as error:  # a refused question too: nothing else asks it again
            await asyncio.sleep(ARM_AGAIN_S)  # it may come at once, and again: no tight loop
            if self.desk.broker.state is SessionState.RECONCILING:
                self.desk.broker.resync(str(error))

    def _follow_held(self) -> None:
        """Hear quotes of all that is held or may fill, whoever bought it and in which life."""
        covers = self.guard.covers.values()
        held = [position.contract for position in self.desk.state.positions.values()]
        for contract in (*held, *(cover.contract for cover in covers)):
            self.desk.watch(contract)
        self.options.follow(covers)

    def _check_peer(self) -> None:
        """Never trade live with a peer that says it is a simulator, whenever it says so."""
        values = self.desk.broker.account_values()
        problem = peer_problem(self.desk.route, account_type=values.account_type if values else "")
        if problem and problem != self.desk.lock_broken:
            self.desk.lock_broken = problem
            self.desk.alert("LiveLockBroken", self.desk.account, problem)
            self.desk.spawn(self.desk.broker.stop(), "wrong peer")

    def query(self, *, executions: bool = False) -> None:
        """Look at the broker's orders soon."""
        self.reconciler.query(executions=executions)

    def quoted(self, report: QuoteReport) -> None:
        """A price: for waiters, for the bars of the day, for the options judged by it."""
        self.desk.heard_quote(report.quote.contract.con_id)
        self.day_close.quoted(report.quote)
        self.guard.quoted(report.quote.contract.con_id)

    # loops

    def _hooks(self) -> BrokerHooks:
        return BrokerHooks(
            report=self.hearing.hear,
            next_epoch=self._next_epoch,
            id_floor=self._id_floor,
            id_acknowledged=self._id_acknowledged,
            close_usd=self.desk.close_usd,
        )

    def _next_epoch(self) -> int:
        number = self.desk.state.epoch + 1
        self.desk.note(entries.epoch(self.desk.now, number=number))
        return number

    def _id_floor(self) -> int:
        return self.desk.state.order_ids.get(self.desk.broker.client_id, 0) + 1

    def _id_acknowledged(self) -> int:
        client = self.desk.broker.client_id
        told = (o for o in self.desk.state.orders.values() if o.client_id == client)
        return max((order.order_id for order in told if order.broker_status), default=0)

    def _pulled(self, source: str) -> None:
        self.killing.latch(source, by=source)

    def _second(self) -> None:
        """What is looked at each second."""
        desk = self.desk
        problem = lock_problem(desk.route, now=desk.now)
        if problem and not desk.lock_broken:
            desk.lock_broken = problem
            desk.alert("LiveLockBroken", desk.account, problem)
        self.watching.turn()
        desk.tell_held()
        self._check_peer()
        self.cancelling.turn()
        if desk.broker.state.may_close:
            self._follow_held()
            desk.unwatch_idle()
            self.equity.turn()
            self.day_close.turn()
            self.closing.turn()
            self.lifetimes.turn()
        if not desk.writer.writable:
            desk.alert("StateNotWritable", "state", desk.writer.problem or "")
        if not desk.state.live_intents():
            desk.marker.drop_earlier()

    async def refresh(self) -> None:
        """Read the night's facts again; a fault leaves the old ones, which age."""
        held = frozenset(p.contract.symbol for p in self.desk.state.positions.values())
        try:
            self.desk.reference = await self._parts.load_reference(held)
        finally:
            self._night_read.set()

    async def _prune(self) -> None:
        """Forget answered keys, delivered notifications and snapshots that are old enough."""
        now = self.desk.now
        await self._parts.offload(lambda: self._parts.book.prune(now=now))

    async def _aside(self, work: Callable[[], object]) -> None:
        await self._parts.slow(work)

    def _end(self, why: str) -> None:
        if not self.ended.done():
            self.ended.set_result(why)

    async def _every(self, period_s: float, turn: Callable[[], None]) -> None:
        while True:
            self.desk.withstand(turn, "second")
            await asyncio.sleep(period_s)

    async def _every_async(self, period_s: float, turn: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await turn()
            except BftError as error:
                self.desk.event("ERROR", "WARNING", "loop", str(error))
            await asyncio.sleep(period_s)
