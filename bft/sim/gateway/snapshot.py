"""The gateway's state as JSON, to look at and to compare with what a client holds."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bft.sim.gateway.exchange.orders import Execution, Order
from bft.sim.gateway.wire.frames import text

if TYPE_CHECKING:
    from bft.sim.gateway.gateway import GatewaySim


def of(gateway: "GatewaySim") -> Mapping[str, Any]:
    """Clock, clients, accounts, positions, orders and executions; numbers as text."""
    books = gateway.exchange.books
    return {
        "now": gateway.now().isoformat(),
        "clients": sorted(gateway.board.clients),
        "accounts": {
            name: {"cash": text(held.cash), "equity": text(books.equity(name))}
            for name, held in books.accounts.items()
        },
        "positions": [
            {
                "account": held.account,
                "symbol": held.contract.local_symbol,
                "qty": text(held.qty),
                "cost": text(held.cost),
            }
            for held in books.positions.values()
            if held.qty
        ],
        "open_orders": [_order(order) for order in books.live()],
        "completed_orders": [_order(order) for order in books.completed.values()],
        "executions": [_execution(made) for made in books.executions.values()],
    }


def _order(order: Order) -> Mapping[str, object]:
    terms = order.terms
    return {
        "client": terms.client_id,
        "order": terms.order_id,
        "perm_id": order.perm_id,
        "ref": terms.order_ref,
        "symbol": terms.contract.local_symbol,
        "side": str(terms.side),
        "type": terms.kind,
        "qty": text(order.qty),
        "filled": text(order.filled),
        "status": str(order.status),
        "why_held": order.why_held,
        "parent": terms.parent_id,
    }


def _execution(made: Execution) -> Mapping[str, object]:
    return {
        "exec_id": made.exec_id,
        "perm_id": made.perm_id,
        "symbol": made.contract.local_symbol,
        "side": str(made.side),
        "qty": text(made.qty),
        "price": text(made.price),
        "fee": text(made.fee),
    }
