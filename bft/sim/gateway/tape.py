"""The tape: what happened at the exchange, one JSON line each, equal for equal inputs."""

import json
from datetime import datetime

from bft.sim.gateway.exchange.orders import Charged, Event, Executed, Moved, Opened, Said, Terms
from bft.sim.gateway.wire.frames import text


def line(at: datetime, what: str, **values: object) -> str:
    """One line."""
    shown = {
        name: value if isinstance(value, bool) else text(value) for name, value in values.items()
    }
    return json.dumps({"at": at.isoformat(), "what": what, **shown})


def of(event: Event, at: datetime) -> str | None:
    """Line of an event, or None for one that repeats another."""
    if isinstance(event, Opened):
        order = event.order
        numbers = {"filled": order.filled, "qty": order.qty, "perm_id": order.perm_id}
        return line(at, "order", **_terms(order.terms), status=order.status, **numbers)
    if isinstance(event, Executed):
        made = event.execution
        return line(
            at,
            "fill",
            client=made.client_id,
            order=made.order_id,
            exec_id=made.exec_id,
            symbol=made.contract.local_symbol,
            side=made.side,
            qty=made.qty,
            price=made.price,
        )
    if isinstance(event, Charged):
        made = event.execution
        return line(at, "fee", exec_id=made.exec_id, fee=made.fee, realised=made.realised)
    if isinstance(event, Said):
        return line(at, "code", client=event.key[0], order=event.key[1], code=event.code)
    if isinstance(event, Moved):
        return None
    order = event.order
    return line(
        at, "status", client=order.terms.client_id, order=order.terms.order_id, status=order.status
    )


def _terms(terms: Terms) -> dict[str, object]:
    return {
        "client": terms.client_id,
        "order": terms.order_id,
        "symbol": terms.contract.local_symbol,
        "side": terms.side,
        "type": terms.kind,
        "limit": terms.limit,
        "aux": terms.aux,
        "ref": terms.order_ref,
    }
