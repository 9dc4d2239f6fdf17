"""State that survives a kill: changed records are committed before anyone is told."""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from bft.domain.errors import DataError, UnavailableError
from bft.domain.orders import Side
from bft.sim.gateway.exchange.accounts import Account, Position
from bft.sim.gateway.exchange.books import Ids
from bft.sim.gateway.exchange.contracts import Contract, Leg, SecType
from bft.sim.gateway.exchange.orders import Execution, Order, Status, Terms

Record = tuple[str, str, Any]
"""Kind, key, and the value; None deletes."""
_TYPES = {t.__name__: t for t in (Account, Position, Ids, Contract, Leg, Execution, Order, Terms)}
_WORDS = {t.__name__: t for t in (SecType, Side, Status)}


class MemoryStore:
    """Keeps nothing beyond the process."""

    def load(self) -> Iterator[Record]:
        """No records."""
        return iter(())

    def save(self, records: Iterable[Record]) -> None:
        """Forget them."""

    def close(self) -> None:
        """Nothing to close."""


class FileStore:
    """Records in one SQLite file. WAL without fsync outlives the process, not the machine."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._db = _opened(folder / "gateway.db")
        except (OSError, sqlite3.Error) as error:
            raise UnavailableError(
                f"--state {folder}: {error}; is another gateway using it? give another folder"
            ) from error

    def load(self) -> Iterator[Record]:
        """All records.

        Raises:
            DataError: a record of another version.
        """
        rows = self._db.execute("SELECT kind, key, body FROM records ORDER BY kind, key").fetchall()
        for kind, key, body in rows:
            yield kind, key, parse(body)

    def save(self, records: Iterable[Record]) -> None:
        """Commit records in one transaction.

        Raises:
            UnavailableError: the disk does not take them.
        """
        try:
            self._db.execute("BEGIN")
            for kind, key, value in records:
                if value is None:
                    self._db.execute("DELETE FROM records WHERE kind=? AND key=?", (kind, key))
                else:
                    row = (kind, key, render(value))
                    self._db.execute("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", row)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise UnavailableError(f"state could not be written: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def _opened(file: Path) -> sqlite3.Connection:
    database = sqlite3.connect(file, isolation_level=None, timeout=0.2)
    try:
        database.execute("PRAGMA locking_mode=EXCLUSIVE")
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=OFF")
        database.execute(
            "CREATE TABLE IF NOT EXISTS records"
            "(kind TEXT, key TEXT, body TEXT, PRIMARY KEY(kind, key))"
        )
    except sqlite3.Error:
        database.close()
        raise
    return database


def render(value: object) -> str:
    """JSON of a record."""
    return json.dumps(_plain(value), separators=(",", ":"), sort_keys=True)


def parse(text: str) -> Any:
    """Record of its JSON.

    Raises:
        DataError: written by another version.
    """
    try:
        return json.loads(text, object_hook=_object)
    except (TypeError, KeyError, ValueError) as error:
        raise DataError(f"stored record unreadable ({error}); start with a new --state") from error


def _plain(value: object) -> Any:
    if isinstance(value, Decimal):
        return {"$": "D", "v": str(value)}
    if isinstance(value, datetime):
        return {"$": "T", "v": value.isoformat()}
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, tuple):
        return {"$": "tuple", "v": [_plain(one) for one in value]}
    shown = value
    if type(value).__name__ in _WORDS:
        shown = {"$": type(value).__name__, "v": str(value)}
    elif is_dataclass(value):
        named = {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
        shown = {"$": type(value).__name__, "v": named}
    return shown


def _object(pairs: dict[str, Any]) -> Any:
    kind = pairs.get("$")
    if kind is None:
        return pairs
    value = pairs["v"]
    if kind in _TYPES:
        return _TYPES[kind](**value)
    return _MAKERS[kind](value)


_MAKERS: dict[str, Callable[[Any], object]] = {
    "D": Decimal,
    "T": datetime.fromisoformat,
    "tuple": tuple,
    **_WORDS,
}
