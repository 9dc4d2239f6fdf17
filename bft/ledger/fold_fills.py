"""Executions, their fees and corrections, adjustments and splits into the book.

Source: executor specification, sections 3 (filled quantity), 6 and 12 (F16).
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from bft.domain.encoding import decode
from bft.domain.errors import DataError
from bft.domain.orders import Execution, FillSource, Intent, Leg
from bft.domain.ticks import micro
from bft.ledger import effects
from bft.ledger.changes import Changes
from bft.ledger.lots import LineEvent
from bft.ledger.records import ZERO, Adjustment, Booked
from bft.ledger.state import BookState
from bft.ledger.trades import TRAIL
from bft.ledger.transitions import after_fill

Body = Mapping[str, Any]


def execution(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """Book a fill once per exec id; of one base id only the highest revision counts.

    Raises:
        DataError: a revision of a fill that memory no longer holds; load its day first.
    """
    told = decode(Execution, body["execution"])
    if told.exec_id in state.executions:
        return
    gone = state.forgotten.get(told.base_id)
    if gone is not None:
        if told.revision <= gone[0]:
            return
        raise DataError(
            f"execution {told.exec_id} corrects one that memory no longer holds; "
            "settle it with bft ledger adjust --by --note"
        )
    if body.get("intent"):
        _recall(state, decode(Intent, body["intent"]))
    intent = _intent_of(state, told, body.get("epoch"))
    fee = told.fee_usd if told.fee_usd is not None else state.fees.pop(told.exec_id, None)
    if fee is not None and told.fee_usd is None:
        changes.remove("fees", {"exec_id": told.exec_id})
    source = told.source if intent else FillSource.MANUAL
    told = replace(told, fee_usd=fee, source=source, price_usd=micro(told.price_usd))
    state.executions[told.exec_id] = Booked(
        execution=told, intent_id=intent.intent_id if intent else None
    )
    if intent is None:
        state.unmatched.add(told.exec_id)
    state.revisions.setdefault(told.base_id, []).append(told.exec_id)
    _settle(state, changes, told.base_id, at)


def fee(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """Add a commission to its execution, or keep it until that arrives."""
    exec_id, amount = str(body["exec_id"]), Decimal(body["fee_usd"])
    booked = state.executions.get(exec_id)
    if booked is None:
        state.fees[exec_id] = amount
        changes.put("fees", {"exec_id": exec_id, "fee_usd": amount, "at": at})
        return
    if booked.execution.fee_usd == amount:
        return
    told = replace(booked.execution, fee_usd=amount)
    state.executions[exec_id] = replace(booked, execution=told)
    _settle(state, changes, told.base_id, at)


def adjustment(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """Book a signed change, or a split; once per id."""
    told = decode(Adjustment, body["adjustment"])
    if told.adjustment_id in state.adjustments:
        return
    if told.ratio is not None and told.ratio <= 0:
        raise DataError(f"split {told.adjustment_id}: ratio {told.ratio} is not above zero")
    state.adjustments[told.adjustment_id] = told
    changes.put("adjustments", adjustment_row(told))
    event = adjustment_event(told)
    key = (told.account, told.contract.con_id)
    if told.ratio is not None and key in state.lines:
        effects.rescale_trades(state, changes, key, told.ratio, at=at)
        effects.rescale_mark(state, key, told.ratio)
        effects.rescale_bare_close(state, changes, key, told.ratio, at=at)
    effects.put_event(state, changes, (told.account, told.contract), event, at=at)


def adopt(state: BookState, changes: Changes, intent: Intent, at: datetime) -> None:
    """Give a new order the fills that were booked by hand under its reference."""
    unmatched = (state.executions[exec_id] for exec_id in sorted(state.unmatched))
    orphans = [b for b in unmatched if b.execution.order_ref == intent.order_ref]
    for booked in orphans:
        state.unmatched.discard(booked.execution.exec_id)
        told = replace(booked.execution, source=FillSource.RECOVERED)
        state.executions[told.exec_id] = replace(booked, execution=told, intent_id=intent.intent_id)
    for base_id in sorted({booked.execution.base_id for booked in orphans}):
        _settle(state, changes, base_id, at)


def adjustment_row(told: Adjustment) -> dict[str, Any]:
    """Columns of an adjustment."""
    names = (
        "adjustment_id",
        "at",
        "account",
        "contract",
        "by",
        "note",
        "qty",
        "price_usd",
        "ratio",
    )
    row = {name: getattr(told, name) for name in names}
    return {**row, "con_id": told.contract.con_id, "symbol": told.contract.symbol}


def adjustment_event(told: Adjustment) -> LineEvent:
    """What an adjustment does to its contract."""
    price = None if told.price_usd is None else micro(told.price_usd)
    return LineEvent(
        at=told.at,
        rank=2,
        event_id=told.adjustment_id,
        trade_id=told.adjustment_id,
        reason="adjustment",
        qty=told.qty,
        price_usd=price,
        ratio=told.ratio,
    )


def execution_event(state: BookState, booked: Booked, fee_usd: Decimal) -> LineEvent:
    """What a fill does to its contract. Entries come first within one instant."""
    told = booked.execution
    intent = state.intents.get(booked.intent_id) if booked.intent_id else None
    opening = intent is None or intent.leg is Leg.ENTRY
    by_hand = f"manual:{told.perm_id or told.base_id}"
    return LineEvent(
        at=told.at,
        rank=0 if opening else 1,
        event_id=told.base_id,
        trade_id=booked.intent_id or by_hand,
        reason=_reason(intent),
        qty=Decimal(told.qty * told.side.sign),
        price_usd=told.price_usd,
        fee_usd=micro(fee_usd),
    )


def counting(state: BookState, base_id: str) -> tuple[Booked, Decimal]:
    """The highest revision of a fill, and the newest known fee of its revisions."""
    known = [state.executions[name] for name in state.revisions[base_id]]
    known.sort(key=lambda booked: (booked.execution.revision, booked.execution.exec_id))
    fees = [b.execution.fee_usd for b in known if b.execution.fee_usd is not None]
    return known[-1], fees[-1] if fees else ZERO


def _reason(intent: Intent | None) -> str:
    if intent is None:
        return "manual"
    if intent.leg is Leg.STOP and intent.reason == TRAIL:
        return TRAIL
    return (intent.reason or intent.leg.value) if intent.leg is Leg.EXIT else intent.leg.value


def _intent_of(state: BookState, told: Execution, epoch: int | None) -> Intent | None:
    key = None
    if epoch is not None and told.client_id is not None and told.order_id is not None:
        key = (epoch, told.client_id, told.order_id)
    found = state.intent_of(order_ref=told.order_ref, perm_id=told.perm_id, key=key)
    if found is None and told.base_id in state.revisions:
        earlier = state.executions[state.revisions[told.base_id][0]].intent_id
        found = state.intents.get(earlier) if earlier else None
    return found


def _recall(state: BookState, intent: Intent) -> None:
    """Take an order back that memory had let go; its counters stand already."""
    if intent.intent_id not in state.intents:
        state.intents[intent.intent_id] = intent
        state.recalled[intent.intent_id] = intent.filled_qty


def _settle(state: BookState, changes: Changes, base_id: str, at: datetime) -> None:
    """Bring revisions, the order and the line in step with what is known of one fill."""
    top, fee_usd = counting(state, base_id)
    for exec_id in state.revisions[base_id]:
        booked = state.executions[exec_id]
        by = top.execution.exec_id if booked is not top else None
        intent_id = booked.intent_id or top.intent_id
        if intent_id is not None:
            state.unmatched.discard(exec_id)
        booked = replace(booked, superseded_by=by, intent_id=intent_id)
        state.executions[exec_id] = booked
        changes.put("executions", execution_row(booked))
    top = state.executions[top.execution.exec_id]
    if top.intent_id is not None:
        state.fills.setdefault(top.intent_id, set()).add(base_id)
        _fill_intent(state, changes, state.intents[top.intent_id], at)
    event = execution_event(state, top, fee_usd)
    told = top.execution
    effects.put_event(state, changes, (told.account, told.contract), event, at=at)


def execution_row(booked: Booked) -> dict[str, Any]:
    """Columns of an execution."""
    told = booked.execution
    row = {name: getattr(told, name) for name in _EXECUTION}
    more = {"base_id": told.base_id, "revision": told.revision, "intent_id": booked.intent_id}
    more |= {"con_id": told.contract.con_id, "symbol": told.contract.symbol}
    return {**row, **more, "superseded_by": booked.superseded_by}


_EXECUTION = tuple(Execution.__dataclass_fields__)


def _fill_intent(state: BookState, changes: Changes, intent: Intent, at: datetime) -> None:
    """Filled quantity is the sum of what counts; the state follows it."""
    known = [counting(state, base)[0].execution for base in state.fills[intent.intent_id]]
    filled = sum(told.qty for told in known) + state.recalled.get(intent.intent_id, 0)
    after = after_fill(intent.state, filled_qty=filled, qty=intent.qty)
    ended = intent.ended_at
    if filled >= intent.qty:
        ended = max(told.at for told in known)
    elif not after.terminal:
        ended = None
    perm = next((told.perm_id for told in known if told.perm_id), None)
    new = replace(
        intent,
        filled_qty=filled,
        state=after,
        ended_at=ended,
        perm_id=intent.perm_id or perm,
    )
    if new != intent:
        effects.put_intent(state, changes, new, at=at)
