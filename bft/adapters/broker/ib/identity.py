"""Which order a callback speaks of: orders of one connection, by what this connection confirmed.

An order id proves nothing by itself, since the gateway may count anew. What openOrder tells in this
epoch ties (client id, order id), permId and orderRef together. A status counts for a permId that is
so confirmed; a code for an order that this epoch has sent or confirmed. Source: executor
specification, section 3.
"""

from dataclasses import dataclass, replace
from decimal import Decimal

from bft.domain.broker import BrokerOrder, PlacedOrder

DONE = frozenset({"Filled", "Cancelled"})
Key = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """orderStatus as decoded (wire specification, section 5)."""

    client_id: int
    order_id: int
    perm_id: int
    status: str
    filled: Decimal | None
    why_held: str


class OrderTable:
    """Orders as this connection knows them."""

    def __init__(self, client_id: int) -> None:
        self._client_id = client_id
        self._sent: dict[int, PlacedOrder] = {}
        self._refused: set[int] = set()
        self._told: dict[Key, BrokerOrder] = {}

    def sent(self, order: PlacedOrder) -> None:
        """This order was written to the socket."""
        self._sent[order.order_id] = order

    def refused(self, order_id: int) -> None:
        """A code of class R: before the acknowledgement it means there is no such order."""
        if (self._client_id, order_id) not in self._told:
            self._refused.add(order_id)

    def opened(self, order: BrokerOrder) -> tuple[BrokerOrder, bool]:
        """Take what openOrder tells; returns the whole order, and whether that is new."""
        key = _key(order.client_id, order.order_id, order.perm_id)
        before = self._told.get(key)
        if before is not None and before.perm_id == order.perm_id:
            held = before.why_held if before.status == order.status else ""
            order = replace(order, filled_qty=before.filled_qty, why_held=held)
        self._told[key] = order
        return order, order != before

    def status(self, status: Status) -> tuple[BrokerOrder, bool] | None:
        """Take what orderStatus tells; None where this epoch has confirmed no such order."""
        key = _key(status.client_id, status.order_id, status.perm_id)
        before = self._told.get(key)
        if before is None or status.perm_id != before.perm_id:
            return None
        after = replace(
            before, status=status.status, filled_qty=status.filled, why_held=status.why_held
        )
        self._told[key] = after
        return after, after != before

    def told(self, key_of: BrokerOrder) -> BrokerOrder:
        """The order as it stands by now."""
        return self._told[_key(key_of.client_id, key_of.order_id, key_of.perm_id)]

    def ref_of(self, order_id: int) -> str | None:
        """Name of an order of this client, where this epoch has sent or confirmed it."""
        if order_id in self._sent:
            return self._sent[order_id].order_ref
        told = self._told.get((self._client_id, order_id))
        return told.order_ref if told is not None else None

    def amendable(self, order_id: int) -> bool:
        """Whether a change can only be a change: never a new order, never of a finished one."""
        told = self._told.get((self._client_id, order_id))
        if told is not None:
            return told.status not in DONE
        return order_id in self._sent and order_id not in self._refused

    @property
    def highest_id(self) -> int:
        """Highest order id that this client is told to have used; a new order must exceed it."""
        return max(
            (number for client, number in self._told if client == self._client_id), default=0
        )

    def parent_of(self, order_id: int) -> int:
        """Order id of the parent it was sent under; a change must name the same, else code 105."""
        told = self._told.get((self._client_id, order_id))
        if told is not None:
            return told.parent_order_id
        sent = self._sent.get(order_id)
        return sent.parent_order_id if sent is not None else 0

    def __len__(self) -> int:
        return len(self._told)


def _key(client_id: int, order_id: int, perm_id: int) -> Key:
    """Orders without an id (manual ones) go by their permId."""
    return (client_id, order_id) if order_id > 0 else (-1, perm_id)
