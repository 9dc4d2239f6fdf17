"""Orders and executions on their way to and from the gateway."""

from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import ib_async

from bft.adapters.broker.ib.contracts import decimal_of
from bft.domain.broker import BrokerOrder, PlacedOrder, WhatIf
from bft.domain.orders import Contract, Execution, FillSource, OrderType, Side

_TYPES = {
    OrderType.MARKET: "MKT",
    OrderType.LIMIT: "LMT",
    OrderType.STOP: "STP",
    OrderType.STOP_LIMIT: "STP LMT",
}
_MARGINS = (
    "initMarginBefore maintMarginBefore equityWithLoanBefore initMarginChange maintMarginChange "
    "equityWithLoanChange initMarginAfter maintMarginAfter equityWithLoanAfter commission "
    "minCommission maxCommission commissionCurrency warningText"
).split()


def wired(order: PlacedOrder, *, what_if: bool = False) -> ib_async.Order:
    """A leg as placeOrder sends it (wire specification, section 4)."""
    made = ib_async.Order(
        orderId=order.order_id,
        action=order.side.value,
        totalQuantity=order.qty,
        orderType=_TYPES[order.order_type],
        tif=order.time_in_force.value,
        ocaGroup=order.oca_group,
        ocaType=order.oca_type,
        account=order.account,
        orderRef=order.order_ref,
        transmit=order.transmit or what_if,
        parentId=order.parent_order_id,
        triggerMethod=order.trigger_method,
        whatIf=what_if,
    )
    if order.limit_price_usd is not None:
        made.lmtPrice = float(order.limit_price_usd)
    if order.stop_price_usd is not None:
        made.auxPrice = float(order.stop_price_usd)
    return made


def open_order(contract: Contract, order: ib_async.Order, status: str) -> BrokerOrder:
    """An order of openOrder; `filled_qty` and `why_held` come with its status only."""
    return BrokerOrder(
        order_ref=order.orderRef,
        perm_id=order.permId,
        order_id=order.orderId,
        client_id=order.clientId,
        account=order.account,
        contract=contract,
        side=_side(order.action),
        qty=decimal_of(order.totalQuantity) or Decimal(0),
        order_type=order.orderType,
        status=word(status),
        limit_price_usd=_price(order.lmtPrice),
        stop_price_usd=_price(order.auxPrice),
        parent_order_id=order.parentId,
        oca_group=order.ocaGroup,
    )


def completed_order(
    contract: Contract, order: ib_async.Order, state: ib_async.OrderState
) -> BrokerOrder:
    """An order of completedOrder: it names no order id and no client id."""
    return BrokerOrder(
        order_ref=order.orderRef,
        perm_id=order.permId,
        order_id=0,
        client_id=0,
        account=order.account,
        contract=contract,
        side=_side(order.action),
        qty=decimal_of(order.totalQuantity) or Decimal(0),
        order_type=order.orderType,
        status=word(state.status),
        limit_price_usd=_price(order.lmtPrice),
        stop_price_usd=_price(order.auxPrice),
        filled_qty=decimal_of(order.filledQuantity),
        oca_group=order.ocaGroup,
        completed_at=_instant(state.completedTime),
    )


def execution(contract: Contract, fill: ib_async.Execution, source: FillSource) -> Execution | None:
    """A fill, or None where its quantity or price is no number above zero.

    A correction to no units at all busts the fill it corrects.
    """
    qty, price = decimal_of(fill.shares), decimal_of(fill.price)
    if qty is None or price is None or qty < 0 or qty != int(qty):
        return None
    made = Execution(
        exec_id=fill.execId,
        account=fill.acctNumber,
        contract=contract,
        side=_side(fill.side),
        qty=int(qty),
        price_usd=price,
        at=fill.time.astimezone(UTC),
        order_ref=fill.orderRef,
        perm_id=fill.permId or None,
        order_id=fill.orderId or None,
        client_id=fill.clientId,
        source=source,
    )
    return made if made.qty or made.revision > 1 else None


def what_if(state: ib_async.OrderState) -> WhatIf:
    """Margins of a what-if answer."""
    values = {name: str(getattr(state, name)) for name in _MARGINS}
    return WhatIf(
        initial_margin_after_usd=decimal_of(state.initMarginAfter),
        equity_with_loan_after_usd=decimal_of(state.equityWithLoanAfter),
        commission_usd=decimal_of(state.commission),
        values=values,
    )


def word(status: str) -> str:
    """The word bft uses for a status: cancelled is cancelled, also before the exchange had it."""
    return "Cancelled" if status == "ApiCancelled" else status


def _side(action: str) -> Side:
    """BUY or BOT; all else (SELL, SLD, SSHORT) sells."""
    return Side.BUY if action.startswith("B") else Side.SELL


def _price(value: object) -> Decimal | None:
    """A price of an order; the gateway writes 0.0 where a type has none."""
    return decimal_of(value) or None


def _instant(text: str) -> datetime | None:
    """Instant of `20261120 10:00:00 America/New_York`, or None where it cannot be read."""
    day, _, rest = text.partition(" ")
    clock, _, zone = rest.partition(" ")
    try:
        at = datetime.strptime(f"{day} {clock}", "%Y%m%d %H:%M:%S")  # noqa: DTZ007  zone below
        return at.replace(tzinfo=ZoneInfo(zone or "UTC")).astimezone(UTC)
    except (ValueError, ZoneInfoNotFoundError):
        return None
