"""Contracts on their way to and from the gateway.

Share classes are written with a space there (`BRK B`) and with a dash here (`BRK-B`).
"""

import math
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

import ib_async

from bft.domain.orders import Contract

UNSET = 1e300
"""Doubles above it stand for no value; the wire says 1.7976931348623157E308."""
CENT = Decimal("0.01")
_ROUTED = frozenset({"STK", "OPT"})  # orders go to SMART, wherever a fill or position was
_RIGHTS = {"C": "C", "P": "P", "CALL": "C", "PUT": "P"}


def decimal_of(value: Any) -> Decimal | None:
    """A number of the wire, or None for unset, empty, NaN and infinite."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < UNSET else None


def named(contract: Contract) -> ib_async.Contract:
    """A resolved contract as orders and quotes name it: nothing that could contradict its id."""
    if not contract.con_id:
        return asked(contract)
    return ib_async.Contract(
        conId=contract.con_id,
        symbol=_outside(contract.symbol),
        secType=contract.sec_type,
        exchange=contract.exchange,
        currency=contract.currency,
    )


def asked(contract: Contract) -> ib_async.Contract:
    """A contract as described, to be looked up."""
    future = contract.sec_type == "FUT"
    coded = any(map(str.isdigit, contract.symbol))  # NQZ6
    code = contract.local_symbol or (contract.symbol if coded else "")
    anywhere = future and contract.exchange == "SMART"  # futures trade at one exchange
    return ib_async.Contract(
        conId=contract.con_id,
        symbol="" if future and code else _outside(contract.symbol),
        secType=contract.sec_type,
        lastTradeDateOrContractMonth=f"{contract.expiry:%Y%m%d}" if contract.expiry else "",
        strike=float(contract.strike_usd or 0),
        right=contract.right or "",
        multiplier="" if contract.multiplier == 1 else f"{contract.multiplier:f}",
        exchange="" if anywhere else contract.exchange,
        primaryExchange=contract.primary_exchange,
        currency=contract.currency,
        localSymbol=code if future else "",
        tradingClass=contract.trading_class if contract.sec_type == "OPT" else "",
    )


def told(contract: ib_async.Contract, *, tick: Decimal = CENT) -> Contract:
    """A contract as the gateway tells it."""
    return Contract(
        con_id=contract.conId,
        symbol=contract.symbol.replace(" ", "-"),
        sec_type=contract.secType,
        multiplier=decimal_of(contract.multiplier) or Decimal(1),
        tick_usd=tick,
        expiry=_day(contract.lastTradeDateOrContractMonth),
        strike_usd=decimal_of(contract.strike) or None,
        right=_RIGHTS.get(contract.right),
        exchange="SMART" if contract.secType in _ROUTED else contract.exchange,
        primary_exchange=contract.primaryExchange,
        currency=contract.currency,
        local_symbol=contract.localSymbol,
        trading_class=contract.tradingClass,
    )


def resolved(details: ib_async.ContractDetails) -> Contract | None:
    """The contract of an answer, or None where it holds none."""
    if details.contract is None:
        return None
    known = math.isfinite(details.minTick) and details.minTick > 0
    tick = Decimal(str(details.minTick)) if known else CENT
    if details.contract.secType == "STK":  # the smallest at any price, in vain above 1 USD
        tick = max(tick, CENT)
    return told(details.contract, tick=tick)


def _outside(symbol: str) -> str:
    return symbol.replace("-", " ")


def _day(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:  # a month alone, or nothing
        return None
