"""What is looked into only if it still is so a moment later.

The broker's lists cost it and us; most differences end by themselves with the next report.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from bft.domain.broker import BrokerPosition
from bft.domain.orders import Intent, TimeInForce
from bft.services.executor.agreement import Word
from bft.services.executor.desk import Desk

WORKING = frozenset({"PendingSubmit", "PreSubmitted", "Submitted", "PendingCancel", "Inactive"})
QUERY_S = 2.0
SETTLES_S = 0.5  # a position may be told before the fill that made it; others' fills tell nothing


class Doubts:
    """Asks for the broker's lists about positions that differ and orders that do not end."""

    def __init__(self, desk: Desk, query: Callable[[], None]) -> None:
        self._desk, self._query = desk, query
        self._told: dict[int, Word] = {}
        self._unended: set[str] = set()

    def position(self, told: BrokerPosition) -> None:
        """A position as the broker says it: its fill has a moment to arrive."""
        con_id = told.contract.con_id
        waiting = con_id in self._told
        book = self._desk.state.position_qty(told.account, con_id)
        self._told[con_id] = Word(
            contract=told.contract, qty=told.qty, at=self._desk.now, books=(book,)
        )
        if not waiting:
            self._in(SETTLES_S, lambda: self._settled(told.account, con_id))

    def _settled(self, account: str, con_id: int) -> None:
        told, book = self._told.pop(con_id), self._desk.state.position_qty(account, con_id)
        if account == self._desk.account:
            self._desk.words[con_id] = replace(told, books=(*told.books, book))
        if told.qty != book:
            self._query()

    def expect_end(self, intent: Intent) -> None:
        """What is filled for the book must not work on at the broker: its rest would trade."""
        if intent.state.terminal and intent.broker_status in WORKING:
            self._unended.add(intent.intent_id)
            self._in(QUERY_S, lambda: self._works_on(intent.intent_id))

    def ended(self, intent_id: str) -> None:
        """The broker says that an order ended."""
        self._unended.discard(intent_id)

    def _works_on(self, intent_id: str) -> None:
        if intent_id in self._unended:
            self._unended.discard(intent_id)
            self._query()

    @staticmethod
    def _in(delay_s: float, then: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(delay_s, then)


def awaited(order: Intent, *, more: int = 0) -> str:
    """Which order nobody knows about, what would settle it, and what a person can do."""
    others = f" (and {more} more)" if more else ""
    day = order.time_in_force is TimeInForce.DAY and order.contract.sec_type != "FUT"
    after = f", or complete lists after the close of {order.trading_day}" if day else ""
    return (
        f"order {order.intent_id}{others} is still UNKNOWN: {order.leg} {order.side} {order.qty} "
        f"{order.contract.symbol}. Settled by itself it is by an open or completed order, an "
        f"execution of {order.order_ref}{after}: bft close --reconcile looks now. Settled by hand, "
        f"with what the broker's window shows: bft resolve {order.intent_id} --state CANCELLED "
        "--evidence TEXT; then resume"
    )
