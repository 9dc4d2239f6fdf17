"""What an executor would do with a body of `POST /v1/close`, for `bft close --dry-run`.

Told from positions and entries as the API shows them. Units that are leaving already are shown
again; of a part of several contracts the oldest position comes first, not the oldest entry.
Source: executor specification, section 1.1 and 6.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from bft.ports import ExecutorApi
from bft.steps.asking import answer

NOBODY = "manual"  # the strategy of units that no entry opened
OPTION = "OPT"
LIVE = ("PENDING", "SUBMITTED", "PARTIALLY_FILLED")
Row = Mapping[str, Any]
Key = str | int
"""Whose units are: an entry's, or a contract's, those that no entry opened."""


def pending(api: ExecutorApi) -> list[Row]:
    """Entries that still work, newest first."""
    orders = answer(api.ask("GET", "/v1/orders", params={"limit": 1000}))["orders"]
    return [order for order in orders if order["status"] in LIVE]


def foreseen(bodies: Iterable[Row], held: Sequence[Row], live: Sequence[Row]) -> list[Any]:
    """Items as the executor's answer has them: symbol, quantity, entry, what."""
    return [item for body in bodies for item in _items(body, held, live)]


def meant(bodies: Sequence[Row], held: Iterable[Row]) -> dict[Key, int]:
    """Units that are to leave of what is held, by whose they are."""
    return {
        key: units
        for row in held
        for key, strategy, units in shares(row)
        if any(_takes(body, row, strategy) for body in bodies)
    }


def still(keys: Collection[Key], row: Row) -> int:
    """Units of a position that are some of these."""
    return sum(units for key, _, units in shares(row) if key in keys)


def shares(row: Row) -> Iterator[tuple[Key, str, int]]:
    """Whose the units of a position are: key, strategy, how many."""
    for exit_ in row["exits"]:
        yield exit_["entry"], exit_["strategy_id"], exit_["quantity"]
    bare = abs(int(Decimal(row["quantity"]))) - sum(e["quantity"] for e in row["exits"])
    if bare > 0:
        yield row["con_id"], NOBODY, bare


def _items(body: Row, held: Sequence[Row], live: Sequence[Row]) -> list[dict[str, Any]]:
    quantity = body.get("quantity")
    if quantity is not None:
        oldest = sorted(held, key=lambda row: str(row.get("opened_at")))
        return list(_part(_units(body, oldest), quantity))
    entries = (
        _item(order["underlying"], order["quantity"] - order["filled_quantity"], order["id"])
        | {"what": "cancel entry"}
        for order in live
        if _takes(body, _named(order), order["strategy_id"])
    )
    return [*_units(body, held), *entries]


def _named(order: Row) -> Row:
    """An entry with its names, as positions have them."""
    share = order["sec_type"] == "STK"
    underlying = order["underlying"]
    own = underlying if share else order["symbol"]
    return {**order, "names": [own], "underlyings": [underlying]}


def _units(body: Row, held: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Units of each entry that are meant, then those that no entry holds."""
    found = [(row, *share) for row in held for share in shares(row)]
    found.sort(key=lambda share: isinstance(share[1], int))  # those of no entry come last
    for row, key, strategy, units in found:
        if _takes(body, row, strategy):
            yield _item(row["symbol"], units, key if isinstance(key, str) else None)


def _part(units: Iterable[dict[str, Any]], quantity: int) -> Iterator[dict[str, Any]]:
    for item in units:
        less = min(quantity, item["quantity"])
        quantity -= less
        if less:
            yield item | {"quantity": less}


def _item(symbol: str, quantity: int, entry: str | None) -> dict[str, Any]:
    return {"symbol": symbol, "quantity": quantity, "entry": entry, "what": "exit"}


def names_of(row: Row) -> list[str]:
    """The names that mean a position, the one of now first; an older executor tells one."""
    found: list[str] = row.get("names") or [row["name"]]
    return found


def _takes(body: Row, row: Row, strategy: str) -> bool:
    """Whether a selection means a position or an entry; of a part a symbol is the contract's."""
    if body.get("all"):
        return True
    exact = body.get("quantity") is not None and not body.get("instrument")
    names = {*names_of(row), *(() if exact else row.get("underlyings") or [row["underlying"]])}
    kind = "option" if row["sec_type"] == OPTION else "stock"
    return (
        (not body.get("symbols") or not names.isdisjoint(body["symbols"]))
        and (not body.get("strategy") or strategy == body["strategy"])
        and (not body.get("instrument") or kind == body["instrument"])
    )
