"""Orders between the port's words and Alpaca's.

Source: Alpaca documentation, orders at Alpaca (classes, life cycle) and API reference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from bft.adapters.broker.alpaca.names import Name, name_of, number_of, parsed
from bft.domain.broker import BrokerOrder, PlacedOrder
from bft.domain.errors import UnavailableError
from bft.domain.orders import Contract, OrderType, Side, TimeInForce

TYPES = {
    OrderType.MARKET: "market",
    OrderType.LIMIT: "limit",
    OrderType.STOP: "stop",
    OrderType.STOP_LIMIT: "stop_limit",
}
WORDS = {"market": "MKT", "limit": "LMT", "stop": "STP", "stop_limit": "STP LMT"}
DEAD = {
    "filled": "Filled",
    "canceled": "Cancelled",
    "expired": "Cancelled",
    "rejected": "Inactive",
}
REPLACED = "replaced"
STOPS = frozenset([OrderType.STOP, OrderType.STOP_LIMIT])
_ENDS = ("filled_at", "canceled_at", "expired_at", "failed_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ident:
    """Which of our orders one of Alpaca's is; `order_id` 0: none of ours.

    `top` tells the order that carries the name of all legs. `parent_uid` is the entry's id there.
    """

    ref: str
    order_id: int = 0
    name: Name | None = None
    top: bool = True
    parent_uid: str = ""
    parent_id: int = 0
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An order of Alpaca's: its id there, whose it is, its class, and the port's view."""

    uid: str
    ident: Ident
    order_class: str
    submitted_at: datetime
    replaced: bool
    order: BrokerOrder

    @property
    def live(self) -> bool:
        """Whether it can still fill."""
        return not self.replaced and self.order.completed_at is None

    @property
    def session_only(self) -> bool:
        """Whether it is an entry that ends with its session although Alpaca keeps it."""
        return bool(self.ident.top and self.ident.name and self.ident.name.day)


# to Alpaca ---------------------------------------------------------------------------------


def body_of(legs: Sequence[PlacedOrder]) -> dict[str, Any]:
    """Body of a new order: one leg, an entry with its exits, or two exits of one group.

    Raises:
        UnavailableError: Alpaca knows no such order; says why.
    """
    for leg in legs:
        if leg.contract.sec_type != "STK":
            raise UnavailableError(f"alpaca trades stocks here, not {leg.contract.sec_type}")
    first, rest = legs[0], legs[1:]
    if not rest:
        tif = first.time_in_force.lower()
        return {**_terms(first), "time_in_force": tif, "client_order_id": name_of(legs).text}
    targets = [leg for leg in rest if leg.order_type is OrderType.LIMIT]
    stops = [leg for leg in rest if leg.order_type in STOPS]
    sides = {leg.side for leg in rest}
    if len({leg.qty for leg in legs}) > 1 or len(targets) > 1 or len(stops) > 1 or len(sides) > 1:
        raise UnavailableError("alpaca needs one target and one stop, of the entry's quantity")
    if len(targets) + len(stops) != len(rest):
        raise UnavailableError("alpaca takes a limit and a stop as exits, nothing else")
    return _advanced(first, targets, stops)


def _advanced(
    first: PlacedOrder, targets: list[PlacedOrder], stops: list[PlacedOrder]
) -> dict[str, Any]:
    exits = targets + stops
    pair = exits[0].side is first.side
    if pair and (first.order_type is not OrderType.LIMIT or targets or not stops):
        raise UnavailableError("alpaca takes a pair of exits as a limit and a stop")
    kind = "oco" if pair else "bracket" if targets and stops else "oto"
    lasting = any(leg.time_in_force is TimeInForce.GTC for leg in exits)
    day = lasting and first.time_in_force is TimeInForce.DAY
    body = {
        **_terms(first),
        "order_class": kind,
        "time_in_force": "gtc" if lasting else "day",
        "client_order_id": name_of([first, *exits], day=day).text,
    }
    for leg in targets or ([first] if pair else []):
        body["take_profit"] = {"limit_price": str(leg.limit_price_usd)}
    for leg in stops:
        body["stop_loss"] = _prices(leg)
    return body


def change_of(now: Told, wanted: PlacedOrder) -> dict[str, Any]:
    """Body that makes an order what is wanted.

    Raises:
        UnavailableError: a quantity that Alpaca cannot change.
    """
    body: dict[str, Any] = _prices(wanted)
    if wanted.qty != now.order.qty:
        if now.order_class != "simple":
            raise UnavailableError(
                f"alpaca cannot change the quantity of a {now.order_class} order "
                f"({wanted.order_ref}); cancel it and place another"
            )
        body["qty"] = str(wanted.qty)
    before = now.ident.name or Name(legs=((wanted.order_ref, wanted.order_id),))
    body["client_order_id"] = replace(before, revision=before.revision + 1).text
    return body


def _terms(leg: PlacedOrder) -> dict[str, Any]:
    return {
        "symbol": theirs(leg.contract.symbol),
        "qty": str(leg.qty),
        "side": leg.side.lower(),
        "type": TYPES[leg.order_type],
        **_prices(leg),
    }


def _prices(leg: PlacedOrder) -> dict[str, str]:
    found = {"limit_price": leg.limit_price_usd, "stop_price": leg.stop_price_usd}
    return {name: str(price) for name, price in found.items() if price is not None}


def theirs(symbol: str) -> str:
    """Symbol as Alpaca writes it: BRK.B."""
    return symbol.replace("-", ".")


# from Alpaca -------------------------------------------------------------------------------


def idents(raw: Mapping[str, Any]) -> dict[str, Ident]:
    """Who an order and its nested legs are, by Alpaca's id."""
    name, uid = parsed(str(raw["client_order_id"])), str(raw["id"])
    if name is None:
        return {uid: Ident(ref=str(raw["client_order_id"]))}
    (ref, number), *exits = name.legs
    pair = raw.get("order_class") == "oco"
    found = {uid: Ident(ref=ref, order_id=number, name=name, group=ref if pair else "")}
    for leg in raw.get("legs") or ():
        own = parsed(str(leg["client_order_id"]))
        if not exits and not own:
            continue
        # of two exits the limit is the target, named before the stop
        part = own.legs[0] if own else exits[0 if leg["type"] == "limit" else -1]
        found[str(leg["id"])] = Ident(
            ref=part[0],
            order_id=part[1],
            name=own,
            top=False,
            parent_uid="" if pair else uid,
            parent_id=0 if pair else number,
            group=ref,
        )
    return found


def told(raw: Mapping[str, Any], ident: Ident, account: str, *, waits: bool) -> Told:
    """An order as the port tells it; `waits`: its entry has not filled yet.

    Raises:
        KeyError, ValueError, ArithmeticError, TypeError: it is no order.
    """
    ours = ident.order_id > 0
    status, held = _status(raw, waits=waits)
    order = BrokerOrder(
        order_ref=ident.ref,
        perm_id=number_of(f"{ident.ref}_{ident.order_id}" if ours else str(raw["id"])),
        order_id=ident.order_id,
        client_id=0,
        account=account,
        contract=contract_of(raw),
        side=Side(str(raw["side"]).upper()),
        qty=_ordered(raw, ours=ours),
        order_type=WORDS.get(str(raw["type"]), str(raw["type"])),
        status=status,
        limit_price_usd=_decimal(raw.get("limit_price")),
        stop_price_usd=_decimal(raw.get("stop_price")),
        filled_qty=Decimal(str(raw.get("filled_qty") or 0)),
        parent_order_id=ident.parent_id,
        oca_group=ident.group,
        why_held=held,
        completed_at=_ended(raw) if raw["status"] in DEAD else None,
    )
    return Told(
        uid=str(raw["id"]),
        ident=ident,
        order_class=str(raw.get("order_class") or "simple"),
        submitted_at=submitted_at(raw),
        replaced=raw["status"] == REPLACED,
        order=order,
    )


def submitted_at(raw: Mapping[str, Any]) -> datetime:
    """When an order was taken; one that waits to be sent on has only been made.

    Raises:
        KeyError, ValueError, TypeError: it does not say.
    """
    return datetime.fromisoformat(str(raw.get("submitted_at") or raw["created_at"]))


def _ordered(raw: Mapping[str, Any], *, ours: bool) -> Decimal:
    """Units ordered; a foreign order of so many dollars has those that it filled."""
    if raw["qty"] is None and not ours:
        return Decimal(str(raw.get("filled_qty") or 0))
    return Decimal(str(raw["qty"]))


def contract_of(raw: Mapping[str, Any]) -> Contract:
    """Contract of an asset, order or position; numbered by the asset's id."""
    symbol = str(raw["symbol"]).replace(".", "-")
    number = number_of(str(raw["asset_id"]), bits=31)
    return Contract(con_id=number, symbol=symbol, local_symbol=str(raw["symbol"]))


def _status(raw: Mapping[str, Any], *, waits: bool) -> tuple[str, str]:
    status = str(raw["status"])
    if status in DEAD:
        return DEAD[status], ""
    if status == "pending_cancel":
        return "PendingCancel", ""
    if waits:
        return "PreSubmitted", "child"
    stop = status == "held" or raw["type"] in {"stop", "stop_limit"}
    return ("PreSubmitted", "trigger") if stop else ("Submitted", "")


def _ended(raw: Mapping[str, Any]) -> datetime:
    found = [raw[name] for name in (*_ENDS, "updated_at") if raw.get(name)]
    return datetime.fromisoformat(str(found[0]))


def _decimal(value: object) -> Decimal | None:
    return None if value is None else Decimal(str(value))
