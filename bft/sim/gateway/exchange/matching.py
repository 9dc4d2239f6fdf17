"""Fills: at the opposite touch, in slices of the displayed size; the opening auction."""

from datetime import datetime
from decimal import Decimal

from bft.domain.orders import Side
from bft.sim.gateway.exchange import accounts, groups, hours
from bft.sim.gateway.exchange.books import Books
from bft.sim.gateway.exchange.contracts import ZERO, Contract
from bft.sim.gateway.exchange.orders import (
    LIMIT,
    MARKET,
    STOP_LIMIT,
    STOPS,
    TRAIL,
    Charged,
    Executed,
    Execution,
    Moved,
    Opened,
    Order,
    Quote,
    Status,
    StatusSaid,
    is_option,
)

_BID_ASK_METHODS = frozenset([1, 4])  # double bid/ask, bid/ask (TWS API, trigger method)
_MIDPOINT = 8


class Matching:
    """Works the live orders of a contract against its newest quote."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self._shown: dict[int, dict[Side, Decimal]] = {}

    def quote(self, contract: Contract, quote: Quote) -> None:
        """Take a new quote; its displayed sizes are fresh."""
        number = contract.con_id
        self.books.quotes[number] = quote
        self._shown[number] = {Side.BUY: quote.ask_size, Side.SELL: quote.bid_size}
        session = hours.session_of(contract, quote.at)
        if session is None or not self.books.working.of(number):
            return
        if self.books.auctioned.get(number) != session:
            self.books.auctioned[number] = session
            self._auction(contract, quote, opened=hours.opens_at(contract, session))
        self.run(contract, quote.at)

    def run(self, contract: Contract, at: datetime, only: Order | None = None) -> None:
        """Trigger and fill what can be; children a fill sets free take part.

        `only`: an order that is new to this quote, which all others have met already.
        """
        quote = self.books.quotes.get(contract.con_id)
        open_now = hours.session_of(contract, at) is not None
        if quote is None or quote.halted or not open_now:
            return
        working = self.books.working
        held = [] if only is None else [o for o in self._family(only) if not o.works]
        done: set[int] = set()
        busy: set[str] = set()
        while True:
            near = working.reached(contract.con_id, quote) if only is None else [only, *held]
            waiting = [o for o in near if o.perm_id not in done and o.works]
            if not waiting:
                break
            done |= {o.perm_id for o in waiting}
            for order in waiting:
                self._meet(order, quote, at, busy)
        groups.settle(self.books, at)

    def _family(self, order: Order) -> list[Order]:
        """Live orders of the same contract that an order's fill may free, and they in turn."""
        found, con_id = list[Order](), order.terms.contract.con_id
        for child in self.books.working.children(order):
            if child.terms.contract.con_id == con_id:
                found += [child, *self._family(child)]
        return found

    def _meet(self, order: Order, quote: Quote, at: datetime, busy: set[str]) -> None:
        """Bring one order to the quote; `busy` groups have executed on it already."""
        if not order.works:
            return
        self._trigger(order, quote)
        if order.terms.oca_type == groups.REDUCE_BLOCK and groups.name(order) in busy:
            return
        if self._work(order, quote, at):
            busy.add(groups.name(order))

    def _auction(self, contract: Contract, quote: Quote, *, opened: datetime) -> None:
        """Fill orders sent before the open at the opening price, whole, where their limit allows.

        Those that stay are told Submitted.
        """
        for order in self.books.working.of(contract.con_id):
            if not order.works or order.created_at >= opened or quote.halted:
                continue
            limit, side, price = order.terms.limit, order.terms.side, quote.open
            if order.terms.kind in {MARKET, LIMIT}:
                good = limit is None or (price - limit) * side.sign <= 0
                if good and price > 0 and order.slices is None:
                    fill(self.books, order, order.remaining, price, quote.at)
                    groups.settle(self.books, quote.at)
                elif order.status is Status.PRESUBMITTED:
                    order.status = Status.SUBMITTED
                    groups.announce(self.books, order)

    def _trigger(self, order: Order, quote: Quote) -> None:
        """Move a trail, and set a stop off when its trigger price is reached."""
        if order.terms.kind not in STOPS or order.triggered:
            return
        seen = _trigger_price(order, quote)
        if seen <= 0:
            return
        if order.terms.kind == TRAIL and _trail(order, seen):
            self.books.touch_order(order)
        if order.stop is None or (seen - order.stop) * order.terms.side.sign < 0:
            return
        order.triggered, order.why_held, order.status = True, "", Status.SUBMITTED
        groups.announce(self.books, order)

    def _work(self, order: Order, quote: Quote, at: datetime) -> bool:
        """Fill one slice if the touch allows; tell whether it did."""
        side = order.terms.side
        touch = quote.ask if side is Side.BUY else quote.bid
        if touch <= 0 or not order.remaining or not _marketable(order, touch):
            return False
        shown = self._shown[order.terms.contract.con_id]
        size = min(order.remaining, shown[side])
        if order.slices is not None:
            size = min(order.remaining, order.slices[0]) if order.slices else ZERO
            order.slices = order.slices[1:]
        if size <= 0:
            return False
        shown[side] = max(shown[side] - size, ZERO)
        fill(self.books, order, size, touch, at)
        return True


def fill(books: Books, order: Order, qty: Decimal, price: Decimal, at: datetime) -> Execution:
    """Book an execution of an order and say so: 11, 5, 3, then its commission."""
    terms = order.terms
    held = books.position(terms.account, terms.contract)
    order.filled += qty
    order.spent += qty * price
    order.last_price = price
    due = accounts.fee(terms.contract, order.filled, order.average)
    cost, order.fees = max(due - order.fees, ZERO), max(due, order.fees)
    moved = accounts.Fill(side=terms.side, qty=qty, price=price, fee=cost)
    realised = accounts.book(books.accounts[terms.account], held, moved)
    made = Execution(
        base_id=books.new_exec_id(),
        revision=1,
        client_id=terms.client_id,
        order_id=terms.order_id,
        perm_id=order.perm_id,
        contract=terms.contract,
        account=terms.account,
        side=terms.side,
        qty=qty,
        price=price,
        cum_qty=order.filled,
        average=order.average,
        at=at,
        order_ref=terms.order_ref,
        fee=cost,
        realised=realised,
        leg=terms.leg,
    )
    record(books, made)
    order.status = Status.SUBMITTED
    if order.complete:
        books.finish(order, Status.FILLED, at, f"Filled Size: {order.filled.normalize():f}")
    books.say(Executed(made))
    books.say(Opened(order))
    books.say(StatusSaid(order))
    books.say(Charged(made))
    books.say(Moved(terms.account, terms.contract))
    groups.after_fill(books, order, qty)
    books.hooks.executed(order, at)
    return made


def record(books: Books, made: Execution) -> None:
    """Keep an execution, and mark what it changed as to be stored."""
    books.executions[made.exec_id] = made
    books.dirty.add(("execution", made.exec_id))
    books.dirty.add(("account", made.account))
    books.dirty.add(("position", f"{made.account}/{made.contract.con_id}"))


def _marketable(order: Order, touch: Decimal) -> bool:
    kind, limit, side = order.terms.kind, order.terms.limit, order.terms.side
    if kind in STOPS and not order.triggered:
        return False
    return kind not in {LIMIT, STOP_LIMIT} or (
        limit is not None and (touch - limit) * side.sign <= 0
    )


def _trigger_price(order: Order, quote: Quote) -> Decimal:
    """Price that is compared with the trigger: last, or bid and ask (options by default)."""
    method, side = order.terms.trigger_method, order.terms.side
    if method == _MIDPOINT:
        return quote.mid
    if method in _BID_ASK_METHODS or (method == 0 and is_option(order.terms.contract)):
        return quote.ask if side is Side.BUY else quote.bid
    return quote.last


def _trail(order: Order, seen: Decimal) -> bool:
    """Follow the best price at the trail's distance, and tell whether the trigger moved.

    It never retreats.
    """
    terms, way = order.terms, order.terms.side.sign
    gap = terms.aux or ZERO
    if terms.trail_percent is not None:
        gap = seen * terms.trail_percent / 100
    level = seen + way * gap
    if order.stop is not None and (order.stop - level) * way <= 0:
        return False
    order.stop = level.quantize(Decimal("0.0001"))
    return True
