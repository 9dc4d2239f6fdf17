"""Labels of a symbol (K): exchange, country and industry as newest known, and its sector by day."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from bft.domain.market import sector_of
from bft.domain.symbols import newest_entries
from bft.features.facts import Ints, day_number, spans

LABELS = ("exchange", "country", "industry")
UNKNOWN_DAY = np.iinfo(np.int64).min


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What one symbol is called now; `members` are (from, to, sector) with dates, in date order.

    `odd` is a sector text that names no known sector.
    """

    words: Mapping[str, str | None] = field(default_factory=dict)
    sector: str | None = None
    members: tuple[tuple[int, int, str | None], ...] = ()
    odd: str | None = None

    def sectors(self, day: Ints) -> Iterator[tuple[slice, str | None]]:
        """Rows and their sector: the newest label, then dated memberships, which win."""
        yield slice(0, len(day)), self.sector
        for first, last, sector in self.members:
            begin, end = np.searchsorted(day, [first, last]).tolist()
            yield slice(begin, end), sector


def labels_by_symbol(fundamentals: pa.Table, universe: pa.Table) -> dict[str, Label]:
    """Labels from the newest snapshot, else from the universe."""
    snapshots = _newest_snapshots(fundamentals)
    listed = _newest_members(universe)
    return {
        symbol: _label(snapshots.get(symbol, {}), listed.get(symbol, []))
        for symbol in sorted({*snapshots, *listed})
    }


def _label(snapshot: Mapping[str, str | None], members: list[tuple[int, int, object]]) -> Label:
    texts = [str(text) for _, _, text in members if text]
    text = snapshot.get("sector") or (texts[-1] if texts else None)
    dated = tuple(
        (first, last if last != UNKNOWN_DAY else np.iinfo(np.int64).max, sector_of(str(sector)))
        for first, last, sector in members
        if sector and (first != UNKNOWN_DAY or last != UNKNOWN_DAY)
    )
    sector = sector_of(text)
    return Label(
        words={name: snapshot.get(name) for name in LABELS},
        sector=sector,
        members=dated,
        odd=text if text and sector is None else None,
    )


def _newest_snapshots(rows: pa.Table) -> dict[str, dict[str, str | None]]:
    names = (*LABELS, "sector")
    last = [b - 1 for _, b in spans(rows["symbol"]).values()]
    newest = rows.select(["symbol", *names]).take(pa.array(last, pa.int64()))
    return {row["symbol"]: {name: row[name] for name in names} for row in newest.to_pylist()}


def _newest_members(rows: pa.Table) -> dict[str, list[tuple[int, int, object]]]:
    """By symbol: (from, to, sector) of the newest revision of each entry, in order of `from`."""
    columns = ["symbol", "from", "to", "sector", "revision"]
    found: dict[str, list[tuple[int, int, object]]] = {}
    for row in newest_entries(rows.select(columns).to_pylist()):
        first, last = (day_number(day) if day else UNKNOWN_DAY for day in (row["from"], row["to"]))
        found.setdefault(row["symbol"], []).append((first, last, row["sector"]))
    return {symbol: sorted(entries, key=lambda each: each[0]) for symbol, entries in found.items()}
