"""Symbols of orders to the contracts a broker is asked for."""

from datetime import datetime
from decimal import Decimal

from bft.domain.orders import Contract, OrderRequest
from bft.domain.trading import Instrument

OCC_TAIL = 15  # YYMMDD, C or P, strike in thousandths: OCC option symbology
_FUTURES = {"NQ": Decimal(20), "MNQ": Decimal(2), "ES": Decimal(50), "MES": Decimal(5)}


def wanted_contract(order: OrderRequest) -> Contract:
    """What the broker is asked for: stock, option by OCC symbol, or future by code (`NQZ5`)."""
    if order.instrument in {Instrument.CALL, Instrument.PUT}:
        return _option(order.symbol)
    if order.instrument is Instrument.FUTURE:
        return _future(order.symbol)
    return Contract(con_id=0, symbol=order.symbol)


def name_of(contract: Contract) -> str:
    """The symbol by which orders name a contract: `AAPL`, `AAPL260116C00150000`, `NQZ5`."""
    if contract.sec_type == "FUT":
        return contract.local_symbol or contract.symbol
    if contract.sec_type != "OPT" or contract.expiry is None or contract.strike_usd is None:
        return contract.symbol
    strike = f"{int(contract.strike_usd * 1000):08d}"
    return f"{contract.symbol}{contract.expiry:%y%m%d}{contract.right}{strike}"


def is_foreign(contract: Contract) -> bool:
    """Whether its prices are not in dollars: nothing here knows a rate, so none is a number."""
    return contract.currency != "USD"


def underlying_of(order: OrderRequest) -> str:
    """Symbol whose bars, sector and counters count: an option's root, a future's root."""
    if order.instrument in {Instrument.CALL, Instrument.PUT, Instrument.FUTURE}:
        return wanted_contract(order).symbol
    return order.symbol


def _option(symbol: str) -> Contract:
    root, tail = symbol[:-OCC_TAIL].strip(), symbol[-OCC_TAIL:]
    return Contract(
        con_id=0,
        symbol=root,
        sec_type="OPT",
        multiplier=Decimal(100),
        expiry=datetime.strptime(tail[:6], "%y%m%d").date(),  # noqa: DTZ007  a date
        right=tail[6],
        strike_usd=Decimal(tail[7:]) / 1000,
        local_symbol=f"{root:<6}{tail}",
    )


def _future(symbol: str) -> Contract:
    """A future by its code alone: only the broker knows the day on which it expires."""
    root = symbol[:-2]
    return Contract(
        con_id=0,
        symbol=root,
        sec_type="FUT",
        multiplier=_FUTURES.get(root, Decimal(1)),
        tick_usd=Decimal("0.25"),
        exchange="CME",
        local_symbol=symbol,
    )
