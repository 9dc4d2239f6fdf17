"""Re-based deliveries against stored bars, worked by hand."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from bft.features import rebased
from bft.features.rebased import Step

DAYS = pd.bdate_range("2018-01-02", periods=40)
RAW = np.round(100.01 + 3 * (np.arange(40) % 7), 2)


def bars(closes: Sequence[float], volumes: Sequence[float] | float = 1000.0) -> pd.DataFrame:
    made = {name: np.asarray(closes, float) for name in ("open", "high", "low", "close")}
    days = DAYS[: len(closes)].as_unit("ms")
    return pd.DataFrame({"symbol": "A", "date": days, **made, "volume": volumes})


def named(*steps: tuple[int, str, float]) -> pd.DataFrame:
    rows = [("A", DAYS[at], kind, value) for at, kind, value in steps]
    return pd.DataFrame(rows, columns=["symbol", "ex_date", "kind", "value"])


def divided(*steps: tuple[int, float]) -> np.ndarray:
    """RAW as an adjusted file in cents has it: divided by each ratio before its row."""
    part = np.ones(40)
    for at, ratio in steps:
        part[:at] *= ratio
    return np.round(RAW / part, 2)


@pytest.mark.parametrize("ratio", [2.0, 1.5, 1.3333, 10.0, 0.1])
def test_past_is_the_stored_one_again_whatever_the_ratio(ratio: float) -> None:
    delivered = bars(divided((30, ratio)), np.round(np.r_[[1000 * ratio] * 30, [900] * 10]))
    found, told = rebased.as_traded(delivered, bars(RAW[:30]), named((30, "split", ratio)))
    assert found["close"].tolist() == RAW.tolist()
    assert found["volume"].tolist() == [1000.0] * 30 + [900.0] * 10
    assert told == [f"A 2018-02-13 split {ratio:g}"]


def test_volume_that_the_file_leaves_alone_is_left_alone() -> None:
    delivered = bars(divided((30, 2.0)))
    found, _ = rebased.as_traded(delivered, bars(RAW[:30]), named((30, "split", 2.0)))
    assert found["volume"].tolist() == [1000.0] * 40


def test_split_and_spin_off_of_one_day_divide_prices_together() -> None:
    """The file divides by 3 = 2 x 1.5, its shares by the split alone. Red: neither explained it."""
    both = named((30, "split", 2.0), (30, "other", 1.5))
    delivered = bars(divided((30, 3.0)), np.r_[[2000.0] * 30, [900.0] * 10])
    for actions in (both, both[::-1]):
        found, told = rebased.as_traded(delivered, bars(RAW[:30]), actions)
        assert found["close"].tolist() == RAW.tolist()
        assert found["volume"].tolist() == [1000.0] * 30 + [900.0] * 10
        assert [word.rpartition(" ")[2] for word in told] == ["3"]


def test_of_two_splits_only_those_in_the_file_are_taken_out() -> None:
    """The root began with prices that had the first one: the file brings the second alone."""
    held = divided((10, 3.0))
    both = named((10, "split", 3.0), (30, "split", 2.0))
    delivered = bars(divided((10, 3.0), (30, 2.0)))
    found, told = rebased.as_traded(delivered, bars(held[:30]), both)
    assert found["close"].tolist() == held.tolist()
    assert told == ["A 2018-02-13 split 2"]
    found, told = rebased.as_traded(delivered, bars(RAW[:30]), both)
    assert found["close"].tolist() == RAW.tolist()
    assert told == ["A 2018-02-13 split 2", "A 2018-01-16 split 3"]


@pytest.mark.parametrize(
    ("delivered", "found"), [(0.5, 1.0), (1.0, 1.0), (0.4, 0.4), (0.4999, 1.0), (0.0, 0.0)]
)
def test_dividend_divided_like_the_prices_is_the_stored_one(delivered: float, found: float) -> None:
    """Red: the stored 1.00 became 0.50. One that is corrected, or left as paid, stays told."""
    paid = np.where(np.arange(40) == 20, 1.0, 0.0)
    stored = bars(RAW[:30]).assign(dividend_amount=np.where(paid[:30] > 0, 1.0, np.nan))
    adjusted = bars(divided((30, 2.0))).assign(dividend_amount=paid * delivered)
    made, _ = rebased.as_traded(adjusted, stored, named((30, "split", 2.0)))
    assert made["dividend_amount"].tolist() == (paid * found).tolist()


def test_correction_within_a_rebased_past_stays_a_correction() -> None:
    closes = divided((30, 2.0))
    closes[5] *= 1.5
    found, _ = rebased.as_traded(bars(closes), bars(RAW[:30]), named((30, "split", 2.0)))
    assert found["close"][5] == pytest.approx(1.5 * RAW[5], abs=0.02)
    assert found["close"].drop(5).tolist() == np.delete(RAW, 5).tolist()


def test_late_bar_comes_on_the_basis_of_the_stored_ones() -> None:
    stored = bars(RAW[:30]).drop(index=5)
    delivered = bars(divided((30, 2.0)), np.r_[[2000] * 30, [900] * 10])
    found, _ = rebased.as_traded(delivered, stored, named((30, "split", 2.0)))
    assert found["close"][5] == pytest.approx(RAW[5], abs=0.011)
    assert found["volume"][5] == 1000


@pytest.mark.parametrize(
    ("delivered", "action"),
    [
        (RAW, (30, "split", 2.0)),  # as traded
        (divided((30, 2.0)), (30, "split", 3.0)),  # another ratio
        (divided((30, 2.0)), (29, "split", 2.0)),  # a day early
        (divided((30, 2.0)), (31, "split", 2.0)),  # a day late
        (np.r_[RAW[:15], divided((30, 2.0))[15:]], (30, "split", 2.0)),  # half of the past
        (divided((30, 0.5)), (30, "split", 2.0)),  # the other way
    ],
)
def test_what_the_action_does_not_explain_is_left_as_delivered(
    delivered: np.ndarray, action: tuple[int, str, float]
) -> None:
    found, told = rebased.as_traded(bars(delivered), bars(RAW[:35]), named(action))
    assert (found["close"].tolist(), told) == (delivered.tolist(), [])


def likely(was: np.ndarray, now: np.ndarray) -> Step | None:
    day = np.arange(len(was)) + 17500
    changed = np.flatnonzero(np.abs(now / was[: len(now)] - 1) > 0.01)
    return rebased.likely_step(day, was, day[changed], now[changed])


def test_likely_step_names_ratio_and_day() -> None:
    traded = np.r_[RAW[:30], RAW[30:] / 2]
    found = likely(traded, np.round(np.r_[RAW[:30] / 2, RAW[30:] / 2], 2))
    assert found is not None
    assert (found.kind, found.value) == ("split", 2.0)
    assert found.ex_date.toordinal() == 17530 + 719163
    spun = np.r_[RAW[:30], RAW[30:] / 1.17]
    found = likely(spun, RAW / 1.17)
    assert found is not None
    assert (found.kind, found.value) == ("other", 1.17)


def test_no_step_is_named_where_no_line_would_end_it() -> None:
    traded = np.r_[RAW[:30], RAW[30:] / 2]
    part = np.r_[RAW[:15], traded[15:30] / 2, traded[30:]]
    assert likely(traded, part) is None  # half of the past: not every bar is explained
    assert likely(RAW, np.r_[RAW[:30] * 2, RAW[30:]]) is None  # no price confirms it
    assert likely(traded, np.r_[RAW[:30] * (1.5 + np.arange(30) / 30), traded[30:]]) is None
    assert likely(RAW[:30], RAW[:30] / 2) is None  # no bar after it
    same = rebased.likely_step(np.arange(40), traded, np.arange(30), traded[:30])
    assert same is None  # refused for its highs: `other,1` was named
