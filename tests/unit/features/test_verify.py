"""A vendor's indicators against ours."""

import numpy as np
import pyarrow as pa
import pytest
import talib

from bft.features.bars import Bars, bars_by_symbol
from bft.features.factors import NO_ACTIONS, Actions
from bft.features.verify import compared

ROWS = 500


@pytest.fixture
def bars() -> Bars:
    import pandas as pd

    from bft.domain import sessions

    random = np.random.default_rng(7)
    first = sessions.number(sessions.on_or_after(pd.Timestamp("2016-01-01").date()))
    days = [sessions.session(first + n) for n in range(ROWS)]
    close = 100 * np.exp(np.cumsum(random.normal(0, 0.01, ROWS)))
    close[300:] /= 2  # a split
    rows = {
        "symbol": ["A"] * ROWS,
        "date": pa.array(days, pa.date32()),
        "open": close,
        "high": close * 1.01,
        "low": close * 0.99,
        "close": close,
        "volume": [100] * ROWS,
        "vendor_adjusted_close": close,
        "revision": [0] * ROWS,
        "source": ["files"] * ROWS,
    }
    return next(iter(bars_by_symbol(pa.table(rows))))


def split(bars: Bars) -> Actions:
    return Actions(ex_day=bars.day[300:301], kind=("split",), value=np.array([2.0]))


def test_adjusted_series_is_recognised_by_its_better_fit(bars: Bars) -> None:
    adjusted = np.r_[bars.close[:300] / 2, bars.close[300:]]
    told = {
        "sma_200": (bars.day, talib.SMA(adjusted, 200)),
        "rsi_14": (bars.day, talib.RSI(adjusted, 14)),
    }
    found = compared(told, bars, split(bars))
    assert [(c.basis, c.outside_frac, c.doubtful) for c in found] == [("adjusted", 0.0, False)] * 2
    assert [c.compared for c in found] == [250, 250]


def test_series_as_traded_is_named_so(bars: Bars) -> None:
    told = {"sma_200": (bars.day, talib.SMA(bars.close, 200))}
    (found,) = compared(told, bars, split(bars))
    assert (found.basis, found.doubtful) == ("as traded", False)


@pytest.mark.parametrize(
    ("name", "off", "doubtful"),
    [
        ("sma_20", 0.5e-4, False),
        ("sma_20", 2e-4, True),
        ("atr_14", 0.5e-3, False),
        ("atr_14", 2e-3, True),
    ],
)
def test_levels_may_be_off_by_a_share_of_the_close(
    bars: Bars, name: str, off: float, doubtful: bool
) -> None:
    high, low, close = bars.close * 1.01, bars.close * 0.99, bars.close
    own = talib.SMA(close, 20) if name == "sma_20" else talib.ATR(high, low, close, 14)
    (found,) = compared({name: (bars.day, own + off * close)}, bars, NO_ACTIONS)
    assert found.doubtful is doubtful


@pytest.mark.parametrize(("rows", "doubtful"), [(12, False), (13, True)])
def test_more_than_one_value_in_twenty_outside_is_doubtful(
    bars: Bars, rows: int, doubtful: bool
) -> None:
    values = talib.RSI(bars.close, 14)
    values[-rows:] += 0.11
    (found,) = compared({"rsi_14": (bars.day, values)}, bars, NO_ACTIONS)
    assert found.doubtful is doubtful


def test_nothing_to_compare_is_doubtful(bars: Bars) -> None:
    (found,) = compared({"rsi_14": (bars.day + 100_000, bars.close)}, bars, NO_ACTIONS)
    assert (found.compared, found.doubtful) == (0, True)
