"""The Book port over SQLAlchemy Core: the journal and its tables in SQLite or PostgreSQL."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bft.adapters.store import book_migrations
from bft.adapters.store.book_database import BookDatabase
from bft.adapters.store.book_leases import BookLeases
from bft.adapters.store.book_pages import PageWriter
from bft.adapters.store.book_queries import conditions, table_of
from bft.adapters.store.book_schema import ASIDE, DERIVED, IDEMPOTENCY, JOURNAL, OUTBOX, PROBE
from bft.domain.errors import ConfigError, DataError
from bft.domain.journal import (
    GENESIS,
    TABLES,
    Entry,
    JournalRow,
    canonical_text,
    digest,
)
from bft.ports import Claim, Lease, Page

IDEMPOTENCY_KEPT = timedelta(days=7)  # executor specification, section 2
OUTBOX_KEPT = timedelta(days=90)
SNAPSHOTS_KEPT = timedelta(days=30)
_FETCH = 2000


class SqlBook:
    """The Book port; `url` names SQLite or PostgreSQL.

    SQLite is migrated when it is opened; PostgreSQL is only checked, `migrate_book` changes it.

    Raises:
        ConfigError: commits would not be durable; the schema is newer or, with PostgreSQL, older.
        UnavailableError: the database does not answer.
    """

    def __init__(
        self, url: str, *, at: datetime, migrations: Path = book_migrations.SHIPPED
    ) -> None:
        self._database = BookDatabase(url)
        self._leases = BookLeases(self._database)
        self._pages = PageWriter()
        try:
            self._bring_up_to_date(book_migrations.shipped(migrations), at=at)
        except BaseException:
            self.close()
            raise

    def _bring_up_to_date(self, known: list[book_migrations.Migration], *, at: datetime) -> None:
        if self._database.sqlite:
            book_migrations.migrate(self._database, known, at=at)
        elif book_migrations.check(self._database, known):
            raise ConfigError(
                f"book {self._database.shown}: its schema is older than this bft; "
                "run: bft ledger migrate"
            )

    def commit(
        self, pages: Sequence[Page], *, lease: Lease | None = None, now: datetime
    ) -> list[JournalRow]:
        """Write pages in order as one transaction; see `Book`."""
        with self._database.driving(alone="book") as driver:
            done = self._pages.found(driver, pages)
            left = pages[len(done) :]
            if left and lease is not None:
                self._leases.check(driver, lease, now=now)
            written = self._pages.write(driver, left, now=now)
        self._pages.certain()
        return [row for rows in (*done, *written) for row in rows]

    def rows(
        self,
        table: str,
        *,
        where: Mapping[str, object] | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[dict[str, Any]]:
        """Rows of a table; see `Book`."""
        found, spec = table_of(table), TABLES[table]
        query = sa.select(found).where(*conditions(found, where, since=since))
        keys = [found.c[name] for name in spec.key]
        if newest_first:
            query = query.order_by(found.c[spec.instant].desc(), *(key.desc() for key in keys))
        else:
            query = query.order_by(*keys)
        with self._database.reading() as connection:
            result = connection.execute(query.limit(limit)).mappings()
            return [dict(row) for row in result]

    def count(
        self,
        table: str,
        *,
        where: Mapping[str, object] | None = None,
        since: datetime | None = None,
    ) -> int:
        """How many rows `rows` would find."""
        found = table_of(table)
        query = sa.select(sa.func.count()).select_from(found)
        query = query.where(*conditions(found, where, since=since))
        with self._database.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def distinct(
        self, table: str, column: str, *, where: Mapping[str, object] | None = None
    ) -> list[Any]:
        """Values of a column, each once, ascending."""
        found = table_of(table)
        conditions(found, {column: None})  # names the columns where there is none such
        wanted = found.c[column]
        query = sa.select(wanted).where(*conditions(found, where)).distinct().order_by(wanted)
        with self._database.reading() as connection:
            return list(connection.execute(query).scalars())

    def journal(self, *, after: int = 0) -> Iterator[JournalRow]:
        """Journal rows with a higher seq, ascending, complete at the time of the call."""
        with self._database.reading() as connection:
            last = connection.execute(sa.select(sa.func.max(JOURNAL.c.seq))).scalar() or 0
        while after < last:
            rows = self._stretch(after, last)
            yield from (_journal_row(row) for row in rows)
            after = rows[-1].seq if rows else last

    def mentions(self, text: str, *, limit: int) -> list[JournalRow]:
        """Journal rows whose body holds the text; see `Book`."""
        query = sa.select(JOURNAL).where(JOURNAL.c.body.contains(text, autoescape=True))
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(JOURNAL.c.seq).limit(limit)).all()
        return [_journal_row(row) for row in rows]

    def verify_chain(self, *, newest: int | None = None) -> JournalRow | None:
        """Check every hash, or that of the newest rows; the last row."""
        row, broken = self._walk(newest)
        if broken is not None:
            raise DataError(
                f"journal row {broken} does not follow from the one before: it was altered or "
                "lost; restore the database from a copy"
            )
        return _journal_row(row) if row else None

    def set_aside(self, *, at: datetime, reason: str) -> JournalRow | None:
        """Move a torn last row to `journal_aside`; see `Book`."""
        last, broken = self._walk()
        if broken is None:
            return _journal_row(last) if last else None
        with self._database.writing(alone="book") as connection:
            newest = connection.execute(sa.select(sa.func.max(JOURNAL.c.seq))).scalar()
            if broken != newest:
                raise DataError(
                    f"journal row {broken} of {newest} is broken, not only the last; "
                    "restore the database from a copy"
                )
            torn = sa.select(JOURNAL, sa.literal(_text(at)), sa.literal(reason))
            torn = torn.where(JOURNAL.c.seq == broken)
            connection.execute(sa.insert(ASIDE).from_select([c.name for c in ASIDE.c], torn))
            connection.execute(sa.delete(JOURNAL).where(JOURNAL.c.seq == broken))
        return _journal_row(last) if last else None

    def claim(self, key: str) -> Claim | None:
        """The row of an idempotency key, or None."""
        with self._database.driving(writes=False) as driver:
            row = driver.run(_CLAIM, (key,)).fetchone()
        if row is None:
            return None
        told = dict(zip(IDEMPOTENCY.c.keys(), row, strict=True))
        body = None if told["body"] is None else json.loads(told["body"])
        return Claim(**{**told, "at": datetime.fromisoformat(told["at"]), "body": body})

    def claimed(self, *, most: int) -> Sequence[str] | None:
        """Every idempotency key there is, unless there are too many."""
        with self._database.reading() as connection:
            keys = connection.execute(sa.select(IDEMPOTENCY.c.key).limit(most + 1)).scalars().all()
        return keys if len(keys) <= most else None

    def acquire(
        self, name: str, *, holder: str, ttl_s: float, now: datetime, holder_dead: bool = False
    ) -> Lease:
        """Take a lease; see `Book`."""
        until = now + timedelta(seconds=ttl_s)
        return self._leases.acquire(
            name, holder=holder, until=until, now=now, holder_dead=holder_dead
        )

    def renew(self, lease: Lease, *, ttl_s: float, now: datetime) -> Lease:
        """Hold it longer; see `Book`."""
        return self._leases.renew(lease, until=now + timedelta(seconds=ttl_s))

    def release(self, lease: Lease) -> None:
        """Give it back; another's stays."""
        self._leases.release(lease)

    def pending_outbox(self, *, limit: int) -> list[dict[str, Any]]:
        """Notifications not delivered yet, oldest first."""
        waiting = sa.select(OUTBOX).where(OUTBOX.c.delivered_at.is_(None))
        with self._database.reading() as connection:
            rows = connection.execute(waiting.order_by(OUTBOX.c.id).limit(limit)).all()
        return [{**row.body, "id": row.id, "at": row.at} for row in rows]

    def delivered(self, ids: Sequence[int], *, at: datetime) -> None:
        """Mark notifications as delivered."""
        done = sa.update(OUTBOX).where(OUTBOX.c.id.in_(list(ids))).values(delivered_at=_text(at))
        with self._database.writing() as connection:
            connection.execute(done)

    def prune(self, *, now: datetime) -> Mapping[str, int]:
        """Drop what may go by age; count it."""
        snapshots = DERIVED["broker_snapshots"]
        ages = ((IDEMPOTENCY, IDEMPOTENCY_KEPT), (OUTBOX, OUTBOX_KEPT), (snapshots, SNAPSHOTS_KEPT))
        with self._database.writing() as connection:
            return {
                table.name: connection.execute(
                    sa.delete(table).where(table.c.at < _text(now - kept))
                ).rowcount
                for table, kept in ages
            }

    def probe(self) -> float:
        """Write and commit one row; seconds it took."""
        begun = time.perf_counter()
        with self._database.writing() as connection:
            connection.execute(sa.update(PROBE).values(writes=PROBE.c.writes + 1))
        return time.perf_counter() - begun

    def close(self) -> None:
        """Close the connections; a lease's file lock ends with them."""
        self._leases.close()
        self._database.close()

    def _stretch(self, after: int, last: int) -> Sequence[Any]:
        query = sa.select(JOURNAL).where(JOURNAL.c.seq > after, JOURNAL.c.seq <= last)
        with self._database.reading() as connection:
            return connection.execute(query.order_by(JOURNAL.c.seq).limit(_FETCH)).all()

    def _walk(self, newest: int | None = None) -> tuple[Any, int | None]:
        """The last row that follows, and the seq of the first that does not."""
        last = self._before_newest(newest) if newest is not None else None
        seq, before = (last.seq, last.hash) if last else (0, GENESIS)
        rows = self._stretch(seq, _ALL)
        while rows:
            for row in rows:
                if not _follows(row, seq, before):
                    return last, row.seq
                last, seq, before = row, row.seq, row.hash
            rows = self._stretch(seq, _ALL)
        return last, None

    def _before_newest(self, count: int) -> Any:
        """The row before the newest `count`, or None."""
        query = sa.select(JOURNAL).order_by(JOURNAL.c.seq.desc()).offset(count).limit(1)
        with self._database.reading() as connection:
            return connection.execute(query).first()


_ALL = 2**62
_CLAIM = f"SELECT {', '.join(IDEMPOTENCY.c.keys())} FROM idempotency WHERE key = ?"  # noqa: S608  own names


def migrate_book(url: str, *, at: datetime) -> list[int]:
    """Bring a database's schema up to the code's; numbers applied."""
    database = BookDatabase(url)
    try:
        return book_migrations.migrate(database, book_migrations.shipped(), at=at)
    finally:
        database.close()


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _follows(row: Any, seq: int, before: str) -> bool:
    if row.seq != seq + 1 or row.prev_hash != before:
        return False
    return bool(row.hash == digest(before, canonical_text(row.at, row.kind, row.body)))


def _journal_row(row: Any) -> JournalRow:
    entry = Entry(kind=row.kind, at=datetime.fromisoformat(row.at), body=json.loads(row.body))
    return JournalRow(seq=row.seq, entry=entry, prev_hash=row.prev_hash, hash=row.hash)
