"""The paper exchange: orders, brackets, groups and fills. Deterministic; time is a parameter."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from bft.adapters.broker.paper import hours, matching
from bft.adapters.broker.paper.account import Trade
from bft.adapters.broker.paper.books import Books
from bft.adapters.broker.paper.checks import refusal
from bft.adapters.broker.paper.fees import Fee
from bft.adapters.broker.paper.matching import Bar, Market
from bft.adapters.broker.paper.orders import Status, Working, key_of
from bft.domain.broker import ErrorKind, PlacedOrder, Quote
from bft.domain.orders import Side, TimeInForce

CANCEL_BLOCK = 1
"""Type of a group in which any fill cancels the others (TWS API, ocaType); 2 and 3 reduce."""
CANCELLED, CANNOT_AMEND, UNKNOWN_ID, FINISHED = 202, 105, 10147, 10148
_AMENDABLE = ("qty", "limit_price_usd", "stop_price_usd", "time_in_force")
_FIXED = ("order_ref", "account", "side", "order_type", "contract")


class Exchange:
    """Works orders against quotes and bars; what happens is noted in its books."""

    def __init__(self, books: Books, fee: Fee) -> None:
        self.books, self._fee = books, fee
        self.markets: dict[str, Market] = {}

    # what clients ask --------------------------------------------------------------------

    def accept(self, legs: Sequence[PlacedOrder], at: datetime, *, quoted: bool) -> None:
        """Take the legs of one order, parent first; `quoted`: quotes may fill them at once."""
        for placed in legs:
            wrong = refusal(self.books, placed, self.markets.get(key_of(placed.contract)))
            if wrong is None:
                self._admit(placed, at)
            else:
                self.books.refuse(placed, wrong, at)
        if quoted:
            for key in dict.fromkeys(key_of(placed.contract) for placed in legs):
                self.match(key, at)

    def amend(self, placed: PlacedOrder, at: datetime, *, quoted: bool) -> None:
        """Change quantity, prices or lifetime of a live order."""
        order = self.books.open.get(placed.order_id)
        if order is None:
            self._unknown(placed.order_id, placed.order_ref)
            return
        fresh = replace(order.placed, **{name: getattr(placed, name) for name in _AMENDABLE})
        same = all(getattr(placed, name) == getattr(fresh, name) for name in _FIXED)
        if not same or placed.qty <= order.filled_qty:
            self.books.error(placed, ErrorKind.REFUSED, CANNOT_AMEND, "the change is not possible")
            return
        order.placed = fresh
        order.expires_at = _ends(fresh, at)
        self.books.changed(order)
        if quoted:
            self.match(key_of(placed.contract), at)

    def cancel(self, order_id: int, at: datetime) -> None:
        """Cancel a live order, and its children as `finish` has it."""
        order = self.books.open.get(order_id)
        if order is None:
            self._unknown(order_id, "")
        else:
            self.end(order, at, "Order Canceled - reason:")

    # what time and prices do -------------------------------------------------------------

    def expire(self, at: datetime) -> None:
        """End DAY orders whose session has closed."""
        for order in list(self.books.open.values()):
            ends = order.expires_at
            if ends is not None and ends <= at and order.placed.order_id in self.books.open:
                self.end(order, ends, "The order expired at the close")

    def next_expiry(self) -> datetime | None:
        """When the next DAY order ends."""
        ends = (o.expires_at for o in self.books.open.values() if o.expires_at is not None)
        return min(ends, default=None)

    def quote(self, key: str, quote: Quote) -> None:
        """Take a quote, its sizes fresh, and match."""
        sizes = ((Side.BUY, quote.ask_size), (Side.SELL, quote.bid_size))
        left = {side: size for side, size in sizes if size is not None}
        self.markets[key] = Market(quote=quote, left=left)
        self._mark(key, quote)
        self.match(key, quote.at)

    def bar_opens(self, bar: Bar, quote: Quote) -> None:
        """A bar's first price: market orders and whatever it lets fill."""
        self.markets[bar.key] = Market(quote=quote, left=dict.fromkeys(Side, bar.most_qty))
        self._mark(bar.key, quote)
        self.match(bar.key, bar.start)

    def bar_ends(self, bar: Bar, quote: Quote) -> None:
        """The rest of a bar, stops first; orders that came after its open wait for the next."""
        market = self.markets[bar.key]
        orders = self.books.open.values()
        late = {o.placed.order_id for o in orders if o.accepted_at > bar.start}
        asleep = {o.placed.order_id for o in orders if o.held or (o.is_stop and not o.triggered)}

        def price(order: Working) -> Decimal | None:
            number, before = order.placed.order_id, order.triggered
            if number in late or not hours.opened(order.placed.contract, bar.start):
                return None
            found = matching.inside(order, bar, fresh=number in asleep)
            if order.triggered and not before:
                self.books.changed(order)
            return found

        self._run(bar.key, market, bar.end, price)
        market.quote = quote
        self._mark(bar.key, quote)

    def match(self, key: str, at: datetime) -> None:
        """Trigger and fill what the newest quote of this session lets fill."""
        market = self.markets.get(key)
        orders = list(self._workable(key))
        if market is None or not orders or market.quote.halted:
            return
        began = hours.opened(orders[0].placed.contract, at)
        if began is None or market.quote.at < began:
            return
        quote = market.quote

        def price(order: Working) -> Decimal | None:
            if order.is_stop and not order.triggered:
                if not matching.reached(order.placed, quote):
                    return None
                order.trigger()
                self.books.changed(order)
            return matching.at_touch(order, quote)

        self._run(key, market, at, price)

    def _run(
        self, key: str, market: Market, at: datetime, price: Callable[[Working], Decimal | None]
    ) -> None:
        while any(self._work(order, market, at, price) for order in self._workable(key)):
            pass  # a fill may free children or shrink a group: look at all orders again

    def _work(
        self,
        order: Working,
        market: Market,
        at: datetime,
        price: Callable[[Working], Decimal | None],
    ) -> bool:
        price_usd = price(order)  # first, as it also sets triggers
        side = order.placed.side
        qty = market.offers(side, order.remaining_qty)
        if price_usd is None or qty <= 0:
            return False
        market.take(side, qty)
        self._fill(order, qty, price_usd, at)
        return True

    def _workable(self, key: str) -> Iterator[Working]:
        found = [o for o in self.books.open.values() if key_of(o.placed.contract) == key]
        found = [o for o in found if not o.held]
        return iter(sorted(found, key=lambda o: (not o.is_stop, o.placed.order_id)))

    def _mark(self, key: str, quote: Quote) -> None:
        mark = quote.mark_usd  # as the book values what is held
        if mark is not None:
            self.books.account.marks[key] = mark

    # what follows ------------------------------------------------------------------------

    def _admit(self, placed: PlacedOrder, at: datetime) -> None:
        order = Working(
            placed=placed,
            perm_id=self.books.new_perm_id(),
            accepted_at=at,
            expires_at=_ends(placed, at),
        )
        order.release()
        if placed.parent_order_id in self.books.open:
            order.status, order.why_held = Status.PRESUBMITTED, "child"
        self.books.add(order)

    def _fill(self, order: Working, qty: int, price_usd: Decimal, at: datetime) -> None:
        placed = order.placed
        before = order.remaining_qty
        order.filled_qty += qty
        order.notional_usd += qty * price_usd * placed.contract.multiplier
        due = self._fee(placed.contract, placed.side, order.filled_qty, order.notional_usd)
        fee = max(due - order.fees_usd, Decimal(0))
        order.fees_usd += fee
        trade = Trade(
            contract=placed.contract, side=placed.side, qty=qty, price_usd=price_usd, fee_usd=fee
        )
        whole = order.remaining_qty == 0
        if whole:
            self.books.finish(order, Status.FILLED, at)
        self.books.filled(order, trade, at)
        if whole:
            self._free_children(order, at)
        self._shrink_group(order, before, at)

    def _free_children(self, parent: Working, at: datetime) -> None:
        """Let children work; no more of them than their parent has filled."""
        for child in self._children(parent):
            if not parent.filled_qty:
                self.end(child, at, "Order Canceled - reason: parent")
                continue
            if child.held:
                child.release()
            qty = min(child.placed.qty, parent.filled_qty)
            child.placed = replace(child.placed, qty=qty)
            self.books.changed(child)

    def _children(self, parent: Working) -> list[Working]:
        number = parent.placed.order_id
        return [o for o in self.books.open.values() if o.placed.parent_order_id == number]

    def _shrink_group(self, order: Working, before: int, at: datetime) -> None:
        """Take from the others of a group the share that this order's fill was of its rest."""
        group = order.placed.oca_group
        after = order.remaining_qty
        for other in list(self.books.open.values()) if group else []:
            if other is order or other.placed.oca_group != group:
                continue
            share = Decimal(other.remaining_qty * after) / before
            left = int(share.to_integral_value(ROUND_CEILING))
            if order.placed.oca_type == CANCEL_BLOCK or left == 0:
                self.end(other, at, "Order Canceled - reason: group")
            elif left != other.remaining_qty:
                other.placed = replace(other.placed, qty=other.filled_qty + left)
                self.books.changed(other)

    def end(self, order: Working, at: datetime, text: str) -> None:
        """Cancel a live order: its children go with it, or shrink to what it has filled."""
        self.books.finish(order, Status.CANCELLED, at)
        self.books.changed(order)
        self.books.error(order.placed, ErrorKind.CANCELLED, CANCELLED, text)
        self._free_children(order, at)

    def _unknown(self, order_id: int, order_ref: str) -> None:
        done = self.books.done.get(order_id)
        code, text = (FINISHED, "is finished") if done else (UNKNOWN_ID, "is not known")
        self.books.error_of(
            order_id,
            done.placed.order_ref if done else order_ref,
            (ErrorKind.UNCHANGED, code, f"order {order_id} {text}"),
        )


def _ends(placed: PlacedOrder, at: datetime) -> datetime | None:
    if placed.time_in_force is TimeInForce.GTC:
        return None
    contract = placed.contract
    return hours.close_at(contract, hours.session_after(contract, at))
