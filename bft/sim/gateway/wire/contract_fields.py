"""Contracts as answers show them."""

from collections.abc import Sequence
from decimal import Decimal

from bft.sim.gateway.exchange.contracts import Contract, SecType

ORDER_TYPES = "LMT,MKT,STP,STP LMT,TRAIL,DAY,GTC,IOC,OCA,WHATIF"
TIME_ZONE = "America/New_York"


def c11(contract: Contract, *, primary: bool = False) -> Sequence[object]:
    """C11: eleven fields; EXCH is the primary exchange in portfolio messages."""
    return (
        contract.con_id,
        contract.symbol,
        contract.sec_type,
        contract.expiry,
        float(contract.strike),
        contract.right,
        "" if contract.sec_type in {SecType.STOCK, SecType.INDEX} else contract.multiplier,
        (contract.primary or contract.exchange) if primary else contract.exchange,
        "USD",
        contract.local_symbol,
        contract.trading_class,
    )


def details(contract: Contract, hours: str, under_id: int) -> Sequence[object]:
    """Give contractDetails (10) from the symbol on; `hours` are those of the next sessions."""
    is_stock = contract.sec_type in {SecType.STOCK, SecType.INDEX}
    month = contract.expiry[:6]
    return (
        *(contract.symbol, contract.sec_type, contract.expiry, float(contract.strike)),
        *(contract.right, contract.exchange, "USD", contract.local_symbol),
        *(contract.trading_class, contract.trading_class, contract.con_id),
        least_increment(contract),
        "" if is_stock else contract.multiplier,
        *(ORDER_TYPES, _exchanges(contract), 1, under_id, _escaped(contract.name)),
        *(contract.primary, month, "", "", "", TIME_ZONE, hours, hours, "", 0),
        0,  # secIds
        1,  # aggGroup
        "" if is_stock else contract.symbol,
        "" if is_stock else ("IND" if contract.sec_type is SecType.FUTURE else SecType.STOCK),
        contract.rule,
        contract.expiry,
        "COMMON" if is_stock else "",
        *(1, 1, 100 if is_stock else 1),
    )


def least_increment(contract: Contract) -> Decimal:
    """minTick: the increment of ordinary prices."""
    return contract.increment(Decimal(1))


def _exchanges(contract: Contract) -> str:
    if contract.sec_type in {SecType.FUTURE, SecType.INDEX}:
        return contract.exchange
    return ",".join(dict.fromkeys(("SMART", contract.primary or "CBOE")))


def _escaped(name: str) -> str:
    return name.encode("unicode-escape").decode("ascii")
