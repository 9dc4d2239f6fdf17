"""Positions of an older program as signed adjustments.

A positions.json is an object of symbols, or a list of objects with a symbol. Names of fields are
those that older files use; a position needs a quantity and an average price.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from bft.domain.encoding import money_text
from bft.domain.errors import DataError
from bft.domain.orders import Contract
from bft.ledger.records import Adjustment

_SYMBOL = ("symbol", "ticker")
_QTY = ("quantity", "qty", "shares", "position", "contracts")
_PRICE = ("average_cost_usd", "average_cost", "avg_price", "avg_cost", "entry_price", "entry")
_SIDE = ("side", "direction", "action")
_CON_ID = ("con_id", "conId", "conid")
_SHORT = frozenset({"short", "sell"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """Who changes the book, when and why."""

    account: str
    by: str
    note: str
    at: datetime


def adjustment(
    signed: Signature, contract: Contract, *, qty: Decimal, price_usd: Decimal | None
) -> Adjustment:
    """A signed change; the same words on the same day are the same change."""
    price = "" if price_usd is None else money_text(price_usd)
    parts = (signed.account, str(contract.con_id), money_text(qty), price, signed.by, signed.note)
    text = "|".join((*parts, signed.at.date().isoformat()))
    return Adjustment(
        adjustment_id=f"adj:{hashlib.sha256(text.encode()).hexdigest()[:20]}",
        at=signed.at,
        account=signed.account,
        contract=contract,
        by=signed.by,
        note=signed.note,
        qty=qty,
        price_usd=price_usd,
    )


def read_positions(
    told: object, signed: Signature, contracts: Mapping[str, Contract]
) -> list[Adjustment]:
    """Adjustments that make the positions of a file; flat ones are passed over.

    Raises:
        DataError: not a file of positions, a position without quantity, price or known contract;
            nothing is read then.
    """
    found = [_adjustment(place, row, signed, contracts) for place, row in _rows(told)]
    made = [change for change in found if change is not None]
    symbols = [change.contract.con_id for change in made]
    if len(set(symbols)) != len(symbols):
        raise DataError("positions: one contract stands there twice; keep one row of each")
    return made


def _rows(told: object) -> list[tuple[str, Mapping[str, Any]]]:
    if isinstance(told, dict) and isinstance(told.get("positions"), dict | list):
        told = told["positions"]
    if isinstance(told, dict):
        rows: Sequence[Any] = [
            {"symbol": symbol, **row} if isinstance(row, dict) else row
            for symbol, row in told.items()
        ]
    else:
        rows = told if isinstance(told, list) else []
    if not rows and told not in ([], {}):
        raise DataError("positions: neither a list of positions nor an object by symbol")
    if not all(isinstance(row, dict) for row in rows):
        raise DataError("positions: every position is an object with symbol, quantity and price")
    return [(f"position {n}", row) for n, row in enumerate(rows, 1)]


def _adjustment(
    place: str, row: Mapping[str, Any], signed: Signature, contracts: Mapping[str, Contract]
) -> Adjustment | None:
    symbol = str(_first(row, _SYMBOL) or "").upper()
    if not symbol:
        raise DataError(f"positions: {place} has no symbol")
    qty, price = _number(symbol, row, _QTY), _number(symbol, row, _PRICE)
    if qty == 0:
        return None
    if price <= 0:
        raise DataError(f"positions: {symbol}: an average price of {price} cannot be")
    if str(_first(row, _SIDE) or "").lower() in _SHORT:
        qty = -abs(qty)
    return adjustment(signed, _contract(symbol, row, contracts), qty=qty, price_usd=price)


def _contract(symbol: str, row: Mapping[str, Any], contracts: Mapping[str, Contract]) -> Contract:
    con_id = _first(row, _CON_ID)
    known = contracts.get(symbol)
    if con_id is None and known is None:
        raise DataError(
            f"positions: {symbol}: its contract is not known; add con_id to the file, or start the "
            "executor once so that it resolves the symbol"
        )
    if known is not None and con_id in {None, known.con_id, str(known.con_id)}:
        return known
    multiplier = Decimal(str(row.get("multiplier", 1)))
    return Contract(con_id=int(con_id), symbol=symbol, multiplier=multiplier)


def _first(row: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _number(symbol: str, row: Mapping[str, Any], names: Sequence[str]) -> Decimal:
    told = _first(row, names)
    try:
        value = Decimal(str(told))
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise DataError(f"positions: {symbol}: {names[0]} is {told!r}, a number is needed")
    return value
