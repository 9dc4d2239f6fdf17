"""Rule exits: when they fire, and what they are told with."""

from datetime import UTC, datetime
from typing import Any

import pytest
from panels import ASOF, forecast, gold_rows, table

from bft.domain.trading import Direction, Signal, SignalKind
from bft.strategies import STRATEGIES, enabled
from bft.strategies.signals import Held, Scan, signals_at
from bft.strategies.view import View, view_of

AT = datetime(2025, 3, 14, 22, tzinfo=UTC)
AT_BAND = {"adjusted_close": 95.0, "rsi_14": 30.0}
NEAR_LOW = {"rsi_14": 39.0, "bull_bear_delta": 0, "atr_signal": -1}


def make_view(last: dict[str, Any], predicted: dict[str, Any]) -> View:
    gold = table("gold", gold_rows("ABC", **last))
    forecasts = table("forecasts", [forecast("ABC", **predicted)])
    return view_of(gold, forecasts, asof=ASOF, lookback=2, quarantined=())


def scan(view: View, strategy: Any, held: tuple[Held, ...] = ()) -> Scan:
    return signals_at(view, [strategy], decided_at=AT, cost_frac={"ABC": 0.001}, held=held)


def held(strategy_id: str, direction: Direction = Direction.LONG) -> Held:
    return Held(symbol="ABC", direction=direction, strategy_id=strategy_id, held_days=9)


def left(
    strategy_id: str,
    last: dict[str, Any],
    predicted: dict[str, Any],
    direction: Direction = Direction.LONG,
) -> tuple[Signal, ...]:
    position = held(strategy_id, direction)
    found = scan(make_view(last, predicted), STRATEGIES[strategy_id], held=(position,))
    return tuple(s for s in found.signals if s.kind is SignalKind.EXIT)


@pytest.mark.parametrize(
    ("strategy_id", "last", "leaves"),
    [
        ("oversold_reversal", {"rsi_14": 55.1}, True),
        ("oversold_reversal", {"rsi_14": 55.0}, False),
        ("regression_momentum", {"cci_14": 100.0}, True),
        ("regression_momentum", {"cci_14": 99.9}, False),
        ("ml_prediction", {}, False),
    ],
)
def test_night_without_forecasts_still_leaves_by_rule(
    strategy_id: str, last: dict[str, Any], leaves: bool
) -> None:
    """Exits pass when entries are blocked (3.3); only what reads a forecast waits for one."""
    gold, none = table("gold", gold_rows("ABC", **last)), table("forecasts", [])
    view = view_of(gold, none, asof=ASOF, lookback=2, quarantined=())
    found = scan(view, STRATEGIES[strategy_id], held=(held(strategy_id),))
    assert [s.kind for s in found.signals] == [SignalKind.EXIT] * leaves
    assert found.skipped["no_forecast"] == 1
    assert "nan" not in "".join(s.reason for s in found.signals)


@pytest.mark.parametrize(
    ("strategy_id", "last", "predicted", "reason"),
    [
        (
            "bollinger",
            {"adjusted_close": 101.0},
            {},
            "exit: close 101.00 reached its middle band 100.00",
        ),
        ("bollinger", {"adjusted_close": 99.0, "rsi_14": 71.0}, {}, "exit: RSI 71.0 is above 70"),
        ("oversold_bounce", {"rsi_14": 56.0}, {}, "exit: RSI 56.0 is above 55"),
        ("oversold_reversal", {"rsi_14": 56.0}, {}, "exit: RSI 56.0 is above 55"),
        ("low_bounce", {"rsi_14": 61.0}, {}, "exit: RSI 61.0 is above 60"),
        (
            "ml_prediction",
            {},
            {"rank_3d": 0.49},
            "exit: ranked 0.49 at 3 days, below 0.50",
        ),
        (
            "regression_momentum",
            {},
            {"rank_3d": 0.49},
            "exit: ranked 0.49 at 3 days, below 0.50",
        ),
        ("regression_momentum", {"cci_14": 120.0}, {}, "exit: CCI 120.0 reached 100"),
    ],
)
def test_exit_says_why_it_leaves(
    strategy_id: str, last: dict[str, Any], predicted: dict[str, Any], reason: str
) -> None:
    """It was told with the words of its entry: RSI 56, close 100 below its lower band 95."""
    assert [s.reason for s in left(strategy_id, last, predicted)] == [reason]


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        ({"adjusted_close": 99.0}, "exit: close 99.00 fell to its middle band 100.00"),
        ({"adjusted_close": 101.0, "rsi_14": 29.0}, "exit: RSI 29.0 is below 30"),
    ],
)
def test_exit_of_a_short_says_why_it_leaves(last: dict[str, Any], reason: str) -> None:
    assert [s.reason for s in left("bollinger", last, {}, Direction.SHORT)] == [reason]


def test_short_side_is_the_exit_of_a_held_long() -> None:
    """S1 (2.1): a rise to the upper band is one signal there, not a refused short beside it."""
    view = make_view({"adjusted_close": 105.0, "rsi_14": 75.0}, {})
    found = scan(view, STRATEGIES["bollinger"], held=(held("bollinger"),)).signals
    assert [(s.kind, s.direction) for s in found] == [(SignalKind.EXIT, Direction.LONG)]


def test_two_parts_of_a_position_leave_by_one_signal() -> None:
    """Two brackets of one strategy: the table holds a signal id once."""
    view, position = make_view({"rsi_14": 61.0}, {}), held("low_bounce")
    found = scan(view, STRATEGIES["low_bounce"], held=(position, position)).signals
    assert [s.kind for s in found] == [SignalKind.EXIT]


def test_row_without_the_horizon_confirms_nothing() -> None:
    """A forecast that lacks the horizon is a missing one (2.4); its confidence was NaN."""
    for mode in ("veto", "require", "blend"):
        strategy = enabled("bollinger", [f"bollinger.ml_confirm={mode}"])[0]
        lacking = {"expected_return_10d": None, "rank_10d": None}
        found = scan(make_view(AT_BAND, lacking), strategy)
        assert (found.signals, found.skipped["no_forecast"]) == ((), 1), mode


def test_low_bounce_is_strictly_below_its_multiple() -> None:
    """1.1 x 5.5 is 6.050000000000001 in floats: a close of 6.05 is not below it."""
    at_limit = {**NEAR_LOW, "52_week_low": 5.5, "adjusted_close": 6.05}
    assert scan(make_view(at_limit, {}), STRATEGIES["low_bounce"]).signals == ()
    below = {**at_limit, "adjusted_close": 6.04}
    assert len(scan(make_view(below, {}), STRATEGIES["low_bounce"]).signals) == 1
