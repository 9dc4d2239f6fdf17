"""Orders that depend on one another: children of a parent, and one-cancels-all groups."""

from datetime import datetime
from decimal import ROUND_FLOOR, Decimal

from bft.sim.gateway.exchange import hours
from bft.sim.gateway.exchange.books import Books, ChildMode, Orphans
from bft.sim.gateway.exchange.orders import STOPS, Opened, Order, Status, StatusSaid

CANCEL_BLOCK, REDUCE_BLOCK, REDUCE = 1, 2, 3
"""Types of an OCA group (TWS API, ocaType)."""
CANCELLED_TEXT = "Order Canceled - reason:"


def announce(books: Books, order: Order) -> None:
    """Say an order as it stands: 5, then 3."""
    books.say(Opened(order))
    books.say(StatusSaid(order))


def name(order: Order) -> str:
    """Group of an order within its account, empty without one."""
    return f"{order.terms.account}/{order.terms.oca_group}" if order.terms.oca_group else ""


def begin(order: Order, *, open_now: bool) -> None:
    """Set the status of an order that has just become workable."""
    order.why_held = ""
    order.status = Status.SUBMITTED if open_now else Status.PRESUBMITTED
    if order.terms.kind in STOPS and not order.triggered:
        order.status, order.why_held = Status.PRESUBMITTED, "trigger"


def after_fill(books: Books, order: Order, qty: Decimal) -> None:
    """Free the children of a parent; note what the rest of a group loses.

    Reductions wait for `settle`, so that two members of a group without block (type 3) can still
    execute on one quote; `Matching` keeps members of type 2 from doing so.
    """
    for child in books.working.children(order):
        _grow(books, order, child)
    books.cuts += [(order, other, qty) for other in books.working.group(order)]


def settle(books: Books, at: datetime) -> None:
    """Apply the reductions that fills have caused."""
    cuts, books.cuts = books.cuts, []
    for order, other, qty in cuts:
        if not other.status.live:
            continue
        part = qty * other.terms.qty / order.terms.qty
        left = other.terms.qty - other.cut - other.filled - part
        ended = order.terms.oca_type == CANCEL_BLOCK or order.status is Status.FILLED
        if ended or left < 1:
            cancel(books, other, at)
        else:
            other.cut += part.to_integral_value(ROUND_FLOOR)
            announce(books, other)


def cancel(books: Books, order: Order, at: datetime, *, text: str = "") -> None:
    """Cancel a live order: 3 Cancelled, 202, then its children likewise."""
    if not order.status.live:
        return
    children = books.working.children(order)
    books.finish(order, Status.CANCELLED, at, text or "Cancelled by Trader")
    books.say(StatusSaid(order))
    books.say_code(order, 202, CANCELLED_TEXT + text)
    for child in children:
        _orphan(books, order, child, at)


def _orphan(books: Books, parent: Order, child: Order, at: datetime) -> None:
    """Settle what becomes of a child whose parent was cancelled."""
    orphans = books.rules.orphans
    if not parent.filled or orphans is Orphans.CANCEL:
        cancel(books, child, at)
        return
    child.share = min(child.terms.qty, parent.filled) if orphans is Orphans.REDUCE else None
    if child.why_held == "child":
        begin(child, open_now=hours.session_of(child.terms.contract, at) is not None)
    announce(books, child)


def _grow(books: Books, parent: Order, child: Order) -> None:
    """Set a child free as far as its parent has filled."""
    mode, whole = books.rules.child_mode, parent.status is Status.FILLED
    before = child.share, child.why_held
    if mode is ChildMode.PROPORTIONAL:
        part = child.terms.qty * parent.filled / parent.terms.qty
        child.share = None if whole else part.to_integral_value(ROUND_FLOOR)
    ready = whole or mode is ChildMode.FULL or bool(child.share)
    if ready and child.why_held == "child":
        begin(child, open_now=True)
    if (child.share, child.why_held) != before:
        announce(books, child)
