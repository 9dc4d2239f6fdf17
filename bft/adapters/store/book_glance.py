"""A look at the book in a root's SQLite file, which changes nothing: no schema, no row, no file."""

import sqlite3
from contextlib import closing
from pathlib import Path

from bft.domain.errors import UnavailableError

BUSY_S = 1.0


def held_symbols(file: Path) -> list[str]:
    """Symbols of open positions, one for each position, sorted; none where there is no book.

    Raises:
        UnavailableError: the file cannot be read.
    """
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
            rows = link.execute("select symbol, qty from positions order by symbol")
            return [str(symbol) for symbol, qty in rows if float(qty) != 0]
    except sqlite3.Error as error:
        raise UnavailableError(f"book {file}: {error}") from error
