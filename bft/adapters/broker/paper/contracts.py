"""Contracts the paper account knows: any stock, any option, index futures by code, the VIX."""

import hashlib
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal

from bft.adapters.broker.paper.orders import key_of
from bft.domain.errors import DataError
from bft.domain.orders import Contract
from bft.domain.symbols import symbol_of

FUTURES = {"NQ": 20, "MNQ": 2, "ES": 50, "MES": 5}
"""USD per index point (CME Group, contract specifications); ticks of 0.25 points."""
MONTHS = "FGHJKMNQUVXZ"  # delivery months January to December (CME Group)
_CODE = re.compile(rf"([A-Z]{{2,3}})([{MONTHS}])(\d)")
_QUARTER = Decimal("0.25")


def con_id_of(key: str) -> int:
    """Stable number of a contract, 1 to 2^31 - 1."""
    return (int.from_bytes(hashlib.sha256(key.encode()).digest()[:4], "big") & 0x7FFFFFFF) or 1


def resolved(wanted: Contract) -> Contract:
    """The contract with number, multiplier, tick and local symbol.

    Raises:
        DataError: it names no single contract; says what is missing.
    """
    kinds = {"STK": _stock, "OPT": _option, "FUT": _future, "IND": _index}
    if wanted.sec_type not in kinds:
        raise DataError(f"{wanted.symbol}: paper trades STK, OPT and FUT, not {wanted.sec_type}")
    found = kinds[wanted.sec_type](wanted)
    number = con_id_of(key_of(found))
    if wanted.con_id not in {0, number}:
        raise DataError(f"{wanted.symbol}: con_id {wanted.con_id} is not {number}; give 0")
    return replace(found, con_id=number)


def _stock(wanted: Contract) -> Contract:
    if symbol_of(wanted.symbol) != wanted.symbol:
        raise DataError(f"{wanted.symbol!r} is no stock symbol such as AAPL or BRK-B")
    return replace(wanted, multiplier=Decimal(1), local_symbol=wanted.symbol)


def _index(wanted: Contract) -> Contract:
    if wanted.symbol != "VIX":
        raise DataError(f"index {wanted.symbol}: paper knows VIX")
    return replace(wanted, multiplier=Decimal(1), local_symbol=wanted.symbol)


def _option(wanted: Contract) -> Contract:
    names = ("expiry", "strike_usd", "right")
    missing = [name for name in names if getattr(wanted, name) is None]
    if missing or wanted.right not in {"C", "P"}:
        raise DataError(
            f"{wanted.symbol} option: {', '.join(missing) or 'right C or P'} is missing"
        )
    return replace(wanted, multiplier=Decimal(100), local_symbol=key_of(wanted))


def _future(wanted: Contract) -> Contract:
    code = _CODE.fullmatch(wanted.local_symbol or wanted.symbol)
    root = code.group(1) if code else wanted.symbol
    if root not in FUTURES:
        raise DataError(f"{wanted.symbol}: paper knows the futures {', '.join(FUTURES)}")
    if code is None and wanted.expiry is None:
        raise DataError(f"{root}: give the expiry, or a code such as {root}Z5")
    name = code.group() if code else f"{root}{_month(wanted.expiry)}"
    units = Decimal(FUTURES[root])
    return replace(wanted, symbol=root, local_symbol=name, multiplier=units, tick_usd=_QUARTER)


def _month(expiry: date | None) -> str:
    return f"{MONTHS[expiry.month - 1]}{expiry.year % 10}" if expiry else ""
