"""Bars of one symbol as arrays, cut into segments."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from bft.domain import sessions
from bft.domain.gold import GAP_SESSIONS
from bft.features.facts import Bools, Floats, Ints, closes, day_number, days, numbers, spans

EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """One symbol's bars in date order, as delivered; shape (T,) each, null = NaN.

    `day` counts from 1970, `session` as in `domain.sessions`, `close_at` are the closing seconds.
    """

    symbol: str
    day: Ints
    session: Ints
    close_at: Ints
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    vendor_close: Floats
    revised: Bools
    simulated: Bools

    def __len__(self) -> int:
        return len(self.day)

    @property
    def gap(self) -> Ints:
        """Sessions missing before each row; 0 for the first."""
        return np.diff(self.session, prepend=self.session[:1] - 1) - 1

    @property
    def segments(self) -> list[tuple[int, int]]:
        """First and last-plus-one row of each segment; a long gap starts a new one."""
        if int(self.session[-1] - self.session[0]) - len(self) < GAP_SESSIONS:
            return [(0, len(self))]  # fewer sessions are missing in all than make one long gap
        first = np.flatnonzero(np.r_[True, self.gap[1:] > GAP_SESSIONS])
        return list(zip(first.tolist(), [*first[1:].tolist(), len(self)], strict=True))


def bars_by_symbol(rows: pa.Table) -> Iterator[Bars]:
    """Bars of every symbol, in symbol order; rows without a usable close are left out."""
    rows = _usable(rows)
    if not rows.num_rows:
        return
    day = days(rows["date"])
    number, close_at = _calendar(day)
    columns: dict[str, Any] = {
        "day": day,
        "session": number,
        "close_at": close_at,
        "open": numbers(rows["open"]),
        "high": numbers(rows["high"]),
        "low": numbers(rows["low"]),
        "close": numbers(rows["close"]),
        "volume": numbers(rows["volume"]),
        "vendor_close": numbers(rows["vendor_adjusted_close"]),
        "revised": numbers(rows["revision"]) > 0,
        "simulated": _equals(rows["source"], "sim"),
    }
    for symbol, (a, b) in spans(rows["symbol"]).items():
        yield Bars(symbol=symbol, **{name: values[a:b] for name, values in columns.items()})


def unusable_closes(rows: pa.Table) -> pa.Table:
    """Bars whose close is null, infinite or not above zero: they make no row."""
    return rows.filter(pa.array(~_has_close(rows)))


def _has_close(rows: pa.Table) -> Bools:
    close = numbers(rows["close"])
    return np.isfinite(close) & (close > 0)


def _usable(rows: pa.Table) -> pa.Table:
    usable = _has_close(rows)
    return rows if usable.all() else rows.filter(pa.array(usable))


def _calendar(day: Ints) -> tuple[Ints, Ints]:
    """Session number and closing second of each day (all of them sessions)."""
    first, last = (date.fromordinal(EPOCH.toordinal() + int(d)) for d in (day.min(), day.max()))
    listed = sessions.sessions(first, last)
    numbered = np.array([day_number(each) for each in listed])
    place = np.searchsorted(numbered, day)
    return place + sessions.number(listed[0]), closes(first, last)[place]


def _equals(column: pa.ChunkedArray, word: str) -> Bools:
    coded = column.combine_chunks().dictionary_encode()
    match = np.array([value == word for value in coded.dictionary.to_pylist()] or [False])
    found: Bools = match[coded.indices.to_numpy(zero_copy_only=False)]
    return found
