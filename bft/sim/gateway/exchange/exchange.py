"""The exchange: takes orders, changes, cancels, quotes and the passing of time."""

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from bft.sim.gateway.exchange import groups, hours, intake
from bft.sim.gateway.exchange.books import Books
from bft.sim.gateway.exchange.contracts import Contract
from bft.sim.gateway.exchange.matching import Matching
from bft.sim.gateway.exchange.orders import (
    LIMIT,
    MARKET,
    STOP,
    STOP_LIMIT,
    Key,
    Order,
    Quote,
    Refusal,
    Said,
    Status,
    StatusSaid,
    Terms,
)

REJECTED = "Order rejected - reason:"
_EXPIRED = "The order expired at the close"


class Exchange:
    """Deterministic: equal calls in equal order give equal books and events."""

    def __init__(self, books: Books) -> None:
        self.books, self.matching = books, Matching(books)
        self.pending: dict[Key, Terms] = {}  # not transmitted yet

    # requests ----------------------------------------------------------------------------

    def place(self, terms: Terms, at: datetime) -> None:
        """A new order, a leg that waits, or a change of either."""
        order = self.books.orders.get(terms.key)
        if order is not None:
            self._change(order, terms, at)
        elif terms.key in self.pending:
            self._transmit(terms, at)
        elif terms.order_id <= self.books.highest_id(terms.client_id):
            self._refuse(terms, Refusal(103, "Duplicate order id"))
        else:
            self._new(terms, at)

    def place_manual(self, terms: Terms, at: datetime) -> Order:
        """An order of a person at the gateway; its client and order id are 0."""
        order = self._accept(terms, at)
        self._work(order, at)
        return order

    def cancel(self, key: Key, at: datetime) -> None:
        """Cancel by (client, order id)."""
        order = self.books.orders.get(key)
        if key in self.pending:
            terms = self.pending.pop(key)
            self._ended_unsent(terms, at)
        elif order is None:
            self._code(key, 10147, f"OrderId {key[1]} that needs to be cancelled is not found.")
        elif not order.status.live:
            text = f"OrderId {key[1]} that needs to be cancelled can not be cancelled"
            self._code(key, 10148, f"{text}, state: {order.status}.")
        elif self.books.hooks.cancelling(order, at):
            text = "Cancel attempted when order is not in a cancellable state"
            self._code(key, 161, f"{text}. Order permId = {order.perm_id}")
        else:
            groups.cancel(self.books, order, at)

    def cancel_all(self, at: datetime) -> None:
        """Cancel every live order of every client."""
        for order in list(self.books.live()):
            groups.cancel(self.books, order, at)

    def forget_pending(self, client_id: int) -> None:
        """Drop legs that were never transmitted: their socket is gone."""
        if not self.books.rules.keep_untransmitted:
            self.pending = {k: t for k, t in self.pending.items() if k[0] != client_id}

    # the market --------------------------------------------------------------------------

    def quote(self, contract: Contract, quote: Quote) -> None:
        """A new quote."""
        self.matching.quote(contract, quote)

    def close(self, at: datetime) -> None:
        """End the DAY orders whose close has come."""
        for order in list(self.books.live()):
            if order.expires_at is not None and order.expires_at <= at:
                groups.cancel(self.books, order, at, text=_EXPIRED)

    def oldest_ended(self) -> datetime | None:
        """When the oldest execution or completed order of the day was."""
        ends = [made.at for made in self.books.executions.values()]
        ends += [o.completed_at for o in self.books.completed.values() if o.completed_at]
        return min(ends, default=None)

    def new_day(self) -> None:
        """Nightly reset: the day's completed orders, executions and figures are gone."""
        books = self.books
        gone = [("order", str(n)) for n in books.completed]
        books.orders = {k: o for k, o in books.orders.items() if o.status.live}
        gone += [("execution", exec_id) for exec_id in books.executions]
        books.completed, books.executions = {}, {}
        for account in books.accounts.values():
            account.realised, account.day_start = Decimal(0), books.equity(account.name)
        for held in books.positions.values():
            held.realised = Decimal(0)
        gone += [("account", name) for name in books.accounts]
        gone += [("position", f"{a}/{n}") for a, n in books.positions]
        books.dirty |= set(gone)

    # steps -------------------------------------------------------------------------------

    def _new(self, terms: Terms, at: datetime) -> None:
        self.books.use_id(terms.key)
        refusal = intake.check_form(self.books, terms)
        if refusal:
            self._refuse(terms, refusal)
        else:
            self.pending[terms.key] = terms
            self._transmit(terms, at)

    def _transmit(self, terms: Terms, at: datetime) -> None:
        """Accept the chain of a leg that has transmit set, parent first, by order id."""
        refusal = intake.check_form(self.books, terms)
        if refusal:
            self.pending.pop(terms.key, None)
            self._refuse(terms, refusal)
            return
        self.pending[terms.key] = terms
        if not terms.transmit:
            return
        root = (terms.client_id, terms.parent_id or terms.order_id)
        chain = [t for k, t in sorted(self.pending.items()) if _root(t) == root]
        for leg in chain:
            del self.pending[leg.key]
        self._accept_chain(chain, at)

    def _accept_chain(self, chain: list[Terms], at: datetime) -> None:
        refused = None
        accepted = []
        for terms in _grouped(chain, self.books.ids.first):
            refused = refused if terms.parent_id else None
            refusal = refused or self.books.hooks.screen(terms) or self._check_live(terms)
            if refusal is None:
                accepted.append(self._accept(terms, at))
                continue
            self._refuse(terms, refusal, at=at)
            if not terms.parent_id:
                refused = Refusal(201, f"{REJECTED}the parent order was rejected")
        for order in accepted:
            self._work(order, at)

    def _check_live(self, terms: Terms) -> Refusal | None:
        if not terms.parent_id:
            return intake.check_funds(self.books, terms, terms.qty)
        parent = self.books.orders.get((terms.client_id, terms.parent_id))
        if parent is None or (not parent.status.live and not parent.filled):
            return Refusal(10006, f"Missing parent order {terms.parent_id}")
        return None

    def _accept(self, terms: Terms, at: datetime) -> Order:
        ends = hours.next_close(terms.contract, at) if terms.tif == "DAY" else None
        order = Order(
            terms=terms,
            perm_id=self.books.new_perm_id(),
            status=Status.PRESUBMITTED,
            created_at=at,
            expires_at=ends,
            stop=terms.aux if terms.kind in {STOP, STOP_LIMIT} else terms.trail_stop,
            reserve=intake.reserve(self.books, terms),
        )
        parent = self.books.parent(order) if terms.parent_id else None
        self.books.add(order)
        open_now = hours.session_of(terms.contract, at) is not None
        if parent is not None and parent.status.live:
            order.why_held = "child"
        else:
            groups.begin(order, open_now=open_now)
        self.books.hooks.accepted(order)
        groups.announce(self.books, order)
        return order

    def _work(self, order: Order, at: datetime) -> None:
        if order.works:
            self.matching.run(order.terms.contract, at, only=order)
        if order.terms.tif == "IOC" and order.works:
            groups.cancel(self.books, order, at)

    def _change(self, order: Order, terms: Terms, at: datetime) -> None:
        if not order.status.live:
            filled = order.status is Status.FILLED
            text = "Cannot modify a filled order" if filled else "Duplicate order id"
            self._code(terms.key, 104 if filled else 103, text)
            return
        terms = replace(terms, oca_group=terms.oca_group or order.terms.oca_group)
        terms = replace(terms, oca_type=terms.oca_type or order.terms.oca_type)
        refusal = (
            self.books.hooks.screen(terms)
            or intake.check_change(order, terms)
            or intake.check_form(self.books, terms)
            or self._check_more(order, terms)
        )
        if refusal:
            self._code(terms.key, refusal.code, refusal.text)
            return
        self._apply_change(order, terms)
        groups.announce(self.books, order)
        self._work(order, at)

    def _check_more(self, order: Order, terms: Terms) -> Refusal | None:
        more = terms.qty > order.terms.qty or (terms.limit or 0) > (order.terms.limit or 0)
        if not more or terms.parent_id:
            return None
        return intake.check_funds(self.books, terms, terms.qty - order.filled)

    def _apply_change(self, order: Order, terms: Terms) -> None:
        if terms.qty != order.qty:
            order.cut = Decimal(0)
        else:  # the shown quantity sent back: what the group took stays taken
            terms = replace(terms, qty=order.terms.qty)
        if terms.kind in {STOP, STOP_LIMIT} and not order.triggered:
            order.stop = terms.aux
        if terms.kind in {MARKET, LIMIT} and order.why_held == "trigger":
            order.why_held, order.status = "", Status.SUBMITTED
        order.terms, order.reserve = terms, intake.reserve(self.books, terms)

    def _refuse(self, terms: Terms, refusal: Refusal, *, at: datetime | None = None) -> None:
        """Say why; an order that was about to work also gets a status and is completed."""
        self._code(terms.key, refusal.code, refusal.text)
        if at is None or refusal.code != 201:
            return
        order = self._shadow(terms, at)
        order.perm_id = self.books.new_perm_id()
        self.books.orders[terms.key] = order
        self.books.finish(order, Status.INACTIVE, at, refusal.text)
        if self.books.rules.status_after_reject:
            self.books.say(StatusSaid(order))

    def _ended_unsent(self, terms: Terms, at: datetime) -> None:
        order = self._shadow(terms, at)
        order.status = Status.CANCELLED
        self.books.events.append(StatusSaid(order))
        self._code(terms.key, 202, groups.CANCELLED_TEXT)

    def _shadow(self, terms: Terms, at: datetime) -> Order:
        return Order(terms=terms, perm_id=0, status=Status.PENDING, created_at=at, expires_at=None)

    def _code(self, key: Key, code: int, text: str) -> None:
        self.books.events.append(Said(key, code, text))


def _root(terms: Terms) -> Key:
    return terms.client_id, terms.parent_id or terms.order_id


def _grouped(chain: list[Terms], first: int) -> list[Terms]:
    """Legs in order, parent first; children without a group get their parent's (type 3)."""
    chain = sorted(chain, key=lambda terms: (terms.parent_id != 0, terms.order_id))
    plain = [terms for terms in chain if terms.parent_id and not terms.oca_group]
    if len(plain) < 2:
        return chain
    group = f"{first}.{plain[0].client_id}.{plain[0].parent_id}"
    return [replace(t, oca_group=group, oca_type=3) if t in plain else t for t in chain]
