"""Small gold, forecast and universe tables for strategy and step tests."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from bft.adapters.store.tables import schema
from bft.domain import sessions

ASOF = date(2025, 3, 14)


def table(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as a stored table; columns not given are null."""
    arrow = schema(name)
    columns = {field.name: [row.get(field.name) for row in rows] for field in arrow}
    return pa.table(columns, schema=arrow)


def gold_rows(
    symbol: str, *, days: int = 2, asof: date = ASOF, **last: Any
) -> list[dict[str, Any]]:
    """`days` quiet rows of a symbol that end at asof; `last` overrides the newest one."""
    calm = {
        "symbol": symbol,
        "open": 100.0,
        "high": 101.0,
        "low": 99.0,
        "adjusted_close": 100.0,
        "volume": 1_000_000,
        "sector": "ENERGY",
        "rsi_14": 50.0,
        "adx_14": 20.0,
        "cci_14": 0.0,
        "atr_14": 2.0,
        "bbands_lower_20": 95.0,
        "bbands_middle_20": 100.0,
        "bbands_upper_20": 105.0,
        "52_week_low": 80.0,
        "bollinger_bands_signal": 0,
        "bull_bear_delta": 0,
        "atr_signal": 0,
        "adj_factor": 1.0,
        "split_factor": 1.0,
        "row_flags": 0,
    }
    rows = [{**calm, "date": sessions.shift(asof, back)} for back in range(1 - days, 1)]
    rows[-1] |= last
    return rows


def wavy(symbol: str, *, seed: int, days: int = 70, **last: Any) -> list[dict[str, Any]]:
    """Rows whose closes wander a little, so that correlations exist; the last row is calm."""
    rows = gold_rows(symbol, days=days, **last)
    steps = np.random.Generator(np.random.PCG64(seed)).normal(0, 0.01, days)
    for row, close in zip(rows[:-1], 100 * np.exp(np.cumsum(steps - steps.mean())), strict=False):
        row["adjusted_close"] = float(close)
    return rows


def forecast(symbol: str, *, asof: date = ASOF, **values: Any) -> dict[str, Any]:
    """A forecast row in the middle of the field; `values` override."""
    row: dict[str, Any] = {
        "asof": asof,
        "symbol": symbol,
        "status": "ok",
        "set_digest": "s" * 64,
        "model_age_days_max": 3,
        "horizon_agreement": 1,
        "degraded": False,
        "consensus_direction": "NEUTRAL",
    }
    for h in (3, 10, 30):
        row |= {f"expected_return_{h}d": 0.0, f"rank_{h}d": 0.5, f"lift_bin_{h}d": 1.0}
        row[f"prob_1_bin_{h}d"] = 0.3
    return row | values
