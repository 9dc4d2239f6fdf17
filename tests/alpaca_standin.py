"""Alpaca's trading and data addresses as far as its documentation tells them, in memory.

Source: Alpaca documentation, orders at Alpaca, account activities; API reference. Legs get names of
Alpaca's own; exits wait for the whole entry; a target's partial fill shrinks the stop; a cancelled
member cancels its group; DAY orders end at the close.
"""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from http_app import Answer, Request
from virtual_time import LoopClock

from bft.domain import sessions

KEYS = {"apca-api-key-id": "KEY", "apca-api-secret-key": "SECRET"}
OPEN = {"new", "accepted", "held", "partially_filled"}
Order = dict[str, Any]


class RefusalError(Exception):
    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.answer: Answer = (status, {"code": code, "message": message})


class StandIn:
    """State of one account. `faults` are statuses to answer with next, None drops the line."""

    def __init__(self, clock: LoopClock, *, account: str = "PA1", cash: int = 100_000) -> None:
        self.clock, self.account, self.cash = clock, account, Decimal(cash)
        self.orders: dict[str, Order] = {}
        self.fills: list[dict[str, Any]] = []
        self.held: dict[str, tuple[Decimal, Decimal]] = {}
        self.market: dict[str, tuple[Decimal, Decimal]] = {}
        self.room: dict[str, int | None] = {}
        self.faults: list[tuple[str, int | None]] = []
        self.after: list[tuple[str, int | None]] = []
        self.calls: list[tuple[float, str, str]] = []
        self.quoted_at: datetime | None = None  # None: quotes are a second old
        self.overlap = False  # whether a page begins with the last row of the one before

    # http --------------------------------------------------------------------------------

    def handle(self, request: Request) -> Answer | None:
        loop_s = (self.clock.now() - self.clock.start).total_seconds()
        self.calls.append((loop_s, request.method, request.path))
        if any(request.headers.get(name) != value for name, value in KEYS.items()):
            return 401, {"code": 40110000, "message": "request is not authorized"}
        if self.faults and self.faults[0][0] == request.method:
            status = self.faults.pop(0)[1]
            return None if status is None else (status, {"code": status, "message": "a fault"})
        self.expire()
        try:
            answer = self.route(request)
        except RefusalError as refusal:
            return refusal.answer
        if self.after and self.after[0][0] == request.method:  # done, but the answer is lost
            self.after.pop(0)
            return None
        return answer

    def route(self, request: Request) -> Answer:
        parts = request.path.removeprefix("/v2/").split("/")
        match (request.method, *parts):
            case ("GET", "account"):
                return 200, self.told_account()
            case ("GET", "account", "activities", "FILL"):
                return 200, self.told_fills(request.params)
            case ("GET", "positions"):
                return 200, self.told_positions()
            case ("GET", "clock"):
                now = self.clock.now().astimezone(sessions.NEW_YORK)
                return 200, {"timestamp": now.isoformat()}
            case ("GET", "assets", symbol):
                return 200, self.asset(symbol)
            case ("GET", "orders:by_client_order_id"):
                name = request.params["client_order_id"]
                return 200, self.told(self.found(client_order_id=name))
            case ("GET", "stocks", "snapshots"):
                return 200, self.snapshots(request.params["symbols"].split(","))
            case _:
                return self.route_orders(request, parts)

    def route_orders(self, request: Request, parts: list[str]) -> Answer:
        match (request.method, *parts):
            case ("POST", "orders"):
                return 200, self.told(self.create(request.body), nested=True)
            case ("GET", "orders"):
                return 200, self.listed(request.params)
            case ("GET", "orders", uid):
                nested = request.params.get("nested") == "true"
                return 200, self.told(self.found(id=uid), nested=nested)
            case ("PATCH", "orders", uid):
                return 200, self.told(self.replace(self.found(id=uid), request.body))
            case ("DELETE", "orders", uid):
                order = self.found(id=uid)
                if order["status"] not in OPEN:
                    raise RefusalError(
                        422, 42210000, f'order is already in "{order["status"]}" state'
                    )
                self.end(order, "canceled")
                return 204, None
        raise RefusalError(404, 40410000, f"no such path {request.path}")

    # orders ------------------------------------------------------------------------------

    def create(self, body: dict[str, Any]) -> Order:
        name = body.get("client_order_id")
        if any(order["client_order_id"] == name for order in self.orders.values()):
            raise RefusalError(422, 40010001, "client_order_id must be unique")
        self.check(body)
        top = self.add(body, client_order_id=name)
        other = "sell" if body["side"] == "buy" else "buy"
        pair = body.get("order_class") == "oco"
        legs = []
        if "take_profit" in body and not pair:
            legs.append({"type": "limit", **body["take_profit"]})
        if "stop_loss" in body:
            stop = body["stop_loss"]
            legs.append({"type": "stop_limit" if "limit_price" in stop else "stop", **stop})
        common = {name: body[name] for name in ("symbol", "qty", "time_in_force")}
        common |= {"order_class": body.get("order_class")}
        for leg in legs:
            side = body["side"] if pair else other
            made = self.add({**common, "side": side, **leg}, status="held")
            made["group"] = top["id"]
        if pair:
            top["group"] = top["id"]
        self.match(body["symbol"])
        return top

    def check(self, body: dict[str, Any]) -> None:
        qty = Decimal(body["qty"])
        symbol = body["symbol"]
        held = self.held.get(symbol, (Decimal(0), Decimal(0)))[0]
        if body["side"] == "sell":
            selling = [o for o in self.orders.values() if o["status"] in OPEN and not o["child"]]
            mine = [o for o in selling if o["symbol"] == symbol and o["side"] == "sell"]
            if held - sum(Decimal(o["qty"]) for o in mine) < qty:
                raise RefusalError(403, 40310000, "insufficient qty available for order")
        price = body.get("limit_price") or self.market.get(symbol, (0, 0))[1]
        if body["side"] == "buy" and Decimal(price) * qty > self.cash * 4:
            raise RefusalError(403, 40310000, "insufficient buying power")

    def add(self, body: dict[str, Any], **more: Any) -> Order:
        uid = str(uuid5(NAMESPACE_OID, f"order {len(self.orders)}"))
        now = self.clock.now().isoformat()
        self.asset(body["symbol"])
        order = {
            "id": uid,
            "client_order_id": str(uuid5(NAMESPACE_OID, f"name {len(self.orders)}")),
            "created_at": now,
            "submitted_at": now,
            "updated_at": now,
            "symbol": body["symbol"],
            "asset_id": str(uuid5(NAMESPACE_OID, body["symbol"])),
            "qty": body["qty"],
            "filled_qty": "0",
            "side": body["side"],
            "type": body["type"],
            "time_in_force": body["time_in_force"],
            "order_class": body.get("order_class", ""),
            "limit_price": body.get("limit_price"),
            "stop_price": body.get("stop_price"),
            "status": "new",
            "replaces": None,
            "group": "",
            "child": more.get("status") == "held",
            **more,
        }
        self.orders[uid] = order
        return order

    def replace(self, order: Order, body: dict[str, Any]) -> Order:
        if order["status"] not in OPEN:
            raise RefusalError(422, 42210000, "order is not open")
        if order["order_class"] and "qty" in body:
            raise RefusalError(422, 42210000, "qty of an advanced order cannot be replaced")
        made = self.add(order, status=order["status"])
        keep = ("filled_qty", "group", "child", "submitted_at")
        made |= {name: order[name] for name in keep} | body | {"replaces": order["id"]}
        for leg in self.orders.values():
            if leg["group"] == order["id"]:
                leg["group"] = made["id"]
        order |= {"status": "replaced", "group": ""}
        self.match(order["symbol"])
        return made

    def end(self, order: Order, status: str) -> None:
        order["status"] = status
        word = {"canceled": "canceled_at", "expired": "expired_at", "filled": "filled_at"}[status]
        order[word] = order["updated_at"] = self.clock.now().isoformat()
        if status == "filled" and not order["group"]:
            return
        group = order["group"] or order["id"]
        for other in list(self.orders.values()):
            mine = other["group"] == group or other["id"] == group
            if mine and other is not order and other["status"] in OPEN:
                self.end(other, "canceled")

    def expire(self) -> None:
        for order in list(self.orders.values()):
            sent = datetime.fromisoformat(order["submitted_at"])
            closed = sessions.close_at(sessions.last_closed(self.clock.now()))
            due = order["time_in_force"] == "day" and sent < closed
            if due and order["status"] in OPEN:
                self.end(order, "expired")

    # market ------------------------------------------------------------------------------

    def price(self, symbol: str, bid: Decimal, ask: Decimal, size: int | None) -> None:
        self.expire()
        self.market[symbol], self.room[symbol] = (bid, ask), size
        self.match(symbol)

    def match(self, symbol: str) -> None:
        now = self.clock.now()
        day = now.astimezone(sessions.NEW_YORK).date()
        if not sessions.is_session(day) or symbol not in self.market:
            return
        if not sessions.open_at(day) <= now < sessions.close_at(day):
            return
        while any(self.work(order) for order in list(self.orders.values())):
            pass

    def work(self, order: Order) -> bool:
        if order["status"] not in OPEN or order["symbol"] not in self.market or self.waits(order):
            return False
        bid, ask = self.market[order["symbol"]]
        touch, sign = (ask, 1) if order["side"] == "buy" else (bid, -1)
        stop, limit = order["stop_price"], order["limit_price"]
        stopped = stop and (touch - Decimal(stop)) * sign < 0
        if stopped or (limit and (touch - Decimal(limit)) * sign > 0):
            return False
        left = Decimal(order["qty"]) - Decimal(order["filled_qty"])
        room = self.room[order["symbol"]]
        qty = left if room is None else min(left, Decimal(room))
        if qty > 0:
            self.room[order["symbol"]] = None if room is None else room - int(qty)
            self.fill(order, qty, touch)
        return qty > 0

    def waits(self, order: Order) -> bool:
        """Whether its entry has not filled; a target is worked as soon as it has."""
        entry = self.orders.get(order["group"])
        if not order["child"] or entry is None or entry["order_class"] == "oco":
            return False
        if entry["status"] == "filled" and order["type"] == "limit" and order["status"] == "held":
            order["status"] = "new"
        return entry["status"] != "filled"

    def fill(self, order: Order, qty: Decimal, price: Decimal) -> None:
        sign = 1 if order["side"] == "buy" else -1
        order["filled_qty"] = str(Decimal(order["filled_qty"]) + qty)
        self.cash -= sign * qty * price
        held, cost = self.held.get(order["symbol"], (Decimal(0), Decimal(0)))
        total = held + sign * qty
        self.held[order["symbol"]] = (total, price if sign > 0 else cost)
        at = self.clock.now()
        number = uuid5(NAMESPACE_OID, f"fill {len(self.fills)}")
        self.fills.append(
            {
                "id": f"{at:%Y%m%d%H%M%S}{at.microsecond // 1000:03d}::{number}",
                "activity_type": "FILL",
                "order_id": order["id"],
                "symbol": order["symbol"],
                "side": order["side"],
                "qty": str(qty),
                "price": str(price),
                "transaction_time": at.isoformat(),
            }
        )
        if Decimal(order["filled_qty"]) == Decimal(order["qty"]):
            self.end(order, "filled")
            return
        order["status"] = "partially_filled"
        for other in self.orders.values():
            group = other["group"] == (order["group"] or None) and other is not order
            if order["group"] and group and other["status"] in OPEN:
                other["qty"] = str(Decimal(other["qty"]) - qty)

    # answers -----------------------------------------------------------------------------

    def found(self, **wanted: str) -> Order:
        ((name, value),) = wanted.items()
        for order in self.orders.values():
            if order[name] == value:
                return order
        raise RefusalError(404, 40410000, f"order not found for {value}")

    def told(self, order: Order, *, nested: bool = False) -> Order:
        legs = [o for o in self.orders.values() if o["group"] == order["id"] and o is not order]
        shown = {name: value for name, value in order.items() if name not in {"group", "child"}}
        return {**shown, "legs": [self.told(leg) for leg in legs] if nested and legs else None}

    def listed(self, params: Any) -> list[Order]:
        nested, status = params.get("nested") == "true", params.get("status", "open")
        wanted = [o for o in self.orders.values() if status == "all" or o["status"] in OPEN]
        wanted = [o for o in wanted if not (nested and o["child"])]
        if "after" in params:
            after = datetime.fromisoformat(params["after"])
            wanted = [o for o in wanted if datetime.fromisoformat(o["submitted_at"]) > after]
        return [self.told(o, nested=nested) for o in wanted[: int(params["limit"])]]

    def told_fills(self, params: Any) -> list[dict[str, Any]]:
        after = datetime.fromisoformat(params["after"])
        found = [f for f in self.fills if datetime.fromisoformat(f["transaction_time"]) > after]
        if token := params.get("page_token"):
            ids = [fill["id"] for fill in found]
            place = ids.index(token) + (not self.overlap) if token in ids else 0
            found = found[place:]
        return found[: int(params["page_size"])]

    def told_account(self) -> dict[str, Any]:
        worth = sum((q * self.market[s][0] for s, (q, _) in self.held.items()), Decimal(0))
        return {
            "account_number": self.account,
            "cash": str(self.cash),
            "equity": str(self.cash + worth),
            "buying_power": str(self.cash * 4),
            "non_marginable_buying_power": str(self.cash),
        }

    def told_positions(self) -> list[dict[str, Any]]:
        return [
            {
                "symbol": symbol,
                "asset_id": str(uuid5(NAMESPACE_OID, symbol)),
                "qty": str(qty),
                "avg_entry_price": str(cost),
            }
            for symbol, (qty, cost) in self.held.items()
            if qty
        ]

    def asset(self, symbol: str) -> dict[str, Any]:
        if not symbol.replace(".", "").isalpha():
            raise RefusalError(404, 40410000, f"asset not found for {symbol}")
        uid = str(uuid5(NAMESPACE_OID, symbol))
        return {"id": uid, "symbol": symbol, "exchange": "NASDAQ", "tradable": symbol != "HALT"}

    def snapshots(self, symbols: list[str]) -> dict[str, Any]:
        at = self.quoted_at or self.clock.now() - timedelta(seconds=1)
        stamp = at.isoformat()
        return {
            symbol: {
                "latestQuote": {"bp": float(bid), "ap": float(ask), "bs": 2, "as": 3, "t": stamp},
                "latestTrade": {"p": float(ask), "t": stamp},
                "prevDailyBar": {"c": 99.5},
            }
            for symbol in symbols
            for bid, ask in [self.market.get(symbol, (Decimal(0), Decimal(0)))]
            if ask
        }
