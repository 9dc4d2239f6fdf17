"""What the gateway says on one connection, decoded, and what is made of it.

Callbacks arrive ahead of any bookkeeping of the library (`client`). Each becomes a report of this
epoch, a row of an answer, or both; rows of other accounts are ignored.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Protocol

import ib_async

from bft.adapters.broker.ib import codes, contracts, orders
from bft.adapters.broker.ib.client import Handler
from bft.adapters.broker.ib.identity import OrderTable, Status
from bft.adapters.broker.ib.increments import MarketRules
from bft.adapters.broker.ib.quotes import Feed
from bft.adapters.broker.ib.requests import REQUEST_IDS_FROM, PacedError, Requests, Slot
from bft.adapters.broker.ib.values import Values
from bft.domain.broker import (
    AccountReport,
    BrokerOrder,
    BrokerPosition,
    ErrorKind,
    ErrorReport,
    ExecutionReport,
    FeeReport,
    OrderReport,
    PositionReport,
    Report,
)
from bft.domain.errors import BftError, DataError, UnavailableError
from bft.domain.orders import Contract, FillSource

NO_CODE = 0
"""Stands where the adapter itself has something to say about an order."""
_INFORMS = frozenset({ErrorKind.MESSAGE, ErrorKind.FARM_OK, ErrorKind.CONNECTIVITY})


class Listener(Protocol):
    """Who is told what comes of it."""

    def report(self, report: Report) -> None:
        """Something for the executor."""

    def now(self) -> datetime:
        """The clock."""

    def greeted(self) -> None:
        """Part of the handshake, or the list of accounts, has come."""

    def complained(self) -> None:
        """The gateway says that too much is sent."""

    def amend_again(self, order_id: int) -> None:
        """A change came at a bad moment."""

    def said(self, code: int, text: str) -> None:
        """A code that belongs to no order or request."""


class Inbox:
    """Callbacks of one connection; `epoch` is stamped on what they report."""

    def __init__(
        self,
        account: str,
        client_id: int,
        *,
        listener: Listener,
        requests: Requests,
        feed: Feed,
        known: dict[int, Contract],
    ) -> None:
        self.account, self.client_id = account, client_id
        self.epoch = 0
        self.accounts: tuple[str, ...] = ()
        self.requests, self.feed = requests, feed
        self.orders = OrderTable(client_id)
        self.values = Values(account)
        self.rules = MarketRules()
        self.known = known  # contracts by con_id, as looked up or placed; outlives connections
        self.fees: dict[str, Decimal] = {}
        self.fills_of_answer: set[str] = set()  # executions that a question brings just now
        self.asked_time: list[asyncio.Future[datetime]] = []
        self.connection_code: int | None = None
        self.account_told = asyncio.Event()
        self.heard_at: datetime | None = None  # when the newest message came
        self.silent = False  # the connection is over
        self._listener = listener
        self._positions: dict[int, BrokerPosition] = {}
        self._account_due = False

    def forget_positions(self, held: set[int]) -> None:
        """An answer listed these contracts only: others would be news again."""
        for con_id in self._positions.keys() - held:
            del self._positions[con_id]

    def error(self, kind: ErrorKind, code: int, text: str, order_id: int | None) -> ErrorReport:
        """A code about an order, named where this epoch knows it, or about none."""
        ref = self.orders.ref_of(order_id) if order_id is not None else None
        return ErrorReport(
            kind=kind, code=code, text=text, epoch=self.epoch, order_id=order_id, order_ref=ref
        )

    def receivers(self) -> dict[str, Handler]:
        """The library's callback names, and who takes each."""
        return {
            "nextValidId": self._greeted,
            "managedAccounts": self._accounts_told,
            "error": self._code,
            "openOrder": self._open_order,
            "openOrderEnd": lambda: self.requests.end(Slot.OPEN_ORDERS),
            "orderStatus": self._order_status,
            "completedOrder": self._completed_order,
            "completedOrdersEnd": lambda: self.requests.end(Slot.COMPLETED_ORDERS),
            "execDetails": self._exec_details,
            "execDetailsEnd": self.requests.numbered_end,
            "commissionReport": self._commission,
            "position": self._position,
            "positionEnd": lambda: self.requests.end(Slot.POSITIONS),
            "updateAccountValue": self._account_value,
            "accountDownloadEnd": lambda _: self.account_told.set(),
            "contractDetails": self.requests.numbered_item,
            "contractDetailsEnd": self.requests.numbered_end,
            "currentTime": self._current_time,
            "marketRule": self.rules.told,
            "marketDataType": self.feed.kind,
            "priceSizeTick": self.feed.price,
            "tickSize": self.feed.size,
            "tickGeneric": self.feed.generic,
            "tickOptionComputation": self.feed.computed,
            "tcpDataProcessed": self._processed,
        }

    def _processed(self) -> None:
        if self.silent:
            return
        self.heard_at = self._listener.now()
        self.feed.flush()
        if self._account_due and self.values.newest is not None:
            self._account_due = False
            self._listener.report(AccountReport(values=self.values.newest, epoch=self.epoch))

    def _open_order(
        self, _: int, contract: ib_async.Contract, order: ib_async.Order, state: ib_async.OrderState
    ) -> None:
        if order.whatIf:
            self.requests.numbered_item(order.orderId, state)
            self.requests.numbered_end(order.orderId)
            return
        if not self._ours(order.account):
            return
        told = orders.open_order(self._known(contract), order, state.status)
        whole, fresh = self.orders.opened(told)
        self.requests.item(Slot.OPEN_ORDERS, whole)
        self._report_order(whole, fresh=fresh)

    def _order_status(self, order_id: int, status: str, filled: float, *rest: Any) -> None:
        _remaining, _average, perm_id, _parent, _last, client_id, why_held, _cap = rest
        told = Status(
            client_id=client_id,
            order_id=order_id,
            perm_id=perm_id,
            status=orders.word(status),
            filled=contracts.decimal_of(filled),
            why_held=why_held,
        )
        found = self.orders.status(told)
        if found is not None:
            self._report_order(found[0], fresh=found[1])
        elif client_id == self.client_id and perm_id:  # without one it says nothing yet
            text = f"status {status} of permId {perm_id}, which this epoch has not confirmed"
            fenced = self.error(ErrorKind.UNLISTED, NO_CODE, text, order_id)
            self._listener.report(replace(fenced, order_ref=None))

    def _report_order(self, order: BrokerOrder, *, fresh: bool) -> None:
        """Tell; but not again what only the answer to a question repeats."""
        if fresh or not self.requests.asking(Slot.OPEN_ORDERS):
            self._listener.report(OrderReport(order=order, epoch=self.epoch))

    def _completed_order(
        self, contract: ib_async.Contract, order: ib_async.Order, state: ib_async.OrderState
    ) -> None:
        if not self._ours(order.account):
            return
        told = orders.completed_order(self._known(contract), order, state)
        if self.requests.asking(Slot.COMPLETED_ORDERS):
            self.requests.item(Slot.COMPLETED_ORDERS, told)
        else:
            self._listener.report(OrderReport(order=told, epoch=self.epoch))

    def _exec_details(
        self, number: int, contract: ib_async.Contract, fill: ib_async.Execution
    ) -> None:
        if not self._ours(fill.acctNumber) or contract.secType == "BAG":
            return  # a combination's own fill moves nothing: those of its legs come beside it
        live = number < 0
        source = FillSource.LIVE if live else FillSource.RECOVERED
        made = orders.execution(self._known(contract), fill, source)
        if made is None:
            text = f"execution {fill.execId}: {fill.shares} at {fill.price} is no whole fill"
            order_id = fill.orderId if fill.clientId == self.client_id else None
            self._listener.report(self.error(ErrorKind.UNLISTED, NO_CODE, text, order_id))
        elif live:
            self._listener.report(ExecutionReport(execution=made, epoch=self.epoch))
        else:
            self.requests.numbered_item(number, made)
            self.fills_of_answer.add(made.exec_id)

    def _commission(self, told: ib_async.CommissionReport) -> None:
        """A fee, reported unless it only belongs to the answer of a question."""
        fee = contracts.decimal_of(told.commission)
        if fee is None:
            return
        self.fees[told.execId] = fee
        if told.execId not in self.fills_of_answer:
            self._listener.report(FeeReport(exec_id=told.execId, fee_usd=fee, epoch=self.epoch))

    def _position(self, account: str, contract: ib_async.Contract, qty: float, cost: float) -> None:
        units = contracts.decimal_of(qty)
        if not self._ours(account) or units is None:
            return
        average = contracts.decimal_of(cost) or Decimal(0)
        known = self._known(contract)
        held = BrokerPosition(account=account, contract=known, qty=units, average_cost_usd=average)
        self.requests.item(Slot.POSITIONS, held)
        if self._positions.get(known.con_id) != held:
            self._positions[known.con_id] = held
            self._listener.report(PositionReport(position=held, epoch=self.epoch))

    def _account_value(self, tag: str, value: str, currency: str, account: str) -> None:
        if self._ours(account):
            self._account_due |= self.values.take(tag, value, currency, self._listener.now())

    def _current_time(self, seconds: int) -> None:
        for waiting in self.asked_time:
            if not waiting.done():
                waiting.set_result(datetime.fromtimestamp(seconds, UTC))

    def _accounts_told(self, names: str) -> None:
        self.accounts = tuple(name for name in names.split(",") if name)
        self._listener.greeted()

    def _greeted(self, _: object) -> None:
        self._listener.greeted()

    # codes -------------------------------------------------------------------------------

    def _code(self, number: int, code: int, text: str, _json: str) -> None:
        """A code goes to the question, the line or the order it names, else to the session."""
        kind = codes.kind_of(code)
        if kind is ErrorKind.PACING:
            self._listener.complained()
        if number >= REQUEST_IDS_FROM:
            self._code_of_request(number, kind, code, text)
            number = 0
        elif self.requests.knows(number):  # an order that is only tried
            self._code_of_request(number, kind, code, text)
            return
        if number <= 0:
            self.connection_code = code if kind is ErrorKind.CONNECTION else self.connection_code
            self._listener.report(self.error(kind, code, text, None))
            self._listener.said(code, text)
            return
        if kind is ErrorKind.REFUSED:
            self.orders.refused(number)
        if code == codes.AMEND_LATER:
            self._listener.amend_again(number)
        self._listener.report(self.error(kind, code, text, number))

    def _code_of_request(self, number: int, kind: ErrorKind, code: int, text: str) -> None:
        if self.feed.knows(number):
            if kind is ErrorKind.PACING:
                self.feed.paced(number)
            elif kind not in _INFORMS:
                self.feed.refused(number, code)
        elif kind not in _INFORMS and self.requests.knows(number):
            self.requests.failed(number, _fault(kind, code, text))

    # small things ------------------------------------------------------------------------

    def _ours(self, account: str) -> bool:
        return account in {"", self.account}

    def _known(self, contract: ib_async.Contract) -> Contract:
        """The contract with what only a look-up tells, such as its tick, where there was one."""
        told = contracts.told(contract)
        known = self.known.get(told.con_id)
        return told if known is None else replace(known, symbol=told.symbol)


def _fault(kind: ErrorKind, code: int, text: str) -> BftError:
    if kind is ErrorKind.PACING:
        return PacedError(f"gateway {code}: {text}")
    if kind in {ErrorKind.REFUSED, ErrorKind.HELD}:
        return DataError(f"gateway {code}: {text}")
    return UnavailableError(f"gateway {code}: {text}; ask again")
