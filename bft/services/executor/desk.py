"""What every part of the executor shares; touched on the loop's thread only."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog

from bft.domain.broker import Quote, SessionState
from bft.domain.errors import BftError, DataError, RefusedError
from bft.domain.instruments import Links, links_of, names_of
from bft.domain.journal import Entry, RowChange
from bft.domain.orders import Contract, Intent
from bft.domain.trading import Instrument
from bft.domain.trading_days import trading_day
from bft.ledger import entries
from bft.ledger.fold import apply
from bft.ledger.records import Halt
from bft.ledger.state import BookState
from bft.ports import Broker, Claim, Clock, Page
from bft.risk.profiles import Profile
from bft.services.executor.agreement import Difference, Word, differences, pending_splits
from bft.services.executor.alerts import Alert, Passage, Severity, Throttle
from bft.services.executor.clocks import Skew
from bft.services.executor.contracts import name_of
from bft.services.executor.live_lock import Route, lock_problem
from bft.services.executor.marker import SendMarker
from bft.services.executor.reference import Reference, Split
from bft.services.executor.writer import Writer

HEARTBEAT_S = 10.0  # an older beat of the monitor blocks entries
IDLE_S = 30.0  # quotes nobody has needed for so long are given back: a gateway has 100 lines

log = structlog.get_logger()


@dataclass(slots=True)
class Desk:
    """State, ports and facts of one executor.

    `killed` is the latch in memory, set before anything is stored. `reconciled` is true from the
    end of a reconciliation until the session is lost. `beat` is the monitor's last turn by
    `timer`, seconds; `heard_on` the day of the newest signal. `broker_qty` is what the newest
    valid snapshot said, by con id, `words` what the broker said since, too; `disputed` symbols in
    which the snapshot, with its executions, and the book differ: nothing opens there until they
    agree or a person resumes; `told_names` are symbols of positions as the broker spells them, by
    con id. `combos` are permIds of orders that combine contracts. `fatal` ends
    the process: what memory holds may not be what the book holds. `took` hears how long things
    take, in seconds: commit, send, reconcile, monitor_loop; `heard_code` each code of the broker.
    """

    route: Route
    folder: Path
    state: BookState
    writer: Writer
    broker: Broker
    clock: Clock
    marker: SendMarker
    profile: Profile
    timer: Callable[[], float]
    skew: Skew
    reference: Reference = field(default_factory=Reference)
    restricted: frozenset[str] = frozenset()
    restart_at: time | None = None
    killed: bool = False
    closing_down: bool = False
    reconciled: bool = False
    lock_broken: str | None = None
    heard_on: date | None = None
    beat: float | None = None
    contracts: dict[Contract, Contract] = field(default_factory=dict)
    combos: set[int] = field(default_factory=set)
    broker_qty: dict[int, Decimal] = field(default_factory=dict)
    words: dict[int, Word] = field(default_factory=dict)
    disputed: frozenset[str] = frozenset()
    told_names: dict[int, str] = field(default_factory=dict)
    _links: tuple[Reference, Links] | None = None
    throttle: Throttle = field(default_factory=Throttle)
    poke: Callable[[], None] = lambda: None
    touch: Callable[[int], None] = lambda _con_id: None
    fatal: Callable[[str], None] = lambda _reason: None
    took: Callable[[str, float], None] = lambda _what, _seconds: None
    heard_code: Callable[[int], None] = lambda _code: None
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)
    _quoted: dict[int, asyncio.Event] = field(default_factory=dict)
    _watched: dict[int, tuple[Contract, float]] = field(default_factory=dict)
    _joins: bool | None = None  # inside `together`: whether a page is there to join

    @property
    def account(self) -> str:
        """The one account orders are for."""
        return self.route.account

    @property
    def now(self) -> datetime:
        """The executor's clock."""
        return self.clock.now()

    def differences(self) -> list[Difference]:
        """By what book and broker differ now, as far as the broker's newest word tells.

        What a split explains exactly that the next look takes over is no difference.
        """
        return list(differences(self.words, self.state, self.account, self.pending_splits))

    def pending_splits(self, con_id: int) -> list[Split]:
        """Confirmed splits of a held contract that the book does not have yet."""
        held = self.state.positions.get((self.account, con_id))
        if held is None:
            return []
        made, today = self.state.adjustments, self.now.date()
        splits = self.reference.splits_of(held.contract.symbol)
        return pending_splits(splits, held, made, today)

    @property
    def trading_day(self) -> date:
        """The day whose limits count now."""
        return self.day_of(self.now)

    def day_of(self, at: datetime) -> date:
        """The trading day of an instant: that of futures where the profile trades them."""
        futures = Instrument.FUTURE in self.profile.instruments
        return trading_day(at, sec_type="FUT" if futures else "STK")

    @property
    def lease_held(self) -> bool:
        """This process may open."""
        return self.writer.lease is not None

    def note(self, *items: Entry, gives_up: bool = False) -> "asyncio.Future[None]":
        """Fold entries and queue them as one page; the future ends when they are durable.

        Raises:
            DataError: an entry does not fit the state. The first one: nothing was noted; a later
                one: memory is ahead of the book, and the process ends.
        """
        rows = self._folded(items)
        claims = [_claimed(item) for item in items if item.kind == "claim"]
        page = Page(entries=items, rows=rows, claims=claims)
        return self._submit(page, gives_up=gives_up)

    def _folded(self, items: Sequence[Entry]) -> list[RowChange]:
        """The rows of entries, each folded into memory; what raises half way ends the process."""
        rows: list[RowChange] = []
        for number, item in enumerate(items):
            try:
                rows += apply(self.state, item)
            except Exception as error:
                if number or not isinstance(error, DataError):
                    self._torn(error)
                raise
        return rows

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is noted inside is durable as a whole or not at all; nothing inside may wait.

        What raises after something was noted ends the process: memory holds a part of it.
        """
        self._joins = False
        try:
            yield
        except Exception as error:
            if self._joins:
                self._torn(error)
            raise
        finally:
            self._joins = None

    def _torn(self, error: Exception) -> None:
        """Memory holds a part of what belongs together: no book shall, and the process ends."""
        log.error("executor.torn", error=repr(error))
        why = f"memory holds a part of what belongs together: {error!r}"
        self.closing_down = True
        self.writer.end(RefusedError(f"{why}; nothing is written any more"))
        self.fatal(why)

    def _submit(self, page: Page, *, gives_up: bool = False) -> "asyncio.Future[None]":
        joins = bool(self._joins)
        if self._joins is not None:
            self._joins = True
        return self.writer.submit(page, gives_up=gives_up, joins=joins)

    def event(self, kind: str, severity: str, name: str, message: str, **details: object) -> None:
        """Store something people may read; `kind` and `severity` as in section 13."""
        made = entries.event(
            self.now, kind=kind, severity=severity, name=name, message=message, details=details
        )
        self.note(made)

    def alert(self, name: str, key: str, text: str) -> None:
        """Tell a person, unless the same was told within 300 s or too much was told already."""
        told = Alert(name=name, key=key, text=text, at=self.now)
        passage = self.throttle.passes(told, self.timer())
        if passage is not Passage.DROPPED:
            self._tell(told, sent=passage is Passage.SENT)

    def tell_held(self) -> None:
        """Tell in one line which alerts were too many to be told, once there is room again."""
        text = self.throttle.summary(self.timer())
        if text is not None:
            self._tell(Alert(name="AlertsHeld", key=self.account, text=text, at=self.now))

    def _tell(self, told: Alert, *, sent: bool = True) -> None:
        name, key, text = told.name, told.key, told.text
        log.warning("executor.alert", alert=name, key=key, text=text)
        level = {Severity.PAGE: "CRITICAL", Severity.WARN: "WARNING", Severity.INFO: "INFO"}
        made = entries.alert(
            told.at, severity=level[told.severity], name=name, key=key, message=text
        )
        rows = self._folded([made])
        mail = {"name": name, "key": key, "severity": told.severity.value, "text": text}
        mail["at"] = told.at.isoformat()
        self._submit(Page(entries=(made,), rows=rows, outbox=(mail,) if sent else ()))

    def spawn(self, work: Coroutine[Any, Any, Any], what: str) -> "asyncio.Task[Any]":
        """Run beside everything else; a fault bft understands is logged, a bug ends the process."""
        task = asyncio.create_task(self._guarded(work, what))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        task.add_done_callback(lambda _: work.close())  # cancelled before it began
        return task

    async def end_tasks(self) -> None:
        """Cancel what runs beside, and wait until it has ended."""
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _guarded(self, work: Coroutine[Any, Any, Any], what: str) -> None:
        try:
            await work
        except BftError as error:
            log.warning("executor.task_failed", task=what, error=str(error))
        except Exception as error:
            log.exception("executor.bug", task=what)
            self.fatal(f"bug in {what}: {error!r}")

    def withstand(self, turn: Callable[[], None], what: str) -> bool:
        """One turn of a loop that must not end; a fault bft understands is kept as an event."""
        try:
            turn()
        except BftError as error:
            log.warning("executor.turn_failed", turn=what, error=str(error))
            self.event("ERROR", "ERROR", "turn", f"{what}: {error}")
            return False
        return True

    def may_open(self) -> str | None:
        """Why no opening order may leave in this very tick, or None: the fences."""
        if self.killed or self.state.kill.latched:
            return "kill switch"
        if not self.lease_held or self.closing_down:
            return "lease lost" if not self.lease_held else "shutting down"
        if self.broker.state is not SessionState.ARMED or not self.reconciled:
            return f"session {self.broker.state}"
        self.lock_broken = self.lock_broken or lock_problem(self.route, now=self.now)
        return self.lock_broken

    def halts_all(self, halt: Halt) -> bool:
        """Whether a halt refuses every entry: that of the account, or of a profile in use."""
        if halt.scope == "profile":
            return self.profile.shares(halt.key)
        return halt.scope == "account" and halt.key == self.account

    def aliases(self, name: str, contract: Contract | None = None) -> frozenset[str]:
        """Every name of what `name` is; `contract` is what the broker takes it for, where known."""
        seen: list[tuple[int, str]] = [*self.told_names.items()]
        held = [position.contract for position in self.state.positions.values()]
        held += [intent.contract for intent in self.state.live_intents()]
        if contract is not None:
            line = self.state.lines.get((self.account, contract.con_id))
            held += [contract, line.contract] if line else [contract]
        seen += ((each.con_id, each.symbol) for each in held)
        return names_of(name, told=seen, links=self.links())

    def links(self) -> Links:
        """What the night's renamings bind; made once a night, for it is asked for at each quote."""
        night = self.reference
        if self._links is None or self._links[0] is not night:
            self._links = night, links_of(night.renames, listed=night.universe)
        return self._links[1]

    def halted(self, intent: Intent) -> str | None:
        """The halt that forbids this opening order, or None."""
        contract = intent.contract
        roots = self.aliases(contract.symbol, contract)
        symbols = roots | self.aliases(name_of(contract), contract)
        places = {("strategy", intent.strategy_id), *(("symbol", name) for name in symbols)}
        held = (
            halt
            for halt in self.state.active_halts(self.now)
            if (halt.scope, halt.key) in places or self.halts_all(halt)
        )
        found = next(held, None)
        if found is None and not roots.isdisjoint(self.disputed):
            return f"book and broker differ in {contract.symbol}"
        return f"halt {found.halt_id}: {found.reason}" if found else None

    def watch(self, contract: Contract) -> None:
        """Hear quotes of a contract for `IDLE_S`; what is held is asked for each second."""
        self._watched[contract.con_id] = (contract, self.timer())
        self.broker.watch(contract)

    def unwatch_idle(self) -> None:
        """Give back the lines of contracts that nobody asked for lately."""
        for con_id, (contract, asked) in list(self._watched.items()):
            if self.timer() - asked > IDLE_S:
                del self._watched[con_id]
                self.broker.unwatch(contract)

    async def next_quote(self, con_id: int) -> None:
        """Wait until another quote of the contract arrives."""
        heard = self._quoted.setdefault(con_id, asyncio.Event())
        heard.clear()
        await heard.wait()

    def heard_quote(self, con_id: int) -> None:
        """A quote of the contract arrived."""
        self._quoted.setdefault(con_id, asyncio.Event()).set()

    def quote(self, contract: Contract) -> Quote | None:
        """Newest quote of a contract."""
        return self.broker.quote(contract)

    def close_usd(self, contract: Contract) -> Decimal | None:
        """Last close of gold, which knows shares alone: of a future it may have a namesake.

        None is told once a split has taken effect since: it is a price of other units.
        """
        row = self.reference.row(contract.symbol)
        if row is None or row.bar is None or contract.sec_type != "STK":
            return None
        split = self.reference.action_open(contract.symbol, self.trading_day)
        return None if split else row.bar.close_usd


def _claimed(item: Entry) -> Claim:
    """The row of an idempotency key, in the transaction of what it protects."""
    body = item.body
    return Claim(
        key=body["key"],
        subject=body["subject"],
        request_hash=body["request_hash"],
        at=item.at,
        intent_id=body["intent_id"],
    )
