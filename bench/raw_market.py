"""A large raw market in a root: 550 symbols x 2,520 sessions with dividends, splits and macro."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from bft.adapters.store.tables import TableStore, schema
from bft.domain import sessions
from bft.domain.market import MACRO_SERIES, SECTOR_FUNDS

SYMBOLS, SESSIONS = 550, 2520
FUNDS = ("SPY", *dict.fromkeys(SECTOR_FUNDS.values()))
LAST = date(2025, 12, 1)  # first session of a month: the append merges the closed one


def publish_market(
    store: TableStore, *, symbols: int = SYMBOLS, rows: int = SESSIONS, last: date = LAST
) -> date:
    """Publish all but the last session as one load and the last one on its own; return it."""
    before = sessions.shift(last, -1)
    bars, actions = _bars(symbols, rows, last)
    day = np.array(bars["date"])
    for asof, chosen in ((before, day < np.datetime64(last)), (last, day == np.datetime64(last))):
        _publish(store, "bars", asof, {name: values[chosen] for name, values in bars.items()})
    _publish(store, "actions", before, actions)
    _publish(store, "macro", before, _macro(last))
    _publish(store, "universe", before, _universe(symbols))
    return last


def _names(symbols: int) -> list[str]:
    stocks = [f"T{chr(65 + n // 26)}{chr(65 + n % 26)}" for n in range(symbols - len(FUNDS))]
    return sorted([*stocks, *FUNDS])


def _bars(symbols: int, rows: int, last: date) -> tuple[dict[str, Any], dict[str, Any]]:
    rng = np.random.Generator(np.random.PCG64(7))
    last_number = sessions.number(last)
    days = np.array(
        [sessions.session(n) for n in range(last_number - rows + 1, last_number + 1)],
        dtype="datetime64[D]",
    )
    names = _names(symbols)
    close = 80 * np.exp(np.cumsum(rng.normal(0.0003, 0.015, (symbols, rows)), axis=1))
    opened = close * np.exp(rng.normal(0, 0.005, close.shape))
    high = np.maximum(opened, close) * (1 + np.abs(rng.normal(0, 0.005, close.shape)))
    low = np.minimum(opened, close) * (1 - np.abs(rng.normal(0, 0.005, close.shape)))
    volume = rng.integers(100_000, 9_000_000, close.shape)
    flat = {"open": opened, "high": high, "low": low, "close": close, "volume": volume}
    flat["vendor_adjusted_close"] = close
    bars = {
        "symbol": np.repeat(names, rows),
        "date": np.tile(days, symbols),
        **{name: np.round(values, 4).ravel() for name, values in flat.items()},
    }
    paid = [(n, row) for n in range(0, symbols, 2) for row in range(40 + n % 20, rows - 1, 63)]
    who, when = np.array(paid).T
    actions = {
        "symbol": np.array(names)[who],
        "ex_date": days[when],
        "kind": ["dividend"] * len(paid),
        "value": np.full(len(paid), 0.2),
    }
    return bars, actions


def _macro(last: date) -> dict[str, Any]:
    months = np.arange(np.datetime64("2014-01"), np.datetime64(last, "M")).astype("datetime64[D]")
    out = [sessions.close_at(sessions.on_or_after(day.item())) for day in months + 45]
    count = len(months)
    return {
        "series": np.repeat(MACRO_SERIES, count),
        "reference_on": np.tile(months, len(MACRO_SERIES)),
        "value": np.tile(np.linspace(100, 200, count), len(MACRO_SERIES)),
        "known_at": out * len(MACRO_SERIES),
    }


def _universe(symbols: int) -> dict[str, Any]:
    names, sectors = _names(symbols), list(SECTOR_FUNDS)
    return {
        "symbol": names,
        "sector": [None if n in FUNDS else sectors[i % len(sectors)] for i, n in enumerate(names)],
        "is_etf": [name in FUNDS for name in names],
    }


def _publish(store: TableStore, name: str, asof: date, given: Mapping[str, Any]) -> None:
    arrow, count = schema(name), len(next(iter(given.values())))
    fixed: dict[str, Any] = {
        "arrived_at": sessions.evening(asof),
        "known_at": datetime.fromisoformat("1990-01-02T21:00:00+00:00"),
        "source": "bench",
        "revision": 0,
        "backfilled": True,
        "status": "ok",
    }
    columns = []
    for field in arrow:
        if field.name in given:
            columns.append(pa.array(given[field.name]).cast(field.type))
        else:
            columns.append(pa.repeat(pa.scalar(fixed.get(field.name), field.type), count))
    rows = pa.Table.from_arrays(columns, schema=arrow)
    store.publish(name, asof=asof, partitions={f"arrived={asof}": rows})
