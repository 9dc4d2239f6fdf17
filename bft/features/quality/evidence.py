"""What the checks look at: gold of asof, the facts behind it, and what the step found out."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import numpy as np
import pyarrow as pa

from bft.domain import sessions
from bft.features.bars import Bars, bars_by_symbol
from bft.features.facts import Bools, Floats, Ints, Tables, day_number, days, numbers, spans

RECENT_SESSIONS, YEAR_SESSIONS = 20, 252


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Gold as stored (own-day basis, sorted), tables as known at asof, and facts of the store.

    `refused` are the bars refused in the pull of asof, `rows_before` the row count of the manifest
    before, `restated` whether facts of older days changed, `broken` objects or digests that do not
    agree, `strict_source` whether the source should deliver every series.
    """

    asof: date
    gold: pa.Table
    tables: Tables
    refused: pa.Table
    macro: pa.Table
    rows_before: int | None = None
    restated: bool = False
    broken: tuple[str, ...] = ()
    strict_source: bool = True
    _cache: dict[str, Floats] = field(default_factory=dict)

    def column(self, name: str) -> Floats:
        """A numeric gold column as f8, null = NaN; shape (rows,)."""
        if name not in self._cache:
            self._cache[name] = numbers(self.gold[name])
        return self._cache[name]

    @cached_property
    def spans(self) -> dict[str, tuple[int, int]]:
        """First and last-plus-one gold row of each symbol."""
        return spans(self.gold["symbol"])

    @cached_property
    def symbols(self) -> list[str]:
        """Symbols with gold rows, ascending."""
        return list(self.spans)

    @cached_property
    def code(self) -> Ints:
        """Place of each row's symbol in `symbols`."""
        return np.repeat(np.arange(len(self.symbols)), [b - a for a, b in self.spans.values()])

    @cached_property
    def day(self) -> Ints:
        """Day of each row, counted from 1970."""
        return days(self.gold["date"])

    @cached_property
    def session(self) -> Ints:
        """Place of each row's day among the sessions."""
        days_held = self.day.astype("datetime64[D]")
        listed = sessions.sessions(days_held.min().item(), days_held.max().item())
        return np.searchsorted(np.array(listed, dtype="datetime64[D]"), days_held)

    @cached_property
    def now(self) -> Bools:
        """Rows at asof."""
        return np.equal(self.day, day_number(self.asof))

    @cached_property
    def first_of_symbol(self) -> Bools:
        """First row of each symbol."""
        return np.not_equal(np.diff(self.code, prepend=-1), 0)

    @cached_property
    def members(self) -> dict[str, bool]:
        """Symbols of the universe -> whether they are funds; those that are members at asof."""
        at = day_number(self.asof)
        table = self.tables["universe"].sort_by(
            [("symbol", "ascending"), ("revision", "ascending")]
        )
        newest: dict[tuple[str, object], tuple[int, int, bool]] = {}
        first, last = days(table["from"]), days(table["to"])
        symbols, funds = table["symbol"].to_pylist(), table["is_etf"].to_pylist()
        for symbol, start, end, fund in zip(symbols, first, last, funds, strict=True):
            newest[(symbol, int(start))] = (int(start), int(end), bool(fund))
        unknown = np.iinfo(np.int64).min
        return {
            symbol: fund
            for (symbol, _), (start, end, fund) in newest.items()
            if start <= at and (end == unknown or at < end)
        }

    @cached_property
    def active(self) -> list[str]:
        """Members at asof; without a universe, symbols with a bar in the last 20 sessions."""
        if self.tables["universe"].num_rows:
            return sorted(self.members)
        since = day_number(sessions.shift(self.asof, 1 - RECENT_SESSIONS))
        return [s for s, (_, b) in self.spans.items() if self.day[b - 1] >= since]

    @cached_property
    def bars(self) -> list[Bars]:
        """Bars of every symbol."""
        return list(bars_by_symbol(self.tables["bars"]))

    def since(self, sessions_back: int) -> int:
        """Day number of the session so many sessions before asof, asof counting as the first."""
        return day_number(sessions.shift(self.asof, 1 - sessions_back))

    def names(self, rows: Bools) -> list[str]:
        """Symbols of chosen rows."""
        return [self.symbols[place] for place in np.unique(self.code[rows])]

    def keys(self, rows: Bools) -> list[str]:
        """`SYMBOL day` of chosen rows."""
        places = np.flatnonzero(rows)
        found = self.day[places].astype("datetime64[D]")
        return [
            f"{self.symbols[code]} {day}"
            for code, day in zip(self.code[places], found, strict=True)
        ]

    def by_symbol(self) -> Iterator[tuple[str, slice]]:
        """Each symbol with its rows."""
        for symbol, (a, b) in self.spans.items():
            yield symbol, slice(a, b)

    def same_as_before(self, name: str) -> Bools:
        """Rows whose value equals that of the symbol's row before."""
        values = self.column(name)
        return np.equal(np.diff(values, prepend=np.nan), 0) & ~self.first_of_symbol
