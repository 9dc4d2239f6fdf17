"""Columns of chosen rows, gathered symbol by symbol, and the Arrow table they make."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bft.domain.gold import GOLD
from bft.features.facts import Ints

KINDS: dict[str, tuple[Any, pa.DataType]] = {
    "f4": (np.float32, pa.float32()),
    "f8": (np.float64, pa.float64()),
    "i1": (np.int8, pa.int8()),
    "i2": (np.int16, pa.int16()),
    "i4": (np.int32, pa.int32()),
    "i8": (np.float64, pa.int64()),  # volume: gathered as f8, for it may be null
    "d": (np.int32, pa.date32()),
}
NO_DAY = np.iinfo(np.int32).min
SCHEMA = pa.schema(
    [(name, pa.string() if kind == "s" else KINDS[kind][1]) for name, kind in GOLD.columns]
)
_KIND = dict(GOLD.columns)


class Rows:
    """Room for gold rows; columns never written are null."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._columns: dict[str, npt.NDArray[Any]] = {}
        self._words: dict[str, tuple[npt.NDArray[np.int32], dict[str, int]]] = {}

    def put(self, name: str, a: int, values: npt.NDArray[Any]) -> None:
        """Write values from row `a` on; NaN (for dates the lowest i8) is null."""
        kind = _KIND[name]
        if name not in self._columns:
            if kind[0] == "f" and np.isnan(values).all():
                return
            self._columns[name] = _empty(kind, self.count)
        if kind == "d":
            values = np.maximum(values, NO_DAY)
        self._columns[name][a : a + len(values)] = values

    def put_all(self, a: int, columns: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write several columns from row `a` on."""
        for name, values in columns.items():
            self.put(name, a, values)

    def put_word(self, name: str, rows: slice, word: str | None) -> None:
        """Write one text into some rows."""
        if word is None and name not in self._words:
            return
        if name not in self._words:
            self._words[name] = (np.full(self.count, -1, dtype=np.int32), {})
        codes, known = self._words[name]
        codes[rows] = -1 if word is None else known.setdefault(word, len(known))

    def put_codes(self, name: str, codes: Ints, words: Sequence[str]) -> None:
        """Write a whole text column as places in `words`."""
        self._words[name] = (codes.astype(np.int32), {word: n for n, word in enumerate(words)})

    def get(self, name: str) -> npt.NDArray[Any]:
        """A column as gathered; null where never written."""
        if name not in self._columns:
            self._columns[name] = _empty(_KIND[name], self.count)
        return self._columns[name]

    def words(self, name: str) -> tuple[npt.NDArray[np.int32], tuple[str, ...]]:
        """Codes of a text column (-1 = null) and what they mean."""
        codes, known = self._words.get(name, (np.full(self.count, -1, dtype=np.int32), {}))
        return codes, tuple(known)

    def table(self, order: Ints | None = None) -> pa.Table:
        """The gold table of these rows, in another order if one is given."""
        arrays = [self._array(name, order) for name in SCHEMA.names]
        return pa.Table.from_arrays(arrays, schema=SCHEMA)

    def _array(self, name: str, order: Ints | None) -> pa.Array:
        if _KIND[name] == "s":
            codes, known = self.words(name)
            codes = codes if order is None else codes[order]
            words = pa.array([*known], pa.string())
            return words.take(pa.array(codes, mask=codes < 0))
        kind = SCHEMA.field(name).type
        if name not in self._columns:
            return pa.nulls(self.count if order is None else len(order), kind)
        values = self._columns[name] if order is None else self._columns[name][order]
        if pa.types.is_date(kind):
            return pa.array(values, mask=values == NO_DAY).cast(kind)
        if pa.types.is_floating(kind):
            return pa.array(values, type=kind, from_pandas=True)
        if name == "volume":
            empty = np.isnan(values)
            return pa.array(np.where(empty, 0, values).astype(np.int64), mask=empty)
        return pa.array(values, type=kind)


def _empty(kind: str, count: int) -> npt.NDArray[Any]:
    dtype = KINDS[kind][0]
    fill = {"f": np.nan, "d": NO_DAY, "i": 0}[kind[0]] if kind != "i8" else np.nan
    return np.full(count, fill, dtype=dtype)
