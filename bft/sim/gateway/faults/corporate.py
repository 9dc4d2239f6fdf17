"""Words that change positions without an order: corrections, splits, assignment, expiry."""

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from bft.domain.errors import UsageError
from bft.domain.orders import Side
from bft.sim.gateway.exchange import accounts, matching
from bft.sim.gateway.exchange.accounts import Fill, Position
from bft.sim.gateway.exchange.contracts import ZERO, Contract
from bft.sim.gateway.exchange.orders import (
    MANUAL,
    Charged,
    Executed,
    Execution,
    Moved,
    is_option,
)

if TYPE_CHECKING:
    from bft.sim.gateway.gateway import GatewaySim


def correct(gateway: "GatewaySim", price: Decimal) -> None:
    """Send the newest execution again with another price; its id's last pair goes up.

    Raises:
        UsageError: there is no execution yet.
    """
    books = gateway.exchange.books
    if not books.executions:
        raise UsageError("correction: nothing was executed today")
    old = list(books.executions.values())[-1]
    made = replace(old, revision=old.revision + 1, price=price)
    paid = old.side.sign * old.qty * (price - old.price) * old.contract.multiplier
    books.accounts[old.account].cash -= paid
    held = books.position(old.account, old.contract)
    if held.qty * old.side.sign > 0:  # it opened: the cost carries the difference
        held.cost += paid / held.qty
    del books.executions[old.exec_id]
    books.dirty.add(("execution", old.exec_id))
    matching.record(books, made)
    books.say(Executed(made))
    books.say(Charged(made))
    books.say(Moved(old.account, old.contract))
    gateway.settle()


def split(gateway: "GatewaySim", symbol: str, ratio: Decimal) -> None:
    """Multiply holdings of a stock by new shares per old; their value stays."""
    contract = gateway.contract(symbol)
    books = gateway.exchange.books
    for held in _holdings(gateway, contract):
        held.qty *= ratio
        held.cost /= ratio
        books.touch_position(held)
        books.say(Moved(held.account, contract))
    gateway.settle()


def rename(gateway: "GatewaySim", symbol: str, to: str) -> None:
    """Give a stock another symbol; id, holdings and orders stay."""
    old = gateway.contract(symbol)
    new = gateway.market.catalogue.rename(old.symbol, to)
    books = gateway.exchange.books
    for held in _holdings(gateway, old):
        held.contract = new
        books.touch_position(held)
        books.say(Moved(held.account, new))
    for order in books.live():
        if order.terms.contract.con_id == new.con_id:
            order.terms = replace(order.terms, contract=new)
            books.touch_order(order)
    gateway.settle()


def assign(gateway: "GatewaySim", symbol: str) -> None:
    """Assign short options: they are gone, shares are delivered at the strike.

    Raises:
        UsageError: no option, or none is held.
    """
    option = _option(gateway, symbol)
    under = gateway.contract(option.symbol)
    for held in _holdings(gateway, option):
        shares = held.qty * option.multiplier * (1 if option.right == "C" else -1)
        side = Side.BUY if shares > 0 else Side.SELL
        _flatten(gateway, held)
        book(gateway, held.account, Moving(under, side, abs(shares), option.strike))
    gateway.settle()


def expire(gateway: "GatewaySim", symbol: str) -> None:
    """Let options expire worthless.

    Raises:
        UsageError: no option, or none is held.
    """
    for held in _holdings(gateway, _option(gateway, symbol)):
        _flatten(gateway, held)
    gateway.settle()


def _option(gateway: "GatewaySim", symbol: str) -> Contract:
    contract = gateway.contract(symbol)
    if not is_option(contract) or not list(_holdings(gateway, contract)):
        raise UsageError(f"{symbol}: no option that is held; give its OCC symbol")
    return contract


def _holdings(gateway: "GatewaySim", contract: Contract) -> list[Position]:
    positions = gateway.exchange.books.positions.values()
    return [p for p in positions if p.contract.con_id == contract.con_id and p.qty]


def _flatten(gateway: "GatewaySim", held: Position) -> None:
    side = Side.SELL if held.qty > 0 else Side.BUY
    book(gateway, held.account, Moving(held.contract, side, abs(held.qty), ZERO))


class Moving(NamedTuple):
    """What changes hands, and at which price."""

    contract: Contract
    side: Side
    qty: Decimal
    price: Decimal


def book(gateway: "GatewaySim", account: str, what: Moving, *, perm_id: int | None = None) -> None:
    """Book what no order of one contract brought about, as the broker's own execution."""
    books, (contract, side, qty, price) = gateway.exchange.books, what
    held = books.position(account, contract)
    moved = Fill(side=side, qty=qty, price=price, fee=ZERO)
    realised = accounts.book(books.accounts[account], held, moved)
    made = Execution(
        base_id=books.new_exec_id(),
        revision=1,
        client_id=MANUAL,
        order_id=MANUAL,
        perm_id=books.new_perm_id() if perm_id is None else perm_id,
        contract=contract,
        account=account,
        side=side,
        qty=qty,
        price=price,
        cum_qty=qty,
        average=price,
        at=gateway.now(),
        order_ref="",
        fee=ZERO,
        realised=realised,
        leg="entry",
    )
    matching.record(books, made)
    books.say(Executed(made))
    books.say(Charged(made))
    books.say(Moved(account, contract))
