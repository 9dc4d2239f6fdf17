"""Entries of the journal, one constructor per kind; the only place that knows their bodies.

Source: executor specification, sections 2, 3, 6 and 9.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal

from bft.domain.encoding import encode
from bft.domain.journal import Entry
from bft.domain.orders import (
    Contract,
    Decision,
    Execution,
    Intent,
    IntentState,
    OrderRequest,
    Reason,
)
from bft.domain.runs import Json
from bft.ledger.records import (
    Adjustment,
    BareClose,
    BookOrder,
    Bracket,
    Cooldown,
    Halt,
    Trade,
    TradeFacts,
)


def _entry(kind: str, at: datetime, /, **body: object) -> Entry:
    return Entry(kind=kind, at=at, body=encode(body))


def boot(
    at: datetime, *, boot_id: str, lease_token: int, mode: str, account: str, **owned: str
) -> Entry:
    """A process started; `owned`: the book's owner, the clock it is kept by, flags of the call."""
    return _entry(
        "boot", at, boot_id=boot_id, lease_token=lease_token, mode=mode, account=account, **owned
    )


def epoch(at: datetime, *, number: int) -> Entry:
    """A broker connection began; epochs count up for ever."""
    return _entry("epoch", at, epoch=number)


def signal(
    at: datetime,
    *,
    request: OrderRequest,
    request_hash: str,
    closing: Sequence[Mapping[str, object]] | None = None,
) -> Entry:
    """A signal or order arrived; `closing`: what an exit has leave, or cancels."""
    more = {} if closing is None else {"closing": closing}
    return _entry("signal", at, request=request, hash=request_hash, **more)


def decision(
    at: datetime, *, decision_id: str, request: OrderRequest, decision: Decision, context: object
) -> Entry:
    """What risk said, every rule with its value; `context` replays to the same answer."""
    return _entry(
        "decision",
        at,
        decision_id=decision_id,
        signal_id=request.signal_id,
        symbol=request.symbol,
        side=request.side,
        source=request.source,
        decision=decision,
        context=context,
    )


def intents(
    at: datetime, *, intents: Sequence[Intent], facts: TradeFacts | None, decision_id: str = ""
) -> Entry:
    """Orders committed before anything is sent; `facts` go with an entry."""
    return _entry("intents", at, intents=list(intents), facts=facts, decision_id=decision_id)


def sent(at: datetime, *, intent_ids: Sequence[str]) -> Entry:
    """Bytes of these orders were written."""
    return _entry("sent", at, intent_ids=list(intent_ids))


def lapsed(at: datetime, *, intent_ids: Sequence[str], reason: str) -> Entry:
    """A fence failed before the bytes, or a restart proves that none were written."""
    return _entry("lapsed", at, intent_ids=list(intent_ids), reason=reason)


def moved(
    at: datetime,
    *,
    intent_id: str,
    state: IntentState,
    evidence: str,
    code: int | None = None,
    text: str = "",
) -> Entry:
    """Any other transition, with what shows it."""
    return _entry(
        "state", at, intent_id=intent_id, state=state, evidence=evidence, code=code, text=text
    )


def order(order: BookOrder) -> Entry:
    """The broker told of our order: it is acknowledged, its prices are as told."""
    return _entry("order", order.at, order=order)


def execution(
    at: datetime,
    *,
    execution: Execution,
    epoch: int | None = None,
    intent: Intent | None = None,
) -> Entry:
    """A fill or its correction; `intent` where the state no longer holds its old order."""
    return _entry("execution", at, execution=execution, epoch=epoch, intent=intent)


def fee(at: datetime, *, exec_id: str, fee_usd: Decimal) -> Entry:
    """Commission of an execution, told before or after it."""
    return _entry("fee", at, exec_id=exec_id, fee_usd=fee_usd)


def bracket(bracket: Bracket, *, stop_reason: str | None = None) -> Entry:
    """Exits of an entry opened, updated or (with `closed_at`) closed.

    `stop_reason`: what its stop stands for from now on, stop or trail; None: as before.
    """
    if stop_reason is None:
        return _entry("bracket", bracket.at, bracket=bracket)
    return _entry("bracket", bracket.at, bracket=bracket, stop_reason=stop_reason)


def exit_scheduled(at: datetime, *, bracket: Bracket, reason: str, due: datetime) -> Entry:
    """An exit was decided that leaves at `due`."""
    place = {"account": bracket.account, "con_id": bracket.con_id, "entry": bracket.entry}
    return _entry("exit_scheduled", at, **place, reason=reason, due=due)


def bare_close(wish: BareClose, at: datetime) -> Entry:
    """Units that no bracket holds have to leave, over restarts too."""
    return _entry("bare_close", at, wish=wish)


def bare_closed(at: datetime, *, account: str, con_id: int) -> Entry:
    """They are gone, or what is held now is another position."""
    return _entry("bare_closed", at, account=account, con_id=con_id)


def adjustment(adjustment: Adjustment) -> Entry:
    """A person changed the book by hand and signed for it."""
    return _entry("adjustment", adjustment.at, adjustment=adjustment)


def split(adjustment: Adjustment) -> Entry:
    """A confirmed split: lots, position and trade levels are rescaled by its `ratio`."""
    return _entry("split", adjustment.at, adjustment=adjustment)


def mark(at: datetime, *, account: str, con_id: int, price_usd: Decimal) -> Entry:
    """A position's price at a close; unrealised P&L of the day counts from it."""
    return _entry("mark", at, account=account, con_id=con_id, price_usd=price_usd)


def halt(halt: Halt) -> Entry:
    """Opening orders of a scope are refused from now on."""
    return _entry("halt", halt.set_at, halt=halt)


def resume(at: datetime, *, halt_id: str, by: str, note: str = "") -> Entry:
    """A person cleared a halt."""
    return _entry("resume", at, halt_id=halt_id, by=by, note=note)


def kill(at: datetime, *, source: str, by: str, reason: str, flatten: bool = False) -> Entry:
    """The kill switch was pulled; a second source joins the same generation.

    `flatten`: all positions are closed too; asked for once, it holds until the switch is cleared.
    """
    return _entry("kill", at, source=source, by=by, reason=reason, flatten=flatten)


def unkill(at: datetime, *, by: str, generation: int) -> Entry:
    """An admin cleared the kill switch."""
    return _entry("unkill", at, by=by, generation=generation)


def cooldown(at: datetime, *, cooldown: Cooldown) -> Entry:
    """No entry in a symbol for a while."""
    return _entry("cooldown", at, cooldown=cooldown)


def override(at: datetime, *, name: str, value: object, by: str) -> Entry:
    """A setting changed at run time; None takes the change back."""
    return _entry("override", at, name=name, value=value, by=by)


def equity(
    at: datetime,
    *,
    scope: tuple[str, str],
    trading_day: date,
    day_start_usd: Decimal | None,
    peak_usd: Decimal | None,
) -> Entry:
    """Equity at a day's start and its peak; None leaves what is known. Its kind is limits."""
    return _entry(
        "limits",
        at,
        scope=scope[0],
        key=scope[1],
        trading_day=trading_day,
        day_start_equity_usd=day_start_usd,
        peak_equity_usd=peak_usd,
    )


def snapshot(at: datetime, *, snapshot_id: str, snapshot: object) -> Entry:
    """Positions and orders as the broker said them."""
    return _entry("snapshot", at, snapshot_id=snapshot_id, snapshot=snapshot)


def reconciliation(at: datetime, *, reconciliation_id: str, result: Json) -> Entry:
    """Differences between book and broker, and what was done about them."""
    return _entry("reconciliation", at, reconciliation_id=reconciliation_id, result=result)


def contract(at: datetime, *, contract: Contract) -> Entry:
    """A contract as the broker resolved it."""
    return _entry("contract", at, contract=contract)


def trade(at: datetime, *, trade: Trade) -> Entry:
    """A backfilled row of the trade log: no order, no position, no counter."""
    return _entry("trade", at, trade=trade)


def event(
    at: datetime,
    *,
    kind: str,
    severity: str,
    name: str,
    message: str,
    details: Mapping[str, object] | None = None,
) -> Entry:
    """Something people may read; `kind` SYSTEM ORDER TRADE POSITION ACCOUNT RISK ERROR ..."""
    return _entry(
        "event",
        at,
        type=kind,
        severity=severity,
        name=name,
        message=message,
        details=details or {},
    )


def alert(
    at: datetime, *, severity: str, name: str, key: str, message: str, details: Json | None = None
) -> Entry:
    """An alert of section 14 was raised; `key` is what it is about."""
    return _entry(
        "alert",
        at,
        type="SYSTEM",
        severity=severity,
        name=name,
        message=message,
        details={"key": key, **(details or {})},
    )


def claim(
    at: datetime, *, key: str, subject: str, request_hash: str, intent_id: str | None = None
) -> Entry:
    """An idempotency key was taken, in the transaction of what it protects."""
    return _entry(
        "claim", at, key=key, subject=subject, request_hash=request_hash, intent_id=intent_id
    )


def refusal(
    at: datetime, *, refusal_id: str, told: Mapping[str, object], reason: Reason, detail: str
) -> Entry:
    """A body that was refused before risk saw it; `told`: subject, source, http_code."""
    return _entry("refusal", at, refusal_id=refusal_id, **told, reason=reason, detail=detail)


def auth_failure(at: datetime, *, subject: str, reason: str, remote: str) -> Entry:
    """Somebody was not let in."""
    return _entry("auth_failure", at, subject=subject, reason=reason, remote=remote)
