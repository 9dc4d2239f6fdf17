"""A combination that a person ordered, filled leg by leg, perhaps not in full.

The broker shows the order as one of kind BAG; fills come for each leg under its permId, after one
of the combination itself, which moves no position. Source: TWS API, spreads.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NamedTuple

from bft.domain.errors import UsageError
from bft.domain.orders import Side
from bft.sim.gateway.exchange import matching
from bft.sim.gateway.exchange.contracts import ZERO, Contract, Leg, combo
from bft.sim.gateway.exchange.orders import (
    LIMIT,
    MANUAL,
    Executed,
    Execution,
    Order,
    Status,
    Terms,
)
from bft.sim.gateway.faults.corporate import Moving, book

if TYPE_CHECKING:
    from bft.sim.gateway.gateway import GatewaySim


class _Part(NamedTuple):
    """A leg as ordered, and how much of it fills."""

    contract: Contract
    side: Side
    ratio: int
    filled: Decimal

    @property
    def leg(self) -> Leg:
        """As the combination names it."""
        return Leg(con_id=self.contract.con_id, ratio=self.ratio, action=self.side)


def enter(gateway: "GatewaySim", words: Mapping[str, Any]) -> None:
    """Enter `qty` combinations of `symbol`; each leg is `SIDE RATIO OCC filled QTY`.

    What does not fill rests until it is cancelled or the day ends.

    Raises:
        UsageError: a leg cannot be read, or names no contract.
    """
    under = gateway.contract(str(words["symbol"]))
    parts = [_part(gateway, str(text)) for text in words["legs"]]
    made = combo(under, [p.leg for p in parts])
    order = _order(gateway, made, Decimal(str(words["qty"])), words)
    books = gateway.exchange.books
    books.add(order)
    gateway.settle()
    _announce(gateway, order, max(part.filled / part.ratio for part in parts))
    for part in parts:
        if part.filled:
            quote = gateway.market.quote(part.contract, gateway.now())
            price = ZERO if quote is None else quote.last
            moving = Moving(part.contract, part.side, part.filled, price)
            book(gateway, order.terms.account, moving, perm_id=order.perm_id)
    gateway.settle()


def _part(gateway: "GatewaySim", text: str) -> _Part:
    head, _, filled = text.rpartition(" filled ")
    side, ratio, name = (*head.split(" ", 2), "", "")[:3]
    try:
        return _Part(gateway.contract(name), Side(side), int(ratio), Decimal(filled))
    except (ValueError, InvalidOperation) as error:
        example = "SELL 1 AAPL  260220C00100000 filled 2"
        raise UsageError(f"leg {text!r}: {error}; for example {example}") from error


def _order(gateway: "GatewaySim", made: Contract, qty: Decimal, words: Mapping[str, Any]) -> Order:
    terms = Terms(
        client_id=MANUAL,
        order_id=MANUAL,
        contract=made,
        account=str(words.get("account", gateway.account_names[0])),
        side=Side(str(words.get("side", "BUY"))),
        qty=qty,
        kind=str(words.get("kind", LIMIT)),
    )
    return Order(
        terms=terms,
        perm_id=gateway.exchange.books.new_perm_id(),
        status=Status.SUBMITTED,
        created_at=gateway.now(),
        expires_at=None,
    )


def _announce(gateway: "GatewaySim", order: Order, units: Decimal) -> None:
    """The fill of the combination itself: it is told, and moves nothing."""
    books = gateway.exchange.books
    if not units:
        return
    told = Execution(
        base_id=books.new_exec_id(),
        revision=1,
        client_id=MANUAL,
        order_id=MANUAL,
        perm_id=order.perm_id,
        contract=order.terms.contract,
        account=order.terms.account,
        side=order.terms.side,
        qty=units,
        price=Decimal(1),
        cum_qty=units,
        average=Decimal(1),
        at=gateway.now(),
        order_ref="",
        fee=ZERO,
        realised=None,
        leg="entry",
    )
    matching.record(books, told)
    books.say(Executed(told))
