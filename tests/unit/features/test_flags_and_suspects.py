"""Flags at and beside their thresholds; price steps that look like splits."""

from dataclasses import replace

import numpy as np
import pytest
from markets import actions_of, bars_of

from bft.features.factors import NO_ACTIONS
from bft.features.flags import flags
from bft.features.suspects import confidences

CALM = {
    "price": 100.0,
    "sma_20": 100.0,
    "sma_50": 100.0,
    "macd": 0.0,
    "macd_9_ema": 0.0,
    "atr_14": 2.0,
    "bbands_lower_20": 95.0,
    "bbands_upper_20": 105.0,
    "adx_14": 22.0,
    "rsi_14": 50.0,
    "cci_14": 0.0,
    "pe_ratio": 20.0,
    "pcr": 0.6,
}


def flag(name: str, **levels: float) -> int:
    given = {key: np.array([value], dtype=float) for key, value in {**CALM, **levels}.items()}
    return int(flags(given)[name][0])


@pytest.mark.parametrize(
    ("name", "levels", "expected"),
    [
        ("macd_signal", {"macd": 1.0}, 1),
        ("macd_signal", {"macd_9_ema": 1.0}, -1),
        ("macd_zero_signal", {"macd": -1.0}, -1),
        ("adx_signal", {"adx_14": 25.0}, 0),
        ("adx_signal", {"adx_14": 25.1}, 1),
        ("adx_signal", {"adx_14": 19.9}, -1),
        ("atr_signal", {"price": 96.0}, 0),
        ("atr_signal", {"price": 95.9}, 1),
        ("atr_signal", {"price": 104.1}, -1),
        ("pe_ratio_signal", {"pe_ratio": 14.9}, 1),
        ("pe_ratio_signal", {"pe_ratio": -3.0}, 0),
        ("pe_ratio_signal", {"pe_ratio": 35.1}, -1),
        ("bollinger_bands_signal", {"price": 105.1}, -1),
        ("bollinger_bands_signal", {"price": 94.9}, 1),
        ("rsi_signal", {"rsi_14": 70.1}, -1),
        ("rsi_signal", {"rsi_14": 29.9}, 1),
        ("sma_cross_signal", {"sma_20": 101.0}, 1),
        ("cci_signal", {"cci_14": 100.0}, -1),
        ("cci_signal", {"cci_14": -100.0}, 1),
        ("pcr_signal", {"pcr": 0.7}, 0),
        ("pcr_signal", {"pcr": 0.71}, -1),
        ("pcr_signal", {"pcr": 0.5}, 1),
        ("pcr_signal", {"pcr": np.nan}, 0),
        ("atr_signal", {"price": 50.0, "sma_20": np.nan}, 0),
        ("bull_bear_delta", {}, 0),
        ("bull_bear_delta", {"rsi_14": 10.0, "adx_14": 30.0, "pcr": 0.9, "pe_ratio": 10.0}, 2),
    ],
)
def test_flag_at_its_threshold(name: str, levels: dict[str, float], expected: int) -> None:
    assert flag(name, **levels) == expected


def step(*closes: float, volumes: float = 1000.0) -> np.ndarray:
    bars = bars_of([100.0] * 25 + list(closes))
    traded = np.r_[np.full(25, 1000.0), np.full(len(closes), volumes)]
    return confidences(replace(bars, volume=traded), NO_ACTIONS, NO_ACTIONS)[25:]


def test_halved_price_on_doubled_volume_looks_like_a_split() -> None:
    assert step(50.0, volumes=2000.0)[0] == pytest.approx(0.95)


def test_crash_on_tenfold_volume_stays_below_the_limit() -> None:
    assert step(50.0, volumes=10_000.0)[0] == pytest.approx(0.65)


def test_odd_step_is_seen_but_hardly_believed_and_small_ones_are_not() -> None:
    assert step(38.5)[0] == pytest.approx(0.15)  # 2.6 is far from 3, the volume a third: calm
    assert np.isnan(step(80.0)[0])


def test_reverse_split_is_a_candidate_too() -> None:
    assert step(1000.0, volumes=100.0)[0] == pytest.approx(0.95)


def test_action_explains_a_step_and_a_refused_one_beside_it_confirms() -> None:
    bars = bars_of([100.0] * 25 + [50.0])
    explained = confidences(bars, actions_of(bars, [(25, "split", 2.0)]), NO_ACTIONS)
    assert np.isnan(explained[25])
    dismissed = confidences(bars, actions_of(bars, [(25, "none", 0.0)]), NO_ACTIONS)
    assert np.isnan(dismissed[25])
    refused = actions_of(bars, [(24, "split", 2.0)])
    assert confidences(bars, NO_ACTIONS, refused)[25] == pytest.approx(min(1, 0.95 * 1.2))
    vendor = replace(bars, vendor_close=np.r_[np.full(25, 50.0), 50.0], volume=np.full(26, 1.0))
    assert confidences(vendor, NO_ACTIONS, NO_ACTIONS)[25] == pytest.approx(1.0)


def test_suspicion_looks_at_no_later_row() -> None:
    early = step(50.0, volumes=2000.0)
    late = step(50.0, 400.0, 1.0, volumes=2000.0)
    assert early[0] == late[0]


@pytest.mark.parametrize(("dividend", "suspected"), [(0.5, True), (60.0, False)])
def test_dividend_explains_only_what_it_pays(dividend: float, suspected: bool) -> None:
    """A regular dividend on the day of an unannounced split must not hide it."""
    bars = bars_of([120.0] * 25 + [60.0])
    bars = replace(bars, volume=np.r_[np.full(25, 1000.0), 2000.0])
    found = confidences(bars, actions_of(bars, [(25, "dividend", dividend)]), NO_ACTIONS)[25]
    assert (found >= 0.7) == suspected
