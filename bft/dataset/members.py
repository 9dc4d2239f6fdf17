"""Which rows fall on a day their symbol was a member of the universe."""

from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from bft.domain.symbols import newest_entries

if TYPE_CHECKING:
    import pyarrow as pa

MEMBER = "member"
_DAY = np.iinfo(np.int64)


def with_members(gold: "pa.Table", universe: "pa.Table") -> "pa.Table":
    """Gold with a column `member`: whether a row lies in a span [from, to) of its symbol.

    `gold` is sorted by symbol; `universe` has symbol, from, to (null: open) and revision, as
    known at asof; an entry's newest revision counts. A symbol that no row names counts always.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    days = gold["date"].to_numpy().astype("datetime64[D]").astype(np.int64)
    names = pc.unique(gold["symbol"])
    owner = pc.index_in(gold["symbol"], names).to_numpy()
    offsets = np.searchsorted(owner, np.arange(len(names) + 1))
    spans = _spans(universe)
    inside = np.ones(len(days), dtype=bool)
    for place, symbol in enumerate(names.to_pylist()):
        if symbol in spans:
            rows = slice(offsets[place], offsets[place + 1])
            among = [(days[rows] >= first) & (days[rows] < last) for first, last in spans[symbol]]
            inside[rows] = np.logical_or.reduce(among)
    return gold.append_column(MEMBER, pa.array(inside))


def _spans(universe: "pa.Table") -> dict[str, list[tuple[int, int]]]:
    found: dict[str, list[tuple[int, int]]] = {}
    for row in newest_entries(universe.select(["symbol", "from", "to", "revision"]).to_pylist()):
        span = (_number(row["from"], _DAY.min), _number(row["to"], _DAY.max))
        found.setdefault(row["symbol"], []).append(span)
    return found


def _number(day: date | None, default: int) -> int:
    return default if day is None else int(np.datetime64(day, "D").astype(np.int64))
