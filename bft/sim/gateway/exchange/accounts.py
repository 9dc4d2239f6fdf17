"""Cash, positions, fees and margin. Money is Decimal, in USD."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from bft.domain.orders import Side
from bft.sim.gateway.exchange.contracts import ZERO, Contract, SecType

# Interactive Brokers, fixed pricing: per unit, least per order; stocks at most 1 % of the value.
_PER_UNIT = {
    SecType.STOCK: (Decimal("0.005"), Decimal("1.00")),
    SecType.OPTION: (Decimal("0.65"), Decimal("1.00")),
    SecType.FUTURE: (Decimal("2.25"), ZERO),
}
_MOST_FRAC = Decimal("0.01")
# Initial and maintenance margin by kind: Regulation T for stocks, exchange practice for the rest.
_INITIAL_FRAC = {SecType.STOCK: Decimal("0.5"), SecType.FUTURE: Decimal("0.10")}
_MAINTENANCE_FRAC = {SecType.STOCK: Decimal("0.25"), SecType.FUTURE: Decimal("0.09")}
CENT = Decimal("0.01")


@dataclass(slots=True, kw_only=True)
class Position:
    """A holding; `cost` is the average per unit with multiplier and fees, as the broker shows."""

    account: str
    contract: Contract
    qty: Decimal = ZERO
    cost: Decimal = ZERO
    realised: Decimal = ZERO  # of the running day


@dataclass(slots=True, kw_only=True)
class Account:
    """Cash and the day's figures of one account."""

    name: str
    cash: Decimal
    realised: Decimal = ZERO  # of the running day
    day_start: Decimal = ZERO  # equity when the day began


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """What moves an account."""

    side: Side
    qty: Decimal
    price: Decimal
    fee: Decimal


def fee(contract: Contract, qty: Decimal, price: Decimal) -> Decimal:
    """Commission of a whole order of that size, in USD to the cent."""
    each, least = _PER_UNIT[contract.sec_type]
    due = max(each * qty, least)
    if contract.sec_type is SecType.STOCK:
        due = min(due, _MOST_FRAC * qty * price)
    return due.quantize(CENT)


def book(account: Account, held: Position, fill: Fill) -> Decimal | None:
    """Apply a fill; return the profit it realised, net of its fee, or None where it opened.

    Average cost method: an opening fill adds its fee to the cost, a closing one leaves the cost
    alone, a fill through zero does both with the fee split by quantity.
    """
    signed, size = fill.side.sign * fill.qty, held.contract.multiplier
    closing = min(fill.qty, abs(held.qty)) if held.qty * signed < 0 else ZERO
    opening = fill.qty - closing
    fee_closing = fill.fee * closing / fill.qty
    realised = None
    if closing:
        way = 1 if held.qty > 0 else -1
        realised = way * closing * (fill.price * size - held.cost) - fee_closing
        account.realised += realised
        held.realised += realised
    if held.contract.sec_type is SecType.FUTURE:
        account.cash += (realised or ZERO) if closing else ZERO
    else:
        account.cash -= signed * fill.price * size + fill.fee
    _carry(held, signed, opening, fill)
    return None if realised is None else realised.quantize(CENT)


def _carry(held: Position, signed: Decimal, opening: Decimal, fill: Fill) -> None:
    """New quantity and average cost of a position."""
    before = abs(held.qty) if held.qty * signed >= 0 else ZERO
    held.qty += signed
    if opening:
        way = 1 if signed > 0 else -1
        paid = opening * fill.price * held.contract.multiplier + way * fill.fee * opening / fill.qty
        held.cost = (before * held.cost + paid) / (before + opening)
    if not held.qty:
        held.cost = ZERO


def value(held: Position, mark: Decimal) -> Decimal:
    """Market value at a mark."""
    return held.qty * mark * held.contract.multiplier


def unrealised(held: Position, mark: Decimal) -> Decimal:
    """Open profit at a mark."""
    return value(held, mark) - held.qty * held.cost


def equity_part(held: Position, mark: Decimal) -> Decimal:
    """What a position adds to equity beyond cash; futures are settled, not paid for."""
    is_future = held.contract.sec_type is SecType.FUTURE
    return unrealised(held, mark) if is_future else value(held, mark)


def margin(contract: Contract, qty: Decimal, mark: Decimal, *, initial: bool) -> Decimal:
    """Margin of a holding: long options their premium, short ones 20 % of the strike on top."""
    worth = abs(qty) * mark * contract.multiplier
    if contract.sec_type is SecType.OPTION:
        short = Decimal("0.2") * contract.strike * abs(qty) * contract.multiplier
        return worth if qty > 0 else worth + short
    return worth * (_INITIAL_FRAC if initial else _MAINTENANCE_FRAC)[contract.sec_type]


def total(parts: Iterable[Decimal]) -> Decimal:
    """Sum that is a Decimal also when empty."""
    return sum(parts, ZERO)
