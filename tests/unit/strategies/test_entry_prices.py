"""Entry prices of signals, worked by hand (ADR 0110)."""

from datetime import UTC, datetime
from typing import Any

import pytest
from panels import ASOF, gold_rows, table

from bft.domain.trading import Signal
from bft.strategies import enabled
from bft.strategies.entry_prices import entry_prices
from bft.strategies.signals import Scan, signals_at
from bft.strategies.view import needed_columns, view_of

LONG = {"adjusted_close": 95.0, "high": 96.4, "low": 94.2, "rsi_14": 25.0}
SHORT = {"adjusted_close": 105.0, "high": 105.8, "low": 103.6, "rsi_14": 75.0}


def scan(entry_order: str, last: dict[str, Any], *overrides: str) -> Scan:
    strategies = enabled("bollinger", [f"bollinger.entry_order={entry_order}", *overrides])
    gold = table("gold", gold_rows("ABC", days=2, **last)).select(needed_columns(strategies))
    view = view_of(gold, table("forecasts", []), asof=ASOF, lookback=2, quarantined=())
    at = datetime(2025, 3, 14, 22, tzinfo=UTC)
    return signals_at(view, strategies, decided_at=at, cost_frac={})


def prices(signal: Signal) -> tuple[float | None, float | None]:
    return signal.limit_price_usd, signal.stop_price_usd


@pytest.mark.parametrize(
    ("entry_order", "last", "expected"),
    [
        ("limit", LONG, (95.0, None)),
        ("limit", SHORT, (105.0, None)),
        ("stop", LONG, (None, 96.41)),  # a tick above the day's high
        ("stop", SHORT, (None, 103.59)),  # a tick below its low
        ("collar", LONG, (None, None)),
        ("market", LONG, (None, None)),
    ],
)
def test_signal_carries_the_prices_of_its_entry(
    entry_order: str, last: dict[str, Any], expected: tuple[float | None, float | None]
) -> None:
    (signal,) = scan(entry_order, last).signals
    assert (signal.entry_order, prices(signal)) == (entry_order, expected)


@pytest.mark.parametrize(
    ("last", "drift", "limit"),
    [
        (LONG, 0.005, 95.47),  # 95.475, down: never beyond
        (SHORT, 0.005, 104.48),  # 104.475, up
        (LONG, 0.02, None),  # the account's own collar
        (LONG, 0.05, None),  # which a strategy never widens
    ],
)
def test_collar_is_tightened_by_the_drift_of_its_strategy(
    last: dict[str, Any], drift: float, limit: float | None
) -> None:
    (signal,) = scan("collar", last, f"bollinger.max_drift_frac={drift}").signals
    assert (signal.entry_order, prices(signal)) == ("collar", (limit, None))


def test_prices_change_no_signal_id() -> None:
    ids = {scan(word, LONG).signals[0].signal_id for word in ("collar", "limit", "stop")}
    assert len(ids) == 1


def test_stop_without_a_high_does_not_fire() -> None:
    found = scan("stop", {**LONG, "high": None})
    assert (found.signals, found.skipped["nan_input"]) == ((), 1)
    assert len(scan("limit", {**LONG, "high": None}).signals) == 1


@pytest.mark.parametrize(
    ("sign", "extreme", "stop"),
    [
        (1, 101.0, 101.01),
        (1, 101.004, 101.01),  # off the tick: the next one that is beyond
        (1, 100.99999999999999, 101.01),  # a float's noise is no price
        (-1, 99.0, 98.99),
        (-1, 98.996, 98.99),
        (1, 0.9999, 1.0),
        (1, 1.0, 1.01),
        (-1, 1.0, 0.9999),
        (-1, 0.5, 0.4999),
    ],
)
def test_stop_is_the_first_tick_beyond_the_extreme(sign: int, extreme: float, stop: float) -> None:
    assert entry_prices("stop", sign, ref_usd=1.0, extreme_usd=extreme).stop_usd == stop


@pytest.mark.parametrize(
    ("sign", "ref", "limit"),
    [(1, 10.019, 10.01), (-1, 10.011, 10.02), (1, 0.12345, 0.1234), (1, 10.01, 10.01)],
)
def test_limit_is_never_worse_than_the_reference(sign: int, ref: float, limit: float) -> None:
    assert entry_prices("limit", sign, ref_usd=ref, extreme_usd=ref).limit_usd == limit
