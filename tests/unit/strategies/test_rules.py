from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from panels import ASOF, forecast, gold_rows, table

from bft.domain import sessions
from bft.domain.errors import ConfigError, DataError
from bft.domain.trading import Direction, SignalKind, signal_id
from bft.strategies import STRATEGIES, enabled, others
from bft.strategies.signals import Held, Scan, horizon_for, signals_at
from bft.strategies.view import View, view_of

AT = datetime(2025, 3, 14, 22, tzinfo=UTC)
FAVOURED = {
    "rank_3d": 0.97,
    "rank_10d": 0.96,
    "lift_bin_3d": 1.2,
    "expected_return_10d": 0.01,
    "expected_return_3d": 0.004,
}
# strategy -> (newest gold row, forecast) of a cell that just fires
FIRES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "bollinger": ({"adjusted_close": 95.0, "rsi_14": 30.0}, {}),
    "oversold_bounce": (
        {"adjusted_close": 94.0, "rsi_14": 34.9, "bollinger_bands_signal": 1},
        {},
    ),
    "oversold_reversal": (
        {"rsi_14": 39.9, "bull_bear_delta": -2, "atr_signal": -1},
        {"rank_3d": 0.70, "lift_bin_3d": 1.05},
    ),
    "low_bounce": (
        {"adjusted_close": 87.9, "rsi_14": 39.0, "bull_bear_delta": 0, "atr_signal": -1},
        {},
    ),
    "ml_prediction": ({}, {"rank_3d": 0.95, "lift_bin_3d": 1.10}),
    "regression_momentum": (
        {"adx_14": 25.1},
        {"rank_3d": 0.90, "rank_10d": 0.90, "expected_return_10d": 0.001},
    ),
}
# one value past the limit each
MISSES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("bollinger", {"adjusted_close": 95.01}, {}),
    ("bollinger", {"rsi_14": 30.1}, {}),
    ("bollinger", {"volume": 499_999}, {}),
    ("oversold_bounce", {"rsi_14": 35.0}, {}),
    ("oversold_bounce", {"bollinger_bands_signal": 0}, {}),
    ("oversold_reversal", {"bull_bear_delta": -1}, {}),
    ("oversold_reversal", {}, {"rank_3d": 0.69}),
    ("oversold_reversal", {}, {"lift_bin_3d": 1.04}),
    ("low_bounce", {"adjusted_close": 88.1}, {}),
    ("low_bounce", {"bull_bear_delta": 1}, {}),
    ("ml_prediction", {}, {"rank_3d": 0.94}),
    ("ml_prediction", {}, {"lift_bin_3d": 1.09}),
    ("regression_momentum", {"adx_14": 25.0}, {}),
    ("regression_momentum", {}, {"expected_return_10d": 0.0}),
    ("regression_momentum", {}, {"rank_10d": 0.89}),
]


def make_view(
    last: dict[str, Any],
    predicted: dict[str, Any],
    quarantined: tuple[str, ...] = (),
    days: int = 2,
) -> View:
    gold = table("gold", gold_rows("ABC", days=days, **last))
    forecasts = table("forecasts", [forecast("ABC", **predicted)])
    return view_of(gold, forecasts, asof=ASOF, lookback=2, quarantined=quarantined)


def scan(view: View, *strategies: Any, held: tuple[Held, ...] = ()) -> Scan:
    return signals_at(view, strategies, decided_at=AT, cost_frac={"ABC": 0.001}, held=held)


@pytest.mark.parametrize("name", FIRES)
def test_strategy_fires_at_its_limits(name: str) -> None:
    (signal,) = scan(make_view(*FIRES[name]), STRATEGIES[name]).signals
    assert signal.strategy_id == name
    assert (signal.kind, signal.direction) == (SignalKind.ENTRY, Direction.LONG)
    assert 0 < len(signal.reason) <= 160
    assert signal.exits.stop_frac is not None


@pytest.mark.parametrize(("name", "last", "predicted"), MISSES)
def test_strategy_stays_silent_past_a_limit(
    name: str, last: dict[str, Any], predicted: dict[str, Any]
) -> None:
    view = make_view({**FIRES[name][0], **last}, {**FIRES[name][1], **predicted})
    assert scan(view, STRATEGIES[name]).signals == ()


@pytest.mark.parametrize("name", FIRES)
def test_nan_in_a_column_that_is_read_never_fires(name: str) -> None:
    last, predicted = FIRES[name]
    strategy = STRATEGIES[name]
    for column in strategy.needs.gold:
        stored = "bull_bear_delta" if column == "delta9" else column
        found = scan(make_view({**last, stored: None}, predicted, days=253), strategy)
        assert (found.signals, found.skipped["nan_input"]) == ((), 1), column
        assert found.skipped["short_history"] == 0, column


def test_bollinger_needs_the_crossing_not_the_state() -> None:
    rows = gold_rows("ABC", days=2, adjusted_close=94.0, rsi_14=25.0)
    rows[0]["adjusted_close"] = 94.5  # below its band already
    view = view_of(
        table("gold", rows), table("forecasts", []), asof=ASOF, lookback=2, quarantined=()
    )
    assert scan(view, STRATEGIES["bollinger"]).signals == ()


def test_bollinger_short_side_is_mirrored() -> None:
    view = make_view({"adjusted_close": 105.0, "rsi_14": 70.0}, {})
    (signal,) = scan(view, STRATEGIES["bollinger"]).signals
    assert signal.direction is Direction.SHORT
    assert signal.strength == pytest.approx(0.5)  # (70 - 60) / 20
    assert signal.confidence == pytest.approx(0.70)


def test_confidence_by_hand() -> None:
    view = make_view(FIRES["low_bounce"][0], {})
    (signal,) = scan(view, STRATEGIES["low_bounce"]).signals
    strength = (1.10 - 87.9 / 80.0) / 0.10
    assert signal.strength == pytest.approx(strength, abs=1e-6)
    assert signal.confidence == pytest.approx(0.60 + 0.20 * strength, abs=1e-6)
    view = make_view({"adx_14": 30.0}, FAVOURED)
    (signal,) = scan(view, STRATEGIES["regression_momentum"]).signals
    assert signal.confidence == pytest.approx(0.50 + 0.40 * (0.965 - 0.5) / 0.5)


def test_signal_id_is_the_stated_hash_and_holds_no_price() -> None:
    import hashlib

    text = "bft.signal.v1|entry|bollinger|ABC|long|STOCK|2025-03-14"
    expected = hashlib.sha256(text.encode()).hexdigest()[:32]
    made = signal_id(
        kind=SignalKind.ENTRY,
        strategy_id="bollinger",
        symbol="ABC",
        direction=Direction.LONG,
        bar_key="2025-03-14",
    )
    assert made == expected
    one = scan(make_view(FIRES["bollinger"][0], {}), STRATEGIES["bollinger"]).signals[0]
    other_row = {"adjusted_close": 90.0, "rsi_14": 20.0}
    other = scan(make_view(other_row, {}), STRATEGIES["bollinger"]).signals[0]
    assert one.signal_id == other.signal_id == expected
    assert one.ref_price_usd != other.ref_price_usd


def test_signal_expires_at_the_close_of_the_next_session() -> None:
    (signal,) = scan(make_view(*FIRES["bollinger"]), STRATEGIES["bollinger"]).signals
    assert signal.expires_at == sessions.close_at(sessions.shift(ASOF, 1))


def test_absent_forecasts_skip_and_are_counted() -> None:
    gold = table("gold", gold_rows("ABC", days=2))
    view = view_of(gold, table("forecasts", []), asof=ASOF, lookback=2, quarantined=())
    assert scan(view, STRATEGIES["ml_prediction"]).skipped["no_forecast"] == 1


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"asof": sessions.shift(ASOF, -1)}, "stale_forecast"),
        ({"model_age_days_max": 91}, "stale_model"),
        ({"status": "short_history"}, "no_forecast"),
    ],
)
def test_symbol_without_a_usable_forecast_is_counted_by_its_reason(
    changes: dict[str, Any], reason: str
) -> None:
    """One of two symbols was counted nowhere; where all lacked one, always as no_forecast."""
    gold = table("gold", [*gold_rows("ABC"), *gold_rows("XYZ")])
    rows = [forecast("ABC", **FAVOURED), forecast("XYZ", **changes)]
    if "asof" in changes:
        rows = [forecast("ABC", **changes), forecast("XYZ", **changes)]
    view = view_of(gold, table("forecasts", rows), asof=ASOF, lookback=2, quarantined=())
    found = scan(view, STRATEGIES["ml_prediction"])
    assert found.skipped[reason] == (2 if "asof" in changes else 1)
    assert [s.symbol for s in found.signals] == ([] if "asof" in changes else ["ABC"])


def test_forecast_of_models_that_had_learned_from_the_day_is_named_in_sample() -> None:
    """Only a backtest refuses it (strategies specification, 4.5)."""
    seen = make_view({}, {**FAVOURED, "oos": False})
    (signal,) = scan(seen, STRATEGIES["ml_prediction"]).signals
    assert (seen.in_sample, signal.evidence["in_sample"]) == (True, 1.0)
    fair = make_view({}, {**FAVOURED, "oos": True})
    (signal,) = scan(fair, STRATEGIES["ml_prediction"]).signals
    assert not fair.in_sample
    assert "in_sample" not in signal.evidence
    unusable = make_view({}, {**FAVOURED, "oos": False, "model_age_days_max": 91})
    assert not unusable.in_sample


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"asof": sessions.shift(ASOF, -1)}, "stale_forecast"),
        ({"model_age_days_max": 91}, "stale_model"),
        ({"status": "short_history"}, "no_forecast"),
    ],
)
def test_veto_drops_what_has_no_usable_forecast(changes: dict[str, Any], reason: str) -> None:
    strategy = enabled("bollinger", ["bollinger.ml_confirm=veto"])[0]
    found = scan(make_view(FIRES["bollinger"][0], changes), strategy)
    assert found.signals == ()
    assert found.skipped[reason] == 1


@pytest.mark.parametrize(
    ("mode", "predicted", "fires"),
    [
        ("veto", {"expected_return_10d": -0.001}, False),
        ("veto", {"consensus_direction": "SELL"}, False),
        ("veto", {"expected_return_10d": 0.001}, True),
        ("require", {"expected_return_10d": 0.001, "rank_10d": 0.8, "horizon_agreement": 2}, True),
        (
            "require",
            {"expected_return_10d": 0.0009, "rank_10d": 0.8, "horizon_agreement": 2},
            False,
        ),
        (
            "require",
            {"expected_return_10d": 0.001, "rank_10d": 0.79, "horizon_agreement": 2},
            False,
        ),
        ("require", {"expected_return_10d": 0.001, "rank_10d": 0.8, "horizon_agreement": 1}, False),
    ],
)
def test_forecast_confirmation(mode: str, predicted: dict[str, Any], fires: bool) -> None:
    strategy = enabled("bollinger", [f"bollinger.ml_confirm={mode}"])[0]
    found = scan(make_view(FIRES["bollinger"][0], predicted), strategy)
    assert bool(found.signals) is fires


def test_blend_is_the_mean_of_rule_and_model_confidence() -> None:
    strategy = enabled("bollinger", ["bollinger.ml_confirm=blend"])[0]
    (signal,) = scan(make_view(FIRES["bollinger"][0], {"rank_10d": 0.75}), strategy).signals
    assert signal.confidence == pytest.approx(0.5 * 0.60 + 0.5 * 0.70)


def test_forecast_horizon_nearest_to_the_strategy_shorter_on_a_tie() -> None:
    assert [horizon_for(h) for h in (0, 3, 6, 7, 10, 20, 30)] == [3, 3, 3, 10, 10, 10, 30]


def test_suspected_split_and_quarantine_block_entries() -> None:
    rows = gold_rows("ABC", days=20, **FIRES["bollinger"][0])
    rows[0]["row_flags"] = 64
    empty = table("forecasts", [])
    view = view_of(table("gold", rows), empty, asof=ASOF, lookback=2, quarantined=())
    assert scan(view, STRATEGIES["bollinger"]).skipped["suspected_split"] == 1
    view = make_view(FIRES["bollinger"][0], {}, quarantined=("ABC",))
    assert scan(view, STRATEGIES["bollinger"]).skipped["quarantined"] == 1


def test_rule_exit_waits_for_the_minimum_hold() -> None:
    view = make_view({"rsi_14": 61.0}, {})
    for days, expected in ((2, 0), (3, 1)):
        held = Held(
            symbol="ABC", direction=Direction.LONG, strategy_id="low_bounce", held_days=days
        )
        found = scan(view, STRATEGIES["low_bounce"], held=(held,)).signals
        assert [s.kind for s in found] == [SignalKind.EXIT] * expected


def test_context_funds_are_never_scanned() -> None:
    rows = [*gold_rows("ABC", days=2), *gold_rows("SPY", days=2, adjusted_close=90.0, rsi_14=5.0)]
    gold = table("gold", sorted(rows, key=lambda r: (r["symbol"], r["date"])))
    view = view_of(gold, table("forecasts", []), asof=ASOF, lookback=2, quarantined=())
    assert view.symbols == ("ABC",)


def test_forecasts_of_two_sets_are_bad_data() -> None:
    """A half-published or patched partition must not give signals of unknown origin."""
    gold = table("gold", [*gold_rows("ABC"), *gold_rows("XYZ")])
    rows = [forecast("ABC"), forecast("XYZ", set_digest="t" * 64)]
    with pytest.raises(DataError, match="carry 2 set digests"):
        view_of(gold, table("forecasts", rows), asof=ASOF, lookback=2, quarantined=())


def test_probability_outside_its_range_is_bad_data() -> None:
    with pytest.raises(DataError, match=r"prob_1_bin_10d outside 0..1, first ABC 1.5"):
        scan(make_view({}, {"prob_1_bin_10d": 1.5}), STRATEGIES["bollinger"])


@pytest.mark.parametrize("name", FIRES)
def test_last_row_of_a_long_panel_equals_the_short_one(name: str) -> None:
    """One call on the whole panel and one on the last rows agree bit for bit."""
    rng = np.random.Generator(np.random.PCG64(7))
    strategy, days, n = STRATEGIES[name], 30, 50
    names = [*strategy.needs.gold, *strategy.needs.forecast]
    long = {column: rng.normal(50, 30, (days, n)) for column in names}
    long |= {c: rng.uniform(0, 1, (days, n)) for c in names if c.startswith("rank")}
    long["volume"] = np.full((days, n), 1e6)
    short = {column: values[-strategy.needs.lookback :] for column, values in long.items()}
    whole, tail = strategy.entry(long), strategy.entry(short)
    for field in fields(whole):
        ours, theirs = getattr(whole, field.name)[-1], getattr(tail, field.name)[-1]
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("bollinger.rsi_mx=40", "did you mean rsi_max"),
        ("bolinger.rsi_max=40", "did you mean bollinger"),
        ("bollinger.rsi_max=50", "from 20 to 45"),
        ("bollinger.rsi_max=low", "a number"),
        ("bollinger.stop_frac=0.3", "from 0.0175 to 0.28"),
        ("bollinger.activation_frac=0.12", "reaches the target"),
        ("bollinger.ml_confirm=maybe", "one of blend, off, require, veto"),
        ("bollinger.cooldown_days=11", "from 0 to 10"),
        ("oversold_bounce.options=true", "has no parameter 'options'"),
    ],
)
def test_odd_parameter_is_named(override: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        enabled("core", [override])


@pytest.mark.parametrize("days", [0, 5, 10])
def test_cooldown_has_a_range_of_its_own(days: int) -> None:
    """Not a quarter to four times its default of one day: those were 1 to 4."""
    (strategy,) = enabled("bollinger", [f"bollinger.cooldown_days={days}"])
    assert strategy.exits.cooldown_days == days


def test_strategy_named_twice_runs_once() -> None:
    assert [one.id for one in enabled("bollinger,low_bounce,bollinger")] == [
        "bollinger",
        "low_bounce",
    ]


def test_parameter_of_a_strategy_that_is_off_is_of_the_others() -> None:
    """Their positions leave by them (ADR 0145); an odd one is named all the same."""
    on = enabled("bollinger", ["low_bounce.rsi_exit=55"])
    rest = {made.id: made for made in others(on, ["low_bounce.rsi_exit=55"])}
    assert ([made.id for made in on], len(rest)) == (["bollinger"], len(STRATEGIES) - 1)
    assert rest["low_bounce"].params.rsi_exit == 55.0
    with pytest.raises(ConfigError, match="from 45 to 70"):
        enabled("bollinger", ["low_bounce.rsi_exit=80"])


def test_entry_without_a_stop_is_not_allowed() -> None:
    strategy = STRATEGIES["bollinger"]
    loose = replace(strategy, exits=replace(strategy.exits, stop_frac=None))
    from bft.strategies.rules import checked

    with pytest.raises(ConfigError, match="without a stop"):
        checked(loose)
