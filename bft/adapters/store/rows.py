"""Rows of one Parquet object: those asked for, from the row groups that may hold any."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Rows of these symbols, from day `since` of column `day` on; None: all."""

    symbols: Sequence[str] | None
    since: date | None
    day: str | None

    def tested(self) -> list[str]:
        """Columns that tell whether a row is wanted."""
        named = [] if self.symbols is None else ["symbol"]
        return named if self.since is None or self.day is None else [*named, self.day]

    def load(self, path: Path, names: list[str], words: list[str]) -> pa.Table:
        """Columns `names`, among them those tested; `words` come dictionary-encoded.

        A dataset's filter would do, but is slower than masks, and its import brings pandas.
        """
        with pq.ParquetFile(path, read_dictionary=words) as file:
            groups = [n for n in range(file.num_row_groups) if self._may_be_in(file.metadata, n)]
            rows = file.read_row_groups(groups, columns=names, use_threads=False).select(names)
        for name in self.tested():
            rows = rows.filter(self._mask(name, rows[name]))
        return rows

    def _mask(self, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
        if name == "symbol":
            return pc.is_in(column, value_set=pa.array(self.symbols or (), pa.string()))
        return pc.greater_equal(column, pa.scalar(self.since, pa.date32()))

    def _may_be_in(self, metadata: Any, group: int) -> bool:
        """Judge a row group by the least and greatest values its writer noted."""
        for name in self.tested():
            column = metadata.row_group(group).column(metadata.schema.names.index(name))
            noted = column.statistics
            if noted is None or not noted.has_min_max:
                continue
            if name == "symbol":
                if not any(noted.min <= symbol <= noted.max for symbol in self.symbols or ()):
                    return False
            elif noted.max < self.since:
                return False
        return True
