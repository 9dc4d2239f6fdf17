"""Numbers of the core set against the tables of the strategies specification, worked by hand."""

from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import pytest
from panels import ASOF, forecast, gold_rows, table

from bft.domain.trading import Direction, Signal
from bft.strategies import STRATEGIES, enabled
from bft.strategies.signals import signals_at
from bft.strategies.view import view_of

AT = datetime(2025, 3, 14, 22, tzinfo=UTC)
COMMON = {
    "min_price_usd": (5, (1, 20)),
    "min_volume": (500_000, (100_000, 2_000_000)),
    "max_positions": (10, (1, 50)),
    "ml_confirm": ("off", ({"off", "veto", "require", "blend"},)),
    "allow_short": (False, ()),
    "entry_order": ("collar", ({"market", "collar", "limit", "stop"},)),
    "max_drift_frac": (0.02, (0.005, 0.10)),
    "intraday_entries": (False, ()),
}
OWN: dict[str, dict[str, Any]] = {
    "bollinger": {
        "rsi_max": (30, (20, 45)),
        "rsi_short_min": (60, (55, 80)),
        "rsi_exit": (70, (55, 80)),
        "rsi_exit_short": (30, (20, 45)),
    },
    "oversold_bounce": {"rsi_max": (35, (20, 45)), "rsi_exit": (55, (45, 70))},
    "oversold_reversal": {
        "rsi_max": (40, (20, 45)),
        "rsi_exit": (55, (45, 70)),
        "delta9_max": (-1, (-5, 3)),
        "rank_min": (0.70, (0.50, 0.99)),
        "lift_min": (1.05, (1, 2)),
        "prob_min": (None, (0, 1)),
    },
    "low_bounce": {
        "rsi_max": (40, (20, 45)),
        "rsi_exit": (60, (45, 70)),
        "delta9_max": (1, (-5, 3)),
        "low_mult": (1.10, (1.02, 1.25)),
    },
    "ml_prediction": {
        "horizon_days": (3, ({3, 10, 30},)),
        "rank_min": (0.95, (0.50, 0.99)),
        "lift_min": (1.10, (1, 2)),
        "agree_min": (0, ({0, 2, 3},)),
        "prob_min": (None, (0, 1)),
    },
    "regression_momentum": {
        "rank3_min": (0.90, (0.50, 0.99)),
        "rank10_min": (0.90, (0.50, 0.99)),
        "adx_min": (25, (15, 40)),
        "rank3_exit": (0.50, (0.2, 0.7)),
        "cci_exit": (100, (50, 200)),
        "ret3_min": (None, (0, 0.1)),
        "ret10_min": (None, (0, 0.2)),
    },
}
# stop, target, trail, activation, maximum and minimum hold, cooldown; then the horizon (2.1, 2.2)
POLICIES = {
    "bollinger": (0.07, 0.12, 0.05, 0.03, 20, 1, 1, 10),
    "oversold_bounce": (0.05, 0.08, 0.03, 0.02, 5, 1, 1, 3),
    "oversold_reversal": (0.05, 0.10, 0.04, 0.02, 7, 1, 1, 3),
    "low_bounce": (0.10, 0.20, 0.08, 0.04, 30, 3, 1, 30),
    "ml_prediction": (0.08, 0.15, None, 0, 20, 1, 1, 3),
    "regression_momentum": (0.06, 0.12, 0.05, 0.03, 13, 2, 1, 10),
}


def signal_of(
    name: str, last: dict[str, Any], predicted: dict[str, Any], *overrides: str
) -> Signal | None:
    """The signal of a cell, or None where it does not fire."""
    gold = table("gold", gold_rows("ABC", days=2, **last))
    forecasts = table("forecasts", [forecast("ABC", **predicted)])
    view = view_of(gold, forecasts, asof=ASOF, lookback=2, quarantined=())
    strategies = enabled(name, [f"{name}.{text}" for text in overrides])
    found = signals_at(view, strategies, decided_at=AT, cost_frac={}).signals
    return found[0] if found else None


@pytest.mark.parametrize("name", STRATEGIES)
def test_parameters_and_sweep_ranges_are_those_of_the_table(name: str) -> None:
    params = STRATEGIES[name].params
    found = {
        f.name: (getattr(params, f.name), f.metadata.get("within", ())) for f in fields(params)
    }
    assert found == COMMON | OWN[name]


@pytest.mark.parametrize("name", STRATEGIES)
def test_exit_policy_and_horizon_are_those_of_the_table(name: str) -> None:
    strategy, exits = STRATEGIES[name], STRATEGIES[name].exits
    fractions = (exits.stop_frac, exits.target_frac, exits.trail_frac, exits.activation_frac)
    holds = (exits.max_hold_days, exits.min_hold_days, exits.cooldown_days)
    assert (*fractions, *holds, strategy.horizon_days) == POLICIES[name]
    assert (exits.stop_atr, exits.target_atr, exits.trail_atr, exits.partials) == (
        *(None, None, None),
        (),
    )


@pytest.mark.parametrize(
    ("name", "last", "predicted", "strength", "confidence"),
    [
        # (30 - 24) / 15; 0.60 + 0.20 x 0.4
        ("bollinger", {"adjusted_close": 95.0, "rsi_14": 24.0}, {}, 0.4, 0.68),
        ("bollinger", {"adjusted_close": 95.0, "rsi_14": 12.0}, {}, 1.0, 0.80),
        # strength of the short side: (75 - 60) / 20
        ("bollinger", {"adjusted_close": 105.0, "rsi_14": 75.0}, {}, 0.75, 0.75),
        # how far RSI lies below its limit: (35 - 29) / 15
        (
            "oversold_bounce",
            {"adjusted_close": 94.0, "rsi_14": 29.0, "bollinger_bands_signal": 1},
            {},
            0.4,
            0.68,
        ),
        # (40 - 30) / 20; 0.50 + 0.40 x (0.80 - 0.5) / 0.5
        (
            "oversold_reversal",
            {"rsi_14": 30.0, "bull_bear_delta": -3, "atr_signal": -1},
            {"rank_3d": 0.80, "lift_bin_3d": 1.3},
            0.5,
            0.74,
        ),
        # above the low by 84 / 80: (1.10 - 1.05) / 0.10
        ("low_bounce", {"adjusted_close": 84.0, "rsi_14": 39.0}, {}, 0.5, 0.70),
        # (0.96 - 0.90) / 0.10; 0.50 + 0.40 x 0.92
        ("ml_prediction", {}, {"rank_3d": 0.96, "lift_bin_3d": 1.2}, 0.6, 0.868),
        # rank_10d 0.92; the mean rank is 0.95
        (
            "regression_momentum",
            {"adx_14": 30.0},
            {"rank_3d": 0.98, "rank_10d": 0.92, "expected_return_10d": 0.01},
            0.2,
            0.86,
        ),
    ],
)
def test_strength_and_confidence_by_hand(
    name: str, last: dict[str, Any], predicted: dict[str, Any], strength: float, confidence: float
) -> None:
    signal = signal_of(name, last, predicted)
    assert signal is not None
    assert (signal.strength, signal.confidence) == pytest.approx((strength, confidence))


FAVOURED = {"rank_3d": 0.97, "lift_bin_3d": 1.2, "prob_1_bin_3d": 0.4}
RISING = {"rank_3d": 0.9, "rank_10d": 0.9, "expected_return_10d": 0.02, "expected_return_3d": 0.01}


@pytest.mark.parametrize(
    ("name", "last", "predicted", "override", "fires"),
    [
        ("ml_prediction", {}, {**FAVOURED, "horizon_agreement": 2}, "agree_min=2", False),
        (
            "ml_prediction",
            {},
            {**FAVOURED, "horizon_agreement": 2, "consensus_direction": "BUY"},
            "agree_min=2",
            True,
        ),
        (
            "ml_prediction",
            {},
            {**FAVOURED, "horizon_agreement": 2, "consensus_direction": "BUY"},
            "agree_min=3",
            False,
        ),
        ("ml_prediction", {}, FAVOURED, "prob_min=0.4", True),
        ("ml_prediction", {}, FAVOURED, "prob_min=0.41", False),
        ("ml_prediction", {}, FAVOURED, "horizon_days=10", False),
        (
            "ml_prediction",
            {},
            {"rank_10d": 0.97, "lift_bin_10d": 1.2},
            "horizon_days=10",
            True,
        ),
        ("regression_momentum", {"adx_14": 26.0}, RISING, "ret3_min=0.01", True),
        ("regression_momentum", {"adx_14": 26.0}, RISING, "ret3_min=0.011", False),
        ("regression_momentum", {"adx_14": 26.0}, RISING, "ret10_min=0.021", False),
        ("bollinger", {"adjusted_close": 95.0, "rsi_14": 39.0}, {}, "rsi_max=40", True),
        ("bollinger", {"adjusted_close": 95.0, "rsi_14": 39.0}, {}, "rsi_max=38", False),
    ],
)
def test_optional_limits_bind_where_they_are_set(
    name: str, last: dict[str, Any], predicted: dict[str, Any], override: str, fires: bool
) -> None:
    assert (signal_of(name, last, predicted, override) is not None) is fires


@pytest.mark.parametrize(
    ("last", "fires"),
    [
        ({"volume": 500_000}, True),
        ({"volume": 499_999}, False),
        ({"adjusted_close": 5.0, "bbands_lower_20": 5.0}, True),
        ({"adjusted_close": 4.99, "bbands_lower_20": 4.99}, False),
    ],
)
def test_least_volume_and_price_are_inclusive(last: dict[str, Any], fires: bool) -> None:
    at_band = {"adjusted_close": 95.0, "rsi_14": 25.0, **last}
    assert (signal_of("bollinger", at_band, {}) is not None) is fires


def test_evidence_holds_every_value_that_was_read() -> None:
    """Section 1: those of the day before too, and the merged forecasts."""
    told = {"expected_return_10d": 0.02, "lift_bin_10d": 1.3, "consensus_direction": "SELL"}
    signal = signal_of(
        "bollinger",
        {"adjusted_close": 95.0, "rsi_14": 25.0, "high": 99.5, "low": 94.5},
        {**told, "rank_30d": None},
        "entry_order=stop",
    )
    assert signal is not None
    merged = {f"expected_return_{h}d": 0.0 for h in (3, 10, 30)}
    merged |= {f"lift_bin_{h}d": 1.0 for h in (3, 10, 30)} | {"rank_3d": 0.5, "rank_10d": 0.5}
    assert signal.direction is Direction.LONG
    assert signal.evidence == merged | {
        "adjusted_close": 95.0,
        "adjusted_close[-1]": 100.0,
        "bbands_lower_20": 95.0,
        "bbands_lower_20[-1]": 95.0,
        "bbands_middle_20": 100.0,
        "bbands_upper_20": 105.0,
        "bbands_upper_20[-1]": 105.0,
        "consensus": -1.0,
        "expected_return_10d": 0.02,
        "high": 99.5,
        "horizon_agreement": 1.0,
        "lift_bin_10d": 1.3,
        "low": 94.5,
        "rsi_14": 25.0,
        "volume": 1_000_000.0,
    }
