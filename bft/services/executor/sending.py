"""From committed intents to bytes, exactly once.

A token of the pacer, one durable transaction, the fences and the bytes in one tick of the loop,
a marker before the first byte. Source: executor specification, section 3.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from bft.domain.broker import PlacedOrder, Priority
from bft.domain.errors import RefusedError, UnavailableError
from bft.domain.journal import Entry
from bft.domain.orders import Intent, IntentState, Leg
from bft.ledger import entries
from bft.services.executor.desk import Desk

ACK_S = 10.0
LEASE_SURE_S = 10.0  # after the check in a commit: it lives for 15 s and is renewed every 5 s
AMENDABLE = frozenset({IntentState.ACKED, IntentState.PARTIAL})
OCA_REDUCE = 2  # with block: a partial fill reduces the siblings; executor specification, 17
DOUBLE_BID_ASK = 4  # trigger method of option stops; executor specification, 6


class Sender:
    """Sends orders, amends and cancels; every one leaves through here."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def send(self, legs: Sequence[Intent], *, priority: Priority) -> str | None:
        """Commit and send closing legs; why nothing was sent, or None.

        Raises:
            RefusedError: the lease is lost; nothing was sent.
            UnavailableError: the session does not allow it; nothing was committed.
        """
        await self.leave_to_send(len(legs), priority)
        return await self.dispatch(legs)

    async def dispatch(self, legs: Sequence[Intent]) -> str | None:
        """Commit and send closing legs whose tokens are taken; see `send`."""
        legs = self.with_ids(legs)
        made = entries.intents(self._desk.now, intents=legs, facts=None)
        return await self.commit(legs, [made])

    async def leave_to_send(self, count: int, priority: Priority) -> None:
        """Take tokens of the pacer: nothing that is committed waits behind a limit."""
        for _ in range(count):
            await self._desk.broker.send_token(priority)

    async def amend(self, intent: Intent, *, remaining: int, price_usd: Decimal) -> None:
        """Change quantity and price of a live leg; reports tell the outcome.

        `remaining` is meant beside what `intent` had filled: what fills while leave is awaited
        makes no order larger. An entry is changed only while entries may leave, nothing once the
        lease is lost: its new holder guards, by what it knows.

        Raises:
            UnavailableError: the session does not allow it.
        """
        await self._desk.broker.send_token(Priority.AMEND)
        current = self._desk.state.intents[intent.intent_id]
        qty = intent.filled_qty + remaining
        if current.state not in AMENDABLE or current.order_id is None or qty <= current.filled_qty:
            return
        opens = current.leg is Leg.ENTRY
        if not self._desk.lease_held:
            return
        if opens and (self._desk.may_open() or self._desk.halted(current)):
            return
        stop = price_usd if current.leg is Leg.STOP else current.stop_price_usd
        limit = current.limit_price_usd if current.leg is Leg.STOP else price_usd
        changed = replace(current, qty=qty, stop_price_usd=stop, limit_price_usd=limit)
        self._desk.broker.amend(placed(changed, 0, transmit=True))

    async def cancel(self, intent: Intent, *, why: str) -> None:
        """Cancel an order; one that was never sent lapses at once.

        Once the lease is lost only entries are cancelled: an exit that should follow a cancelled
        one could not be committed any more.
        """
        desk = self._desk
        if self._now(intent).state is not IntentState.RESERVED:
            await desk.broker.send_token(Priority.CANCEL)
        current = self._now(intent)
        if current.state is IntentState.RESERVED:  # `commit` finds it so, and sends nothing
            desk.note(entries.lapsed(desk.now, intent_ids=[current.intent_id], reason=why))
            return
        if current.state.terminal or current.order_id is None:
            return
        if not desk.lease_held and current.leg is not Leg.ENTRY:
            return
        desk.broker.cancel(current.order_id)
        if current.state in {IntentState.ACKED, IntentState.PARTIAL}:
            desk.note(self._moved(current, IntentState.CANCEL_PENDING, why))
        self._later(current, IntentState.CANCEL_PENDING)

    def with_ids(self, legs: Sequence[Intent]) -> list[Intent]:
        """The legs under reserved order ids of this session."""
        broker = self._desk.broker
        ids = broker.reserve_ids(len(legs))
        return [
            replace(leg, order_id=number, client_id=broker.client_id, epoch=broker.epoch)
            for leg, number in zip(legs, ids, strict=True)
        ]

    async def commit(self, legs: Sequence[Intent], items: Sequence[Entry]) -> str | None:
        """T1 (`items`, durable), fences, marker, bytes, T2; why nothing was sent, or None.

        Raises:
            RefusedError: the lease is lost; nothing was sent.
        """
        desk, ids = self._desk, [leg.intent_id for leg in legs]
        began = desk.timer()
        try:
            await desk.note(*items, gives_up=True)
        except UnavailableError:
            desk.note(entries.lapsed(desk.now, intent_ids=ids, reason="state not writable"))
            desk.alert("StateNotWritable", "state", desk.writer.problem or "state not writable")
            return "state not writable"
        problem = self._fenced(legs, desk.timer() - began) or self._written(legs)
        if problem:
            desk.note(entries.lapsed(desk.now, intent_ids=ids, reason=problem))
            return problem
        desk.took("send", desk.timer() - began)
        desk.note(entries.sent(desk.now, intent_ids=ids))
        for leg in legs:
            self._later(leg, IntentState.SENT)
        return None

    def _fenced(self, legs: Sequence[Intent], took_s: float) -> str | None:
        desk = self._desk
        if desk.broker.epoch != legs[0].epoch:
            return "the session changed while the order was committed"
        if any(self._now(leg).state is not IntentState.RESERVED for leg in legs):
            return "cancelled before it was sent"
        if not desk.lease_held:
            return "lease lost"
        if not any(leg.leg is Leg.ENTRY for leg in legs):
            return None if desk.broker.state.may_close else f"session {desk.broker.state}"
        if took_s > LEASE_SURE_S:
            return f"the commit took {took_s:.0f} s; the lease may be another's by now"
        return desk.may_open() or desk.halted(legs[0])

    def _written(self, legs: Sequence[Intent]) -> str | None:
        """Mark, then write the bytes; why none were written, or None."""
        orders = [
            placed(leg, self._parent_order_id(leg, legs), transmit=leg is legs[-1]) for leg in legs
        ]
        try:
            self._desk.marker.mark(leg.intent_id for leg in legs)
            self._desk.broker.place(orders)
        except UnavailableError as error:
            return str(error)
        except BaseException:  # some of the bytes may be on their way
            for leg in legs:
                self._desk.note(self._moved(leg, IntentState.UNKNOWN, "sending failed"))
            raise
        return None

    def _now(self, intent: Intent) -> Intent:
        return self._desk.state.intents.get(intent.intent_id, intent)

    @staticmethod
    def _parent_order_id(leg: Intent, legs: Sequence[Intent]) -> int:
        """The broker's id of the parent that goes out with it; a later leg has none."""
        found = (other.order_id for other in legs if other.intent_id == leg.parent_id)
        return next(found, None) or 0

    def _later(self, intent: Intent, waiting: IntentState) -> None:
        asyncio.get_running_loop().call_later(ACK_S, self._unanswered, intent.intent_id, waiting)

    def _unanswered(self, intent_id: str, waiting: IntentState) -> None:
        intent = self._desk.state.intents.get(intent_id)
        if intent is None or intent.state is not waiting:
            return
        self._desk.note(self._moved(intent, IntentState.UNKNOWN, "no answer in 10 s"))
        self._desk.event(
            "ORDER", "WARNING", "unknown", f"{intent.order_ref} was not answered in 10 s"
        )
        self._desk.touch(intent.contract.con_id)

    def _moved(self, intent: Intent, state: IntentState, evidence: str) -> Entry:
        return entries.moved(
            self._desk.now, intent_id=intent.intent_id, state=state, evidence=evidence
        )


def placed(intent: Intent, parent_order_id: int, *, transmit: bool) -> PlacedOrder:
    """An intent as handed to a broker.

    Raises:
        RefusedError: it has no order id; it was never committed.
    """
    if intent.order_id is None:
        raise RefusedError(f"{intent.order_ref} has no order id; it was not committed")
    return PlacedOrder(
        order_id=intent.order_id,
        order_ref=intent.order_ref,
        contract=intent.contract,
        side=intent.side,
        qty=intent.qty,
        order_type=intent.order_type,
        account=intent.account,
        limit_price_usd=intent.limit_price_usd,
        stop_price_usd=intent.stop_price_usd,
        time_in_force=intent.time_in_force,
        parent_order_id=parent_order_id,
        oca_group=intent.oca_group or "",
        oca_type=OCA_REDUCE if intent.oca_group else 0,
        transmit=transmit,
        trigger_method=DOUBLE_BID_ASK if _option_stop(intent) else 0,
    )


def _option_stop(intent: Intent) -> bool:
    return intent.leg is Leg.STOP and intent.contract.sec_type == "OPT"
