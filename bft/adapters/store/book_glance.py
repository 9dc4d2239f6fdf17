"""A look at the book, which changes nothing: no schema, no row, no file."""

import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError

from bft.domain.errors import ConfigError, UnavailableError
from bft.domain.masking import masked

BUSY_S = 1.0
CONNECT_S = 5
_SELECT = "select symbol, qty from positions order by symbol"


def held_symbols(url: str) -> list[str]:
    """Symbols of open positions, one for each position, sorted; none where there is no book.

    `url` is SQLite's `sqlite:///PATH` or `postgresql://...`. Any schema will do that has positions.

    Raises:
        ConfigError: an address of anything else.
        UnavailableError: it cannot be read.
    """
    try:
        address = sa.make_url(url)
    except ArgumentError as error:
        raise ConfigError(_no_address("no address")) from error
    kind = address.get_backend_name()
    if kind == "sqlite":
        return _in_file(Path(address.database)) if address.database else []
    if kind == "postgresql":
        return _in_server(address.set(drivername="postgresql+psycopg"))
    raise ConfigError(_no_address(f"{kind}://..."))


def _no_address(given: str) -> str:
    return f"BFT_STATE_URL is {given}; the book needs sqlite:///PATH or postgresql://..."


def _in_file(file: Path) -> list[str]:
    if not file.is_file():
        return []
    # Without a log beside it nobody has the file open, and SQLite must be told so, else it makes a
    # log and an index, and leaves them. With one both are there.
    closed = "" if file.with_name(f"{file.name}-wal").exists() else "&immutable=1"
    where = f"{file.absolute().as_uri()}?mode=ro{closed}"
    try:
        link = sqlite3.connect(where, uri=True, timeout=BUSY_S)
        with closing(link):
            table = "select 1 from sqlite_master where type = 'table' and name = 'positions'"
            if link.execute(table).fetchone() is None:
                return []
            return _open(link.execute(_SELECT).fetchall())
    except sqlite3.Error as error:
        raise UnavailableError(f"book {file}: {error}") from error


def _in_server(address: sa.URL) -> list[str]:
    engine = sa.create_engine(
        address,
        poolclass=sa.NullPool,
        connect_args={"connect_timeout": CONNECT_S},
        execution_options={"postgresql_readonly": True},
    )
    try:
        with engine.connect() as link:
            if not sa.inspect(link).has_table("positions"):
                return []
            return _open([(row.symbol, row.qty) for row in link.execute(sa.text(_SELECT))])
    except DBAPIError as error:
        reason = str(error.orig).strip().partition("\n")[0]
        given = address.render_as_string(hide_password=False)
        raise UnavailableError(masked(f"book {given}: {reason}", given)) from error


def _open(rows: list[tuple[str, str]]) -> list[str]:
    return [symbol for symbol, qty in rows if float(qty) != 0]
