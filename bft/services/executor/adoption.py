"""Orders of ours that state does not hold, because an older state was restored: taken back.

A bracket is adopted where its entry shows in the broker's lists: as an open or completed order, or
as executions. The ledger then changes through those executions, the guard protects what they left.
Legs whose entry shows nowhere are left to rest: nothing tells what they protect.
Source: executor specification, sections 3 and 6 (`StateRestored`).
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from bft.domain.broker import BrokerOrder, Snapshot
from bft.domain.journal import Entry
from bft.domain.orders import (
    REF_PREFIX,
    Contract,
    Execution,
    Intent,
    IntentState,
    Leg,
    OrderType,
    Side,
    TimeInForce,
)
from bft.domain.trading import Direction, ExitPolicy
from bft.domain.trading_days import trading_day
from bft.ledger import entries
from bft.ledger.records import TradeFacts
from bft.services.executor.brackets import next_attempt
from bft.services.executor.covers import Cover, to_bracket
from bft.services.executor.desk import Desk
from bft.services.executor.guard import Guard
from bft.services.executor.recovery import restored_halt

STRATEGY = "adopted"
POLICY = ExitPolicy(target_frac=None)  # its stop holds where no stop of the bracket is left
TYPES = {
    "MKT": OrderType.MARKET,
    "LMT": OrderType.LIMIT,
    "STP": OrderType.STOP,
    "STP LMT": OrderType.STOP_LIMIT,
}


@dataclass(slots=True)
class Stranger:
    """What the broker says about one reference: an order, whether it is open, fills."""

    intent_id: str
    order: BrokerOrder | None = None
    is_open: bool = False
    fills: list[Execution] = field(default_factory=list)

    @property
    def entry_id(self) -> str | None:
        """The entry whose group it is in; None: it is in none."""
        group = self.order.oca_group if self.order else ""
        return group.removeprefix(REF_PREFIX) if group.startswith(REF_PREFIX) else None

    @property
    def contract(self) -> Contract:
        """What it trades."""
        return self.order.contract if self.order else self.fills[0].contract

    @property
    def side(self) -> Side:
        """Which way it trades."""
        return self.order.side if self.order else self.fills[0].side

    @property
    def qty(self) -> int:
        """Units ordered; of an order nobody lists any more those that filled."""
        return int(self.order.qty) if self.order else sum(told.qty for told in self.fills)


class Adoption:
    """Adopts what a look at the broker brings, and halts the account."""

    def __init__(self, desk: Desk, guard: Guard) -> None:
        self._desk, self._guard = desk, guard
        self._known: set[tuple[str, str]] = set()

    def halt(self, order_ref: str, what: str) -> bool:
        """Nothing opens until an admin has looked; tell people. Tell whether this is news.

        What rests on unexplained is in every list: a person who resumed has seen it.
        """
        news = (order_ref, what) not in self._known
        self._known.add((order_ref, what))
        held = {halt.rule for halt in self._desk.state.active_halts(self._desk.now)}
        if news and "state_restored" not in held:
            self._desk.note(entries.halt(restored_halt(self._desk, f"{order_ref} ({what})")))
        self._desk.alert("StateRestored", order_ref, f"{order_ref}: {what}, not in state")
        return news

    def take(self, snapshot: Snapshot) -> bool:
        """Adopt what this look explains, before its fills are booked; tell whether anything was."""
        if snapshot.completed is None or snapshot.executions is None:
            return False
        found = self._strangers(snapshot)
        for told in found.values():
            self.halt(f"{REF_PREFIX}{told.intent_id}", _words(told))
        legs = defaultdict[str, list[Stranger]](list)
        for told in found.values():
            if told.entry_id is not None:
                legs[told.entry_id].append(told)
        held = {p.contract.con_id: p.qty for p in snapshot.positions}
        before = set(self._desk.state.intents)
        for told in found.values():
            self._alone(told, legs, held.get(told.contract.con_id, Decimal(0)))
        for entry_id, mine in legs.items():
            self._legs(entry_id, [leg for leg in mine if leg.intent_id not in before])
        return self._desk.state.intents.keys() != before

    def _strangers(self, snapshot: Snapshot) -> dict[str, Stranger]:
        found: dict[str, Stranger] = {}
        for order, is_open in _orders(snapshot):
            told = self._of(found, order.order_ref, order.account)
            if told is not None and not told.is_open:
                told.order, told.is_open = order, is_open
        for execution in _newest(snapshot.executions or ()):
            told = self._of(found, execution.order_ref, execution.account)
            if told is not None and self._is_news(execution):
                told.fills.append(execution)
        return {name: told for name, told in found.items() if _whole(told)}

    def _is_news(self, told: Execution) -> bool:
        """No order of ours has it: new, or booked by hand; not one that memory let go."""
        state = self._desk.state
        known = told.exec_id in state.executions or told.base_id in state.forgotten
        return not known or told.exec_id in state.unmatched

    def _of(self, found: dict[str, Stranger], ref: str, account: str) -> Stranger | None:
        """The stranger of that reference; None for what state holds and for others' orders."""
        intent_id = ref.removeprefix(REF_PREFIX)
        ours = ref.startswith(REF_PREFIX) and account == self._desk.account
        if not ours or intent_id in self._desk.state.intents:
            return None
        return found.setdefault(intent_id, Stranger(intent_id))

    def _alone(self, told: Stranger, legs: Mapping[str, Sequence[Stranger]], held: Decimal) -> None:
        """One in no group: an entry, or against the position an exit that no bracket held."""
        if told.entry_id is not None:
            return
        if told.intent_id in legs or told.side.sign * held >= 0:
            self._entry(told, legs.get(told.intent_id, ()))
        else:
            self._begin(told, self._intent(told, Leg.EXIT, f"{STRATEGY}:{told.intent_id}"))

    def _entry(self, told: Stranger, legs: Sequence[Stranger]) -> None:
        entry = self._intent(told, Leg.ENTRY, f"{STRATEGY}:{told.intent_id}")
        stop, target = _level(legs, Leg.STOP), _level(legs, Leg.TARGET)
        cover = self._cover(entry, told, stop, target)
        facts = TradeFacts(
            stop_price_usd=stop,
            target_price_usd=target,
            notes="adopted from the broker: an older state was restored",
            profile=self._desk.profile.name,
            simulated=self._desk.broker.simulated,
        )
        self._begin(
            told,
            entry,
            entries.bracket(to_bracket(cover, at=self._desk.now, closed=False)),
            facts=facts,
        )
        self._guard.plan(cover)
        self._desk.watch(entry.contract)

    def _cover(
        self, entry: Intent, told: Stranger, stop: Decimal | None, target: Decimal | None
    ) -> Cover:
        row = self._desk.reference.row(entry.contract.symbol)
        return Cover(
            entry=entry.intent_id,
            account=entry.account,
            contract=entry.contract,
            direction=Direction.LONG if entry.side is Side.BUY else Direction.SHORT,
            policy=POLICY,
            strategy_id=STRATEGY,
            opened_at=min((fill.at for fill in told.fills), default=self._desk.now),
            atr_usd=row.atr_14_usd if row else None,
            stop_usd=stop,
            target_usd=target,
        )

    def _legs(self, entry_id: str, legs: Sequence[Stranger]) -> None:
        """Closing orders of an entry that state holds, or holds again."""
        entry = self._desk.state.intents.get(entry_id)
        if entry is None:
            return
        for told in legs:
            kind = _leg_of(told)
            made = replace(
                self._intent(told, kind, entry.signal_id),
                parent_id=entry_id,
                oca_group=f"{REF_PREFIX}{entry_id}",
                strategy_id=entry.strategy_id,
                attempt=next_attempt(self._desk, entry.signal_id, entry.contract, kind),
            )
            self._begin(told, made)

    def _intent(self, told: Stranger, leg: Leg, signal_id: str) -> Intent:
        order, desk = told.order, self._desk
        at = min((fill.at for fill in told.fills), default=desk.now)
        made = Intent(
            intent_id=told.intent_id,
            signal_id=signal_id,
            account=desk.account,
            contract=told.contract,
            side=told.side,
            leg=leg,
            trading_day=trading_day(at, sec_type=told.contract.sec_type),
            attempt=0,
            qty=told.qty,
            order_type=TYPES[order.order_type] if order else OrderType.MARKET,
            limit_price_usd=order.limit_price_usd if order else None,
            stop_price_usd=order.stop_price_usd if order else None,
            time_in_force=TimeInForce.DAY if leg is Leg.ENTRY else TimeInForce.GTC,
            mode=desk.route.mode,
            strategy_id=STRATEGY,
            reason=STRATEGY,
        )
        if order is None or not order.order_id or order.client_id != desk.broker.client_id:
            return made
        return replace(
            made,
            epoch=desk.broker.epoch,
            client_id=order.client_id,
            order_id=order.order_id,
        )

    def _begin(
        self, told: Stranger, made: Intent, *more: Entry, facts: TradeFacts | None = None
    ) -> None:
        """It left once; where it stands now its lists and fills tell, read right after this.

        Fills that were booked as nobody's, heard before this look, are its own from here on: they
        may have told already where it stands.
        """
        desk, name = self._desk, made.intent_id
        with desk.together():
            desk.note(entries.intents(desk.now, intents=[made], facts=facts), *more)
            if told.is_open:
                desk.note(entries.sent(desk.now, intent_ids=[name]))
            elif desk.state.intents[name].state is IntentState.RESERVED:
                evidence = "adopted: state was restored"
                desk.note(
                    entries.moved(
                        desk.now, intent_id=name, state=IntentState.UNKNOWN, evidence=evidence
                    )
                )


def adopted(row: Mapping[str, object]) -> bool:
    """Whether the row of an entry is one that was taken back: nobody could know its decision."""
    return row["signal_id"] == f"{STRATEGY}:{row['intent_id']}"


def _orders(snapshot: Snapshot) -> Iterator[tuple[BrokerOrder, bool]]:
    """Open orders first: they say more than completed ones."""
    yield from ((order, True) for order in snapshot.open_orders)
    yield from ((order, False) for order in snapshot.completed or ())


def _newest(told: Sequence[Execution]) -> list[Execution]:
    """Of each fill the highest revision."""
    found: dict[str, Execution] = {}
    for execution in told:
        old = found.get(execution.base_id)
        if old is None or execution.revision > old.revision:
            found[execution.base_id] = execution
    return list(found.values())


def _whole(told: Stranger) -> bool:
    """It still matters (open, or fills nobody has), and can be an order of ours."""
    if not told.is_open and not told.fills:
        return False
    known = told.order is None or told.order.order_type in TYPES
    sides = {told.side, *(fill.side for fill in told.fills)}
    return known and told.qty > 0 and len(sides) == 1


def _leg_of(told: Stranger) -> Leg:
    """What a closing order of a bracket is, by its type."""
    kind = told.order.order_type if told.order else "MKT"
    return Leg.STOP if kind.startswith("STP") else Leg.TARGET if kind == "LMT" else Leg.EXIT


def _level(legs: Sequence[Stranger], kind: Leg) -> Decimal | None:
    """Price at which the live leg of that kind rests."""
    for told in legs:
        if told.order is not None and told.is_open and _leg_of(told) is kind:
            order = told.order
            return order.stop_price_usd if kind is Leg.STOP else order.limit_price_usd
    return None


def _words(told: Stranger) -> str:
    where = "open order" if told.is_open else "completed order" if told.order else "executions"
    return f"{where}, {told.side} {told.qty} {told.contract.symbol}"
