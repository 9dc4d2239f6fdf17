"""Rows under the names that symbols bear now: history goes on under the new name (section 6)."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from bft.domain.market import Table
from bft.domain.symbols import Rename, newest_entries

DAY = {
    **dict.fromkeys(("bars", "options_summary"), "date"),
    **dict.fromkeys(("earnings", "statements"), "fiscal_date_ending"),
    "actions": "ex_date",
    "fundamentals": "arrived_on",
}
"""Column that says whether a row of a table is of before the rename."""


def known_renames(universe: pa.Table) -> tuple[Rename, ...]:
    """Renames of stored symbols, in order of their day; `universe` as given by `facts.as_known`.

    The new name's entry tells the old one, whose entry without a day tells the day. What bears the
    old name from that day on is another company.
    """
    columns = ["symbol", "from", "to", "renamed_from", "revision"]
    newest = newest_entries(universe.select(columns).to_pylist())
    marks = [row for row in newest if row["from"] and row["from"] == row["to"]]
    day = {row["symbol"]: row["to"] for row in sorted(marks, key=lambda row: row["to"])}
    found = {
        Rename(old=row["renamed_from"], new=row["symbol"], on=day[row["renamed_from"]])
        for row in newest
        if row["renamed_from"] in day
    }
    return tuple(sorted(found, key=lambda rename: (rename.on, rename.old, rename.new)))


def under_new_names(rows: pa.Table, table: Table, renames: Sequence[Rename]) -> pa.Table:
    """Rows of a raw table, in key order; what the new name has of its own wins, key by key."""
    if table.name not in DAY:
        return rows
    moved = False
    for rename in renames:
        early = pc.less(rows[DAY[table.name]], pa.scalar(rename.on, pa.date32()))
        old = pc.and_(pc.equal(rows["symbol"], rename.old), early)
        if pc.any(old).as_py():
            kept = rows.filter(pc.invert(old))
            own = _own(kept, rows.filter(old), rename.new, table.key[1:])
            rows, moved = pa.concat_tables([kept, own]), moved or own.num_rows > 0
    order = [(name, "ascending") for name in table.key]
    return rows.sort_by(order).combine_chunks() if moved else rows


def _own(kept: pa.Table, old: pa.Table, new: str, key: Sequence[str]) -> pa.Table:
    """Rows of the old name as the new one's, without those whose key it has itself."""
    held = kept.filter(pc.equal(kept["symbol"], new)).select(list(key)).to_pylist()
    taken = {tuple(row.values()) for row in held}
    free = [tuple(row.values()) not in taken for row in old.select(list(key)).to_pylist()]
    old = old.filter(pa.array(free, pa.bool_()))
    place = old.schema.get_field_index("symbol")
    named = pa.array([new] * old.num_rows, old.schema.field(place).type)
    return old.set_column(place, old.schema.field(place), named)
