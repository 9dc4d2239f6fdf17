"""What memory lets go: what ended 30 days ago, or before a great many later things.

The tables keep everything; this only bounds memory. It depends on entries alone, so a replay lets
go of the same things at the same moment.
"""

from datetime import UTC, datetime, time

from bft.domain.sessions import NEW_YORK
from bft.ledger.effects import drop_lot
from bft.ledger.limits import closed_place, day_kept
from bft.ledger.lots import Line
from bft.ledger.records import Halt, Trade
from bft.ledger.state import KEPT, BookState

MANY = 5000
"""Ended orders or executions beyond which the older half goes before its 30 days."""


def trim(state: BookState, *, at: datetime) -> None:
    """Let go of what is old, once a day, or of the older half when there is too much."""
    day = at.astimezone(NEW_YORK).date()
    if state.day is None or day > state.day:
        state.day = day
        cut = datetime.combine(day, time(), UTC) - KEPT
        release(state, before=cut)
        controls(state, cut, at)
    elif len(state.intents) > state.trim_above or len(state.executions) > state.trim_above:
        release(state, before=_median_end(state), note=True)
        state.trim_above = MANY + max(len(state.intents), len(state.executions)) // 2


def release(state: BookState, *, before: datetime, note: bool = False) -> None:
    """Forget campaigns, trades and orders that ended before an instant.

    `note` remembers which fills are gone: the broker may tell them again.
    """
    for key in list(state.lines):
        line = state.lines[key]
        _release_line(state, line, before, note=note)
        if not line.events:
            del state.lines[key]
    for trade in [trade for trade in state.trades.values() if _over(state, trade, before)]:
        _release_trade(state, trade)
    _release_intents(state, before)


def _release_line(state: BookState, line: Line, before: datetime, *, note: bool) -> None:
    cut = _settled(line, before)
    for event in line.forget(cut):
        lot = state.lots.pop(event.event_id, None)
        if lot is not None:
            drop_lot(state, lot)
        state.adjustments.pop(event.event_id, None)
        _release_fill(state, event.event_id, note=note)


def _settled(line: Line, before: datetime) -> int:
    """Number of leading events after which the line was flat, all before an instant."""
    flat_after = [*line.flat[1:], line.flat_now]
    cut = 0
    for place, event in enumerate(line.events):
        if event.at >= before:
            break
        if flat_after[place]:
            cut = place + 1
    return cut


def _release_fill(state: BookState, base_id: str, *, note: bool) -> None:
    revision, at = 0, None
    for exec_id in state.revisions.pop(base_id, ()):
        booked = state.executions.pop(exec_id)
        state.unmatched.discard(exec_id)
        revision, at = max(revision, booked.execution.revision), booked.execution.at
        if booked.intent_id is not None and booked.superseded_by is None:
            _release_filled(state, booked.intent_id, base_id, booked.execution.qty)
    if note and at is not None:
        state.forgotten[base_id] = (revision, at)


def _release_filled(state: BookState, intent_id: str, base_id: str, qty: int) -> None:
    """A fill that counts goes; the units it filled are remembered."""
    if qty:
        state.recalled[intent_id] = state.recalled.get(intent_id, 0) + qty
    kept = state.fills[intent_id]
    kept.discard(base_id)
    if not kept:
        del state.fills[intent_id]


def _over(state: BookState, trade: Trade, before: datetime) -> bool:
    intent = state.intents.get(trade.id)
    live = intent is not None and not intent.state.terminal
    ended = trade.exited_at or trade.created_at
    return not live and trade.id not in state.trade_lots and ended < before


def _release_trade(state: BookState, trade: Trade) -> None:
    place = closed_place(trade)
    if place in state.closed_trades:
        state.closed_trades.remove(place)
    del state.trades[trade.id]


def _release_intents(state: BookState, before: datetime) -> None:
    gone = {
        intent.intent_id
        for intent in state.intents.values()
        if intent.state.terminal
        and (intent.ended_at or before) < before
        and not state.fills.get(intent.intent_id)
        and intent.intent_id not in state.trades
    }
    for intent_id in gone:
        del state.intents[intent_id]
        state.fills.pop(intent_id, None)
        state.recalled.pop(intent_id, None)
    if gone:
        state.orders = {k: o for k, o in state.orders.items() if o.intent_id not in gone}
        state.perm_ids = {k: name for k, name in state.perm_ids.items() if name not in gone}


def controls(state: BookState, cut: datetime, at: datetime) -> None:
    """Forget counters, halts, cooldowns and brackets that ended before the cut."""
    first = day_kept(state)
    state.limits = {place: row for place, row in state.limits.items() if place[2] >= first}
    state.halts = {name: halt for name, halt in state.halts.items() if _matters(halt, cut, at)}
    state.cooldowns = {k: told for k, told in state.cooldowns.items() if told.until >= cut}
    state.brackets = {
        place: bracket
        for place, bracket in state.brackets.items()
        if bracket.closed_at is None or bracket.closed_at >= cut
    }
    state.forgotten = {base: gone for base, gone in state.forgotten.items() if gone[1] >= cut}


def _matters(halt: Halt, cut: datetime, at: datetime) -> bool:
    return halt.active(at) or (halt.cleared_at or halt.until or at) >= cut


def _median_end(state: BookState) -> datetime:
    ends = sorted(intent.ended_at for intent in state.intents.values() if intent.ended_at)
    ends += [booked.execution.at for booked in state.executions.values()]
    ends.sort()
    return ends[len(ends) // 2]
