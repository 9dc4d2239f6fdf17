"""Broker reports into the ledger: each is idempotent, in any order.

Filled quantity comes from executions alone; a status only says where an order stands.
Source: executor specification, sections 3 and 7.1.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

import structlog

from bft.domain import sessions
from bft.domain.broker import (
    AccountReport,
    BrokerOrder,
    ErrorKind,
    ErrorReport,
    ExecutionReport,
    FeeReport,
    OrderReport,
    PositionReport,
    QuoteReport,
    Report,
    SessionReport,
    SessionState,
)
from bft.domain.errors import BftError
from bft.domain.orders import REF_PREFIX, Execution, Intent, IntentState, TimeInForce
from bft.ledger import entries
from bft.ledger.records import BookOrder
from bft.ledger.transitions import may_move
from bft.services.executor.desk import Desk
from bft.services.executor.doubts import QUERY_S, WORKING, Doubts

CANCELLED = frozenset({"Cancelled", "ApiCancelled"})
CLAIM_S = 5.0  # so long a status may claim more than executions say
INACTIVE_S = 10.0

log = structlog.get_logger()


class Followers(Protocol):
    """Who is told what the reports came to."""

    def filled(self, intent: Intent, execution: Execution) -> None:
        """An order of ours has a new execution, or a revised one."""

    def foreign_fill(self, execution: Execution) -> None:
        """A fill of an order that is not ours was booked."""

    def stranger(self, order_ref: str, what: str) -> None:
        """The broker knows an order of ours that state does not hold: it was restored."""

    def session(self, report: SessionReport) -> None:
        """The session changed."""

    def query(self, *, executions: bool = False) -> None:
        """Ask for all open orders (and executions) soon."""

    def quoted(self, report: QuoteReport) -> None:
        """A watched contract's quote changed."""


class Hearing:
    """Takes every report of the broker."""

    def __init__(self, desk: Desk, followers: Followers) -> None:
        self._desk, self._followers = desk, followers
        self._foreign: set[tuple[int, int]] = set()
        self._waiting: set[tuple[str, str]] = set()
        self._doubts = Doubts(desk, followers.query)
        self.erred: Callable[[ErrorReport], None] = lambda _: None
        self._handlers: dict[type, Callable[[Any], None]] = {
            OrderReport: lambda told: self.order(told.order, epoch=told.epoch),
            ExecutionReport: lambda told: self.execution(told.execution, epoch=told.epoch),
            FeeReport: self._fee,
            ErrorReport: self._error,
            SessionReport: self._session,
            QuoteReport: followers.quoted,
            PositionReport: lambda told: self._doubts.position(told.position),
            AccountReport: lambda _: desk.poke(),
        }

    def hear(self, report: Report) -> None:
        """Book one report; a report that does not fit is kept as an event, never raised."""
        try:
            self._handlers[type(report)](report)
        except BftError as error:
            self._desk.event("ERROR", "ERROR", "report", str(error), report=type(report).__name__)

    # orders

    def order(self, order: BrokerOrder, *, epoch: int, listed: bool = False) -> None:
        """Book where an order stands; `listed`: it is in a complete list of open orders."""
        desk = self._desk
        if order.account != desk.account:
            return
        intent = self._intent(order, epoch)
        if intent is None:
            self._unknown(order)
        elif not same_order(intent, order):
            if order.status in WORKING:
                self._cancel_twin(intent, order)
        elif intent.state.terminal:
            if order.status not in WORKING:
                self._doubts.ended(intent.intent_id)
            elif listed:
                self._resurrected(intent, order)
        else:
            self._stands(intent, order, epoch)
        desk.touch((intent or order).contract.con_id)

    def _intent(self, order: BrokerOrder, epoch: int) -> Intent | None:
        ours = order.client_id == self._desk.broker.client_id
        key = (epoch, order.client_id, order.order_id) if ours and order.order_id else None
        return self._desk.state.intent_of(order_ref=order.order_ref, perm_id=order.perm_id, key=key)

    def _stands(self, intent: Intent, order: BrokerOrder, epoch: int) -> None:
        if order.status in WORKING | CANCELLED | {"Filled"} and order.order_id:
            self._acknowledge(intent, order, epoch)
        claimed = int(order.filled_qty or 0)
        if claimed > self._now(intent).filled_qty:
            claim = (f"filled {claimed}", intent.intent_id)
            self._once(claim, CLAIM_S, lambda: self._claimed(intent.intent_id, claimed))
        if order.status in CANCELLED and claimed <= self._now(intent).filled_qty:
            over = self._day_over(intent)
            state = IntentState.EXPIRED if over else IntentState.CANCELLED
            self.move(intent, state, f"status {order.status}")
        if order.status == "Inactive":
            name = intent.intent_id
            self._once(("inactive", name), INACTIVE_S, lambda: self._still_inactive(name))

    def _day_over(self, intent: Intent) -> bool:
        """The broker cancelled a DAY order because its session is over."""
        day = intent.time_in_force is TimeInForce.DAY and intent.contract.sec_type != "FUT"
        return day and self._desk.now >= sessions.close_at(
            sessions.on_or_before(intent.trading_day)
        )

    def _acknowledge(self, intent: Intent, order: BrokerOrder, epoch: int) -> None:
        told = BookOrder(
            epoch=epoch,
            client_id=order.client_id,
            order_id=order.order_id,
            intent_id=intent.intent_id,
            at=self._desk.now,
            perm_id=order.perm_id or None,
            qty=int(order.qty),
            limit_price_usd=order.limit_price_usd,
            stop_price_usd=order.stop_price_usd,
            broker_status=order.status,
            why_held=order.why_held,
        )
        if self._news(intent, told):
            self._desk.note(entries.order(told))

    def whole(self, intent: Intent, order: BrokerOrder) -> None:
        """A completed order says that what filled is all there was: its group had cut it."""
        told = BookOrder(
            epoch=intent.epoch or 0,
            client_id=intent.client_id or 0,
            order_id=intent.order_id or 0,
            intent_id=intent.intent_id,
            at=self._desk.now,
            perm_id=order.perm_id or None,
            qty=intent.filled_qty,
            limit_price_usd=intent.limit_price_usd,
            stop_price_usd=intent.stop_price_usd,
            broker_status=order.status,
        )
        self._desk.note(entries.order(told))

    def _news(self, intent: Intent, told: BookOrder) -> bool:
        known = self._known(intent, told)
        same = known is not None and (
            known.qty,
            known.limit_price_usd,
            known.stop_price_usd,
            known.broker_status,
            known.why_held,
            known.perm_id,
        ) == (
            told.qty,
            told.limit_price_usd or known.limit_price_usd,
            told.stop_price_usd or known.stop_price_usd,
            told.broker_status,
            told.why_held,
            told.perm_id or known.perm_id,
        )
        return not same or intent.state in {IntentState.SENT, IntentState.UNKNOWN}

    def _known(self, intent: Intent, told: BookOrder) -> BookOrder | None:
        """The row of this order; it keeps the key of the epoch that sent it."""
        state = self._desk.state
        first = (intent.epoch or 0, intent.client_id or 0, intent.order_id or 0)
        return state.orders.get(told.key) or state.orders.get(first)

    def _claimed(self, intent_id: str, claimed: int) -> None:
        """A status still says more than executions do."""
        if self._desk.state.intents[intent_id].filled_qty < claimed:
            self._followers.query(executions=True)

    def _still_inactive(self, intent_id: str) -> None:
        intent = self._desk.state.intents.get(intent_id)
        if intent and not intent.state.terminal and intent.broker_status == "Inactive":
            self._followers.query(executions=True)
            self._cancel_at_broker(intent.order_id)

    def _cancel_twin(self, intent: Intent, order: BrokerOrder) -> None:
        text = f"{intent.order_ref} is live twice: permId {intent.perm_id} and {order.perm_id}"
        self._desk.alert("UnknownOrder", str(order.perm_id), f"{text}; {self._cancelled(order)}")

    def _resurrected(self, intent: Intent, order: BrokerOrder) -> None:
        text = f"{intent.order_ref} ended as {intent.state}, but the broker still holds it"
        self._desk.alert("UnknownOrder", intent.intent_id, f"{text}; {self._cancelled(order)}")

    def _cancelled(self, order: BrokerOrder) -> str:
        """Cancel an order that should not be; the number of another client's names one of ours."""
        if order.client_id != self._desk.broker.client_id or order.order_id <= 0:
            return f"client {order.client_id} holds it: cancel it by hand"
        self._cancel_at_broker(order.order_id)
        return "it is cancelled"

    def _cancel_at_broker(self, order_id: int | None) -> None:
        if order_id and self._desk.broker.state.may_cancel and self._desk.lease_held:
            self._desk.broker.cancel(order_id)

    def _unknown(self, order: BrokerOrder) -> None:
        """Another's order is recorded and never touched; ours that state lacks was restored."""
        if order.order_ref.startswith(REF_PREFIX):
            self._followers.stranger(order.order_ref, f"open order, permId {order.perm_id}")
            return
        if order.contract.sec_type == "BAG":
            self._desk.combos.add(order.perm_id)
        key = (order.client_id, order.perm_id or order.order_id)
        if key in self._foreign:
            return
        self._foreign.add(key)
        side = f"{order.side} {order.qty} {order.contract.symbol} {order.order_type}"
        text = f"order of client {order.client_id}: {side}, permId {order.perm_id}"
        self._desk.alert("ForeignOrder", str(order.perm_id), text)

    # fills

    def execution(self, told: Execution, *, epoch: int) -> None:
        """Book a fill once; tell who follows."""
        desk = self._desk
        if told.account != desk.account:
            return
        known = desk.state.executions.get(told.exec_id)
        if known is not None:
            if known.execution.fee_usd is None and told.fee_usd is not None:  # lost on its way
                desk.note(entries.fee(desk.now, exec_id=told.exec_id, fee_usd=told.fee_usd))
            return
        desk.note(entries.execution(desk.now, execution=told, epoch=epoch))
        booked = desk.state.executions.get(told.exec_id)
        intent = desk.state.intents.get(booked.intent_id or "") if booked else None
        if intent is not None:
            self._followers.filled(intent, told)
            desk.touch(intent.contract.con_id)
            self._doubts.expect_end(intent)
            return
        if told.order_ref.startswith(REF_PREFIX):
            self._followers.stranger(told.order_ref, f"execution {told.exec_id}")
        else:
            self._followers.foreign_fill(told)
            self._followers.query()  # whose order it is, and whether of a combination
        desk.poke()

    def _fee(self, report: FeeReport) -> None:
        booked = self._desk.state.executions.get(report.exec_id)
        if booked is None or booked.execution.fee_usd != report.fee_usd:
            made = entries.fee(self._desk.now, exec_id=report.exec_id, fee_usd=report.fee_usd)
            self._desk.note(made)

    # errors

    def _error(self, report: ErrorReport) -> None:
        intent = self._addressed(report)
        self._desk.heard_code(report.code)
        if not _crossed(intent, report):
            self.erred(report)
        if report.kind is ErrorKind.PACING:
            self._desk.alert("PacingErrors", str(report.code), f"{report.code} {report.text}")
        if intent is None:
            if report.kind is not ErrorKind.FARM_OK:
                self._event(report, "")
            return
        self._event(report, intent.order_ref)
        if report.kind is ErrorKind.REFUSED:
            self._refused(intent, report)
        elif report.kind is ErrorKind.DUPLICATE_ID:
            self.move(intent, IntentState.UNKNOWN, "code 103", code=report.code)
            self._in(QUERY_S, self._followers.query)
        elif report.kind is not ErrorKind.MESSAGE:
            self._in(QUERY_S / 2, lambda: self._still_live(intent))
        self._desk.touch(intent.contract.con_id)

    def _still_live(self, intent: Intent) -> None:
        """What the broker said of an order has not ended it: its lists are asked."""
        if not self._now(intent).state.terminal:
            self._followers.query(executions=True)

    def _addressed(self, report: ErrorReport) -> Intent | None:
        client = self._desk.broker.client_id
        key = (report.epoch, client, report.order_id) if report.order_id else None
        return self._desk.state.intent_of(order_ref=report.order_ref or "", key=key)

    def _refused(self, intent: Intent, report: ErrorReport) -> None:
        """Class R: REJECTED before acknowledgement in the sending epoch, else a failed amend."""
        before = intent.state in {IntentState.SENT, IntentState.UNKNOWN} and not intent.acked_at
        if before and intent.epoch == report.epoch:
            text = report.text[:500]
            self.move(intent, IntentState.REJECTED, "refused", code=report.code, text=text)
        else:
            self._in(QUERY_S / 2, lambda: self._followers.query(executions=True))

    def _event(self, report: ErrorReport, order_ref: str) -> None:
        quiet = report.kind in {ErrorKind.MESSAGE, ErrorKind.CANCELLED, ErrorKind.DATA}
        self._desk.event(
            "ERROR",
            "INFO" if quiet else "WARNING",
            "broker_code",
            f"{report.code} {report.text}"[:500],
            code=report.code,
            order_ref=order_ref,
        )

    # session

    def _session(self, report: SessionReport) -> None:
        """What was on its way when the session broke is unknown."""
        broken = {SessionState.DOWN, SessionState.LOST, SessionState.HALF_OPEN}
        if report.state in broken:
            self._desk.reconciled = False
            for intent in list(self._desk.state.live_intents()):
                if intent.state in {IntentState.SENT, IntentState.CANCEL_PENDING}:
                    self.move(intent, IntentState.UNKNOWN, f"session {report.state}")
        if report.state is not SessionState.ARMED:
            self._desk.event(
                "SYSTEM", "INFO", "session", f"{report.state} {report.reason}", code=report.code
            )
        self._followers.session(report)

    def move(
        self,
        intent: Intent,
        state: IntentState,
        evidence: str,
        *,
        code: int | None = None,
        text: str = "",
    ) -> bool:
        """Note a transition if the table of states holds it; tell whether it did."""
        current = self._now(intent)
        if current.state is state or not may_move(current.state, state):
            return False
        self._desk.note(
            entries.moved(
                self._desk.now,
                intent_id=intent.intent_id,
                state=state,
                evidence=evidence,
                code=code,
                text=text,
            )
        )
        return True

    def _now(self, intent: Intent) -> Intent:
        return self._desk.state.intents.get(intent.intent_id, intent)

    def _once(self, what: tuple[str, str], delay_s: float, then: Callable[[], None]) -> None:
        """Do something later; what waits already is in each list until then, and comes once."""

        def due() -> None:
            self._waiting.discard(what)
            then()

        if what not in self._waiting:
            self._waiting.add(what)
            self._in(delay_s, due)

    @staticmethod
    def _in(delay_s: float, then: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(delay_s, then)


def _crossed(intent: Intent | None, report: ErrorReport) -> bool:
    """A change or cancel that met its order's own end on the way: nothing went wrong."""
    ended = intent is not None and intent.state.terminal
    return ended and report.kind in {ErrorKind.UNCHANGED, ErrorKind.DUPLICATE_ID}


def same_order(intent: Intent, order: BrokerOrder) -> bool:
    """Whether a report under the reference of an intent is of the order that was recorded."""
    return not (intent.perm_id and order.perm_id) or intent.perm_id == order.perm_id
