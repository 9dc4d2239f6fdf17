"""Rows in key order: sorted objects are recognised and merged, not sorted again."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_LAST = np.iinfo(np.int64).max
_ROOM = 2**62


def by_key(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """Rows in ascending order of their key columns, nulls last; sorted ones stay as they are."""
    place = _places(rows, key)
    if place is None:
        return rows.take(
            pc.sort_indices(_texts(rows.select(list(key))), [(name, "ascending") for name in key])
        )
    if (place[1:] >= place[:-1]).all():
        return rows
    return rows.take(pa.array(np.argsort(place, kind="stable")))


def _texts(keys: pa.Table) -> pa.Table:
    """Coded words as texts: Arrow sorts no table by the former."""
    coded = [
        field.with_type(pa.string()) if pa.types.is_dictionary(field.type) else field
        for field in keys.schema
    ]
    return keys.cast(pa.schema(coded))


def repeats(rows: pa.Table, key: Sequence[str]) -> int:
    """Rows, in key order, whose key is that of the row before."""
    place = _places(rows, key)
    if place is None:
        return int(rows.num_rows - rows.group_by(list(key)).aggregate([]).num_rows)
    return int((place[1:] == place[:-1]).sum())


def _places(rows: pa.Table, key: Sequence[str]) -> npt.NDArray[np.int64] | None:
    """One whole number per row that orders as the key does, or None where it would not fit."""
    total = np.zeros(rows.num_rows, dtype=np.int64)
    room = 1
    for name in key:
        values = _numbers(rows[name])
        if not len(values):
            continue
        known = values[values != _LAST]
        low, high = (int(known.min()), int(known.max())) if len(known) else (0, 0)
        room *= high - low + 2  # one place more for nulls
        if room >= _ROOM:
            return None
        total = total * (high - low + 2) + np.where(values == _LAST, high + 1, values) - low
    return total


def _numbers(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Whole numbers that order as the values do; null is the highest."""
    if pa.types.is_string(column.type):
        column = column.dictionary_encode()
    if pa.types.is_dictionary(column.type):
        coded = column.unify_dictionaries().combine_chunks()
        rank = _integers(pc.rank(coded.dictionary, tiebreaker="dense").cast(pa.int64()))
        codes = _integers(_filled(coded.indices.cast(pa.int64()), len(rank)))
        places: npt.NDArray[np.int64] = np.r_[rank, _LAST][codes]
        return places
    if pa.types.is_date(column.type):
        column = column.cast(pa.int32())
    return _integers(_filled(column.cast(pa.int64()), _LAST).combine_chunks())


def _integers(column: pa.Array) -> npt.NDArray[np.int64]:
    """64-bit integers without nulls, as they lie in memory; `to_numpy` would import pandas."""
    data = column.buffers()[1]
    if data is None:
        return np.empty(0, dtype=np.int64)
    found: npt.NDArray[np.int64] = np.frombuffer(data, dtype=np.int64)
    return found[column.offset : column.offset + len(column)]


def _filled(column: pa.Array | pa.ChunkedArray, value: int) -> pa.Array | pa.ChunkedArray:
    """Nulls as `value`; where there are none no scalar is made, which would import pandas."""
    return column.fill_null(value) if column.null_count else column
