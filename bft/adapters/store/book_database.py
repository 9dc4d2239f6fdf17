"""The database under the executor's book: connections, durability, errors, the holder's lock."""

import fcntl
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, IntegrityError

from bft.domain.errors import ConfigError, DataError, RefusedError, UnavailableError

_BEGIN_WRITE = "BEGIN IMMEDIATE"
BUSY_S = 5.0  # executor specification, section 2
_DURABLE = {"on", "remote_apply"}
"""PostgreSQL's synchronous_commit: a commit answers after its WAL is on disk."""


class Driver:
    """The driver's own cursor in a transaction; in its statements `?` stands for a value."""

    def __init__(self, cursor: Any, *, sqlite: bool) -> None:
        self._cursor, self._sqlite = cursor, sqlite

    def run(self, statement: str, values: Sequence[object] = ()) -> Any:
        """Run a statement; the cursor, for its rows."""
        self._cursor.execute(self._marked(statement), values)
        return self._cursor

    def run_each(self, statement: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a statement once for each row of values."""
        self._cursor.executemany(self._marked(statement), rows)

    def read(self, statement: str, values: Sequence[object] = ()) -> Any:
        """The first row, locked against writers where a database has others, or None."""
        return self.run(statement if self._sqlite else f"{statement} FOR SHARE", values).fetchone()

    def _marked(self, statement: str) -> str:
        return statement if self._sqlite else statement.replace("?", "%s")


class BookDatabase:
    """One SQLite file or PostgreSQL database, opened only if its commits are durable.

    Raises:
        ConfigError: commits would not survive a power cut; says which setting is weak.
        UnavailableError: it does not answer.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self.shown = self.engine.url.render_as_string(hide_password=True)
        self.sqlite = self.engine.dialect.name == "sqlite"
        try:
            with self.reading() as connection:
                _check_durable(connection, self.shown)
        except BaseException:
            self.close()
            raise

    @property
    def path(self) -> Path | None:
        """SQLite's file."""
        name = self.engine.url.database
        return Path(name) if self.sqlite and name else None

    @contextmanager
    def writing(self, *, alone: str = "") -> Iterator[sa.Connection]:
        """A transaction that writes; `alone` names what one writer at a time may touch."""
        with self._translated(), self.engine.connect() as connection:
            connection.execution_options(bft_write=True)
            with connection.begin():
                if alone and not self.sqlite:
                    connection.exec_driver_sql(_alone(alone))
                yield connection

    @contextmanager
    def driving(self, *, alone: str = "", writes: bool = True) -> Iterator[Driver]:
        """A transaction by the driver alone: SQLAlchemy's work on a commit costs twice the rest."""
        with self._translated():
            raw = self.engine.raw_connection()
            try:
                driver = Driver(raw.cursor(), sqlite=self.sqlite)
                if self.sqlite and writes:
                    driver.run(_BEGIN_WRITE)
                elif alone:
                    driver.run(_alone(alone))
                yield driver
                raw.commit()
            except BaseException:
                self._undo(raw)
                raise
            finally:
                raw.close()

    def _undo(self, raw: sa.PoolProxiedConnection) -> None:
        """Roll back; a connection that cannot is lost, and the pool makes another."""
        try:
            raw.rollback()
        except self.engine.dialect.loaded_dbapi.Error:
            raw.invalidate()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A transaction that reads."""
        with self._translated(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        driver = self.engine.dialect.loaded_dbapi
        try:
            yield
        except (IntegrityError, driver.IntegrityError) as error:
            raise DataError(f"book {self.shown}: {_first_line(error)}") from error
        except (DBAPIError, driver.Error) as error:
            raise UnavailableError(f"book {self.shown}: {_first_line(error)}") from error

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()


class HolderLock:
    """A lock on a file beside the database that ends with its process, however that ends."""

    def __init__(self, database: Path, name: str) -> None:
        digest = hashlib.sha256(name.encode()).hexdigest()[:12]
        self._path = database.with_name(f"{database.name}.{digest}.lock")
        self._handle: int | None = None

    def take(self) -> bool:
        """Whether it is ours now."""
        if self._handle is not None:
            return True
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise UnavailableError(f"lock {self._path}: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def drop(self) -> None:
        """Give it back; the file stays."""
        if self._handle is not None:
            with suppress(OSError):
                os.close(self._handle)
            self._handle = None


def refused_by_file(name: str, holder: str) -> RefusedError:
    """What a second holder on one machine is told."""
    return RefusedError(
        f"{name} is held by {holder} in a running process of this machine; stop that one first"
    )


def _engine(url: str) -> sa.Engine:
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise ConfigError("BFT_STATE_URL: the book needs sqlite:///PATH or postgresql://...")
    ping = not url.startswith("sqlite")  # a file does not go away
    # the connection used last first: its pages and statements are in its cache still
    engine = sa.create_engine(url, poolclass=sa.QueuePool, pool_pre_ping=ping, pool_use_lifo=True)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _sqlite_settings)
        sa.event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_settings(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    busy = f"busy_timeout={int(BUSY_S * 1000)}"
    for pragma in (busy, "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_begin(connection: sa.Connection) -> None:
    """Writers take the lock when they begin: a later upgrade could not wait for it."""
    write = connection.get_execution_options().get("bft_write")
    connection.exec_driver_sql(_BEGIN_WRITE if write else "BEGIN")


def _alone(name: str) -> str:
    """PostgreSQL: hold back others that want to be alone with the same until the end."""
    number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:7])
    return f"SELECT pg_advisory_xact_lock({number})"


def _check_durable(connection: sa.Connection, shown: str) -> None:
    if connection.dialect.name == "sqlite":
        wanted: dict[str, set[str]] = {
            "journal_mode": {"wal"},
            "synchronous": {"2", "3"},
            "foreign_keys": {"1"},
        }
        ask = "PRAGMA {}"
    else:
        wanted = {"fsync": {"on"}, "synchronous_commit": _DURABLE}
        ask = "SHOW {}"
    for name, good in wanted.items():
        value = str(connection.exec_driver_sql(ask.format(name)).scalar())
        if value not in good:
            raise ConfigError(
                f"book {shown}: {name} is {value}, orders need {' or '.join(sorted(good))}; "
                "a commit must survive a power cut"
            )


def _first_line(error: Exception) -> str:
    told = error.orig if isinstance(error, DBAPIError) else error
    return str(told).strip().partition("\n")[0]
