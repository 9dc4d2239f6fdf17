"""The short list for orders that can only reduce a position.

Source: executor specification, section 4.
"""

from bft.domain.orders import Decision, OrderRequest, Reason, RuleResult, Side, Verdict
from bft.risk.context import ClosingContext
from bft.risk.decide import ACCEPTED
from bft.risk.finding import PASSED, Finding, blocked, judged, missing

UNAVAILABLE = 503


def opens(side: Side, qty: int, held_qty: int) -> bool:
    """Whether an order can increase |position|; `held_qty` is signed."""
    return side.sign * held_qty >= 0 or qty > abs(held_qty)


def evaluate_closing(order: OrderRequest, context: ClosingContext) -> Decision:
    """Hold a closing order against account, reduce-only and exits in flight, in this order.

    Never raises for what order and context hold; what is unknown blocks for now (503, transient).
    """
    rows = (
        ("account", Reason.MODE, 403, _account(context)),
        ("reduce_only", Reason.VALIDATION, 400, _reduces(order, context)),
        ("exit_in_flight", Reason.DUPLICATE, 409, _no_equal_exit(order, context)),
    )
    results = tuple(
        RuleResult(
            number=number,
            rule=name,
            verdict=found[0],
            reason=Reason.NOT_ARMED if found[0] is Verdict.MISSING else reason,
            value=found[1],
            limit=found[2],
            note=found[3],
        )
        for number, (name, reason, _, found) in enumerate(rows, start=1)
    )
    first = next((r for r in results if r.verdict is not Verdict.PASS), None)
    unknown = first is not None and first.verdict is Verdict.MISSING
    code = ACCEPTED if first is None else UNAVAILABLE if unknown else rows[first.number - 1][2]
    return Decision(
        allowed=first is None,
        qty=order.qty,
        qty_requested=order.qty,
        rules=results,
        reason=None if first is None else first.reason,
        http_code=code,
        transient=unknown,
        detail="" if first is None else first.note,
    )


def _account(context: ClosingContext) -> Finding:
    if context.connected_account is None:
        return missing("connected account")
    same = context.connected_account == context.account
    return judged(same, None, None, "connected account is not the configured one")


def _reduces(order: OrderRequest, context: ClosingContext) -> Finding:
    if order.qty < 1:
        return blocked("quantity", order.qty, 1)
    for name, held in (("book", context.book_qty), ("broker", context.broker_qty)):
        if held is None:
            return missing(f"position of the {name}")
        if opens(order.side, order.qty, held):
            return blocked(f"would not only reduce the position of the {name}", order.qty, held)
    return PASSED


def _no_equal_exit(order: OrderRequest, context: ClosingContext) -> Finding:
    if context.exits is None:
        return missing("exits in flight")
    same = any(e.side is order.side and e.qty == order.qty for e in context.exits)
    return judged(not same, order.qty, None, "an equal exit is in flight")
