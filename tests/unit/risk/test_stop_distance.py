"""Risk sizes to the very stop that the exit engine sends: AAPL at 50.00, ATR 1.00."""

from decimal import Decimal

import pytest
from risk_cases import D, context, order

from bft import exits
from bft.domain.stops import policy_with_stop, stop_distance_usd
from bft.domain.trading import Direction, ExitPolicy
from bft.risk.decide import evaluate

NONE = ExitPolicy(stop_frac=None)
CASES = [
    (ExitPolicy(stop_frac=0.05), "47.50"),
    (ExitPolicy(stop_frac=None, stop_atr=2.0), "48.00"),
    (ExitPolicy(stop_frac=0.05, stop_atr=2.0), "48.00"),  # the nearer
    (ExitPolicy(stop_frac=None, stop_atr=2.0, atr_floor_frac=0.005), "48.00"),  # 0.25 < ATR
    (ExitPolicy(stop_frac=None, stop_atr=2.0, atr_floor_frac=0.05), "45.00"),  # 2 x 2.50
    (ExitPolicy(stop_frac=0.07, stop_atr=2.0, atr_floor_frac=0.05), "46.50"),
    (None, "48.00"),  # 2 x ATR where nothing names one
    (NONE, "48.00"),
]


@pytest.mark.parametrize(("policy", "stop"), CASES)
def test_risk_and_the_exit_engine_name_one_stop(policy: ExitPolicy | None, stop: str) -> None:
    decision = evaluate(order(exits=policy), context())
    made = exits.initial_levels(
        D(50),
        policy_with_stop(policy, named=False),
        direction=Direction.LONG,
        atr_usd=D(1),
        tick_usd=D("0.01"),
    )
    assert decision.stop_price_usd == made.stop_usd == D(stop)
    assert decision.allowed
    assert decision.risk_usd == decision.qty * (D(50) - D(stop))


def test_a_named_stop_needs_no_other() -> None:
    assert policy_with_stop(NONE, named=True) == NONE
    assert policy_with_stop(None, named=True) == ExitPolicy()


def test_an_atr_that_is_needed_and_unknown_gives_no_distance() -> None:
    policy = ExitPolicy(stop_frac=0.05, stop_atr=2.0)
    for unknown in (None, D(0), D("NaN")):
        assert stop_distance_usd(D(50), policy, unknown) is None
    assert stop_distance_usd(D(50), policy, D(1)) == Decimal(2)
