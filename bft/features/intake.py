"""Which delivered bars may be stored at all (data specification, section 10)."""

from collections.abc import Iterable
from datetime import date

import pandas as pd

from bft.domain import sessions
from bft.domain.delivery import Skips
from bft.domain.errors import DataError
from bft.features import odd_rows
from bft.features.odd_rows import LINE, WRITTEN
from bft.features.repair import out_of_order

REFUSALS = ("bad_close", "bad_volume")
"""Why a bar is not stored, as the skips name it."""
FIRST_DAY = date(1962, 1, 2)
REFUSED_FRAC, NO_SESSION_FRAC = 0.05, 0.01


def clean_bars(
    bars: pd.DataFrame, *, asof: date, bulk: bool, skips: Skips, file: str = ""
) -> pd.DataFrame:
    """Bars sorted by symbol and date without rows that are none; counts what it drops or moves.

    Of rows refused, moved, merged, or kept in spite of an odd open, high or low, the newest 20 are
    named with their value and, where `file` names it and they bear a `line`, their place.

    Raises:
        DataError: too many refused rows or non-sessions; of a `bulk` delivery, two different rows
            of one day (elsewhere that symbol is left out).
    """
    bars = _on_sessions(bars, asof=asof, skips=skips, file=file)
    bars = _valued(bars, skips=skips, file=file)
    bars = bars.drop(columns=WRITTEN, errors="ignore")
    if bulk:
        _count_unsorted(bars, skips=skips, file=file)
    bars = _distinct(bars, bulk=bulk, skips=skips, file=file)
    return bars.drop(columns=LINE, errors="ignore")


def keys_of(rows: pd.DataFrame, columns: Iterable[str] = ("symbol", "date")) -> list[str]:
    """First 20 keys of rows in words."""
    head = rows[list(columns)].head(20)
    return [" ".join(_word(value) for value in row) for row in head.itertuples(index=False)]


def _placed(rows: pd.DataFrame, file: str, columns: Iterable[str] = ()) -> list[str]:
    """Newest 20 rows in words: file and line where known, symbol, date, and named values."""
    newest = rows.sort_values("date", ascending=False, kind="stable").head(20)
    keys = keys_of(newest)
    values = [
        " ".join(f"{name}={odd_rows.cell(row, name)}" for name in columns)
        for row in odd_rows.each(newest)
    ]
    lines = newest[LINE] if LINE in newest else [None] * len(newest)
    places = ["" if line is None else f"{file}:{line}: " for line in lines]
    return [
        f"{place}{key} {value}".rstrip()
        for place, key, value in zip(places, keys, values, strict=True)
    ]


def _on_sessions(bars: pd.DataFrame, *, asof: date, skips: Skips, file: str) -> pd.DataFrame:
    days = bars["date"]
    early, late = days < pd.Timestamp(FIRST_DAY), days > pd.Timestamp(asof)
    span = pd.DatetimeIndex(sessions.sessions(FIRST_DAY, asof))
    closed = ~days.isin(span) & ~early & ~late
    if closed.sum() > NO_SESSION_FRAC * max(1, (~early & ~late).sum()):
        fault = odd_rows.no_sessions(closed)
        raise DataError(odd_rows.told([fault], bars, file=file, most_frac=NO_SESSION_FRAC))
    for reason, rows in (("before_1962", early), ("no_session", closed)):
        skips.add(reason, _placed(bars[rows], file), count=int(rows.sum()))
    skips.add("after_asof", keys_of(bars[late]), count=int(late.sum()))
    return bars[~(early | late | closed)]


def _valued(bars: pd.DataFrame, *, skips: Skips, file: str) -> pd.DataFrame:
    faults = odd_rows.value_faults(bars)
    if sum(fault.count for fault in faults) > REFUSED_FRAC * len(bars):
        raise DataError(odd_rows.told(faults, bars, file=file, most_frac=REFUSED_FRAC))
    refused = pd.Series(data=False, index=bars.index)
    for reason, column in zip(REFUSALS, ("close", "volume"), strict=True):
        rows = odd_rows.in_column(faults, column, bars)
        skips.add(reason, _placed(bars[rows], file, (column,)), count=int(rows.sum()))
        refused |= rows
    bars = bars[~refused].assign(volume=bars.loc[~refused, "volume"].round())
    prices = (bars[name].to_numpy(float) for name in ("open", "high", "low", "close"))
    odd = out_of_order(*prices)
    names = _placed(bars[odd], file, ("open", "high", "low", "close"))
    skips.add("repaired_ohlc", names, count=int(odd.sum()))
    return bars


def _count_unsorted(bars: pd.DataFrame, *, skips: Skips, file: str) -> None:
    """Rows of a file that lie before the row above them of their symbol: kept, and sorted."""
    behind = bars.groupby("symbol", sort=False)["date"].diff() < pd.Timedelta(0)
    skips.add("sorted_rows", _placed(bars[behind], file), count=int(behind.sum()))


def _distinct(bars: pd.DataFrame, *, bulk: bool, skips: Skips, file: str) -> pd.DataFrame:
    bars = bars.sort_values(["symbol", "date"], kind="stable", ignore_index=True)
    key = bars.duplicated(["symbol", "date"], keep=False)
    if not key.any():
        return bars
    merged = bars.duplicated(bars.columns.difference([LINE]))
    skips.add("merged_duplicate", _placed(bars[merged], file), count=int(merged.sum()))
    bars = bars[~merged]
    clash = bars[bars.duplicated(["symbol", "date"])].drop_duplicates(["symbol", "date"])
    if len(clash) and bulk:
        raise DataError(odd_rows.clashes(bars, clash, file=file))
    names = sorted(clash["symbol"].unique())
    skips.add("conflicting_rows", names)
    return bars[~bars["symbol"].isin(names)].reset_index(drop=True)


def _word(value: object) -> str:
    return str(value.date()) if isinstance(value, pd.Timestamp) else str(value)
