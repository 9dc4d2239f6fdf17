"""A cell that lacks an indicator because its symbol is too young is `short_history` (section 8)."""

from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
import talib
from panels import ASOF, gold_rows, table

from bft.domain import sessions
from bft.domain.gold import WINDOW_ROWS
from bft.strategies import STRATEGIES
from bft.strategies.signals import Scan, signals_at
from bft.strategies.view import view_of

AT = datetime(2025, 3, 14, 22, tzinfo=UTC)
BANDS = ("bbands_lower_20", "bbands_middle_20", "bbands_upper_20")


def scanned(strategy_id: str, rows: list[dict[str, Any]]) -> Scan:
    gold, none = table("gold", rows), table("forecasts", [])
    view = view_of(gold, none, asof=ASOF, lookback=2, quarantined=())
    return signals_at(view, [STRATEGIES[strategy_id]], decided_at=AT, cost_frac={})


def counts(found: Scan) -> tuple[int, int]:
    return found.skipped["short_history"], found.skipped["nan_input"]


@pytest.mark.parametrize(
    ("strategy_id", "days", "lacks", "counted"),
    [
        ("low_bounce", 251, ("52_week_low",), (1, 0)),
        ("low_bounce", 252, ("52_week_low",), (0, 1)),
        ("oversold_bounce", 14, ("rsi_14",), (1, 0)),
        ("oversold_bounce", 15, ("rsi_14",), (0, 1)),
        ("oversold_bounce", 14, ("volume",), (0, 1)),  # that needs no history
        ("oversold_bounce", 10, (), (0, 0)),
        ("bollinger", 19, BANDS, (1, 0)),
    ],
)
def test_cell_without_an_indicator_is_counted_by_its_reason(
    strategy_id: str, days: int, lacks: tuple[str, ...], counted: tuple[int, int]
) -> None:
    found = scanned(strategy_id, gold_rows("ABC", days=days, **dict.fromkeys(lacks)))
    assert (found.signals, counts(found)) == ((), counted)


@pytest.mark.parametrize(("days", "counted"), [(20, (1, 0)), (40, (0, 1))])
def test_crossing_needs_the_bands_of_the_day_before(days: int, counted: tuple[int, int]) -> None:
    """The first bands of a symbol: whether it crossed them is not known."""
    rows = gold_rows("ABC", days=days, adjusted_close=95.0, rsi_14=25.0)
    rows[-2] |= dict.fromkeys(BANDS)
    assert counts(scanned("bollinger", rows)) == counted


def test_first_row_of_a_symbol_is_short() -> None:
    """Bands and RSI there by some miracle: there still is no day before."""
    found = scanned("bollinger", gold_rows("ABC", days=1, adjusted_close=95.0, rsi_14=25.0))
    assert (found.signals, counts(found)) == ((), (1, 0))


@pytest.mark.parametrize(("gap", "counted"), [(20, (0, 1)), (21, (1, 0))])
def test_long_gap_begins_a_history_anew(gap: int, counted: tuple[int, int]) -> None:
    """Gold's windows restart after more than 20 missing sessions."""
    after = gold_rows("ABC", days=10, rsi_14=None)
    newest: date = sessions.shift(after[0]["date"], -1 - gap)
    found = scanned("oversold_bounce", [*gold_rows("ABC", days=30, asof=newest), *after])
    assert counts(found) == counted


def test_windows_are_those_of_the_library() -> None:
    """First value of each indicator on a walk of 300 bars."""
    walk = 100 + np.cumsum(np.random.Generator(np.random.PCG64(3)).normal(0, 1, 300))
    bars = (walk + 1, walk - 1, walk)
    made = {
        "rsi_14": talib.RSI(walk, 14),
        "adx_14": talib.ADX(*bars, 14),
        "atr_14": talib.ATR(*bars, 14),
        "cci_14": talib.CCI(*bars, 14),
        **dict(zip(reversed(BANDS), talib.BBANDS(walk, 20, 2, 2), strict=True)),
        "52_week_low": talib.MIN(walk, 252),
        "52_week_high": talib.MAX(walk, 252),
    }
    first = {name: int(np.flatnonzero(np.isfinite(values))[0]) + 1 for name, values in made.items()}
    assert first == WINDOW_ROWS
