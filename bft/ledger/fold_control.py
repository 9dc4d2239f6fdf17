"""Everything that is no order and no fill: sessions, exits, halts, kill, limits, events."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from bft.domain.encoding import decode
from bft.domain.errors import DataError
from bft.domain.orders import Contract, Leg
from bft.ledger import effects, limits
from bft.ledger.changes import Changes
from bft.ledger.records import BareClose, BookEvent, Bracket, Cooldown, Halt, Kill, Trade
from bft.ledger.state import BookState

Body = Mapping[str, Any]


def boot(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """A process took over."""
    state.boot_id, state.mode = body["boot_id"], body["mode"]
    state.lease_token = body["lease_token"]
    state.clock = body.get("clock", "system")
    for name in ("boot_id", "mode", "lease_token", "owner", "clock", "flags"):
        if name in body:  # the last three are in no journal from before ADR 0080
            effects.put_counter(changes, name, body[name], at=at)


def epoch(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """A broker connection began."""
    state.epoch = max(state.epoch, body["epoch"])
    effects.put_counter(changes, "epoch", state.epoch, at=at)


def bracket(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """Exits of an entry as the exit engine holds them; its stop is named by its level.

    One that began to fill keeps the name it began with.
    """
    told = decode(Bracket, body["bracket"])
    _put_bracket(state, changes, told)
    reason = str(body.get("stop_reason") or "")
    for leg in state.intents.legs(told.entry) if reason else ():
        waits = not (leg.state.terminal or leg.filled_qty)
        if leg.leg is Leg.STOP and waits and leg.reason != reason:
            effects.put_intent(state, changes, replace(leg, reason=reason), at=at)


def exit_scheduled(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """An exit was decided that leaves later.

    Raises:
        DataError: no bracket of this entry.
    """
    key = (body["account"], body["con_id"], body["entry"])
    if key not in state.brackets:
        raise DataError(f"no bracket {key}; open it before an exit of it is scheduled")
    scheduled = {"reason": body["reason"], "due": body["due"]}
    _put_bracket(state, changes, replace(state.brackets[key], scheduled=scheduled, at=at))


def _put_bracket(state: BookState, changes: Changes, told: Bracket) -> None:
    state.brackets[told.account, told.con_id, told.entry] = told
    changes.put("brackets", told)


def bare_close(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """Units without a bracket have to leave."""
    effects.put_bare_close(state, changes, decode(BareClose, body["wish"]), at=at)


def bare_closed(state: BookState, changes: Changes, body: Body, _at: datetime) -> None:
    """They left."""
    effects.drop_bare_close(state, changes, (body["account"], body["con_id"]))


def mark(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """A position's price at a close; nothing where it is gone."""
    key = (body["account"], body["con_id"])
    if key in state.positions:
        price = Decimal(body["price_usd"])
        state.positions[key] = replace(state.positions[key], mark_usd=price, marked_at=at)
        changes.put("positions", state.positions[key])


def halt(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """A halt; one for losing trades in a row starts their count anew."""
    told = decode(Halt, body["halt"])
    state.halts[told.halt_id] = told
    changes.put("halts", told)
    if told.rule == limits.LOSS_STREAK:
        place = (told.scope, told.key)
        state.streaks_from[place] = told.set_at
        effects.put_counter(changes, f"streak:{told.scope}:{told.key}", told.set_at, at=at)
        limits.put_streaks(state, changes, [place], at=at)


def resume(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """A halt is cleared; cleared again it stays as it was.

    Raises:
        DataError: no such halt.
    """
    known = state.halts.get(body["halt_id"])
    if known is None:
        raise DataError(f"no halt {body['halt_id']}; bft status lists them")
    if known.cleared_at is None:
        known = replace(known, cleared_by=body["by"], cleared_at=at, note=body["note"])
        state.halts[known.halt_id] = known
        changes.put("halts", known)


def kill(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """Latch; while latched, another source joins the generation."""
    now, flatten = state.kill, body.get("flatten", False)
    if now.latched:
        sources = tuple(dict.fromkeys((*now.sources, body["source"])))
        state.kill = replace(now, sources=sources, flatten=now.flatten or flatten)
    else:
        state.kill = Kill(
            latched=True,
            generation=now.generation + 1,
            sources=(body["source"],),
            by=body["by"],
            reason=body["reason"],
            at=at,
            flatten=flatten,
        )
    changes.put("kill_switch", state.kill)


def unkill(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """Unlatch.

    Raises:
        DataError: the generation is another by now.
    """
    if body["generation"] != state.kill.generation:
        raise DataError(
            f"the kill switch is at generation {state.kill.generation}, not {body['generation']}"
        )
    generation = state.kill.generation
    state.kill = Kill(generation=generation, by=body["by"], at=at)
    changes.put("kill_switch", state.kill)


def cooldown(state: BookState, changes: Changes, body: Body, _at: datetime) -> None:
    """No entry in a symbol for a while."""
    told = decode(Cooldown, body["cooldown"])
    state.cooldowns[told.account, told.symbol, told.strategy] = told
    changes.put("cooldowns", told)


def override(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """A setting changed at run time; None takes the change back."""
    name, value = body["name"], body["value"]
    if value is None:
        state.overrides.pop(name, None)
    else:
        state.overrides[name] = value
    changes.put("overrides", {"name": name, "value": value, "by": body["by"], "at": at})


def equity(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """Equity at a day's start and its peak; None leaves what is known."""
    day = date.fromisoformat(body["trading_day"])
    row = state.limits_of(body["scope"], body["key"], day, at=at)
    start, peak = body["day_start_equity_usd"], body["peak_equity_usd"]
    row = replace(
        row,
        at=at,
        day_start_equity_usd=row.day_start_equity_usd if start is None else Decimal(start),
        peak_equity_usd=row.peak_equity_usd if peak is None else Decimal(peak),
    )
    limits.put_limits(state, changes, row)


def snapshot(_state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """What the broker said; kept in its table alone."""
    row = {"snapshot_id": body["snapshot_id"], "body": body["snapshot"], "at": at}
    changes.put("broker_snapshots", row)


def reconciliation(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """Differences and actions; the last is at hand."""
    row = {"reconciliation_id": body["reconciliation_id"], "body": body["result"], "at": at}
    state.reconciliation = {"reconciliation_id": body["reconciliation_id"], **body["result"]}
    changes.put("reconciliations", row)


def contract(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """A contract as the broker resolved it."""
    told = decode(Contract, body["contract"])
    state.contracts[told.con_id] = told
    row = {"con_id": told.con_id, "symbol": told.symbol, "contract": told, "at": at}
    changes.put("contracts", row)


def trade(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """A backfilled row of the trade log; once per id."""
    told = decode(Trade, body["trade"])
    if told.id not in state.trades:
        effects.put_trade(state, changes, replace(told, is_backfill=True), at=at)


def event(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """An event or alert, numbered."""
    state.event_id += 1
    told = decode(BookEvent, {**body, "event_id": state.event_id, "at": at.isoformat()})
    state.events.append(told)
    changes.put("events", told)


def claim(_state: BookState, _changes: Changes, _body: Body, _at: datetime) -> None:
    """An idempotency key was taken: the journal says so, the row is the page's claim."""


def auth_failure(state: BookState, changes: Changes, body: Body, at: datetime) -> None:
    """Somebody was not let in: an event."""
    told = {
        "type": "SYSTEM",
        "severity": "WARNING",
        "name": "auth_failure",
        "message": f"{body['subject'] or 'nobody'}: {body['reason']}",
        "details": dict(body),
    }
    event(state, changes, told, at)
