"""Rows that an entry changes, collected: the last word on a row counts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from bft.domain.encoding import encode
from bft.domain.journal import TABLES, RowChange
from bft.domain.runs import Json
from bft.ledger.records import Counts


@dataclass(slots=True)
class Changes:
    """Rows by table and key, None where one goes away; `counts` move the limits' counters."""

    rows: dict[tuple[str, tuple[Any, ...]], object | None] = field(default_factory=dict)
    counts: dict[tuple[str, str, date], Counts] = field(default_factory=dict)

    def put(self, table: str, row: object) -> None:
        """The row's new values: a record, or a mapping of columns."""
        self.rows[table, _key(table, row)] = row

    def put_stored(self, table: str, row: Json) -> None:
        """As `put`, of values that are JSON already, as those of an entry's body are."""
        key = tuple(row[name] for name in TABLES[table].key)
        self.rows[table, key] = RowChange(table=table, key=_named(table, key), row=row, stored=True)

    def remove(self, table: str, row: object) -> None:
        """The row goes away; `row` holds at least the key."""
        self.rows[table, _key(table, row)] = None

    def result(self) -> tuple[RowChange, ...]:
        """In the order in which rows were first touched."""
        return tuple(_change(table, key, row) for (table, key), row in self.rows.items())


def _key(table: str, row: object) -> tuple[Any, ...]:
    names = TABLES[table].key
    if isinstance(row, Mapping):
        return tuple(encode(row[name]) for name in names)
    return tuple(encode(getattr(row, name)) for name in names)


def _change(table: str, key: tuple[Any, ...], row: object | None) -> RowChange:
    if isinstance(row, RowChange):
        return row
    return RowChange(table=table, key=_named(table, key), row=row)


def _named(table: str, key: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(TABLES[table].key, key, strict=True))
