"""Rule 8 and the fields of an exit policy: each is bounded, and the bound is told."""

from dataclasses import fields
from typing import Any

import pytest
from risk_cases import context, order

from bft.domain.orders import Verdict
from bft.domain.trading import ExitPolicy
from bft.risk.decide import evaluate

NAN, INF = float("nan"), float("inf")
BEYOND: dict[str, tuple[Any, ...]] = {
    "stop_frac": (0.0, -0.07, 1.0, NAN, INF),
    "stop_atr": (0.0, -2.0, 100.1, NAN, INF),
    "target_frac": (-0.1, 10.1, 1e300, NAN),
    "target_atr": (-1.0, 100.1, INF),
    "trail_frac": (-0.05, 1.0, 5.0, NAN),
    "trail_atr": (-1.0, 500.0, NAN),
    "activation_frac": (-5.0, 0.15, 11.0, NAN, INF),
    "max_hold_days": (-3, 10_001),
    "min_hold_days": (-5, 10_001),
    "cooldown_days": (-20, 253, 10_000),
    "partials": (
        ((-0.5, 0.5),),
        ((0.01, 5.0),),
        ((1e300, 0.5),),
        ((NAN, 0.5),),
        ((0.05, 0.6), (0.1, 0.6)),
        tuple((0.01 * n, 0.01) for n in range(1, 22)),
    ),
    "target_risk": (-1.0, 1e300, NAN),
    "atr_floor_frac": (-0.1, 2.0, NAN),
    "max_hold_s": (-1, 10**15),
    "cooldown_s": (-1, 10**15),
}
WITHIN: dict[str, Any] = {
    "stop_atr": 2.0,
    "target_frac": 0.8,
    "target_atr": 12.0,
    "trail_frac": 0.32,
    "trail_atr": 12.0,
    "activation_frac": 0.14,
    "max_hold_days": 120,
    "min_hold_days": 12,
    "cooldown_days": 10,
    "partials": ((0.05, 0.5), (0.1, 0.4)),
    "target_risk": 8.0,
    "atr_floor_frac": 0.02,
    "max_hold_s": 240 * 60,
    "cooldown_s": 3600,
}


def test_every_field_that_is_a_number_is_bounded() -> None:
    flags = {"breakeven_after_partial", "same_session"}
    assert {field.name for field in fields(ExitPolicy)} - flags == BEYOND.keys()


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BEYOND.items() for value in values]
)
def test_a_field_beyond_its_bounds_is_denied_with_value_and_limit(name: str, value: Any) -> None:
    policy = ExitPolicy(**{"stop_frac": 0.05, name: value})
    result = evaluate(order(exits=policy), context()).rules[7]
    assert (result.number, result.verdict) == (8, Verdict.BLOCK)
    assert result.note == f"exits: {name} {result.value} is not {result.limit}"
    assert result.value
    assert result.limit


@pytest.mark.parametrize(("name", "value"), list(WITHIN.items()))
def test_four_times_what_strategies_use_passes(name: str, value: Any) -> None:
    """The widest sweep of the strategies specification, section 2.3."""
    policy = ExitPolicy(**{"stop_frac": 0.05, name: value})
    assert evaluate(order(exits=policy), context()).rules[7].verdict is Verdict.PASS
