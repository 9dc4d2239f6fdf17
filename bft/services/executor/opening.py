"""Opening orders: from a request to a bracket at the broker, or a denial on record.

Source: executor specification, sections 3, 4 and 6.
"""

import asyncio
import hashlib
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, time
from itertools import count

from bft.domain import sessions
from bft.domain.broker import Priority, SessionState
from bft.domain.encoding import encode
from bft.domain.errors import BftError, DataError, UnavailableError
from bft.domain.journal import Entry
from bft.domain.orders import (
    Contract,
    Decision,
    OrderRequest,
    Reason,
)
from bft.ledger import entries
from bft.ledger.records import Halt
from bft.risk import decide
from bft.risk.context import Context
from bft.services.executor.contracts import wanted_contract
from bft.services.executor.covers import to_bracket
from bft.services.executor.desk import Desk
from bft.services.executor.entering import Decided, bracket, entry_of, has_target, trade_facts
from bft.services.executor.facts import Asked, Facts, with_what_if
from bft.services.executor.guard import Guard
from bft.services.executor.sending import Sender, placed

QUOTE_WAIT_S, WHAT_IF_S = 1.0, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyClaim:
    """An idempotency key that the order takes in its own transaction."""

    key: str
    subject: str
    request_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What became of a request: the decision, its entry, and why it lapsed if it did."""

    decision: Decision
    decision_id: str
    intent_id: str | None = None
    lapsed: str | None = None


class Opening:
    """Decides and sends opening orders, one decision at a time."""

    def __init__(self, desk: Desk, sender: Sender, guard: Guard, facts: Facts) -> None:
        self._desk, self._sender, self._guard, self._facts = desk, sender, guard, facts
        self._running: set[str] = set()
        self._serial = count()

    async def submit(
        self, order: OrderRequest, asked: Asked, *, claim: KeyClaim | None = None
    ) -> Opened:
        """Decide on an order, and send its bracket if it may be.

        Raises:
            RefusedError: the lease is lost.
        """
        self._desk.heard_on = self._desk.now.astimezone(sessions.NEW_YORK).date()
        if order.signal_id in self._running:
            asked = replace(asked, twin=True)
            return self._denied(order, self._context(order, asked, None, 0), claim)
        self._running.add(order.signal_id)
        try:
            return await self._submit(order, asked, claim)
        finally:
            self._running.discard(order.signal_id)

    async def _submit(self, order: OrderRequest, asked: Asked, claim: KeyClaim | None) -> Opened:
        try:
            contract, matches = await self._resolve(order)
        except UnavailableError:
            return self._away(order, self._context(order, asked, None, 1), claim)
        if contract is not None:
            contract = await self._prepared(order, contract)
        turned = asyncio.Event()
        asyncio.get_running_loop().call_soon(turned.set)
        first = self._context(order, asked, contract, matches)
        decision = decide.evaluate(order, first)
        if decide.needs_what_if(decision) and contract is not None:
            turned.set()  # an answer may change the facts even at once
            first = await self._with_what_if(order, contract, decision, first)
            decision = decide.evaluate(order, first)
        if not decision.allowed or contract is None:
            return self._denied(order, first, claim)
        legs = 3 if has_target(order) else 2
        try:
            await self._sender.leave_to_send(legs, Priority.OPENING)
        except UnavailableError:
            return self._away(order, self._context(order, asked, contract, matches), claim)
        # From here to the commit nothing waits: two decisions never see the same headroom.
        if not turned.is_set():  # nothing waited since `first`: the same loop turn, the same facts
            return await self._send(order, contract, decision, first, claim)
        last = replace(self._context(order, asked, contract, matches), what_if=first.what_if)
        last, decision = _decided_again(order, decision, last)
        if not decision.allowed:
            return self._denied(order, last, claim)
        return await self._send(order, contract, decision, last, claim)

    async def _prepared(self, order: OrderRequest, contract: Contract) -> Contract:
        """The contract as stepped, once what risk asks of it was given a moment to arrive."""
        await self._quoted(order, contract)
        await self._facts.options.prepare(contract)
        return self._facts.options.stepped(contract)

    def _context(
        self, order: OrderRequest, asked: Asked, contract: Contract | None, matches: int
    ) -> Context:
        return self._facts.context(order, asked, contract=contract, matches=matches)

    # what is asked of the broker first

    async def _resolve(self, order: OrderRequest) -> tuple[Contract | None, int]:
        """The one contract, and how many fitted.

        Raises:
            UnavailableError: the broker does not say.
        """
        wanted = wanted_contract(order)
        known = self._desk.contracts.get(wanted)
        if known is not None:
            return known, 1
        try:
            found = await self._desk.broker.contract(wanted)
        except DataError:
            return None, 0
        self._desk.contracts[wanted] = found
        self._desk.note(entries.contract(self._desk.now, contract=found))
        return found, 1

    async def _quoted(self, order: OrderRequest, contract: Contract) -> None:
        """Wait a moment for the first whole quote of a contract."""
        self._desk.watch(contract)
        with suppress(TimeoutError):
            async with asyncio.timeout(QUOTE_WAIT_S):
                while not (order.close_decided or self._whole(contract)):
                    await self._desk.next_quote(contract.con_id)

    def _whole(self, contract: Contract) -> bool:
        quote = self._desk.quote(contract)
        return quote is not None and quote.bid_usd is not None and quote.ask_usd is not None

    async def _with_what_if(
        self, order: OrderRequest, contract: Contract, decision: Decision, context: Context
    ) -> Context:
        entry = entry_of(self._desk, order, contract, decision)
        try:
            async with asyncio.timeout(WHAT_IF_S):
                trial = self._sender.with_ids([entry])[0]
                told = await self._desk.broker.what_if(placed(trial, 0, transmit=True))
        except (BftError, TimeoutError):
            return context
        return with_what_if(context, told)

    # denial

    def _away(self, order: OrderRequest, context: Context, claim: KeyClaim | None) -> Opened:
        """A transient denial: a session that does not answer is none, whatever it calls itself."""
        if context.session.state is SessionState.ARMED:
            lost = replace(context.session, state=SessionState.LOST)
            context = replace(context, session=lost)
        return self._denied(order, context, claim)

    def _denied(self, order: OrderRequest, context: Context, claim: KeyClaim | None) -> Opened:
        desk, decision = self._desk, decide.evaluate(order, context)
        name = decision_id(order, desk.now, next(self._serial))
        made = [*self._recorded(order, decision, name, context), *self._halts(decision)]
        if claim is not None and not decision.transient:
            made.append(_claim(claim, desk.now, None))
        desk.note(*made)
        return Opened(decision=decision, decision_id=name)

    def _halts(self, decision: Decision) -> list[Entry]:
        """Latching rules that blocked set a halt on the account, once."""
        now, made = self._desk.now, []
        held = {halt.rule for halt in self._desk.state.active_halts(now)}
        for reason in decide.halts_to_set(decision):
            if reason.value not in held:
                made.append(entries.halt(loss_halt(reason, self._desk)))
                self._desk.alert(_ALERTS[reason], self._desk.account, decision.detail)
        return made

    def _recorded(
        self, order: OrderRequest, decision: Decision, name: str, context: Context
    ) -> list[Entry]:
        now = self._desk.now
        known = hashlib.sha256(repr(encode(order)).encode()).hexdigest()
        return [
            entries.signal(now, request=order, request_hash=known),
            entries.decision(
                now, decision_id=name, request=order, decision=decision, context=context
            ),
        ]

    # sending

    async def _send(
        self,
        order: OrderRequest,
        contract: Contract,
        decision: Decision,
        context: Context,
        claim: KeyClaim | None,
    ) -> Opened:
        desk = self._desk
        name = decision_id(order, desk.now, next(self._serial))
        try:
            legs, cover = bracket(desk, order, contract, Decided(decision, context))
        except DataError as error:
            refused = replace(
                decision, allowed=False, reason=Reason.VALIDATION, http_code=400, detail=str(error)
            )
            desk.note(*self._recorded(order, refused, name, context))
            return Opened(decision=refused, decision_id=name)
        legs = self._sender.with_ids(legs)
        facts = trade_facts(desk, order, legs, context)
        made = [
            *self._recorded(order, decision, name, context),
            entries.intents(desk.now, intents=legs, facts=facts, decision_id=name),
            entries.bracket(to_bracket(cover, at=desk.now, closed=False)),
        ]
        if claim is not None:
            made.append(_claim(claim, desk.now, legs[0].intent_id))
        self._guard.plan(cover)
        lapsed = await self._sender.commit(legs, made)
        self._guard.touch(contract.con_id)
        return Opened(
            decision=decision, decision_id=name, intent_id=legs[0].intent_id, lapsed=lapsed
        )


_ALERTS = {
    Reason.DAILY_LOSS: "DayLossHalt",
    Reason.DRAWDOWN: "DrawdownHalt",
    Reason.LOSS_STREAK: "DayLossHalt",
}


def loss_halt(reason: Reason, desk: Desk) -> Halt:
    """Halt of a latching rule: until the next trading day, a drawdown until a person resumes."""
    account, now, until = desk.account, desk.now, None
    if reason is not Reason.DRAWDOWN:
        following = sessions.on_or_after(sessions.shift(desk.trading_day, 1))
        until = datetime.combine(following, time(), sessions.NEW_YORK)
    return Halt(
        halt_id=f"{reason}:{account}:{now.isoformat(timespec='seconds')}",
        scope="account",
        key=account,
        rule=reason.value,
        reason=f"rule {reason}",
        set_by="risk",
        set_at=now,
        until=until,
    )


def decision_id(order: OrderRequest, now: datetime, serial: int) -> str:
    """Name of one decision: a signal may be decided on more than once."""
    text = f"{order.signal_id}|{now.isoformat()}|{serial}"
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def _claim(claim: KeyClaim, now: datetime, intent_id: str | None) -> Entry:
    return entries.claim(
        now,
        key=claim.key,
        subject=claim.subject,
        request_hash=claim.request_hash,
        intent_id=intent_id,
    )


def _decided_again(order: OrderRequest, tried: Decision, last: Context) -> tuple[Context, Decision]:
    """The decision on what holds now; a what-if of fewer units lets no larger order pass."""
    decision = decide.evaluate(order, last)
    if decision.qty > tried.qty and last.what_if is not None:
        last = replace(last, what_if=None)  # it told the margin of a smaller order
        decision = decide.evaluate(order, last)
    return last, decision
