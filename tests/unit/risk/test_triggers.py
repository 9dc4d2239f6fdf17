"""Rule 13 on the triggers of stop entries: an order's waits for the market, a signal's may not."""

from typing import Any

import pytest
from risk_cases import (
    PRE_OPEN,
    D,
    context,
    future_context,
    future_order,
    option_context,
    option_order,
    order,
    with_,
)

from bft.domain.orders import OrderType, Side, Verdict
from bft.domain.trading import ExitPolicy
from bft.risk.context import Context
from bft.risk.decide import evaluate


def verdict(number: int, asked: Any, seen: Context) -> Verdict:
    return evaluate(asked, seen).rules[number - 1].verdict


def test_stop_entry_is_measured_by_its_trigger() -> None:
    for trigger, expected in (("51.00", Verdict.PASS), ("51.01", Verdict.BLOCK)):
        asked = order(order_type=OrderType.STOP, limit_price_usd=None, trigger_price_usd=D(trigger))
        assert verdict(13, asked, context()) is expected


STOPS = (OrderType.STOP, OrderType.STOP_LIMIT)


@pytest.mark.parametrize(
    ("side", "trigger", "expected"),
    [  # 19,999.75 to 20,000.00
        (Side.BUY, "20000.25", Verdict.PASS),
        (Side.BUY, "20000.00", Verdict.BLOCK),
        (Side.BUY, "1000.00", Verdict.BLOCK),
        (Side.SELL, "19999.50", Verdict.PASS),
        (Side.SELL, "19999.75", Verdict.BLOCK),
        (Side.SELL, "30000.00", Verdict.BLOCK),
    ],
)
@pytest.mark.parametrize("kind", STOPS)
def test_trigger_of_an_order_lies_before_the_market(
    kind: OrderType, side: Side, trigger: str, expected: Verdict
) -> None:
    level = D(trigger) - 10 * side.sign
    asked = future_order(is_signal=False, qty=1, order_type=kind, side=side, stop_price_usd=level)
    asked = with_(asked, trigger_price_usd=D(trigger), limit_price_usd=D("20000.00"))
    rule = evaluate(asked, future_context()).rules[12]
    assert rule.verdict is expected
    touch = "20000" if side is Side.BUY else "19999.75"
    note = f"trigger {D(trigger).normalize():f} lies beyond the market at {touch}"
    assert rule.note.startswith(note) is (expected is Verdict.BLOCK)


def test_trigger_of_an_options_premium_lies_before_the_market_too() -> None:
    for trigger, expected in (("2.04", Verdict.PASS), ("2.03", Verdict.BLOCK)):
        asked = option_order(is_signal=False, qty=1, order_type=OrderType.STOP)
        asked = with_(asked, trigger_price_usd=D(trigger))
        assert verdict(13, asked, option_context()) is expected


def test_trigger_before_the_open_is_held_against_the_last_close() -> None:
    seen = context(at=PRE_OPEN, account=with_(context().account, at=PRE_OPEN))
    for trigger, expected in (("49.81", Verdict.PASS), ("49.80", Verdict.BLOCK)):
        asked = order(created_at=PRE_OPEN, is_signal=False, qty=10, order_type=OrderType.STOP)
        assert verdict(13, with_(asked, limit_price_usd=D(trigger)), seen) is expected


@pytest.mark.parametrize(
    ("trigger", "expected"),
    [("49.99", Verdict.PASS), ("49.02", Verdict.PASS), ("49.01", Verdict.BLOCK)],
)
@pytest.mark.parametrize("kind", STOPS)
def test_signal_whose_trigger_was_passed_fills_within_the_collar(
    kind: OrderType, trigger: str, expected: Verdict
) -> None:
    """Mid 50.00: 2 % above 49.0196; the specification fills a stop at the worse of the two."""
    asked = order(order_type=kind, trigger_price_usd=D(trigger), exits=ExitPolicy(stop_frac=0.2))
    assert verdict(13, asked, context()) is expected
