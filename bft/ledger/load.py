"""The state from the tables: what a replay of the whole journal would hold in memory."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time
from decimal import Decimal
from typing import Any, Protocol

from bft.domain.encoding import decode, instant_text
from bft.domain.journal import AtLeast
from bft.domain.orders import Contract, Execution, Intent, IntentState, Leg
from bft.domain.sessions import NEW_YORK
from bft.ledger.effects import BARE_CLOSE
from bft.ledger.fold_fills import adjustment_event, counting, execution_event
from bft.ledger.limits import closed_place
from bft.ledger.lots import Line, LineEvent
from bft.ledger.records import (
    Adjustment,
    BareClose,
    Booked,
    BookEvent,
    BookOrder,
    Bracket,
    Cooldown,
    Halt,
    Kill,
    Limits,
    Lot,
    Position,
    Trade,
)
from bft.ledger.state import KEPT, KEPT_EVENTS, BookState, LineKey
from bft.ledger.trim import controls, release

_NEVER = datetime.max.replace(tzinfo=UTC)
LIVE = [state.value for state in IntentState if not state.terminal]


class Rows(Protocol):
    """What is asked of the book's tables."""

    def rows(
        self,
        table: str,
        *,
        where: Mapping[str, object] | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[dict[str, Any]]:
        """Rows of a table."""

    def distinct(
        self, table: str, column: str, *, where: Mapping[str, object] | None = None
    ) -> list[Any]:
        """Values of a column."""


def load(book: Rows, *, at: datetime | None) -> BookState:
    """The state after the journal's newest entry, which was written at `at` (None: empty)."""
    state = BookState()
    if at is None:
        return state
    state.day = at.astimezone(NEW_YORK).date()
    cut = datetime.combine(state.day, time(), UTC) - KEPT
    _controls(state, book, cut)
    _orders(state, book, cut)
    _fills(state, book, cut)
    _lines(state)
    _trades(state, book, cut)
    release(state, before=cut)
    controls(state, cut, at)
    return state


def _controls(state: BookState, book: Rows, cut: datetime) -> None:
    counters = {row["name"]: row["value"] for row in book.rows("counters")}
    state.boot_id, state.mode = counters.get("boot_id", ""), counters.get("mode", "paper")
    state.clock = counters.get("clock", "system")
    state.lease_token = int(counters.get("lease_token", 0))
    state.epoch = int(counters.get("epoch", 0))
    for name, value in counters.items():
        _counter(state, name, value)
    day = cut.date().isoformat()
    for row in book.rows("limits_state", where={"trading_day": AtLeast(day)}):
        told = decode(Limits, row)
        state.limits[told.scope, told.key, told.trading_day] = told
    state.halts = {row["halt_id"]: decode(Halt, row) for row in book.rows("halts")}
    for row in book.rows("cooldowns", since=cut):
        state.cooldowns[row["account"], row["symbol"], row["strategy"]] = decode(Cooldown, row)
    for row in book.rows("kill_switch"):
        state.kill = decode(Kill, row)
    state.overrides = {
        row["name"]: row["value"] for row in book.rows("overrides") if row["value"] is not None
    }
    state.contracts = {
        row["con_id"]: decode(Contract, row["contract"]) for row in book.rows("contracts")
    }
    for row in book.rows("brackets", where={"closed_at": None}) + book.rows(
        "brackets", where={"closed_at": AtLeast(instant_text(cut))}
    ):
        state.brackets[row["account"], row["con_id"], row["entry"]] = decode(Bracket, row)
    _events(state, book)


def _counter(state: BookState, name: str, value: str) -> None:
    """A counter of which there are several: its name goes on behind its kind."""
    kind, _, rest = name.partition(":")
    if kind == "order_id":
        state.order_ids[int(rest)] = int(value)
    elif kind == "streak":
        scope, _, key = rest.partition(":")
        state.streaks_from[scope, key] = datetime.fromisoformat(value)
    elif kind == BARE_CLOSE:
        wish = decode(BareClose, json.loads(value))
        state.bare_closes[wish.account, wish.con_id] = wish


def _events(state: BookState, book: Rows) -> None:
    events = book.rows("events", newest_first=True, limit=KEPT_EVENTS)
    told = sorted((decode(BookEvent, row) for row in events), key=lambda event: event.event_id)
    state.events.extend(told)
    state.event_id = told[-1].event_id if told else 0
    for row in book.rows("reconciliations", newest_first=True, limit=1):
        state.reconciliation = {"reconciliation_id": row["reconciliation_id"], **row["body"]}


def _orders(state: BookState, book: Rows, cut: datetime) -> None:
    entries = {"leg": Leg.ENTRY.value}
    state.entry_signals = set(book.distinct("intents", "signal_id", where=entries))
    rows = book.rows("intents", where={"state": LIVE}) + book.rows(
        "intents", where={"ended_at": AtLeast(instant_text(cut))}
    )
    for row in rows:
        _hold_intent(state, row)


def _hold_intent(state: BookState, row: Mapping[str, Any]) -> None:
    intent = decode(Intent, row)
    state.intents[intent.intent_id] = intent


def _fills(state: BookState, book: Rows, cut: datetime) -> None:
    """Executions since the cut, and of what was held then all since nothing was."""
    state.positions = {
        (row["account"], row["con_id"]): decode(Position, row) for row in book.rows("positions")
    }
    found = {row["exec_id"]: row for row in book.rows("executions", since=cut)}
    signed = {row["adjustment_id"]: row for row in book.rows("adjustments", since=cut)}
    for (account, con_id), since in _held_at(book, cut).items():
        where = {"account": account, "con_id": con_id}
        for row in book.rows("executions", where=where, since=since):
            found[row["exec_id"]] = row
        for row in book.rows("adjustments", where=where, since=since):
            signed[row["adjustment_id"]] = row
    corrected = sorted({row["base_id"] for row in found.values() if row["revision"] > 1})
    for row in book.rows("executions", where={"base_id": corrected}) if corrected else ():
        found[row["exec_id"]] = row
    for row in found.values():
        _hold_execution(state, row)
    state.adjustments = {name: decode(Adjustment, row) for name, row in signed.items()}
    state.fees = {row["exec_id"]: Decimal(row["fee_usd"]) for row in book.rows("fees")}
    _orders_of_fills(state, book)


def _held_at(book: Rows, cut: datetime) -> dict[LineKey, datetime]:
    """Contracts held at the cut, with the moment before which nothing was.

    A lot that was open then reaches back to its start; a lot that was open there reaches further.
    """
    lots = book.rows("lots", where={"closed_at": None})
    lots += book.rows("lots", where={"closed_at": AtLeast(instant_text(cut))})
    places = {(lot["account"], lot["con_id"]) for lot in lots}
    starts = {}
    for account, con_id in places:
        where = {"account": account, "con_id": con_id}
        start, earlier = cut, _opened(lots, where)
        while earlier < start:
            start = earlier
            reached = {**where, "closed_at": AtLeast(instant_text(start))}
            earlier = _opened(book.rows("lots", where=reached), where, start)
        starts[account, con_id] = start
    return starts


def _opened(
    lots: Sequence[Mapping[str, Any]],
    where: Mapping[str, object],
    default: datetime = _NEVER,
) -> datetime:
    """When the first of a contract's lots was opened."""
    of_it = [lot for lot in lots if all(lot[name] == value for name, value in where.items())]
    return min((datetime.fromisoformat(lot["opened_at"]) for lot in of_it), default=default)


def _orders_of_fills(state: BookState, book: Rows) -> None:
    wanted = {b.intent_id for b in state.executions.values() if b.intent_id}
    absent = sorted(wanted - state.intents.keys())
    for row in book.rows("intents", where={"intent_id": absent}) if absent else ():
        _hold_intent(state, row)
    for row in book.rows("orders", where={"intent_id": sorted(state.intents)}):
        order = decode(BookOrder, row)
        state.orders[order.key] = order


def _hold_execution(state: BookState, row: Mapping[str, Any]) -> None:
    told = decode(Execution, row)
    booked = Booked(execution=told, intent_id=row["intent_id"], superseded_by=row["superseded_by"])
    state.executions[told.exec_id] = booked
    state.revisions.setdefault(told.base_id, []).append(told.exec_id)
    if booked.intent_id is None:
        state.unmatched.add(told.exec_id)
    else:
        state.fills.setdefault(booked.intent_id, set()).add(told.base_id)


def _lines(state: BookState) -> None:
    """Events of each contract in order; lots are rebuilt from them."""
    events: dict[tuple[str, int], list[tuple[LineEvent, Contract]]] = {}
    for base_id in state.revisions:
        top, fee_usd = counting(state, base_id)
        told = top.execution
        event = execution_event(state, top, fee_usd)
        place = (told.account, told.contract.con_id)
        events.setdefault(place, []).append((event, told.contract))
    for signed in state.adjustments.values():
        place = (signed.account, signed.contract.con_id)
        events.setdefault(place, []).append((adjustment_event(signed), signed.contract))
    for place, found in events.items():
        found.sort(key=lambda pair: pair[0].place)
        line = state.lines[place] = Line.of(place[0], found)
        _hold_lots(state, line.rebuild(0))
    for intent in state.intents.values():
        _index_intent(state, intent)


def _hold_lots(state: BookState, lots: Mapping[str, Lot]) -> None:
    for lot in lots.values():
        state.lots[lot.lot_id] = lot
        state.trade_lots.setdefault(lot.trade_id, set()).add(lot.lot_id)


def _index_intent(state: BookState, intent: Intent) -> None:
    if intent.perm_id:
        state.perm_ids[intent.perm_id] = intent.intent_id
    known = sum(
        counting(state, base)[0].execution.qty for base in state.fills.get(intent.intent_id, ())
    )
    if intent.filled_qty != known:
        state.recalled[intent.intent_id] = intent.filled_qty - known


def _trades(state: BookState, book: Rows, cut: datetime) -> None:
    rows = book.rows("trades", since=cut)
    rows += book.rows("trades", where={"exited_at": AtLeast(instant_text(cut))})
    wanted = state.trade_lots.keys() | state.intents.keys()
    absent = sorted(wanted - {row["id"] for row in rows})
    rows += book.rows("trades", where={"id": absent}) if absent else []
    for row in rows:
        trade = decode(Trade, row)
        state.trades[trade.id] = trade
    places = (closed_place(trade) for trade in state.trades.values())
    state.closed_trades = sorted(place for place in places if place is not None)
