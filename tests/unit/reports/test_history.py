"""What became of past signals and forecasts, by hand."""

from datetime import date

import numpy as np
import pytest
from market_signals import filled, rows_to, signal

from bft.domain import sessions
from bft.reports.history import accuracy, bootstrap, past_signals, records, wilson
from bft.reports.night import Night, open_night

ASOF = date(2026, 1, 9)
DAYS = list(sessions.sessions(date(2026, 1, 2), ASOF))  # six sessions
OPENS = {"X": [90, 100, 105, 110, 120, 130], "Y": [50, 50, 50, 45, 40, 40]}
CLOSES = {"X": [95, 101, 106, 111, 121, 143], "Y": [50, 50, 48, 44, 40, 36]}


def judged(*signals: dict[str, object]) -> Night:
    gold = {
        "symbol": [s for s in OPENS for _ in DAYS],
        "date": DAYS * 2,
        "adjusted_open": [float(v) for values in OPENS.values() for v in values],
        "adjusted_close": [float(v) for values in CLOSES.values() for v in values],
    }
    tables = {"gold": filled("gold", gold, 12), "signals": rows_to("signals", list(signals))}
    return open_night(tables, asof=ASOF)


def test_past_signal_earns_open_to_open_over_its_horizon() -> None:
    # in at 100 on day 1, out at 110 on day 3; Y: 50 to 45; universe (10 % - 10 %)/2
    rows = past_signals(judged(signal(DAYS[0], "X", horizon_days=2)))
    row = rows.iloc[0]
    assert row["state"] == "done"
    assert row["result"] == pytest.approx(0.10)
    assert row["universe"] == pytest.approx(0.0)
    assert row["days"] == 2


def test_short_signal_is_signed_and_so_is_its_universe() -> None:
    row = past_signals(judged(signal(DAYS[0], "Y", horizon_days=3, direction="short"))).iloc[0]
    assert row["result"] == pytest.approx(0.20)  # 50 to 40
    assert row["universe"] == pytest.approx(-(0.20 - 0.20) / 2)  # X 100 to 120


def test_running_signal_is_valued_at_the_last_close() -> None:
    row = past_signals(judged(signal(DAYS[3], "X", horizon_days=10))).iloc[0]
    assert row["state"] == "running"
    assert row["result"] == pytest.approx(143 / 120 - 1)
    assert row["days"] == 1


def test_signal_of_asof_and_exits_are_no_history() -> None:
    night = judged(signal(ASOF, "X"), signal(DAYS[0], "Y", kind="exit"))
    assert past_signals(night).empty


def test_signal_without_prices_says_so() -> None:
    row = past_signals(judged(signal(DAYS[0], "Z"))).iloc[0]
    assert row["state"] == "not in the data read"
    assert np.isnan(row["result"])


def test_records_count_hits_of_finished_signals() -> None:
    night = judged(
        signal(DAYS[0], "X", horizon_days=2),
        signal(DAYS[0], "Y", horizon_days=2),
        signal(DAYS[3], "X", horizon_days=10),
    )
    (record,) = records(past_signals(night))
    assert (record.done, record.running, record.hits) == (2, 1, 1)
    assert record.mean_return == pytest.approx(0.0)


def test_wilson_interval_of_eight_in_ten() -> None:
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_bootstrap_of_few_days_has_no_interval() -> None:
    found = bootstrap(np.arange(15.0), 3)  # needs 4 * (3 + 1) days
    assert (found.mean, found.low, found.high) == (7.0, None, None)


def test_bootstrap_of_independent_days_agrees_with_the_normal_interval() -> None:
    values = np.random.default_rng(5).normal(0.02, 0.1, 900)
    found = bootstrap(values, 0)
    half = 1.96 * values.std() / 30
    assert found.low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert found.high == pytest.approx(values.mean() + half, abs=0.15 * half)


def test_accuracy_ranks_and_covers_by_hand() -> None:
    names = [f"S{i}" for i in range(10)]
    guess = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]) / 1000
    real = np.array([5, 6, 7, 8, 7, 1, 1, 1, 1, 1]) / 1000  # ties share their mean rank
    day = DAYS[0]
    columns = {
        "asof": [day] * 10,
        "symbol": names,
        "expected_return_3d": guess,
        "lo_return_reg_3d": real - 0.001,
        "hi_return_reg_3d": [*(real[:8] + 0.001), *(real[8:] - 0.0005)],
        "status": ["ok"] * 10,
        "oos": [True] * 10,
        "simulated": [False] * 10,
    }
    outcomes = {"asof": [day] * 10, "symbol": names, "h": [3] * 10, "y": real}
    tables = {
        "forecasts": filled("forecasts", columns, 10),
        "outcomes": filled("outcomes", outcomes, 10),
    }
    (found,) = accuracy(open_night(tables, asof=ASOF))
    assert found.rank_ic is not None
    assert found.coverage is not None
    # scipy.stats.spearmanr of the two lists
    assert found.rank_ic.mean == pytest.approx(-0.7071365, abs=1e-6)
    assert found.coverage.mean == pytest.approx(0.8)
    assert found.rank_ic.low is None


def test_accuracy_leaves_out_forecasts_made_inside_training() -> None:
    day = DAYS[0]
    columns = {
        "asof": [day],
        "symbol": ["X"],
        "expected_return_3d": [0.1],
        "status": ["ok"],
        "oos": [False],
        "simulated": [False],
    }
    tables = {
        "forecasts": filled("forecasts", columns, 1),
        "outcomes": filled("outcomes", {"asof": [day], "symbol": ["X"], "h": [3], "y": [0.1]}, 1),
    }
    assert accuracy(open_night(tables, asof=ASOF)) == []
