"""Small raw tables for tests of features, gold and its checks: random walks, dated facts."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from bft.adapters.store.tables import schema
from bft.domain import market, sessions
from bft.features.bars import Bars
from bft.features.build import TABLES
from bft.features.factors import Actions
from bft.features.facts import as_known, expected_actions, refused_actions

LAST = date(2018, 2, 7)
SPECS = {table.name: table for table in market.RAW_TABLES}
KNOWN_ON_DAY = {"bars": "date", "actions": "ex_date", "options_summary": "date"}


def raw(name: str, rows: Iterable[Mapping[str, Any]], *, asof: date = LAST) -> pa.Table:
    """Rows of a raw table; bookkeeping not given is that of a backfill at asof."""
    arrow = schema(name)
    defaults = {
        "arrived_at": sessions.evening(asof),
        "source": "test",
        "revision": 0,
        "backfilled": True,
        "status": "ok",
    }
    full = []
    for row in rows:
        day = row.get(KNOWN_ON_DAY.get(name, ""))
        known = sessions.close_at(sessions.on_or_after(day)) if day else CONFIGURED
        full.append({"known_at": known, **defaults, **row})
    columns = {field.name: [row.get(field.name) for row in full] for field in arrow}
    keys = [(key, "ascending") for key in SPECS[name].key]
    return pa.table(columns, schema=arrow).sort_by(keys)


CONFIGURED = datetime(1990, 1, 2, 21, tzinfo=UTC)


def walk(
    symbol: str, rows: int, *, seed: int = 1, last: date = LAST, sd: float = 0.02
) -> list[dict[str, Any]]:
    """Bars of consecutive sessions that end at `last`."""
    rng = np.random.default_rng([seed, *symbol.encode()])
    close = 50 * np.exp(np.cumsum(rng.normal(0, sd, rows)))
    opened = close * np.exp(rng.normal(0, sd / 2, rows))
    high = np.maximum(opened, close) * (1 + np.abs(rng.normal(0, sd / 2, rows)))
    low = np.minimum(opened, close) * (1 - np.abs(rng.normal(0, sd / 2, rows)))
    volume = rng.integers(100_000, 900_000, rows)
    first = sessions.number(last) - rows + 1
    return [
        {
            "symbol": symbol,
            "date": sessions.session(first + i),
            "open": float(opened[i]),
            "high": float(high[i]),
            "low": float(low[i]),
            "close": float(close[i]),
            "volume": int(volume[i]),
        }
        for i in range(rows)
    ]


def flat(
    closes: Sequence[float], *, symbol: str = "A", last: date = LAST, volume: int = 1000
) -> list[dict[str, Any]]:
    """Bars whose open, high and low are the close."""
    first = sessions.number(last) - len(closes) + 1
    return [
        {
            "symbol": symbol,
            "date": sessions.session(first + i),
            **dict.fromkeys(("open", "high", "low", "close"), float(close)),
            "volume": volume,
        }
        for i, close in enumerate(closes)
    ]


def bars_of(closes: Sequence[float], *, symbol: str = "A", first: int = 5000) -> Bars:
    """Bars of consecutive sessions as arrays; open, high, low are the close."""
    count, close = len(closes), np.array(closes, dtype=float)
    number = np.arange(first, first + count)
    days = np.array([sessions.session(int(n)) for n in number], dtype="datetime64[D]")
    return Bars(
        symbol=symbol,
        day=days.astype(np.int64),
        session=number,
        close_at=np.array([int(sessions.close_at(d.item()).timestamp()) for d in days]),
        open=close,
        high=close,
        low=close,
        close=close,
        volume=np.full(count, 1000.0),
        vendor_close=np.full(count, np.nan),
        revised=np.zeros(count, bool),
        simulated=np.zeros(count, bool),
    )


def actions_of(bars: Bars, events: Iterable[tuple[int, str, float]]) -> Actions:
    """Actions of (row, kind, value), the ex-date being that row's day."""
    rows = sorted(events)
    return Actions(
        ex_day=np.array([bars.day[row] for row, _, _ in rows], dtype=np.int64),
        kind=tuple(kind for _, kind, _ in rows),
        value=np.array([value for _, _, value in rows], dtype=float),
    )


def tables(*, asof: date = LAST, **rows: Iterable[Mapping[str, Any]]) -> dict[str, pa.Table]:
    """Tables for `features.build` from rows by table name; the others are empty."""
    given = {name: raw(name, each, asof=asof) for name, each in rows.items()}
    return known({**{n: raw(n, []) for n in TABLES if n in SPECS}, **given}, asof=asof)


def known(raw_tables: Mapping[str, pa.Table], *, asof: date = LAST) -> dict[str, pa.Table]:
    """Raw tables as known at asof."""
    out = {
        name: as_known(raw_tables[name], SPECS[name], asof=asof) for name in TABLES if name in SPECS
    }
    refused = refused_actions(raw_tables["actions"], asof=asof)
    expected = expected_actions(raw_tables["actions"], asof=asof)
    return {**out, "refused_actions": refused, "expected_actions": expected}


def column(rows: pa.Table, name: str, symbol: str | None = None) -> np.ndarray:
    """A column as an array, null = NaN for numbers."""
    if symbol is not None:
        rows = rows.filter(pa.compute.equal(rows["symbol"], symbol))
    return rows[name].to_numpy()
