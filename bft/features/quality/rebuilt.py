"""Past rows built again from data cut at their day (Q22), and what the store told (Q23)."""

import hashlib
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bft.domain import sessions
from bft.domain.gold import COLUMNS
from bft.features.bars import bars_by_symbol
from bft.features.build import Known, rows_of
from bft.features.facts import Tables
from bft.features.quality.evidence import Evidence
from bft.features.quality.findings import Finding, Severity, one

SYMBOLS, DAYS = 20, 5
EXEMPT = {"K", "L"}
"""Labels are today's on all rows and targets are joined later: both differ by intent."""
COMPARED = (
    *(column.name for column in COLUMNS if column.pit not in EXEMPT),
    *("adj_factor", "split_factor", "row_flags"),
)


def rebuilt_rows(ev: Evidence) -> list[Finding]:
    """Q22: 20 symbols x 5 past days, drawn by the hash of asof, equal a build cut at that day."""
    held = np.unique(ev.day[~ev.now])
    days_drawn = _drawn([str(day) for day in held.astype("datetime64[D]")], str(ev.asof), DAYS)
    symbols = _drawn(ev.symbols, str(ev.asof), SYMBOLS)
    found = []
    for text in days_drawn:
        day = date.fromisoformat(text)
        known = Known(cut(ev.tables, day), called=ev.tables)
        bars = list(bars_by_symbol(known.tables["bars"]))
        again = rows_of(bars, known, since=day, of=frozenset(symbols)).table()
        stored = ev.gold.filter(
            pc.and_(pc.equal(ev.gold["date"], day), pc.is_in(ev.gold["symbol"], pa.array(symbols)))
        )
        odd = [name for name in COMPARED if not _equal(stored[name], again[name])]
        if odd:
            message = f"rows of {day} differ from a build cut at that day: {', '.join(odd[:10])}"
            found += one("Q22", Severity.FAIL, message, value=len(odd), at=0)
    return found


def store_agrees(ev: Evidence) -> list[Finding]:
    """Q23: objects and inputs have the digests that manifests and lineage name."""
    return [finding for text in ev.broken for finding in one("Q23", Severity.FAIL, text)]


def cut(tables: Tables, day: date) -> dict[str, pa.Table]:
    """Tables without what was not known at the close of `day`.

    Actions stay: they touch no earlier row, but later ones tell the share basis of figures. The
    universe stays: its labels are today's on every row.
    """
    close = pa.scalar(sessions.close_at(day), type=pa.timestamp("us", tz="UTC"))
    kept = {"actions", "refused_actions", "expected_actions", "universe"}
    out = {name: tables[name] for name in kept}
    for name in ("bars", "options_summary"):
        out[name] = tables[name].filter(pc.less_equal(tables[name]["date"], day))
    for name in ("macro", "earnings", "statements", "fundamentals"):
        out[name] = tables[name].filter(pc.less_equal(tables[name]["known_at"], close))
    return out


def _drawn(names: list[str], seed: str, count: int) -> list[str]:
    """Some names, by hash: the same ones for the same seed."""
    ranked = sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    return sorted(ranked[:count])


def _equal(stored: pa.ChunkedArray, again: pa.ChunkedArray) -> bool:
    """Bit for bit, nulls included."""
    return bool(stored.combine_chunks().equals(again.combine_chunks()))
