"""Gold of real bars: the known holes of a public file, and TA-Lib on its own prices."""

from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import talib
from markets import column, tables

from bft.domain.gold import REPAIRED
from bft.features.build import build_gold

HOLES = {
    ("DHR", date(2015, 7, 17)),
    ("ES", date(2015, 7, 17)),
    ("O", date(2015, 7, 17)),
    ("DHR", date(2016, 1, 12)),
    ("O", date(2016, 1, 12)),
    ("VRTX", date(2015, 5, 12)),
    ("BHF", date(2017, 7, 26)),
}
"""Rows that lack an open, high or low (README of the data, note 1)."""


@pytest.fixture(scope="module")
def gold(real_data: Path) -> pa.Table:
    daily = pq.read_table(real_data / "sp500_daily_2013_2018.parquet")
    names = sorted({name for name, _ in HOLES} | {"MSFT"})
    chosen = daily.filter(pc.is_in(daily["symbol"].cast(pa.string()), pa.array(names)))
    return build_gold(tables(bars=chosen.to_pylist()))


def test_rows_with_holes_are_repaired_flagged_and_harm_no_window(gold: pa.Table) -> None:
    flagged = pc.greater(pc.bit_wise_and(gold["row_flags"], REPAIRED), 0)
    rows = gold.filter(flagged).select(["symbol", "date"]).to_pylist()
    assert {(row["symbol"], row["date"]) for row in rows} >= HOLES
    assert len(rows) <= len(HOLES) + 3
    for name in ("DHR", "ES", "O", "VRTX"):
        for kernel in ("atr_14", "adx_14", "rsi_14", "macd", "sma_200"):
            assert np.isfinite(column(gold, kernel, name)[200:]).all(), (name, kernel)


def test_real_prices_without_actions_give_plain_talib(gold: pa.Table) -> None:
    close = column(gold, "adjusted_close", "MSFT")
    assert len(close) == 1259
    for name, expected in (("sma_50", talib.SMA(close, 50)), ("rsi_14", talib.RSI(close, 14))):
        found = column(gold, name, "MSFT")
        assert found.tobytes() == expected.astype(np.float32).tobytes(), name
