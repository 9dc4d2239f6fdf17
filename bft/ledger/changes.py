"""Rows that an entry changes, collected: the last word on a row counts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from bft.domain.journal import TABLES, RowChange
from bft.ledger.codec import encode


@dataclass(slots=True)
class Changes:
    """Row changes by table and key."""

    rows: dict[tuple[str, tuple[Any, ...]], RowChange] = field(default_factory=dict)

    def put(self, table: str, row: object) -> None:
        """The row's new values: a record, or a mapping of columns."""
        self._note(table, encode(row), removed=False)

    def remove(self, table: str, row: object) -> None:
        """The row goes away; `row` holds at least the key."""
        self._note(table, encode(row), removed=True)

    def _note(self, table: str, values: Mapping[str, Any], *, removed: bool) -> None:
        key = {name: values[name] for name in TABLES[table].key}
        change = RowChange(table=table, key=key, values=None if removed else values)
        self.rows[table, tuple(key.values())] = change

    def result(self) -> tuple[RowChange, ...]:
        """In the order in which rows were first touched."""
        return tuple(self.rows.values())
