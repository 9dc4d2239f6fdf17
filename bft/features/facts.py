"""Raw tables as known at asof, and what was known of a series at an instant.

A row counts when it is backfilled or had arrived by asof. Of market facts the newest accepted
revision counts on every row; of other facts all accepted revisions stay, for each is known from
its own instant on (data specification, section 2).
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bft.domain import sessions
from bft.domain.market import ACTIONS, BARS, OPTIONS_SUMMARY, Table

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Tables = Mapping[str, pa.Table]

MARKET = (BARS.name, ACTIONS.name, OPTIONS_SUMMARY.name)
"""Facts known at the close of their day: the newest revision replaces the older ones."""
MICROSECONDS = 1_000_000


def as_known(rows: pa.Table, table: Table, *, asof: date, status: str = "ok") -> pa.Table:
    """Accepted rows of a raw table as known at asof, sorted by key, known_at and revision.

    Bars and chains dated after asof are left out; of other facts the cut is each row's own
    instant. Actions stay: they touch no row before their ex-date, but figures quoted on the share
    basis of a later day need them. `status` may ask for the refused rows instead.
    """
    tests = pc.equal(rows["status"], status)
    arrived = pc.less(rows["arrived_at"], _next_close(asof))
    tests = pc.and_(tests, pc.or_(rows["backfilled"], arrived))
    if table.name in MARKET and table is not ACTIONS:
        tests = pc.and_(tests, pc.less_equal(rows["date"], asof))
    if not pc.all(tests).as_py():
        rows = rows.filter(tests)
    return _newest(rows, table) if table.name in MARKET else _sorted(rows, table)


def expected_actions(rows: pa.Table, *, asof: date) -> pa.Table:
    """Actions announced for a day after asof, of which no price has told yet; as known at asof."""
    arrived = pc.less(rows["arrived_at"], _next_close(asof))
    known = _newest(rows.filter(pc.or_(rows["backfilled"], arrived)), ACTIONS)
    waits = pc.and_(pc.equal(known["status"], "expected"), pc.greater(known["ex_date"], asof))
    return known.filter(waits)


def refused_actions(rows: pa.Table, *, asof: date) -> pa.Table:
    """Actions that are impossible or that the price did not confirm; as known at asof.

    Those that were announced, and withdrawn before the close of their day, are none of these: no
    price refused them.
    """
    refused = as_known(rows, ACTIONS, asof=asof, status="refused")
    names = (*ACTIONS.key, "value")
    announced = {
        (*(row[name] for name in names), row["revision"] + 1)
        for row in rows.filter(pc.equal(rows["status"], "expected")).to_pylist()
    }
    kept = [
        row["arrived_at"] >= row["known_at"]
        or (*(row[name] for name in names), row["revision"]) not in announced
        for row in refused.to_pylist()
    ]
    return refused.filter(pa.array(kept, pa.bool_()))


def numbers(column: pa.ChunkedArray) -> Floats:
    """A numeric column as f8, null = NaN."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    plain = column.cast(pa.float64()).combine_chunks()
    values: Floats = plain.to_numpy(zero_copy_only=False)
    return values


def days(column: pa.ChunkedArray) -> Ints:
    """A date column as days since 1970; null = the lowest i8."""
    lowest = np.iinfo(np.int64).min
    filled = column.cast(pa.int32()).cast(pa.int64()).fill_null(lowest)
    values: Ints = filled.combine_chunks().to_numpy(zero_copy_only=False)
    return values


def seconds(column: pa.ChunkedArray) -> Ints:
    """Instants as whole seconds since 1970, rounded up, so that `<=` against a close holds."""
    micros: Ints = column.cast(pa.int64()).combine_chunks().to_numpy(zero_copy_only=False)
    return -(-micros // MICROSECONDS)


def day_number(day: date) -> int:
    """Days since 1970."""
    return (day - date(1970, 1, 1)).days


def closes(first: date, last: date) -> Ints:
    """Closing seconds of all sessions from first to last."""
    return np.array(
        [int(sessions.close_at(day).timestamp()) for day in sessions.sessions(first, last)],
        dtype=np.int64,
    )


def spans(column: pa.ChunkedArray) -> dict[str, tuple[int, int]]:
    """First and last-plus-one row of each value of a sorted string column."""
    if not len(column):
        return {}
    coded = column.combine_chunks().dictionary_encode()
    codes = coded.indices.to_numpy(zero_copy_only=False)
    first = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    last = np.r_[first[1:], len(codes)]
    names = coded.dictionary.take(pa.array(codes[first])).to_pylist()
    return dict(zip(names, zip(first.tolist(), last.tolist(), strict=True), strict=True))


def latest(known_at: Ints, at: Ints) -> Ints:
    """Index of the newest event known at each instant, -1 where there is none.

    Shape: (E,) ascending, (T,) -> (T,).
    """
    return np.searchsorted(known_at, at, side="right") - 1


def picked(values: Floats, index: Ints) -> Floats:
    """Values at indices, NaN where the index is negative. Shape: (E,), (T,) -> (T,)."""
    if not len(values):
        return np.full(len(index), np.nan)
    return np.where(index >= 0, values[index], np.nan)


def _next_close(asof: date) -> pa.Scalar:
    """Close of the session after asof: what arrived before it belongs to the night of asof."""
    at = sessions.close_at(sessions.shift(sessions.on_or_before(asof), 1))
    return pa.scalar(at.astimezone(UTC), type=pa.timestamp("us", tz="UTC"))


def _newest(rows: pa.Table, table: Table) -> pa.Table:
    """The newest revision per key; of equal ones, as of a night filled in later, the last."""
    if pc.any(pc.greater(rows["revision"], 0)).as_py():
        rows = rows.sort_by([(name, "ascending") for name in (*table.key, "revision")])
    same = np.ones(max(0, rows.num_rows - 1), dtype=bool)
    for name in reversed(table.key):  # days first: of sorted rows they seldom repeat
        column = rows[name].combine_chunks()
        same &= pc.equal(column[1:], column[:-1]).to_numpy(zero_copy_only=False)
        if not same.any():
            return rows
    return rows.filter(pa.array(np.append(~same, values=True)))


def _sorted(rows: pa.Table, table: Table) -> pa.Table:
    keys = [table.key[0], "known_at", *table.key[1:], "revision"]
    return rows.sort_by([(name, "ascending") for name in keys])


def unfold(reference: Ints, rank: Ints) -> Iterator[tuple[int, dict[int, int]]]:
    """What is known after each event of one series: (newest reference, row by reference).

    Events come in the order in which they were known; of a reference the highest rank counts, of
    equal ones the last. The mapping is one object, updated from event to event.
    """
    rows: dict[int, int] = {}
    newest = np.iinfo(np.int64).min
    for row, (ref, high) in enumerate(zip(reference.tolist(), rank.tolist(), strict=True)):
        if ref not in rows or rank[rows[ref]] <= high:
            rows[ref] = row
        newest = max(newest, ref)
        yield newest, rows
