"""Orders from commitment to their end. Source: executor specification, section 3."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from bft.domain.encoding import decode, instant_text
from bft.domain.errors import DataError
from bft.domain.orders import Intent, IntentState, Leg, Reason
from bft.ledger import effects, trades
from bft.ledger.changes import Changes
from bft.ledger.fold_fills import adopt
from bft.ledger.records import BookOrder, TradeFacts
from bft.ledger.state import BookState
from bft.ledger.transitions import check_move

Body = Mapping[str, Any]


def signal(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """Keep what was asked; memory holds only what an order came of."""
    request = body["request"]
    names = ("signal_id", "symbol", "side", "kind", "strategy_id", "source", "expires_at")
    row = {name: request[name] for name in names}
    came_to = {"closing": body["closing"]} if "closing" in body else {}
    more = {"hash": body["hash"], "body": {**request, **came_to}, "at": instant_text(at)}
    changes.put_stored("signals", row | more)


def decision(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """Keep every rule's result; a refusal is a denial too."""
    told = body["decision"]
    names = ("decision_id", "signal_id", "symbol", "side", "source")
    row = {name: body[name] for name in names} | {"at": instant_text(at)}
    results = {name: told[name] for name in ("qty", "qty_requested", "allowed")}
    changes.put_stored("decisions", row | results | {"body": told, "context": body["context"]})
    if not told["allowed"]:
        why = ("reason", "transient", "detail", "http_code")
        changes.put_stored("denials", row | {name: told[name] for name in why})


def refusal(_state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """Keep what was refused unread: a denial without an order."""
    names = ("source", "reason", "detail", "http_code")
    changes.put(
        "denials",
        {
            "decision_id": body["refusal_id"],
            "signal_id": "",
            "symbol": "",
            "side": "",
            "transient": body["reason"] == Reason.IN_PROGRESS,
            "at": at,
            **{name: body[name] for name in names},
        },
    )


def intents(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """Commit orders.

    Raises:
        DataError: an order of this identity exists.
    """
    made = [decode(Intent, told) for told in body["intents"]]
    for intent in made:
        if intent.intent_id in state.intents:
            raise DataError(
                f"order {intent.intent_id} exists; the same identity is never sent twice"
            )
    facts = decode(TradeFacts, body["facts"]) if body["facts"] else TradeFacts()
    for intent in made:
        _commit(state, changes, intent, facts, at)


def _commit(
    state: BookState, changes: Changes, intent: Intent, facts: TradeFacts, at: datetime
) -> None:
    if intent.created_at is None:
        intent = replace(intent, created_at=at)
    if intent.leg is Leg.ENTRY:
        state.entry_signals.add(intent.signal_id)
        state.trades[intent.intent_id] = trades.opened(intent, facts, at=at)
    effects.put_intent(state, changes, intent, at=at)
    if intent.order_id is not None and intent.client_id is not None:
        order = BookOrder(
            epoch=intent.epoch or 0,
            client_id=intent.client_id,
            order_id=intent.order_id,
            intent_id=intent.intent_id,
            at=at,
            perm_id=intent.perm_id,
            qty=intent.qty,
            limit_price_usd=intent.limit_price_usd,
            stop_price_usd=intent.stop_price_usd,
        )
        effects.put_order(state, changes, order)
    adopt(state, changes, intent, at)


def sent(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """Bytes were written; a report that came sooner already moved the state on."""
    for intent in [_known(state, name) for name in body["intent_ids"]]:
        reserved = intent.state is IntentState.RESERVED
        now = IntentState.SENT if reserved else intent.state
        effects.put_intent(state, changes, replace(intent, state=now, sent_at=at), at=at)


def lapsed(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """Orders that were never sent end."""
    found = [_known(state, name) for name in body["intent_ids"]]
    for intent in found:
        check_move(intent, IntentState.LAPSED)
    for intent in found:
        ended = replace(intent, state=IntentState.LAPSED, ended_at=at)
        effects.put_intent(state, changes, ended, at=at)


def moved(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """Any other transition.

    Raises:
        DataError: the table of states does not hold it.
    """
    intent, new = _known(state, body["intent_id"]), IntentState(body["state"])
    if new is intent.state:
        return
    check_move(intent, new)
    ended = at if new.terminal else None
    effects.put_intent(state, changes, replace(intent, state=new, ended_at=ended), at=at)


def order(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """The broker told of our order: keys and prices are its, SENT and UNKNOWN become ACKED."""
    told = decode(BookOrder, body["order"])
    intent = _known(state, told.intent_id)
    told = _same_order(state, intent, told)
    old = state.orders.get(told.key)
    revision = old.revision + int(_terms(old) != _terms(told)) if old else 0
    told = replace(told, revision=revision, perm_id=told.perm_id or (old.perm_id if old else None))
    effects.put_order(state, changes, told)
    new = replace(
        intent,
        perm_id=intent.perm_id or told.perm_id,
        epoch=told.epoch,
        client_id=told.client_id,
        order_id=told.order_id,
        broker_status=told.broker_status,
        why_held=told.why_held,
        acked_at=intent.acked_at or at,
        qty=told.qty or intent.qty,
        limit_price_usd=told.limit_price_usd or intent.limit_price_usd,
        stop_price_usd=told.stop_price_usd or intent.stop_price_usd,
    )
    effects.put_intent(state, changes, _acknowledged(new, at), at=at)


def _same_order(state: BookState, intent: Intent, told: BookOrder) -> BookOrder:
    """A permId names one row: later, or told without an id, an order keeps its first key."""
    key = (intent.epoch or 0, intent.client_id or 0, intent.order_id or 0)
    known = state.orders.get(key)
    same = bool(told.perm_id) and known is not None and known.perm_id == told.perm_id
    if known is None or (told.order_id and not same):
        return told
    return replace(told, epoch=key[0], client_id=key[1], order_id=key[2])


def _terms(order: BookOrder) -> tuple[object, ...]:
    return order.qty, order.limit_price_usd, order.stop_price_usd


def _acknowledged(intent: Intent, at: datetime) -> Intent:
    """The order's state once the broker has it; an amended quantity may be filled already."""
    if intent.state.terminal:
        return intent
    if intent.filled_qty >= intent.qty:
        return replace(intent, state=IntentState.FILLED, ended_at=at)
    if intent.state not in {IntentState.SENT, IntentState.UNKNOWN}:
        return intent
    return replace(intent, state=IntentState.PARTIAL if intent.filled_qty else IntentState.ACKED)


def _known(state: BookState, intent_id: str) -> Intent:
    intent = state.intents.get(intent_id)
    if intent is None:
        raise DataError(f"no order {intent_id} in memory; give its row with the entry")
    return intent
