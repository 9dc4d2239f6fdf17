"""Pages into the tables: the chain goes on, rows are written whole, nothing is written twice."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from bft.adapters.store.book_queries import table_of
from bft.adapters.store.book_schema import (
    COLUMNS,
    DERIVED,
    IDEMPOTENCY,
    JOURNAL,
    OUTBOX,
    JsonText,
)
from bft.domain.errors import DataError
from bft.domain.journal import GENESIS, JournalRow, RowChange, canonical_json, chained
from bft.ports import Claim, Page


class PageWriter:
    """Writes pages and remembers those of which it is unknown whether they were written.

    Several commits in a row may end without an answer; each may be there or not.
    """

    def __init__(self) -> None:
        self._unsure: list[tuple[Page, list[JournalRow]]] = []

    def found(self, connection: sa.Connection, pages: Sequence[Page]) -> list[list[JournalRow]]:
        """Rows of the leading pages that earlier, failed attempts had written after all."""
        if not self._unsure:
            return []
        _, tail = _tail(connection)
        ends = [rows[-1].hash if rows else None for _, rows in self._unsure]
        count = ends.index(tail) + 1 if tail in ends else 0
        self._unsure = self._unsure[:count]
        if list(pages[:count]) != [page for page, _ in self._unsure]:
            self._unsure = []
        return [rows for _, rows in self._unsure]

    def write(
        self, connection: sa.Connection, pages: Sequence[Page], *, now: datetime
    ) -> list[list[JournalRow]]:
        """Add pages to the chain and the tables, after those found; the rows of each."""
        if not pages:
            return []
        made = _chain(_tail(connection), pages)
        self._unsure += zip(pages, made, strict=True)
        rows = [_stored(row) for page_rows in made for row in page_rows]
        if rows:
            connection.execute(_JOURNAL_INSERT, rows)
        _write_rows(connection, [change for page in pages for change in page.rows])
        _write_claims(connection, [claim for page in pages for claim in page.claims])
        at = now.astimezone(UTC).isoformat(timespec="microseconds")
        notes = [{"at": at, "body": dict(note)} for page in pages for note in page.outbox]
        if notes:
            connection.execute(_OUTBOX_INSERT, notes)
        return made

    def certain(self) -> None:
        """The last attempt is known to be written."""
        self._unsure = []


_JOURNAL_INSERT = sa.insert(JOURNAL)
_OUTBOX_INSERT = sa.insert(OUTBOX)


def _tail(connection: sa.Connection) -> tuple[int, str]:
    query = sa.select(JOURNAL.c.seq, JOURNAL.c.hash).order_by(JOURNAL.c.seq.desc()).limit(1)
    row = connection.execute(query).first()
    return (row.seq, row.hash) if row else (0, GENESIS)


def _chain(tail: tuple[int, str], pages: Sequence[Page]) -> list[list[JournalRow]]:
    seq, before = tail
    made: list[list[JournalRow]] = []
    for page in pages:
        rows = []
        for entry in page.entries:
            row = chained(seq + 1, entry, before)
            seq, before = row.seq, row.hash
            rows.append(row)
        made.append(rows)
    return made


def _stored(row: JournalRow) -> dict[str, Any]:
    return {
        "seq": row.seq,
        "at": row.entry.at.isoformat(),
        "kind": row.entry.kind,
        "body": canonical_json(row.entry.body),
        "prev_hash": row.prev_hash,
        "hash": row.hash,
    }


def _write_rows(connection: sa.Connection, changes: Sequence[RowChange]) -> None:
    """The last change of each row, tables in order of their references; removals at the end."""
    last: dict[str, dict[tuple[object, ...], RowChange]] = {}
    for change in changes:
        last.setdefault(change.table, {})[tuple(change.key.values())] = change
    for name in sorted(last, key=_ORDER.__getitem__):
        rows = [_row(name, change) for change in last[name].values() if change.values is not None]
        if rows:
            connection.exec_driver_sql(_upsert(name, connection.dialect.name), rows)
    for name, by_key in last.items():
        gone = [change.key for change in by_key.values() if change.values is None]
        for key in gone:
            table = DERIVED[name]
            same = [table.c[column] == value for column, value in key.items()]
            connection.execute(sa.delete(table).where(*same))


_ORDER = {name: place for place, name in enumerate(COLUMNS)}


def _row(name: str, change: RowChange) -> tuple[object, ...]:
    columns, values = _columns(name), change.values or {}
    if len(values) > len(columns) or not values.keys() <= columns.keys():
        unknown = ", ".join(sorted(values.keys() - columns.keys()))
        raise DataError(f"table {name} has no column {unknown}")
    return tuple(
        canonical_json(value) if json and value is not None else value
        for value, json in ((values.get(column), json) for column, json in columns.items())
    )


@cache
def _columns(name: str) -> dict[str, bool]:
    """Whether each column of a table holds JSON, in order."""
    return {column.name: isinstance(column.type, JsonText) for column in table_of(name).c}


@cache
def _upsert(name: str, dialect: str) -> str:
    """The statement as text; SQLAlchemy compiles an upsert anew each time, 0.7 ms a table."""
    table, mark = DERIVED[name], "?" if dialect == "sqlite" else "%s"
    keys = ", ".join(f'"{column.name}"' for column in table.primary_key.columns)
    names = [f'"{column.name}"' for column in table.c]
    rest = ", ".join(f"{column} = excluded.{column}" for column in names)
    values = ", ".join([mark] * len(names))
    return (
        f'INSERT INTO "{name}" ({", ".join(names)}) VALUES ({values}) '  # noqa: S608  our own names
        f"ON CONFLICT ({keys}) DO UPDATE SET {rest}"
    )


def _write_claims(connection: sa.Connection, claims: Sequence[Claim]) -> None:
    names = ("key", "subject", "request_hash", "intent_id", "status", "body")
    rows = [
        {name: getattr(claim, name) for name in names}
        | {"at": claim.at.astimezone(UTC).isoformat(timespec="microseconds")}
        for claim in claims
    ]
    if rows:
        connection.execute(sa.insert(IDEMPOTENCY), rows)
