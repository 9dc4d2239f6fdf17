"""Which orders the paper exchange does not take, with the gateway's codes."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from bft.adapters.broker.paper.orders import STOPS
from bft.domain.broker import ErrorKind, PlacedOrder
from bft.domain.orders import OrderType, Side

if TYPE_CHECKING:
    from bft.adapters.broker.paper.books import Books
    from bft.adapters.broker.paper.matching import Market

DUPLICATE_ID, OFF_TICK, REJECTED = 103, 110, 201
_LIMITED = frozenset([OrderType.LIMIT, OrderType.STOP_LIMIT])


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why an order is not taken."""

    code: int
    text: str
    kind: ErrorKind = ErrorKind.REFUSED


def refusal(books: Books, placed: PlacedOrder, market: Market | None) -> Refusal | None:
    """The first thing wrong with an order, or None."""
    if placed.order_id <= books.account.last_order_id:
        text = f"order id {placed.order_id} was used; the next is above it"
        return Refusal(code=DUPLICATE_ID, text=text, kind=ErrorKind.DUPLICATE_ID)
    if placed.account != books.account.name:
        return _rejected(f"account {placed.account} is not {books.account.name}")
    if placed.qty <= 0:
        return _rejected(f"quantity {placed.qty} is not above 0")
    return _price(placed) or _parent(books, placed) or _funds(books, placed, market)


def _price(placed: PlacedOrder) -> Refusal | None:
    wanted = [(placed.order_type in _LIMITED, "limit", placed.limit_price_usd)]
    wanted += [(placed.order_type in STOPS, "stop", placed.stop_price_usd)]
    for needed, name, price in wanted:
        if not needed:
            continue
        if price is None or not price.is_finite() or price <= 0:
            return _rejected(f"{placed.order_type} needs a {name} price above 0, not {price}")
        if price % placed.contract.tick_usd:
            step = placed.contract.tick_usd
            return Refusal(code=OFF_TICK, text=f"{name} price {price} is no multiple of {step}")
    return None


def _parent(books: Books, placed: PlacedOrder) -> Refusal | None:
    number = placed.parent_order_id
    done = books.done.get(number)
    if not number or number in books.open or (done and done.filled_qty):
        return None
    return _rejected(f"parent order {number} is not live")


def _funds(books: Books, placed: PlacedOrder, market: Market | None) -> Refusal | None:
    """Refuse what a purchase that opens cannot pay; futures carry no margin here."""
    contract, held = placed.contract, books.account.holding(placed.contract)
    opens = placed.qty + min(held.qty, 0)
    if placed.side is Side.SELL or contract.sec_type == "FUT" or placed.parent_order_id:
        return None
    last = market.quote.last_usd if market else None
    price = placed.limit_price_usd or placed.stop_price_usd or last
    if opens <= 0 or price is None:
        return None
    cost, there = price * opens * contract.multiplier, books.marked().available_usd()
    if cost <= there:
        return None
    return _rejected(f"order costs {_usd(cost)} USD, available are {_usd(there)} USD")


def _rejected(text: str) -> Refusal:
    return Refusal(code=REJECTED, text=f"Order rejected - reason:{text}")


def _usd(value: Decimal) -> str:
    return f"{value:,.2f}"
