"""Engines of the SQL state: SQLite in a folder, also one that may only be read, or PostgreSQL."""

import os
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from bft.domain.errors import ConfigError

DIALECTS = ("sqlite", "postgresql")


def open_engine(url: str) -> sa.Engine:
    """Open lazily. Raises ConfigError for an address of anything else."""
    try:
        engine = _opened(url)
    except (sa.exc.ArgumentError, ImportError, ValueError):
        engine = None
    if engine is None or engine.dialect.name not in DIALECTS:
        kind = f"{url.partition('://')[0]}://..." if "://" in url else "no address"
        raise ConfigError(
            f"BFT_STATE_URL is {kind}; name a PostgreSQL database, as postgresql://user@host/bft, "
            "or leave it out for SQLite in the root"
        )
    return engine


def _opened(url: str) -> sa.Engine:
    if url.startswith("postgresql://"):
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = sa.create_engine(url, pool_pre_ping=True)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _sqlite_settings)
        # Writers take the lock when they begin: a later upgrade could not wait for it.
        sa.event.listen(engine, "begin", lambda c: c.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def read_only(engine: sa.Engine) -> sa.Engine | None:
    """For reading an SQLite file that nobody here may write to, or beside; None: it may be."""
    file = Path(engine.url.database or "") if engine.dialect.name == "sqlite" else None
    if file is None or not file.is_file():
        return None
    if all(os.access(place, os.W_OK, effective_ids=True) for place in (file, file.parent)):
        return None
    # Without a log beside it nobody has it open; SQLite must be told, else it would make one.
    logged = file.with_name(f"{file.name}-wal").exists()
    address = f"{file.absolute().as_uri()}?mode=ro{'' if logged else '&immutable=1'}"
    return sa.create_engine(
        "sqlite://",
        poolclass=sa.NullPool,
        creator=lambda: sqlite3.connect(address, uri=True, check_same_thread=False),
    )


def _sqlite_settings(connection: Any, _record: Any) -> None:
    connection.isolation_level = None
    for pragma in ("busy_timeout=20000", "journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
