"""Schema of the book: numbered, forward-only, checksummed migrations, one transaction each.

Source: executor specification, section 2.
"""

import hashlib
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from bft.adapters.store.book_database import BookDatabase
from bft.adapters.store.book_schema import MIGRATIONS
from bft.domain.errors import ConfigError, UnavailableError

SHIPPED = Path(__file__).with_name("migrations")
_APPLIED = (
    "CREATE TABLE IF NOT EXISTS book_migration (number BIGINT PRIMARY KEY, name TEXT NOT NULL, "
    "checksum TEXT NOT NULL, applied_at TEXT NOT NULL)"
)
_ONLY = "-- only: "


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """A file `NNNN_name.sql`; statements end at an empty line."""

    number: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """sha256 of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def statements(self, dialect: str) -> list[str]:
        """What is run on a dialect; comments alone are nothing."""
        found = []
        for block in self.text.split("\n\n"):
            lines = [line for line in block.splitlines() if line.strip()]
            first = lines[0] if lines else ""
            if first.startswith(_ONLY) and first.removeprefix(_ONLY).strip() != dialect:
                continue
            statement = "\n".join(line for line in lines if not line.startswith("--"))
            if statement:
                found.append(statement)
        return found


def shipped(folder: Path = SHIPPED) -> list[Migration]:
    """Migrations of a folder by number, without a gap.

    Raises:
        ConfigError: a number is missing or given twice.
    """
    found = []
    for path in sorted(folder.glob("*.sql")):
        number, _, name = path.stem.partition("_")
        text = path.read_text(encoding="utf-8")
        found.append(Migration(number=int(number), name=name, text=text))
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise ConfigError(f"{folder}: migrations are not numbered 1, 2, 3 ...; reinstall bft")
    return found


def check(database: BookDatabase, known: list[Migration]) -> list[Migration]:
    """Migrations that the database lacks.

    Raises:
        ConfigError: the database is newer than the code, or was made by another text.
    """
    with database.reading() as connection:
        return _pending(connection, database.shown, known)


def _pending(connection: sa.Connection, shown: str, known: list[Migration]) -> list[Migration]:
    if not sa.inspect(connection).has_table("book_migration"):
        return known
    rows = connection.execute(sa.select(MIGRATIONS).order_by(MIGRATIONS.c.number)).all()
    if len(rows) > len(known):
        raise ConfigError(
            f"book {shown}: schema {rows[-1].number} is newer than this bft knows ({len(known)}); "
            "run the bft that made it, or a newer one"
        )
    for row, migration in zip(rows, known, strict=False):
        if row.checksum != migration.checksum:
            raise ConfigError(
                f"book {shown}: migration {row.number} was made by another text than "
                f"{migration.number:04d}_{migration.name}.sql; reinstall bft, change no migration"
            )
    return known[len(rows) :]


def migrate(database: BookDatabase, known: list[Migration], *, at: datetime) -> list[int]:
    """Apply what is missing, each in its own transaction; numbers applied, [] when up to date.

    SQLite is copied to `state.db.bak-N` before, N the schema it had.

    Raises:
        ConfigError: see `check`.
        UnavailableError: no copy could be made, or a statement failed; that migration left nothing.
    """
    done = []
    for migration in check(database, known):
        _back_up(database, migration.number - 1)
        with database.writing(alone="book schema") as connection:
            if migration not in _pending(connection, database.shown, known):
                continue  # another process was faster
            connection.exec_driver_sql(_APPLIED)
            for statement in migration.statements(connection.dialect.name):
                connection.exec_driver_sql(statement)
            row = {"number": migration.number, "name": migration.name}
            row |= {"checksum": migration.checksum, "applied_at": at.isoformat()}
            connection.execute(sa.insert(MIGRATIONS).values(row))
        done.append(migration.number)
    return done


def _has_tables(database: BookDatabase) -> bool:
    with database.reading() as connection:
        return bool(sa.inspect(connection).get_table_names())


def _back_up(database: BookDatabase, version: int) -> None:
    path = database.path
    if path is None or not _has_tables(database):
        return
    copy = path.with_name(f"{path.name}.bak-{version}")
    part = copy.with_name(copy.name + ".part")
    part.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as target:
            source.backup(target)
        with part.open("rb") as handle:
            os.fsync(handle.fileno())
        part.replace(copy)
    except (sqlite3.Error, OSError) as error:
        raise UnavailableError(
            f"no copy {copy.name} before the migration: {error}; free some space, nothing was "
            "changed"
        ) from error
