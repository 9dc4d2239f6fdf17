"""What is refused before an order works, and with which code (TWS API, message codes)."""

from decimal import Decimal

from bft.sim.gateway.exchange import accounts
from bft.sim.gateway.exchange.books import Books
from bft.sim.gateway.exchange.contracts import ZERO, SecType
from bft.sim.gateway.exchange.orders import (
    LIFETIMES,
    LIMIT,
    STOP,
    STOP_LIMIT,
    TRAIL,
    TYPES,
    Order,
    Refusal,
    Terms,
)

_FUNDS = (
    "Order rejected - reason:YOUR ORDER IS NOT ACCEPTED. IN ORDER TO OBTAIN THE DESIRED POSITION "
    "YOUR EQUITY WITH LOAN VALUE [{equity:.2f} USD] MUST EXCEED THE INITIAL MARGIN "
    "[{margin:.2f} USD]"
)


def check_form(books: Books, terms: Terms) -> Refusal | None:
    """Type, lifetime, account, quantity, prices: what can be told without the market."""
    traded = terms.contract.sec_type is not SecType.INDEX
    if not traded or terms.kind not in TYPES or terms.tif not in LIFETIMES:
        text = f"Unsupported order type for this exchange and security type: {terms.kind}"
        return Refusal(387, f"{text} {terms.tif}")
    if terms.account not in books.accounts:
        text = "You must specify an account" if not terms.account else "Invalid account"
        return Refusal(435 if not terms.account else 321, f"{text}: {terms.account!r}")
    if terms.qty <= 0:
        return Refusal(434, "The order size cannot be zero")
    if terms.qty != terms.qty.to_integral_value():
        return Refusal(321, f"Error validating request:-'xd' : fractional size {terms.qty}")
    return _check_prices(terms)


def _check_prices(terms: Terms) -> Refusal | None:
    needed = {LIMIT: [terms.limit], STOP: [terms.aux], STOP_LIMIT: [terms.limit, terms.aux]}
    needed[TRAIL] = [terms.trail_percent if terms.aux is None else terms.aux]
    asked = needed.get(terms.kind, [])
    if any(price is None or price <= 0 for price in asked):
        return Refusal(321, f"Error validating request:-'xd' : price missing for {terms.kind}")
    ticked = [price for price in (*asked, terms.trail_stop) if price is not None]
    if terms.kind == TRAIL:
        ticked = [terms.trail_stop] if terms.trail_stop is not None else []
    if not all(terms.contract.on_tick(price) for price in ticked):
        text = "The price does not conform to the minimum price variation for this contract."
        return Refusal(110, text)
    return None


def check_change(order: Order, terms: Terms) -> Refusal | None:
    """What may not be changed in a live order."""
    old = order.terms
    same = ("contract", "side", "account", "parent_id", "oca_group")
    if any(getattr(old, field) != getattr(terms, field) for field in same):
        return Refusal(105, "Order being modified does not match original order")
    if old.kind != terms.kind and TRAIL in {old.kind, terms.kind}:
        return Refusal(329, "Order modify failed. Cannot change to the new order type.")
    if terms.qty < order.filled:
        return Refusal(321, f"Error validating request:-'xd' : size below filled {order.filled}")
    return None


def check_funds(books: Books, terms: Terms, qty: Decimal) -> Refusal | None:
    """Whether equity carries the initial margin with this order filled; exits always pass."""
    held = books.open_qty(terms.account, terms.contract)
    after = held + terms.side.sign * qty
    if abs(after) <= abs(held) and after * held >= 0:
        return None
    need = initial_after(books, terms, qty) + _reserved(books, terms)
    equity = books.equity(terms.account)
    if need <= equity:
        return None
    return Refusal(201, _FUNDS.format(equity=equity, margin=need))


def initial_after(books: Books, terms: Terms, qty: Decimal) -> Decimal:
    """Initial margin of the account with the order filled."""
    held = books.open_qty(terms.account, terms.contract)
    price, contract = price_of(books, terms), terms.contract
    before = accounts.margin(contract, held, price, initial=True)
    after = accounts.margin(contract, held + terms.side.sign * qty, price, initial=True)
    return books.margin(terms.account, initial=True) - before + after


def price_of(books: Books, terms: Terms) -> Decimal:
    """Price an order is valued at: its limit or trigger, else the market."""
    quote = books.quotes.get(terms.contract.con_id)
    market = max(quote.ask, quote.last) if quote else ZERO
    given = terms.limit or (terms.aux if terms.kind != TRAIL else None)
    return given or market


def reserve(books: Books, terms: Terms) -> Decimal:
    """Margin that one unit of an entry keeps free; none for what hangs on a parent or reduces."""
    reduces = books.open_qty(terms.account, terms.contract) * terms.side.sign < 0
    if terms.parent_id or reduces:
        return ZERO
    price = price_of(books, terms)
    return accounts.margin(terms.contract, Decimal(terms.side.sign), price, initial=True)


def _reserved(books: Books, terms: Terms) -> Decimal:
    """Margin of the account's other live entries."""
    same = books.orders.get(terms.key)
    own = same.reserve * same.remaining if same is not None and same.status.live else ZERO
    return books.working.reserved(terms.account) - own
