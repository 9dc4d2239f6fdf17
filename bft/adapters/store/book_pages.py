"""Pages into the tables: the chain goes on, rows are written whole, nothing is written twice."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

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
from bft.ports import Answered, Claim, Page


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
        made, rows = _chain(_tail(connection), pages)
        self._unsure += zip(pages, made, strict=True)
        if rows:
            connection.exec_driver_sql(_insert(JOURNAL, connection.dialect.name), rows)
        _write_rows(connection, [change for page in pages for change in page.rows])
        _write_claims(connection, [claim for page in pages for claim in page.claims])
        _write_answers(connection, [told for page in pages for told in page.answers])
        notes = [{"at": _text(now), "body": dict(note)} for page in pages for note in page.outbox]
        if notes:
            connection.execute(_OUTBOX_INSERT, notes)
        return made

    def certain(self) -> None:
        """The last attempt is known to be written."""
        self._unsure = []


_OUTBOX_INSERT = sa.insert(OUTBOX)
_TAIL = "SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1"


def _tail(connection: sa.Connection) -> tuple[int, str]:
    row = connection.exec_driver_sql(_TAIL).first()
    return (row.seq, row.hash) if row else (0, GENESIS)


def _chain(
    tail: tuple[int, str], pages: Sequence[Page]
) -> tuple[list[list[JournalRow]], list[tuple[object, ...]]]:
    """Rows of each page, and the rows of all as they are stored."""
    seq, before = tail
    made: list[list[JournalRow]] = []
    stored: list[tuple[object, ...]] = []
    for page in pages:
        made.append([])
        for entry in page.entries:
            body = canonical_json(entry.body)  # once: that of a decision is 10 kB
            row = chained(seq + 1, entry, before, body=body)
            stored.append((row.seq, entry.at.isoformat(), entry.kind, body, before, row.hash))
            made[-1].append(row)
            seq, before = row.seq, row.hash
    return made, stored


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
def _insert(table: sa.Table, dialect: str) -> str:
    """A statement as text: SQLAlchemy's own take several times as long to run."""
    mark = "?" if dialect == "sqlite" else "%s"
    names = ", ".join(f'"{column.name}"' for column in table.c)
    values = ", ".join([mark] * len(table.c))
    return f'INSERT INTO "{table.name}" ({names}) VALUES ({values})'  # noqa: S608  our own names


@cache
def _upsert(name: str, dialect: str) -> str:
    table = DERIVED[name]
    keys = ", ".join(f'"{column.name}"' for column in table.primary_key.columns)
    rest = ", ".join(f'"{column.name}" = excluded."{column.name}"' for column in table.c)
    return f"{_insert(table, dialect)} ON CONFLICT ({keys}) DO UPDATE SET {rest}"


def _write_claims(connection: sa.Connection, claims: Sequence[Claim]) -> None:
    rows = [
        (
            claim.key,
            claim.subject,
            claim.request_hash,
            _text(claim.at),
            claim.intent_id,
            claim.status,
            None if claim.body is None else canonical_json(claim.body),
        )
        for claim in claims
    ]
    if rows:
        connection.exec_driver_sql(_insert(IDEMPOTENCY, connection.dialect.name), rows)


def _write_answers(connection: sa.Connection, answers: Sequence[Answered]) -> None:
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    rows = [(told.status, canonical_json(told.body), told.key) for told in answers]
    if rows:
        known = f"UPDATE idempotency SET status = {mark}, body = {mark} WHERE key = {mark}"  # noqa: S608  marks
        connection.exec_driver_sql(known, rows)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
