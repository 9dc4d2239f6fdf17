"""Pages into the tables: the chain goes on, rows are written whole, nothing is written twice."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

import sqlalchemy as sa

from bft.adapters.store.book_database import Driver
from bft.adapters.store.book_queries import table_of
from bft.adapters.store.book_schema import (
    COLUMNS,
    DERIVED,
    IDEMPOTENCY,
    JOURNAL,
    JsonText,
)
from bft.domain.errors import DataError
from bft.domain.journal import GENESIS, JournalRow, RowChange, canonical_json, chained
from bft.domain.runs import Json
from bft.ports import Answered, Claim, Page


class PageWriter:
    """Writes pages and remembers those of which it is unknown whether they were written.

    Several commits in a row may end without an answer; each may be there or not.
    """

    def __init__(self) -> None:
        self._unsure: list[tuple[Page, list[JournalRow]]] = []

    def found(self, driver: Driver, pages: Sequence[Page]) -> list[list[JournalRow]]:
        """Rows of the leading pages that earlier, failed attempts had written after all."""
        if not self._unsure:
            return []
        _, tail = _tail(driver)
        ends = [rows[-1].hash if rows else None for _, rows in self._unsure]
        count = ends.index(tail) + 1 if tail in ends else 0
        self._unsure = self._unsure[:count]
        if list(pages[:count]) != [page for page, _ in self._unsure]:
            self._unsure = []
        return [rows for _, rows in self._unsure]

    def write(
        self, driver: Driver, pages: Sequence[Page], *, now: datetime
    ) -> list[list[JournalRow]]:
        """Add pages to the chain and the tables, after those found; the rows of each."""
        if not pages:
            return []
        texts = _Texts()
        made, rows = _chain(_tail(driver), pages, texts)
        self._unsure += zip(pages, made, strict=True)
        if rows:
            driver.run_each(_INSERT_JOURNAL, rows)
        _write_rows(driver, [change for page in pages for change in page.rows], texts)
        _write_claims(driver, [claim for page in pages for claim in page.claims])
        _write_answers(driver, [told for page in pages for told in page.answers])
        at, notes = _text(now), [note for page in pages for note in page.outbox]
        if notes:
            driver.run_each(_INSERT_NOTE, [(at, canonical_json(dict(note))) for note in notes])
        return made

    def certain(self) -> None:
        """The last attempt is known to be written."""
        self._unsure = []


_INSERT_NOTE = "INSERT INTO outbox (at, body) VALUES (?, ?)"
_TAIL = "SELECT seq, hash FROM journal ORDER BY seq DESC LIMIT 1"


def _tail(driver: Driver) -> tuple[int, str]:
    row = driver.run(_TAIL).fetchone()
    return (row[0], row[1]) if row else (0, GENESIS)


_SHARED = frozenset({"signal", "decision"})
"""Entries whose largest parts are columns too."""


class _Texts:
    """Canonical JSON of the values of some pages: what stands in an entry and a row is made once.

    A decision and its context, 4 kB each, are columns and parts of an entry's body. Values are
    known by identity, and held so that no other takes it meanwhile.
    """

    def __init__(self) -> None:
        self._made: dict[int, tuple[object, str]] = {}

    def of(self, value: object) -> str:
        """The text of a value; objects that hold anything are remembered."""
        if not value or type(value) is not dict:
            return canonical_json(value)
        made = self._made.get(id(value))
        if made is None:
            made = self._made[id(value)] = value, canonical_json(value)
        return made[1]

    def whole(self, body: Json) -> str:
        """The text of an entry's body, put together from its parts."""
        return "{" + ",".join(f"{canonical_json(n)}:{self.of(body[n])}" for n in sorted(body)) + "}"


def _chain(
    tail: tuple[int, str], pages: Sequence[Page], texts: _Texts
) -> tuple[list[list[JournalRow]], list[tuple[object, ...]]]:
    """Rows of each page, and the rows of all as they are stored."""
    seq, before = tail
    made: list[list[JournalRow]] = []
    stored: list[tuple[object, ...]] = []
    for page in pages:
        made.append([])
        for entry in page.entries:
            shared = entry.kind in _SHARED
            body = texts.whole(entry.body) if shared else canonical_json(entry.body)
            row = chained(seq + 1, entry, before, body=body)
            stored.append((row.seq, entry.at.isoformat(), entry.kind, body, before, row.hash))
            made[-1].append(row)
            seq, before = row.seq, row.hash
    return made, stored


def _write_rows(driver: Driver, changes: Sequence[RowChange], texts: _Texts) -> None:
    """The last change of each row, tables in order of their references; removals at the end."""
    last: dict[str, dict[tuple[object, ...], RowChange]] = {}
    for change in changes:
        last.setdefault(change.table, {})[tuple(change.key.values())] = change
    for name in sorted(last, key=_ORDER.__getitem__):
        kept = (change for change in last[name].values() if change.row is not None)
        rows = [_row(name, change, texts) for change in kept]
        if rows:
            driver.run_each(_upsert(name), rows)
    for name, by_key in last.items():
        for key in [change.key for change in by_key.values() if change.row is None]:
            same = " AND ".join(f'"{column}" = ?' for column in key)
            driver.run(f'DELETE FROM "{name}" WHERE {same}', tuple(key.values()))  # noqa: S608  own names


_ORDER = {name: place for place, name in enumerate(COLUMNS)}


def _row(name: str, change: RowChange, texts: _Texts) -> list[object]:
    (columns, places), values = _columns(name), change.values or {}
    if not values.keys() <= columns.keys():
        unknown = ", ".join(sorted(values.keys() - columns.keys()))
        raise DataError(f"table {name} has no column {unknown}")
    row = [values.get(column) for column in columns]
    for place in places:
        if row[place] is not None:
            row[place] = texts.of(row[place])
    return row


@cache
def _columns(name: str) -> tuple[dict[str, None], tuple[int, ...]]:
    """Columns of a table in order, and the places of those that hold JSON."""
    columns = list(table_of(name).c)
    texts = (n for n, column in enumerate(columns) if isinstance(column.type, JsonText))
    return dict.fromkeys(column.name for column in columns), tuple(texts)


def _insert(table: sa.Table) -> str:
    names = ", ".join(f'"{column.name}"' for column in table.c)
    marks = ", ".join("?" * len(table.c))
    return f'INSERT INTO "{table.name}" ({names}) VALUES ({marks})'  # noqa: S608  our own names


_INSERT_JOURNAL, _INSERT_CLAIM = _insert(JOURNAL), _insert(IDEMPOTENCY)
_ANSWER = "UPDATE idempotency SET status = ?, body = ? WHERE key = ?"


@cache
def _upsert(name: str) -> str:
    table = DERIVED[name]
    keys = ", ".join(f'"{column.name}"' for column in table.primary_key.columns)
    rest = ", ".join(f'"{column.name}" = excluded."{column.name}"' for column in table.c)
    return f"{_insert(table)} ON CONFLICT ({keys}) DO UPDATE SET {rest}"


def _write_claims(driver: Driver, claims: Sequence[Claim]) -> None:
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
        driver.run_each(_INSERT_CLAIM, rows)


def _write_answers(driver: Driver, answers: Sequence[Answered]) -> None:
    rows = [(told.status, canonical_json(told.body), told.key) for told in answers]
    if rows:
        driver.run_each(_ANSWER, rows)


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
