"""What the paper exchange knows, what it has to say, and what must be on disk before it does."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from bft.adapters.broker.paper.account import PaperAccount, Trade
from bft.adapters.broker.paper.checks import Refusal
from bft.adapters.broker.paper.log import Row
from bft.adapters.broker.paper.orders import Status, Working, key_of
from bft.domain.broker import (
    AccountReport,
    AccountValues,
    ErrorKind,
    ErrorReport,
    ExecutionReport,
    FeeReport,
    OrderReport,
    PlacedOrder,
    PositionReport,
    Report,
)
from bft.domain.encoding import decode, encode
from bft.domain.errors import DataError
from bft.domain.orders import Contract, Execution, FillSource
from bft.ports.broker import no_close

KEPT = timedelta(days=7)  # how long completed orders and executions are told, as at the gateway


class Books:
    """Open and done orders by id, executions by id, the account.

    Changes gather in `reports`, in order, and as rows to store; `drain` hands both out.
    """

    def __init__(self, account: PaperAccount, *, seed: int, client_id: int) -> None:
        self.account, self.client_id = account, client_id
        self.open: dict[int, Working] = {}
        self.done: dict[int, Working] = {}
        self.executions: dict[str, Execution] = {}
        self.epoch = 0
        self.close_usd: Callable[[Contract], Decimal | None] = no_close
        self.reports: list[Report] = []
        self._rows: dict[tuple[str, str], Any] = {}
        text = f"{seed}|{account.created_at.isoformat()}"
        self._tag = hashlib.sha256(text.encode()).hexdigest()[:8]

    # ids ---------------------------------------------------------------------------------

    def new_perm_id(self) -> int:
        """Next permanent id; from the seed and the account's birth, below 2^31."""
        self.account.orders += 1
        return 1_000_000_000 + int(self._tag, 16) % 900_000_000 + self.account.orders

    def new_exec_id(self) -> str:
        """Next execution id, first revision."""
        self.account.fills += 1
        return f"{self._tag}.{self.account.fills:08x}.01"

    # changes -----------------------------------------------------------------------------

    def add(self, order: Working) -> None:
        """Take in an accepted order."""
        self.open[order.placed.order_id] = order
        self._seen(order.placed)
        self.changed(order)

    def changed(self, order: Working) -> None:
        """Say and store an order as it stands."""
        self._rows["order", str(order.placed.order_id)] = order
        self.reports.append(OrderReport(order=order.told(self.client_id), epoch=self.epoch))

    def finish(self, order: Working, status: Status, at: datetime) -> None:
        """Move an order to the done ones; `changed` says so."""
        order.status, order.why_held, order.completed_at = status, "", at
        del self.open[order.placed.order_id]
        self.done[order.placed.order_id] = order

    def refuse(self, placed: PlacedOrder, refusal: Refusal, at: datetime) -> None:
        """Note an order that never lived."""
        self.error(placed, refusal.kind, refusal.code, refusal.text)
        if refusal.kind is ErrorKind.DUPLICATE_ID:
            return
        self._seen(placed)
        order = Working(placed=placed, perm_id=self.new_perm_id(), accepted_at=at, expires_at=None)
        self.open[placed.order_id] = order
        self.finish(order, Status.INACTIVE, at)
        self.changed(order)

    def filled(self, order: Working, trade: Trade, at: datetime) -> None:
        """Book a fill and say it as the gateway does: execution, order, commission, position."""
        placed = order.placed
        self.account.book(trade)
        made = Execution(
            exec_id=self.new_exec_id(),
            account=placed.account,
            contract=placed.contract,
            side=placed.side,
            qty=trade.qty,
            price_usd=trade.price_usd,
            at=at,
            order_ref=placed.order_ref,
            perm_id=order.perm_id,
            order_id=placed.order_id,
            client_id=self.client_id,
            source=FillSource.PAPER,
        )
        self.reports.append(ExecutionReport(execution=made, epoch=self.epoch))
        self.changed(order)
        self._charge(made, trade.fee_usd)
        position = self.account.position(placed.contract)
        self.reports.append(PositionReport(position=position, epoch=self.epoch))
        self.reports.append(AccountReport(values=self.values(at), epoch=self.epoch))

    def values(self, at: datetime) -> AccountValues:
        """Figures of the account; what was not quoted yet counts at its last close, else at cost.

        Marks are not stored: after a restart all that is held has none.
        """
        return self.marked().values(at)

    def marked(self) -> PaperAccount:
        """The account with the last closes of now for what was not quoted: to reckon with."""
        held = (holding.contract for holding in self.account.holdings)
        told = {key_of(contract): self.close_usd(contract) for contract in held}
        closes = {key: close for key, close in told.items() if close is not None}
        return replace(self.account, marks=closes | self.account.marks)

    def contracts(self) -> list[Contract]:
        """Contracts of open orders and of what is held."""
        orders = [order.placed.contract for order in self.open.values()]
        return [*orders, *(held.contract for held in self.account.holdings)]

    def error(self, placed: PlacedOrder, kind: ErrorKind, code: int, text: str) -> None:
        """Say a code about an order."""
        self.error_of(placed.order_id, placed.order_ref, (kind, code, text))

    def error_of(self, order_id: int, order_ref: str, said: tuple[ErrorKind, int, str]) -> None:
        """Say a code about an order that may not be known."""
        kind, code, text = said
        self.reports.append(
            ErrorReport(
                kind=kind,
                code=code,
                text=text,
                epoch=self.epoch,
                order_id=order_id,
                order_ref=order_ref or None,
            )
        )

    def _charge(self, made: Execution, fee_usd: Decimal) -> None:
        charged = replace(made, fee_usd=fee_usd)
        self.executions[made.exec_id] = charged
        self._rows["execution", made.exec_id] = charged
        self.reports.append(FeeReport(exec_id=made.exec_id, fee_usd=fee_usd, epoch=self.epoch))

    def _seen(self, placed: PlacedOrder) -> None:
        self.account.last_order_id = max(self.account.last_order_id, placed.order_id)

    # disk --------------------------------------------------------------------------------

    def drain(self) -> tuple[list[Row], list[Report]]:
        """Rows to store and, once they are, reports to make; both are handed out once."""
        rows = [(kind, encode(value)) for (kind, _), value in self._rows.items()]
        if rows:
            rows.append(self._account_row())
        reports, self.reports = self.reports, []
        self._rows = {}
        return rows, reports

    def rows(self) -> list[Row]:
        """Everything, to begin a file anew."""
        orders = [*self.done.values(), *self.open.values()]
        rows = [("order", encode(order)) for order in orders]
        rows += [("execution", encode(execution)) for execution in self.executions.values()]
        return [*rows, self._account_row()]

    def _account_row(self) -> Row:
        return "account", encode(replace(self.account, marks={}))  # marks are the market's

    def load(self, rows: list[Row]) -> None:
        """Take orders and executions from what was stored.

        Raises:
            DataError: a row is none of ours.
        """
        for kind, value in rows:
            try:
                if kind == "order":
                    self._restore(decode(Working, value))
                elif kind == "execution":
                    made = decode(Execution, value)
                    self.executions[made.exec_id] = made
            except (KeyError, TypeError, ValueError, ArithmeticError) as error:
                raise DataError(f"paper account: stored {kind} is broken: {error}") from error

    def forget(self, at: datetime) -> "Books":
        """Drop what is told no more: a ledger may have forgotten what is older; returns itself."""
        oldest = at - KEPT
        self.done = {
            n: o for n, o in self.done.items() if o.completed_at is None or o.completed_at >= oldest
        }
        self.executions = {n: e for n, e in self.executions.items() if e.at >= oldest}
        return self

    def _restore(self, order: Working) -> None:
        number = order.placed.order_id
        self.open.pop(number, None)
        self.done.pop(number, None)
        (self.open if order.completed_at is None else self.done)[number] = order


def stored_account(rows: list[Row]) -> PaperAccount | None:
    """Newest account of a file, or None.

    Raises:
        DataError: it is broken.
    """
    found = [value for kind, value in rows if kind == "account"]
    if not found:
        return None
    try:
        return decode(PaperAccount, found[-1])
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise DataError(f"paper account: stored account is broken: {error}") from error
