"""A look at the book, which changes nothing: no schema, no row, no file."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError

from bft.domain.errors import ConfigError, UnavailableError
from bft.domain.masking import masked

BUSY_S = 1.0
CONNECT_S = 5
_POSITIONS = "select symbol, qty from positions order by symbol"
_COUNTERS = "select name, value from counters where name in ('owner', 'clock', 'flags')"
_NEWEST = "select seq, at from journal order by seq desc limit 1"


def held_symbols(url: str) -> list[str]:
    """Symbols of open positions, one for each position, sorted; none where there is no book.

    `url` is SQLite's `sqlite:///PATH` or `postgresql://...`. Any schema will do that has positions.

    Raises:
        ConfigError: an address of anything else.
        UnavailableError: it cannot be read.
    """
    return [str(symbol) for symbol, qty in _rows(url, "positions", _POSITIONS) if float(qty) != 0]


def last_start(url: str) -> dict[str, str]:
    """How the book's executor was started, in the words of `serve_again`; empty where none was.

    Raises:
        ConfigError: an address of anything else.
        UnavailableError: it cannot be read.
    """
    told = {str(name): str(value) for name, value in _rows(url, "counters", _COUNTERS)}
    for _, at in _rows(url, "journal", _NEWEST):
        told["last_at"] = str(at)
    return told


def _rows(url: str, table: str, select: str) -> list[tuple[Any, Any]]:
    """Rows of a table, or none where it is not there."""
    try:
        address = sa.make_url(url)
    except ArgumentError as error:
        raise ConfigError(_no_address("no address")) from error
    kind = address.get_backend_name()
    if kind == "sqlite":
        return _in_file(Path(address.database), table, select) if address.database else []
    if kind == "postgresql":
        return _in_server(address.set(drivername="postgresql+psycopg"), table, select)
    raise ConfigError(_no_address(f"{kind}://..."))


def _no_address(given: str) -> str:
    return f"BFT_STATE_URL is {given}; the book needs sqlite:///PATH or postgresql://..."


def _in_file(file: Path, table: str, select: str) -> list[tuple[Any, Any]]:
    if not file.is_file():
        return []
    # Without a log beside it nobody has the file open, and SQLite must be told so, else it makes a
    # log and an index, and leaves them. With one both are there.
    closed = "" if file.with_name(f"{file.name}-wal").exists() else "&immutable=1"
    where = f"{file.absolute().as_uri()}?mode=ro{closed}"
    try:
        link = sqlite3.connect(where, uri=True, timeout=BUSY_S)
        with closing(link):
            there = "select 1 from sqlite_master where type = 'table' and name = ?"
            if link.execute(there, (table,)).fetchone() is None:
                return []
            return link.execute(select).fetchall()
    except sqlite3.Error as error:
        raise UnavailableError(f"book {file}: {error}") from error


def _in_server(address: sa.URL, table: str, select: str) -> list[tuple[Any, Any]]:
    engine = sa.create_engine(
        address,
        poolclass=sa.NullPool,
        connect_args={"connect_timeout": CONNECT_S},
        execution_options={"postgresql_readonly": True},
    )
    try:
        with engine.connect() as link:
            if not sa.inspect(link).has_table(table):
                return []
            return [(row[0], row[1]) for row in link.execute(sa.text(select))]
    except DBAPIError as error:
        reason = str(error.orig).strip().partition("\n")[0]
        given = address.render_as_string(hide_password=False)
        raise UnavailableError(masked(f"book {given}: {reason}", given)) from error
