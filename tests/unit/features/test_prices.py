"""Repair, kernels against bare TA-Lib and published results, returns, segments."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import talib
from markets import actions_of, bars_of, column, tables, walk

from bft.domain import gold
from bft.domain.errors import DataError
from bft.features import indicators, windows
from bft.features.bars import bars_by_symbol
from bft.features.build import build_gold
from bft.features.factors import forward_factors
from bft.features.prices import price_columns
from bft.features.repair import repaired

NAN = np.nan


def test_repair_takes_the_close_before_and_the_valid_values() -> None:
    bars = replace(
        bars_of([10, 20, 30, 40]),
        open=np.array([NAN, 0, 31, 41]),
        high=np.array([11, NAN, 29, 35]),
        low=np.array([9, 19, 28, 45]),
    )
    made = repaired(bars, np.array([1.0, 2.0, 2.0, 2.0]))
    assert made.open.tolist() == [10, 5, 31, 41]  # 10 on the basis of a 2:1 split is 5
    assert made.high.tolist() == [11, 20, 31, 45]
    assert made.low.tolist() == [9, 5, 28, 35]
    assert made.changed.tolist() == [True, True, True, True]


def test_repair_leaves_whole_bars_alone() -> None:
    bars = next(bars_by_symbol(tables(bars=walk("A", 50))["bars"]))
    made = repaired(bars, np.ones(50))
    assert not made.changed.any()
    assert made.high.tobytes() == bars.high.tobytes()


def test_kernels_equal_a_bare_talib_loop_bit_for_bit() -> None:
    bars = next(bars_by_symbol(tables(bars=walk("A", 400))["bars"]))
    factors = forward_factors(bars, actions_of(bars, [(50, "split", 2.0), (90, "dividend", 0.5)]))
    made = price_columns(bars, factors).kernels
    o, h, lo, c = (getattr(bars, n) * factors.total for n in ("open", "high", "low", "close"))
    v = bars.volume / factors.split
    macd, line, _ = talib.MACD(c, 12, 26, 9)
    upper, middle, lower = talib.BBANDS(c, 20, 2, 2)
    bare = {
        **{f"sma_{n}": talib.SMA(c, n) for n in (20, 50, 200)},
        **{f"ema_{n}": talib.EMA(c, n) for n in (20, 50, 200)},
        "macd": macd,
        "macd_9_ema": line,
        "rsi_14": talib.RSI(c, 14),
        "adx_14": talib.ADX(h, lo, c, 14),
        "atr_14": talib.ATR(h, lo, c, 14),
        "cci_14": talib.CCI(h, lo, c, 14),
        "bbands_upper_20": upper,
        "bbands_middle_20": middle,
        "bbands_lower_20": lower,
        "52_week_high": talib.MAX(bars.high * factors.split, 252),
        "52_week_low": talib.MIN(bars.low * factors.split, 252),
        "close_1_roc": talib.ROC(c, 1),
        "open_1_roc": talib.ROC(o, 1),
        "high_1_roc": talib.ROC(h, 1),
        "low_1_roc": talib.ROC(lo, 1),
        "volume_1_roc": talib.ROC(v, 1),
        "close_3_roc": talib.ROC(c, 3),
        "close_10_roc": talib.ROC(c, 10),
    }
    assert set(bare) == set(made)
    for name, values in bare.items():
        assert made[name].tobytes() == values.tobytes(), name


def test_published_indicator_results_are_met(real_data: Path) -> None:
    """Another library's results on 502 real bars; TA-Lib seeds MACD and ADX otherwise."""
    folder = real_data / "indicators"
    quotes = pd.read_csv(folder / "quotes_default.csv")
    series = {name: quotes[name].to_numpy(float) for name in ("open", "high", "low", "close")}
    series |= {"volume": quotes["volume"].to_numpy(float)}
    series |= {"year_high": series["high"], "year_low": series["low"]}
    made = indicators.kernels(series)
    for name, file, theirs, begin in (
        ("sma_20", "sma", "sma", 0),
        ("ema_20", "ema", "ema", 0),
        ("rsi_14", "rsi", "rsi", 0),
        ("atr_14", "atr", "atr", 0),
        ("bbands_upper_20", "bb", "upperBand", 0),
        ("bbands_lower_20", "bb", "lowerBand", 0),
        ("macd", "macd", "macd", 250),
        ("macd_9_ema", "macd", "signal", 250),
        ("adx_14", "adx", "adx", 250),
    ):
        published = pd.read_csv(folder / f"result_{file}.csv")[theirs].to_numpy()
        ours = made[name]
        if begin == 0:
            assert (np.isnan(ours) == np.isnan(published)).all(), name
        assert np.nanmax(np.abs(ours - published)[begin:]) < (1e-9 if begin == 0 else 1e-4), name


def test_macd_signal_line_nears_the_plain_definition() -> None:
    """Data specification, choice 9: both agree within 1e-5 of close from row 150 on."""
    close = np.array([row["close"] for row in walk("A", 400)])
    _, line, _ = talib.MACD(close, 12, 26, 9)
    fast, slow = (pd.Series(close).ewm(span=n, adjust=False).mean() for n in (12, 26))
    plain = (fast - slow).ewm(span=9, adjust=False).mean().to_numpy()
    assert (np.abs(line - plain) / close)[150:].max() < 1e-5


def test_kernels_refuse_a_null() -> None:
    series = dict.fromkeys(
        ("open", "high", "low", "close", "volume", "year_high", "year_low"), np.ones(300)
    )
    broken = np.ones(300)
    broken[7] = NAN
    with pytest.raises(DataError, match="high is not finite"):
        indicators.kernels({**series, "high": broken})


@pytest.mark.parametrize(
    ("name", "nulls"),
    [
        ("sma_20", 19),
        ("ema_200", 199),
        ("macd", 33),
        ("macd_9_ema", 33),
        ("rsi_14", 14),
        ("adx_14", 27),
        ("atr_14", 14),
        ("cci_14", 13),
        ("bbands_upper_20", 19),
        ("52_week_high", 251),
        ("adjusted_close_pct", 1),
    ],
)
def test_leading_nulls_and_a_long_gap_restarts_windows(name: str, nulls: int) -> None:
    rows = walk("A", 700)
    del rows[320:341]  # 21 sessions
    made = column(build_gold(tables(bars=rows)), name)
    assert np.flatnonzero(np.isnan(made)).tolist() == [*range(nulls), *range(320, 320 + nulls)]


def test_short_gap_is_bridged_and_flagged() -> None:
    rows = walk("A", 100)
    del rows[60:80]  # 20 sessions
    made = build_gold(tables(bars=rows))
    assert not np.isnan(column(made, "sma_20")[19:]).any()
    assert np.flatnonzero(column(made, "row_flags") & gold.AFTER_GAP).tolist() == [60]


def test_null_inside_a_symbol_does_not_poison_indicators() -> None:
    rows = walk("A", 300)
    rows[150] |= {"open": None, "high": None, "low": 0.0}
    made = build_gold(tables(bars=rows))
    clean = build_gold(tables(bars=walk("A", 300)))
    for name in ("sma_200", "ema_50", "macd", "rsi_14", "adx_14", "atr_14", "cci_14"):
        assert np.isfinite(column(made, name)[251:]).all(), name
    assert column(made, "sma_20").tobytes() == column(clean, "sma_20").tobytes()
    assert np.isnan(column(made, "open")[150])
    assert np.isnan(column(made, "low")[150])
    assert column(made, "adjusted_low")[150] > 0
    assert np.flatnonzero(column(made, "row_flags") & gold.REPAIRED).tolist() == [150]


def test_row_without_a_close_is_no_row() -> None:
    rows = walk("A", 30)
    rows[10]["close"], rows[11]["close"], rows[12]["close"] = None, 0.0, float("inf")
    made = build_gold(tables(bars=rows))
    assert made.num_rows == 27
    assert column(made, "row_flags")[10] & gold.AFTER_GAP


def test_zero_volume_is_flagged_and_makes_no_change() -> None:
    rows = walk("A", 30)
    rows[10]["volume"], rows[20]["volume"] = 0, None
    made = build_gold(tables(bars=rows))
    change = column(made, "volume_pct")
    assert np.flatnonzero(np.isnan(change)).tolist() == [0, 10, 11, 20, 21]
    assert np.flatnonzero(column(made, "row_flags") & gold.ZERO_VOLUME).tolist() == [10, 20]
    assert made["volume"].to_pylist()[10] == 0
    assert made["volume"].to_pylist()[20] is None


def test_split_leaves_returns_and_distances_alone() -> None:
    """The same market with one share cut in two: every invariant column is the same."""
    whole = walk("A", 300)
    halved = [dict(row) for row in whole]
    for row in halved[200:]:
        row |= {name: row[name] / 2 for name in ("open", "high", "low", "close")}
        row["volume"] *= 2
    split = {"symbol": "A", "ex_date": whole[200]["date"], "kind": "split", "value": 2.0}
    before = build_gold(tables(bars=whole))
    after = build_gold(tables(bars=halved, actions=[split]))
    for name in ("adjusted_close_pct", "volume_pct", "open_pct", "rsi_14", "cci_14", "sma_50_pct"):
        assert column(after, name) == pytest.approx(column(before, name), rel=1e-4, nan_ok=True)
    assert column(after, "52_week_high_pct")[-1] == pytest.approx(
        column(before, "52_week_high_pct")[-1], rel=1e-5
    )
    assert column(after, "sma_20")[-1] == pytest.approx(column(before, "sma_20")[-1] / 2)


def test_52_week_levels_know_splits_but_no_dividends() -> None:
    rows = walk("A", 300, sd=0.001)
    rows[100] |= {"high": 400.0}
    day = rows[200]["date"]
    paid = {"symbol": "A", "ex_date": day, "kind": "dividend", "value": 20.0}
    cut = {"symbol": "A", "ex_date": day, "kind": "split", "value": 4.0}
    for row in rows[200:]:
        row |= {name: row[name] / 4 for name in ("open", "high", "low", "close")}
    level = column(build_gold(tables(bars=rows, actions=[paid, cut])), "52_week_high")
    assert level[251] == pytest.approx(100.0)


def test_windows_look_at_their_rows_alone() -> None:
    values = np.array([1e12, 1, 2, NAN, 4, 5])
    assert windows.mean(values, 3)[2:].tolist() == pytest.approx([1e12 / 3 + 1, 1.5, 3, 4.5])
    assert windows.sample_sd(values, 3)[3:] == pytest.approx(
        [np.std([1, 2], ddof=1), np.std([2, 4], ddof=1), np.std([4, 5], ddof=1)]
    )
    ones = np.arange(1.0, 301.0)
    assert windows.total(ones, 252)[-1] == ones[-252:].sum()
    assert windows.total(ones, 252)[9] == 55
    huge = np.r_[1e300, np.ones(299)]
    assert windows.total(huge, 252)[-1] == 252
