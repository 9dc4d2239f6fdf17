"""openOrder (5), completedOrder (101), orderStatus (3), execDetails (11) (ib-wire, 5 to 7)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from bft.domain import sessions
from bft.sim.gateway.exchange.contracts import Contract
from bft.sim.gateway.exchange.orders import Execution, Order
from bft.sim.gateway.wire.contract_fields import TIME_ZONE, c11
from bft.sim.gateway.wire.frames import UNSET

_NO_MARGIN = (UNSET,) * 12


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """Margins of an order that is only tried: each (initial, maintenance, equity), in USD."""

    before: Sequence[Decimal]
    after: Sequence[Decimal]
    commission: Decimal

    @property
    def fields(self) -> Sequence[object]:
        """The twelve fields from initMarginBefore to maxCommission."""
        change = [b - a for a, b in zip(self.before, self.after, strict=True)]
        return (*self.before, *change, *self.after, *(self.commission,) * 3)


def open_order(order: Order, tried: WhatIf | None = None) -> Sequence[object]:
    """openOrder: 135 fields."""
    terms, echo = order.terms, _Echo(order.terms.echo)
    return (
        *(5, terms.order_id, *c11(terms.contract), *_asked(order)),
        *(terms.account, echo("openClose"), echo("origin", "0"), terms.order_ref, terms.client_id),
        *(order.perm_id, *_validity(echo), "", echo("faGroup"), echo("faMethod")),
        *(echo("faPercentage"), echo("modelCode"), echo("goodTillDate"), echo("rule80A")),
        *(echo("percentOffset"), echo("settlingFirm"), *_short(echo), echo("auctionStrategy", "0")),
        *(*_volatility(echo), echo("displaySize"), echo("blockOrder", "0")),
        *(echo("sweepToFill", "0"), echo("allOrNone", "0"), echo("minQty"), terms.oca_type),
        *("0", "0", "", terms.parent_id, terms.trigger_method, "", "", "None", ""),
        *("0", "", "", "", "", "0", "0", ""),  # of the delta neutral leg
        *("0", "0", order.stop if terms.kind == "TRAIL" else "", terms.trail_percent),
        *("", "", "", *_legs(terms.contract), 0, 0, "", "", "", "", "0", echo("clearingAccount")),
        *(echo("clearingIntent") or "IB", echo("notHeld", "0"), 0, ""),
        *(echo("solicited", "0"), terms.what_if, order.status),
        *(tried.fields if tried else _NO_MARGIN),
        *("USD" if tried else "", "", "0", "0", 0, "None", ""),
        *(order.stop if terms.kind == "TRAIL" else "", "", "", "", "", "0"),
        *("", "", "", echo("cashQty"), "0", "0", "0", "", "", "", "0", "", "", "", "", ""),
    )


def completed_order(order: Order) -> Sequence[object]:
    """completedOrder: 96 fields."""
    terms, echo = order.terms, _Echo(order.terms.echo)
    ended = order.completed_at
    return (
        *(101, *c11(terms.contract), *_asked(order)),
        *(terms.account, echo("openClose"), echo("origin", "0"), terms.order_ref, order.perm_id),
        *(*_validity(echo), echo("faGroup"), echo("faMethod"), echo("faPercentage")),
        *(echo("modelCode"), echo("goodTillDate"), echo("rule80A"), echo("percentOffset")),
        *(echo("settlingFirm"), *_short(echo), *_volatility(echo), echo("displaySize")),
        *(echo("sweepToFill", "0"), echo("allOrNone", "0"), echo("minQty"), terms.oca_type),
        *(terms.trigger_method, "", "", "", "", "0", "0"),
        *(order.stop if terms.kind == "TRAIL" else "", terms.trail_percent, ""),
        *(*_legs(terms.contract), 0, 0),
        *("", "", "", "", echo("clearingAccount"), echo("clearingIntent") or "IB"),
        *(echo("notHeld", "0"), 0, "", echo("solicited", "0"), order.status, "0", "0", 0),
        *(order.stop if terms.kind == "TRAIL" else "", "", echo("cashQty"), "0", "0", ""),
        *(order.filled, "", "0", "", "0", "0", "", stamp(ended) if ended else ""),
        *(order.completed_text, "", "", "", "", ""),
    )


def order_status(order: Order) -> Sequence[object]:
    """orderStatus: eleven fields after its number."""
    terms = order.terms
    return (
        *(3, terms.order_id, order.status, order.filled, order.remaining, float(order.average)),
        *(order.perm_id, terms.parent_id, order.last_price, terms.client_id, order.why_held, 0.0),
    )


def exec_details(made: Execution, *, req_id: int) -> Sequence[object]:
    """execDetails; -1 as request id says it is live."""
    return (
        *(11, req_id, made.order_id, *c11(made.contract), made.exec_id, stamp(made.at)),
        *(made.account, made.contract.exchange, "BOT" if made.side == "BUY" else "SLD"),
        *(made.qty, made.price, made.perm_id, made.client_id, 0, made.cum_qty),
        *(float(made.average), made.order_ref, "", "", "", 1, "0"),
    )


def commission(made: Execution) -> Sequence[object]:
    """Give commissionReport."""
    realised = UNSET if made.realised is None else made.realised
    return (59, 1, made.exec_id, made.fee, "USD", realised, UNSET, "")


def stamp(at: datetime) -> str:
    """An instant as exchange time with its zone."""
    return f"{at.astimezone(sessions.NEW_YORK):%Y%m%d %H:%M:%S} {TIME_ZONE}"


def _legs(contract: Contract) -> Sequence[object]:
    """How many legs, and eight fields for each."""
    told = [(leg.con_id, leg.ratio, leg.action, "SMART", 0, 0, "", -1) for leg in contract.legs]
    return (len(told), *(value for leg in told for value in leg))


class _Echo:
    """Fields as the client sent them."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields

    def __call__(self, name: str, default: str = "") -> str:
        return self._fields.get(name) or default


def _asked(order: Order) -> Sequence[object]:
    terms = order.terms
    return (
        *(terms.side, order.qty, terms.kind, terms.limit or 0.0, terms.aux or 0.0, terms.tif),
        terms.oca_group,
    )


def _validity(echo: _Echo) -> Sequence[object]:
    names = ("outsideRth", "hidden"), ("discretionaryAmt", "goodAfterTime")
    return (*(echo(name, "0") for name in names[0]), *(echo(name) for name in names[1]))


def _short(echo: _Echo) -> Sequence[object]:
    return (echo("shortSaleSlot", "0"), echo("designatedLocation"), echo("exemptCode", "-1"))


def _volatility(echo: _Echo) -> Sequence[object]:
    names = ("startingPrice", "stockRefPrice", "delta", "stockRangeLower", "stockRangeUpper")
    return tuple(echo(name) for name in names)
