"""What an executor would do with a body of `POST /v1/close`, for `bft close --dry-run`.

Told from positions and entries as the API shows them. Units that are leaving already are shown
again; of a part of several contracts the oldest position comes first, not the oldest entry.
Source: executor specification, section 1.1 and 6.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from bft.ports import ExecutorApi
from bft.steps.asking import answer

NOBODY = "manual"  # the strategy of units that no entry opened
OPTION = "OPT"
LIVE = ("PENDING", "SUBMITTED", "PARTIALLY_FILLED")
Row = Mapping[str, Any]


def pending(api: ExecutorApi) -> list[Row]:
    """Entries that still work, newest first."""
    orders = answer(api.ask("GET", "/v1/orders", params={"limit": 1000}))["orders"]
    return [order for order in orders if order["status"] in LIVE]


def foreseen(bodies: Iterable[Row], held: Sequence[Row], live: Sequence[Row]) -> list[Any]:
    """Items as the executor's answer has them: symbol, quantity, entry, what."""
    return [item for body in bodies for item in _items(body, held, live)]


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
    """An entry with its contract's own name, as positions have it."""
    share = order["sec_type"] == "STK"
    return {**order, "name": order["underlying" if share else "symbol"]}


def _units(body: Row, held: Sequence[Row]) -> Iterator[dict[str, Any]]:
    """Units of each entry that are meant, then those that no entry holds."""
    for row in held:
        for exit_ in row["exits"]:
            if _takes(body, row, exit_["strategy_id"]):
                yield _item(row["symbol"], exit_["quantity"], exit_["entry"])
    for row in held:
        bare = abs(int(Decimal(row["quantity"]))) - sum(e["quantity"] for e in row["exits"])
        if bare > 0 and _takes(body, row, NOBODY):
            yield _item(row["symbol"], bare, None)


def _part(units: Iterable[dict[str, Any]], quantity: int) -> Iterator[dict[str, Any]]:
    for item in units:
        less = min(quantity, item["quantity"])
        quantity -= less
        if less:
            yield item | {"quantity": less}


def _item(symbol: str, quantity: int, entry: str | None) -> dict[str, Any]:
    return {"symbol": symbol, "quantity": quantity, "entry": entry, "what": "exit"}


def _takes(body: Row, row: Row, strategy: str) -> bool:
    """Whether a selection means a position or an entry; of a part a symbol is the contract's."""
    if body.get("all"):
        return True
    exact = body.get("quantity") is not None and not body.get("instrument")
    names = {row["name"]} if exact else {row["name"], row["underlying"]}
    kind = "option" if row["sec_type"] == OPTION else "stock"
    return (
        (not body.get("symbols") or not names.isdisjoint(body["symbols"]))
        and (not body.get("strategy") or strategy == body["strategy"])
        and (not body.get("instrument") or kind == body["instrument"])
    )
