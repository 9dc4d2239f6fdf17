"""Live orders, found without a look at all of them: what an order costs is not what rests."""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from heapq import heappop, heappush
from typing import TypeVar

from bft.domain.orders import Side
from bft.sim.gateway.exchange.contracts import ZERO, Contract
from bft.sim.gateway.exchange.orders import LIMIT, STOP_LIMIT, STOPS, TRAIL, Order, Quote

_Place = tuple["_Line", Decimal]
_Entry = tuple[Decimal, int]
_Link = tuple[str, str | int, str | int]
_Name = TypeVar("_Name", int, _Link)


class Working:
    """Live orders of all clients; `note` every change of one."""

    def __init__(self) -> None:
        self.by_perm: dict[int, Order] = {}
        self._contracts: dict[int, dict[int, Order]] = {}
        self._linked: dict[_Link, dict[int, Order]] = {}
        self._resting: dict[int, _Resting] = defaultdict(_Resting)
        self._ends: list[tuple[datetime, int]] = []
        self._reserves: dict[int, Decimal] = {}
        self._reserved: dict[str, Decimal] = defaultdict(Decimal)

    def add(self, order: Order) -> None:
        """Take in an order that goes live."""
        self.by_perm[order.perm_id] = order
        self._contracts.setdefault(order.terms.contract.con_id, {})[order.perm_id] = order
        for link in _links(order):
            self._linked.setdefault(link, {})[order.perm_id] = order
        if order.expires_at is not None:
            heappush(self._ends, (order.expires_at, order.perm_id))
        self.note(order)

    def remove(self, order: Order) -> None:
        """Let an order go; one that is not live is no error."""
        if self.by_perm.pop(order.perm_id, None) is None:
            return
        con_id = order.terms.contract.con_id
        _drop(self._contracts, con_id, order)
        for link in _links(order):
            _drop(self._linked, link, order)
        self._resting[con_id].put(order.perm_id, None)
        self._reserve(order, ZERO)

    def note(self, order: Order) -> None:
        """Follow a change of an order's status, prices or quantities."""
        if order.perm_id not in self.by_perm:
            return
        place = _place(order) if order.works else None
        self._resting[order.terms.contract.con_id].put(order.perm_id, place)
        self._reserve(order, order.reserve * order.remaining)

    def _reserve(self, order: Order, due: Decimal) -> None:
        before = self._reserves.pop(order.perm_id, ZERO)
        if due:
            self._reserves[order.perm_id] = due
        if due != before:
            self._reserved[order.terms.account] += due - before

    # answers -----------------------------------------------------------------------------

    def live(self) -> list[Order]:
        """All, oldest first."""
        return [self.by_perm[number] for number in sorted(self.by_perm)]

    def of(self, con_id: int) -> list[Order]:
        """Those of a contract, as they came."""
        return list(self._contracts.get(con_id, {}).values())

    def contracts(self) -> list[Contract]:
        """Contracts with live orders."""
        return [next(iter(orders.values())).terms.contract for orders in self._contracts.values()]

    def children(self, parent: Order) -> list[Order]:
        """Live children of an order, oldest first."""
        return _sorted(self._linked.get(("child", *parent.terms.key), {}))

    def group(self, order: Order) -> list[Order]:
        """The other live members of an order's group, oldest first."""
        members = self._linked.get(("group", order.terms.account, order.terms.oca_group), {})
        return [one for one in _sorted(members) if one is not order]

    def reached(self, con_id: int, quote: Quote) -> list[Order]:
        """Orders of a contract that a quote may trigger or fill, oldest first; never too few."""
        return [self.by_perm[number] for number in self._resting[con_id].reached(quote)]

    def reserved(self, account: str) -> Decimal:
        """Margin that an account's entries keep free."""
        return self._reserved[account]

    def next_expiry(self) -> datetime | None:
        """When the next DAY order ends."""
        while self._ends and self._ends[0][1] not in self.by_perm:
            heappop(self._ends)
        return self._ends[0][0] if self._ends else None


class _Line(StrEnum):
    """Where a working order stands: the side of the market that reaches it."""

    BUY_LIMIT = "buy limit"
    SELL_LIMIT = "sell limit"
    BUY_STOP = "buy stop"
    SELL_STOP = "sell stop"
    ANY = "any"


class _Resting:
    """Working orders of one contract, in order of the price that sets them off."""

    def __init__(self) -> None:
        self._places: dict[int, _Place] = {}
        self._lines: dict[_Line, list[_Entry]] = {line: [] for line in _Line}

    def put(self, perm_id: int, place: _Place | None) -> None:
        """Stand an order at a place, or at none."""
        before = self._places.get(perm_id)
        if place == before:
            return
        if before is not None:
            line = self._lines[before[0]]
            del line[bisect_left(line, (before[1], perm_id))]
            del self._places[perm_id]
        if place is not None:
            insort(self._lines[place[0]], (place[1], perm_id))
            self._places[perm_id] = place

    def reached(self, quote: Quote) -> list[int]:
        """Perm ids in order. A stop's trigger price is one of last, bid, ask and mid."""
        seen = [price for price in (quote.last, quote.bid, quote.ask, quote.mid) if price > 0]
        lines = self._lines
        found = [*lines[_Line.ANY], *_from(lines[_Line.BUY_LIMIT], quote.ask)]
        found += _up_to(lines[_Line.SELL_LIMIT], quote.bid)
        if seen:
            found += _up_to(lines[_Line.BUY_STOP], max(seen))
            found += _from(lines[_Line.SELL_STOP], min(seen))
        return sorted(perm_id for _, perm_id in found)


def _links(order: Order) -> Iterator[_Link]:
    terms = order.terms
    if terms.parent_id:
        yield "child", terms.client_id, terms.parent_id
    if terms.oca_group:
        yield "group", terms.account, terms.oca_group


def _drop(found: dict[_Name, dict[int, Order]], name: _Name, order: Order) -> None:
    del found[name][order.perm_id]
    if not found[name]:
        del found[name]


def _place(order: Order) -> _Place:
    kind, buys = order.terms.kind, order.terms.side is Side.BUY
    if kind in STOPS and kind != TRAIL and not order.triggered and order.stop is not None:
        return (_Line.BUY_STOP if buys else _Line.SELL_STOP), order.stop
    if kind in {LIMIT, STOP_LIMIT} and order.terms.limit is not None:
        return (_Line.BUY_LIMIT if buys else _Line.SELL_LIMIT), order.terms.limit
    return _Line.ANY, ZERO


def _from(line: list[_Entry], price: Decimal) -> list[_Entry]:
    return line[bisect_left(line, (price, -1)) :]


def _up_to(line: list[_Entry], price: Decimal) -> list[_Entry]:
    return line[: bisect_right(line, (price, _LAST))]


def _sorted(orders: dict[int, Order]) -> list[Order]:
    return [orders[number] for number in sorted(orders)]


_LAST = 2**63  # above every perm id
