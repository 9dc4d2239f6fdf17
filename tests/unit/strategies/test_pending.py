"""Entries that wait for their fill."""

from datetime import UTC, datetime

import pytest
from panels import ASOF, gold_rows, table

from bft.strategies import STRATEGIES
from bft.strategies.pending import judged
from bft.strategies.signals import signals_at
from bft.strategies.view import View, view_of

AT = datetime(2025, 3, 14, 22, tzinfo=UTC)


def view(close: float) -> View:
    rows = gold_rows("ABC", adjusted_close=close, bbands_lower_20=103.0, rsi_14=25.0)
    return view_of(
        table("gold", rows), table("forecasts", []), asof=ASOF, lookback=2, quarantined=()
    )


@pytest.mark.parametrize(
    ("price", "told"),
    [
        (102.0, ("watch", "pending, drift +2.0 %")),  # 0.020000000000000018 in floats
        (102.01, ("drop", "drift +2.0 %")),
    ],
)
def test_entry_is_dropped_beyond_its_drift_and_not_at_it(
    price: float, told: tuple[str, str]
) -> None:
    strategy = STRATEGIES["bollinger"]
    waiting = signals_at(view(100.0), [strategy], decided_at=AT, cost_frac={}).signals
    (row,) = judged(view(price), [strategy], waiting, basis_frac={"ABC": 1.0})
    assert (row.tag, row.tag_reason) == told
