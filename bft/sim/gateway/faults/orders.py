"""Words about one order: how the exchange takes it, fills it, and lets it be cancelled."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

from bft.domain.orders import Side
from bft.sim.gateway.exchange import groups, matching
from bft.sim.gateway.exchange.orders import Key, Order, Refusal, Status, Terms
from bft.sim.gateway.faults.script import Rule
from bft.sim.gateway.faults.words import Kind

if TYPE_CHECKING:
    from bft.sim.gateway.gateway import GatewaySim

_REJECTED = "Order rejected - reason:the script says so"


class OrderFaults:
    """The exchange's hooks: see `books.Hooks`."""

    def __init__(self, gateway: "GatewaySim") -> None:
        self.gateway = gateway
        self._rules: dict[Key, dict[str, Rule]] = defaultdict(dict)
        self.accepted_now: list[Order] = []
        self.filled_now: list[Order] = []

    def register(self, key: Key, rules: Sequence[Rule]) -> None:
        """Note what shall happen to an order that is about to be handled."""
        for rule in rules:
            if rule.word.kind is Kind.ORDER:
                self._rules[key][rule.do] = rule

    def take(self, key: Key, do: str) -> Rule | None:
        """A word that waits for an order, once."""
        return self._rules[key].pop(do, None) if key in self._rules else None

    # hooks -------------------------------------------------------------------------------

    def screen(self, terms: Terms) -> Refusal | None:
        """Reject, if a word says so."""
        rule = self.take(terms.key, "reject") or self.take(terms.key, "child_reject")
        if rule is None:
            return None
        return Refusal(int(rule.params.get("code", 201)), str(rule.params.get("text", _REJECTED)))

    def accepted(self, order: Order) -> None:
        """Prepare scripted fills of an order that has just been accepted."""
        key = order.terms.key
        self.accepted_now.append(order)
        partial, cancelled = self.take(key, "partial_fill"), self._waits(key, "fill_then_cancel")
        if partial is not None:
            parts = [Decimal(str(part)) for part in partial.params["fractions"]]
            order.slices = _whole(order.terms.qty, parts)
        elif cancelled is not None:
            part = Decimal(str(cancelled.params.get("fraction", 0.5)))
            order.slices = _whole(order.terms.qty, [part])

    def executed(self, order: Order, at: datetime) -> None:
        """Cancel the rest, or fill too much."""
        key = order.terms.key
        self.filled_now.append(order)
        books = self.gateway.exchange.books
        if self.take(key, "fill_then_cancel") is not None:
            groups.cancel(books, order, at)
        if order.status is Status.FILLED:
            rule = self.take(key, "overfill")
            if rule is not None:
                extra = Decimal(str(rule.params["qty"]))
                matching.fill(books, order, extra, order.last_price, at)

    def cancelling(self, order: Order, at: datetime) -> bool:
        """Whether the order fills before its cancel is taken; one that is held cannot."""
        raced = self.take(order.terms.key, "cancel_race") is not None
        if not (raced and order.works and order.remaining):
            return False
        books = self.gateway.exchange.books
        matching.fill(books, order, order.remaining, _race_price(self.gateway, order), at)
        groups.settle(books, at)
        return True

    # after the exchange has spoken -------------------------------------------------------

    def is_silent(self, order: Order) -> bool:
        """Whether the acceptance of an order is kept from its client."""
        return self._waits(order.terms.key, "silent_accept") is not None

    def after(self) -> None:
        """What follows an acceptance or a fill: warnings, doubles, events of the script."""
        accepted, self.accepted_now = self.accepted_now, []
        filled, self.filled_now = self.filled_now, []
        for order in accepted:
            self.take(order.terms.key, "silent_accept")
            self._warn(order)
            if self.take(order.terms.key, "two_perm_ids") is not None:
                self._double(order)
            self.gateway.board.strike_event("ack", order.terms)
        for order in filled:
            self.gateway.board.strike_event("fill", order.terms)

    def _warn(self, order: Order) -> None:
        rule = self.take(order.terms.key, "warn")
        session = self.gateway.board.clients.get(order.terms.client_id)
        if rule is not None and session is not None:
            text = str(rule.params.get("text", "Order Message: the script says so"))
            session.error(order.terms.order_id, int(rule.params["code"]), text)

    def _double(self, order: Order) -> None:
        """A second live order under the same reference, with the client's next id."""
        terms = order.terms
        twin = replace(
            terms, order_id=self.gateway.next_id(terms.client_id), transmit=True, parent_id=0
        )
        self.gateway.place(twin)

    def _waits(self, key: Key, do: str) -> Rule | None:
        return self._rules[key].get(do) if key in self._rules else None


def _whole(qty: Decimal, parts: Sequence[Decimal]) -> tuple[Decimal, ...]:
    """Slices of whole units; parts that make 1 leave nothing over."""
    slices = [(qty * part).to_integral_value() for part in parts]
    if sum(parts) == 1:
        slices[-1] = qty - sum(slices[:-1], Decimal(0))
    return tuple(one for one in slices if one > 0)


def _race_price(gateway: "GatewaySim", order: Order) -> Decimal:
    """Price of a fill that wins against a cancel: the limit, else the touch."""
    quote = gateway.exchange.books.quotes.get(order.terms.contract.con_id)
    if order.terms.limit is not None or quote is None:
        return order.terms.limit or order.terms.aux or Decimal(1)
    return quote.ask if order.terms.side is Side.BUY else quote.bid
