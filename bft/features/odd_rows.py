"""What is wrong with delivered bars, in words: the file, the column, its first rows, the remedy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

LINE, WRITTEN = "line", "close_written"
"""Columns of where a bar stands in its file, and of a close that is no number, as written."""
HIGHEST_CLOSE_USD = 1e7
WHOLE = 1e-6
"""How far a volume may lie from a whole number of shares (data specification, section 10)."""
SHOWN_ROWS, SHOWN_KEYS = 3, 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Rows of one fault in one column, `mask` (N,), and what to do about them."""

    column: str
    what: str
    remedy: str
    mask: pd.Series

    @property
    def shown(self) -> str:
        """Column whose value is shown of a row: of a day its weekday."""
        return "weekday" if self.column == "date" else self.column

    @property
    def count(self) -> int:
        """How many rows have it."""
        return int(self.mask.sum())


def no_sessions(closed: pd.Series) -> Fault:
    """Rows of days without a session."""
    return Fault(
        column="date",
        what="a day when the exchange (XNYS) was closed",
        remedy="give New York exchange days",
        mask=closed,
    )


def value_faults(bars: pd.DataFrame) -> list[Fault]:
    """Rows without a usable close or volume, each under its first fault; those there are."""
    close, volume = bars["close"], bars["volume"]
    whole = volume.isna() | ((volume - volume.round()).abs() <= WHOLE)
    rules = (
        ("close", "no number", "give a price or leave these rows out", close.isna()),
        ("close", "a price of 0 or less", "give a price above 0", close <= 0),
        (
            "close",
            f"a price above {HIGHEST_CLOSE_USD:,.0f} USD",
            "give USD a share",
            ~(close <= HIGHEST_CLOSE_USD),
        ),
        ("volume", "a negative number", "give shares traded, 0 where there were none", volume < 0),
        ("volume", "a fraction of a share", "give whole shares, rounded", ~whole),
    )
    found, before = [], pd.Series(data=False, index=bars.index)
    for column, what, remedy, rows in rules:
        mask = rows & ~before
        before |= mask
        if mask.any():
            found.append(Fault(column=column, what=what, remedy=remedy, mask=mask))
    return found


def in_column(faults: Sequence[Fault], column: str, bars: pd.DataFrame) -> pd.Series:
    """Rows (N,) with a fault of that column."""
    found = pd.Series(data=False, index=bars.index)
    for fault in faults:
        found |= fault.mask if fault.column == column else False
    return found


def told(faults: Sequence[Fault], bars: pd.DataFrame, *, file: str, most_frac: float) -> str:
    """Too many rows with faults, the most frequent one first, each with its first rows."""
    said = [_told(fault, bars, file) for fault in sorted(faults, key=lambda one: -one.count)]
    them = "; and ".join(said)
    return f"{them}; only {most_frac:.0%} of the rows may be left out"


def _told(fault: Fault, bars: pd.DataFrame, file: str) -> str:
    named = [
        f"{_place(row, file)}{row['symbol']} {row['date'].date()} {cell(row, fault.shown)}"
        for row in each(bars[fault.mask].head(SHOWN_ROWS))
    ]
    return (
        f"{file or 'bars'}, column {fault.column}: {fault.what} in {fault.count:,} of "
        f"{len(bars):,} rows, first {', '.join(named)}; {fault.remedy}"
    )


def clashes(bars: pd.DataFrame, keys: pd.DataFrame, *, file: str) -> str:
    """Days of a symbol that stand there twice with different values, the first of them in full."""
    columns = [name for name in bars.columns if name not in {LINE, WRITTEN, "symbol", "date"}]
    shown = []
    for key in keys.head(SHOWN_KEYS).itertuples(index=False):
        rows = bars[(bars["symbol"] == key.symbol) & (bars["date"] == key.date)]
        differs = next(name for name in columns if rows[name].nunique(dropna=False) > 1)
        places = [f"{_place(row, file)}{differs} {cell(row, differs)}" for row in each(rows)]
        shown.append(f"{key.symbol} {key.date.date()} ({', '.join(places)})")
    number = (
        f"{len(keys):,} days of a symbol stand" if len(keys) > 1 else "a day of a symbol stands"
    )
    return (
        f"{file or 'bars'}: {number} there more than once with different values: "
        f"{', '.join(shown)}; keep one row of each"
    )


def each(rows: pd.DataFrame) -> Iterator[pd.Series]:
    """Rows one by one."""
    return (row for _, row in rows.iterrows())


def cell(row: pd.Series, name: str) -> str:
    """A value in words; a close that is no number as it is written in the file."""
    written = row.get(WRITTEN) if name == "close" else None
    if isinstance(written, str):
        return repr(written)
    value = row["date"].day_name() if name == "weekday" else row[name]
    return value if isinstance(value, str) else f"{value:.12g}"


def _place(row: pd.Series, file: str) -> str:
    """Where a row stands: a line of text, a row of Parquet."""
    if LINE not in row:
        return ""
    return f"{'row' if file.endswith('.parquet') else 'line'} {row[LINE]}: "
