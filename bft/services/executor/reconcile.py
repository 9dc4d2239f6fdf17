"""Book and broker compared: evidence settles unknown orders, differences fence a symbol.

The ledger changes only through executions or a signed adjustment: an empty or smaller list of the
broker never removes a row. Source: executor specification, sections 3 (evidence) and 6.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import partial

import structlog

from bft.domain import sessions
from bft.domain.broker import BrokerOrder, ExecutionReport, SessionState, Snapshot
from bft.domain.encoding import encode
from bft.domain.errors import BftError, UnavailableError
from bft.domain.orders import REF_PREFIX, Execution, FillSource, Intent, IntentState, TimeInForce
from bft.domain.runs import Json
from bft.ledger import entries
from bft.services.executor.adoption import Adoption
from bft.services.executor.agreement import Word, units
from bft.services.executor.desk import Desk
from bft.services.executor.doubts import WORKING
from bft.services.executor.fencing import fence
from bft.services.executor.hearing import Hearing, same_order
from bft.services.executor.restart import first_restart
from bft.services.executor.splits import Splits
from bft.services.executor.tickers import Tickers

EVERY_S, FULL_EVERY_S = 30.0, 300.0
AGAIN_S = 2.0  # after a look that failed; most waited 10 s for an answer
UNEXPLAINED_S = 10.0  # a difference on two valid snapshots so far apart fences the symbol
NO_EVIDENCE_S = 60.0
UNKNOWN_ORDER = "unknown_order"  # rule of the halt of a symbol with an unknown order
TURN_S = 0.1  # a timer set for a limit fires a little after it
GONE = frozenset({IntentState.ACKED, IntentState.PARTIAL, IntentState.CANCEL_PENDING})

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What was held and worked when the broker was asked; `at` by the desk's timer, seconds."""

    at: float
    intents: dict[str, Intent]
    books: dict[int, Decimal]


class Reconciler:
    """Compares on every way to ARMED, every 30 s, in full every 5 min, and on request."""

    def __init__(self, desk: Desk, hearing: Hearing, splits: Splits, adoption: Adoption) -> None:
        self._desk, self._hearing, self._splits = desk, hearing, splits
        self._adoption, self._tickers = adoption, Tickers(desk)
        self._differs: dict[int, tuple[Decimal, float | None]] = {}
        self._lock = asyncio.Lock()
        self._unknown_since: dict[str, float] = {}
        self._querying: asyncio.Task[None] | None = None
        self._query_executions = self._asked = False

    async def arm(self) -> None:
        """Reconcile in full, then let orders leave."""
        await self.run(full=True, why="session")
        if self._desk.broker.state is SessionState.RECONCILING:
            self._desk.reconciled = True
            self._despair()
            self._desk.broker.arm()
            self._desk.poke()

    async def watch(self) -> None:
        """Reconcile for ever."""
        turn = 0
        while True:
            await asyncio.sleep(EVERY_S)
            turn += 1
            if self._desk.broker.state.may_close:
                full = turn % int(FULL_EVERY_S / EVERY_S) == 0 or any(self._unknown())
                self._desk.spawn(self._timed(full=full), "reconcile")

    async def _timed(self, *, full: bool) -> None:
        try:
            await self.run(full=full, why="timer")
        except BftError:
            self.query(executions=full)

    def query(self, *, executions: bool = False) -> None:
        """Look at the broker's orders soon; many askers share one look."""
        self._query_executions |= executions
        self._asked = True
        if self._querying is None or self._querying.done():
            self._querying = self._desk.spawn(self._look(), "query")

    async def _look(self) -> None:
        """Look until nobody asked after a look began: an answer may be older than a question.

        A look that failed is asked for again: what was asked about may be without a stop. Where
        the session went with it, the way to ARMED looks.
        """
        while self._asked:
            await asyncio.sleep(0)
            full, self._query_executions, self._asked = self._query_executions, False, False
            if not self._desk.broker.state.may_close:
                continue
            try:
                await self.run(full=full or any(self._unknown()), why="query")
            except BftError as error:
                log.warning("executor.look_failed", error=str(error))
                self._query_executions, self._asked = self._query_executions or full, True
                await asyncio.sleep(AGAIN_S)

    async def run(self, *, full: bool, why: str) -> Json:
        """One reconciliation; the result as stored.

        Raises:
            UnavailableError: the broker's answer was not complete; nothing was compared.
        """
        async with self._lock:
            asked = _Asked(
                at=self._desk.timer(),
                intents={i.intent_id: i for i in self._desk.state.live_intents()},
                books=self._books(),
            )
            snapshot = await self._desk.broker.snapshot(full=full)
            if snapshot.epoch != self._desk.broker.epoch:
                raise UnavailableError("the session changed during a reconciliation; asked again")
            if snapshot.account != self._desk.account:
                raise UnavailableError(f"snapshot of account ...{snapshot.account[-3:]}: ignored")
            result = self._compare(snapshot, asked, why=why)
            self._desk.took("reconcile", self._desk.timer() - asked.at)
            return result

    def _compare(self, snapshot: Snapshot, asked: _Asked, *, why: str) -> Json:
        desk, was = self._desk, dict(self._desk.state.intents)
        if self._adoption.take(snapshot):
            self.query(executions=True)
        for told in snapshot.executions or ():
            # one that cannot be booked is told of, and keeps no session from arming
            self._hearing.hear(ExecutionReport(execution=_recovered(told), epoch=snapshot.epoch))
        combined = (o.perm_id for o in snapshot.completed or () if o.contract.sec_type == "BAG")
        desk.combos.update(combined)
        for order in snapshot.open_orders:
            self._listed(order, asked.intents, epoch=snapshot.epoch)
        differences = self._positions(snapshot, asked)
        untouched = {name: old for name, old in asked.intents.items() if was.get(name) is old}
        self._settle(snapshot, untouched)
        self._despair()
        changed = sorted(k for k, now in desk.state.intents.items() if was.get(k) is not now)
        result: Json = {
            "why": why,
            "at": desk.now.isoformat(timespec="seconds"),
            "full": snapshot.completed is not None,
            "epoch": snapshot.epoch,
            "orders": len(snapshot.open_orders),
            "positions": len(snapshot.positions),
            "changed": changed,
            "differences": differences,
            "unknown": [intent.intent_id for intent in self._unknown()],
        }
        settled = bool((self.last or {}).get("differences"))  # what was stored last is over
        if why not in _ROUTINE or changed or differences or settled:
            self._store(snapshot, result)
        desk.poke()
        return result

    def _listed(self, order: BrokerOrder, before: dict[str, Intent], *, epoch: int) -> None:
        """An open order of a list; what changed since it was asked for is newer than the list."""
        intent_id = order.order_ref.removeprefix(REF_PREFIX)
        old = before.get(intent_id)
        if old is None or self._desk.state.intents.get(intent_id) is old:
            self._hearing.order(order, epoch=epoch, listed=old is None)

    def _store(self, snapshot: Snapshot, result: Json) -> None:
        now = self._desk.now
        name = f"{now.isoformat(timespec='milliseconds')}-{snapshot.epoch}-{result['why']}"
        self._desk.note(
            entries.snapshot(now, snapshot_id=name, snapshot=encode(snapshot)),
            entries.reconciliation(now, reconciliation_id=name, result=result),
        )

    # orders

    def _settle(self, snapshot: Snapshot, before: dict[str, Intent]) -> None:
        """What is in no list of open orders ended, or is unknown.

        `before` are orders that nothing was heard of while the lists were on their way.
        """
        listed = {order.order_ref for order in snapshot.open_orders}
        completed = defaultdict(list)
        for order in snapshot.completed or ():
            completed[order.order_ref].append(order)
        whole = snapshot.completed is not None
        for intent_id, old in before.items():
            intent = self._desk.state.intents.get(intent_id, old)
            if intent.state.terminal or intent.order_ref in listed:
                continue
            ended = next((o for o in completed[intent.order_ref] if same_order(intent, o)), None)
            if ended is not None:
                self._completed(intent, ended)
            elif intent.state in GONE:
                self._hearing.move(intent, IntentState.UNKNOWN, "gone without a report")
                self.query(executions=True)
            elif whole and intent.state is IntentState.UNKNOWN:
                self._without_evidence(intent)

    def _completed(self, intent: Intent, order: BrokerOrder) -> None:
        filled = int(order.filled_qty or 0)
        if filled > intent.filled_qty:
            return  # its executions are still to come; the next look asks for them
        if order.status == "Inactive" and not intent.acked_at and not filled:
            self._hearing.move(intent, IntentState.REJECTED, "completed order Inactive")
        elif order.status != "Filled" and order.status not in WORKING - {"Inactive"}:
            if intent.state is IntentState.SENT:
                self._hearing.move(intent, IntentState.UNKNOWN, "completed order")
            self._hearing.move(intent, IntentState.CANCELLED, f"completed order {order.status}")
        elif order.status == "Filled" and filled == intent.filled_qty > 0:
            self._hearing.whole(intent, order)

    def _without_evidence(self, intent: Intent) -> None:
        """Complete lists do not hold it: two proofs of its end are left."""
        parent = self._desk.state.intents.get(intent.parent_id or "")
        dead = parent is not None and parent.state.terminal and not parent.filled_qty
        if dead:
            self._hearing.move(intent, IntentState.CANCELLED, "child of an entry without a fill")
        elif self._day_over(intent) and intent.contract.symbol not in self._desk.disputed:
            self._hearing.move(intent, IntentState.EXPIRED, "no_evidence_day_over")

    def _day_over(self, intent: Intent) -> bool:
        """Whether its day closed, and the lists of this look still tell all of that day."""
        if intent.time_in_force is not TimeInForce.DAY or intent.contract.sec_type == "FUT":
            return False
        closed_at = sessions.close_at(sessions.on_or_before(intent.trading_day))
        forgotten_at = first_restart(closed_at, self._desk.restart_at)
        now = self._desk.now
        return now > closed_at and (forgotten_at is None or now < forgotten_at)

    def _unknown(self) -> Iterable[Intent]:
        live = self._desk.state.live_intents()
        return (intent for intent in live if intent.state is IntentState.UNKNOWN)

    def _despair(self) -> None:
        """An order that no look of sixty armed seconds has settled: the symbol is halted."""
        now, unknown = self._desk.timer(), list(self._unknown())
        since = {i.intent_id: self._unknown_since.get(i.intent_id, now) for i in unknown}
        self._unknown_since = since if self._desk.reconciled else {}
        for intent in unknown:
            if now - since[intent.intent_id] < NO_EVIDENCE_S:
                if since[intent.intent_id] == now:
                    asyncio.get_running_loop().call_later(NO_EVIDENCE_S + TURN_S, self.query)
                continue
            symbol = intent.contract.symbol
            text = f"{intent.order_ref} {symbol} is unknown; bft resolve tells how it is settled"
            fence(self._desk, symbol, rule=UNKNOWN_ORDER, why=text, alert="UnknownOrder")

    # positions

    def _books(self) -> dict[int, Decimal]:
        held = self._desk.state.positions.values()
        return {p.con_id: p.qty for p in held if p.account == self._desk.account}

    def _positions(self, snapshot: Snapshot, asked: _Asked) -> list[Json]:
        desk = self._desk
        told = {p.contract.con_id: p for p in snapshot.positions if p.account == desk.account}
        desk.broker_qty = {con_id: position.qty for con_id, position in told.items()}
        desk.told_names = {con_id: p.contract.symbol for con_id, p in told.items()}
        books = {p.con_id: p for p in desk.state.positions.values() if p.account == desk.account}
        desk.words.clear()
        found = []
        for con_id in sorted(told.keys() | books.keys()):
            broker = told[con_id].qty if con_id in told else Decimal(0)
            book = books[con_id].qty if con_id in books else Decimal(0)
            held = books.get(con_id) or told[con_id]
            if con_id in told:
                self._tickers.check(held.contract, told[con_id].contract.symbol)
            desk.words[con_id] = Word(
                contract=held.contract,
                qty=broker,
                at=snapshot.at,
                books=(asked.books.get(con_id, Decimal(0)), book),
            )
            if broker == book:
                self._differs.pop(con_id, None)
                continue
            symbol = held.contract.symbol
            if self._splits.explains(held.contract, book=book, broker=broker):
                continue
            found.append({"symbol": symbol, "book": units(book), "broker": units(broker)})
            full = snapshot.executions is not None
            text = f"{symbol}: the book holds {units(book)}, the broker {units(broker)}"
            self._unexplained((con_id, symbol, text), broker - book, asked.at if full else None)
        now = frozenset(str(difference["symbol"]) for difference in found)
        desk.disputed = now if snapshot.executions is not None else desk.disputed & now
        return found

    def _unexplained(
        self, what: tuple[int, str, str], difference: Decimal, asked: float | None
    ) -> None:
        """Only looks that brought the executions count; `asked` None: this one did not."""
        con_id, symbol, text = what
        known, since = self._differs.get(con_id, (None, asked))
        if known != difference or since is None:
            self._differs[con_id] = (difference, asked)
            self.query(executions=True)
            again = partial(self.query, executions=True)
            asyncio.get_running_loop().call_later(UNEXPLAINED_S + TURN_S, again)
        elif asked is not None and asked - since >= UNEXPLAINED_S:
            fence(self._desk, symbol, rule="position_mismatch", why=text, alert="PositionMismatch")

    @property
    def last(self) -> Json | None:
        """Result of the newest reconciliation stored."""
        return self._desk.state.reconciliation


_ROUTINE = frozenset({"timer", "query"})
"""Looks of which nothing is stored while everything agrees."""


def _recovered(told: Execution) -> Execution:
    return replace(told, source=FillSource.RECOVERED) if told.source is FillSource.LIVE else told
