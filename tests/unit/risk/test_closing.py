"""Orders that can only reduce: account, reduce-only against book and broker, no equal exit."""

from typing import Any

import pytest
from risk_cases import order

from bft.domain.orders import Reason, Side
from bft.risk.closing import evaluate_closing, opens
from bft.risk.context import ClosingContext, ClosingExit


def closing(side: Side = Side.SELL, qty: int = 10, **changes: Any) -> Any:
    values: dict[str, Any] = {
        "account": "DU1",
        "connected_account": "DU1",
        "book_qty": 10,
        "broker_qty": 10,
        "exits": (),
    }
    return evaluate_closing(order(side=side, qty=qty), ClosingContext(**values | changes))


@pytest.mark.parametrize(
    ("side", "qty", "changes"),
    [
        (Side.SELL, 10, {}),
        (Side.SELL, 1, {}),
        (Side.BUY, 10, {"book_qty": -10, "broker_qty": -12}),
        (Side.SELL, 10, {"exits": (ClosingExit(side=Side.SELL, qty=9),)}),
        (Side.SELL, 10, {"exits": (ClosingExit(side=Side.BUY, qty=10),)}),
    ],
)
def test_reducing_orders_pass(side: Side, qty: int, changes: dict[str, Any]) -> None:
    decision = closing(side, qty, **changes)
    assert (decision.allowed, decision.http_code, decision.qty) == (True, 201, qty)


@pytest.mark.parametrize(
    ("side", "qty", "changes", "reason", "code"),
    [
        (Side.SELL, 10, {"connected_account": "DU2"}, Reason.MODE, 403),
        (Side.SELL, 11, {}, Reason.VALIDATION, 400),
        (Side.BUY, 1, {}, Reason.VALIDATION, 400),
        (Side.SELL, 0, {}, Reason.VALIDATION, 400),
        (Side.SELL, 1, {"book_qty": 0}, Reason.VALIDATION, 400),
        (Side.SELL, 6, {"broker_qty": 5}, Reason.VALIDATION, 400),
        (Side.SELL, 1, {"broker_qty": -5}, Reason.VALIDATION, 400),
        (Side.SELL, 10, {"exits": (ClosingExit(side=Side.SELL, qty=10),)}, Reason.DUPLICATE, 409),
        (Side.SELL, 99, {"connected_account": "DU2"}, Reason.MODE, 403),
    ],
)
def test_others_are_denied(
    side: Side, qty: int, changes: dict[str, Any], reason: Reason, code: int
) -> None:
    decision = closing(side, qty, **changes)
    found = (decision.allowed, decision.reason, decision.http_code, decision.transient)
    assert found == (False, reason, code, False)
    assert len(decision.rules) == 3


@pytest.mark.parametrize("name", ["connected_account", "book_qty", "broker_qty", "exits"])
def test_unknown_inputs_deny_for_now(name: str) -> None:
    decision = closing(**{name: None})
    found = (decision.allowed, decision.reason, decision.http_code, decision.transient)
    assert found == (False, Reason.NOT_ARMED, 503, True)


@pytest.mark.parametrize(
    ("side", "qty", "held", "expected"),
    [
        (Side.BUY, 1, 0, True),
        (Side.BUY, 1, 5, True),
        (Side.SELL, 5, 5, False),
        (Side.SELL, 6, 5, True),
        (Side.BUY, 5, -5, False),
        (Side.SELL, 1, -5, True),
    ],
)
def test_opening_is_what_can_increase_the_position(
    side: Side, qty: int, held: int, expected: bool
) -> None:
    assert opens(side, qty, held) is expected
