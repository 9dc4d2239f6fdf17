"""A look at a root's book that leaves no trace."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bft.adapters.store.book import SqlBook
from bft.adapters.store.book_glance import held_symbols
from bft.domain.errors import UnavailableError

AT = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)
ROW = (
    "insert into positions (account, con_id, symbol, qty, average_cost_usd, cost_usd, opened_at) "
    "values ('A', ?, ?, ?, '100', '100', '2026-01-05T15:00:00+00:00')"
)


def test_open_positions_of_a_book_are_named(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    SqlBook(f"sqlite:///{file}", at=AT).close()
    with closing(sqlite3.connect(file)) as link, link:
        for row in ((2, "MSFT", "-5"), (1, "AAPL", "49"), (3, "NVDA", "0")):
            link.execute(ROW, row)
    before = sorted(tmp_path.iterdir())
    assert held_symbols(file) == ["AAPL", "MSFT"]
    assert sorted(tmp_path.iterdir()) == before


def test_what_an_open_book_has_not_merged_yet_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    SqlBook(f"sqlite:///{file}", at=AT).close()
    with closing(sqlite3.connect(file)) as link:
        link.execute("pragma wal_autocheckpoint = 0")
        link.execute(ROW, (1, "AAPL", "49"))
        link.commit()
        assert (tmp_path / "state.db-wal").stat().st_size
        assert held_symbols(file) == ["AAPL"]


def test_where_there_is_no_book_none_is_made(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    assert held_symbols(file) == []
    assert not file.exists()
    with closing(sqlite3.connect(file)) as link, link:
        link.execute("create table leases (name text)")
    before = file.read_bytes()
    assert held_symbols(file) == []
    assert file.read_bytes() == before


def test_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    file.write_text("no database at all, but long enough to look at" * 40)
    with pytest.raises(UnavailableError, match=r"state\.db: file is not a database"):
        held_symbols(file)
