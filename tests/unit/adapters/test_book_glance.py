"""A look at a root's book that leaves no trace."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bft.adapters.store.book import SqlBook
from bft.adapters.store.book_glance import held_symbols
from bft.cli import CommandLine
from bft.domain.errors import ConfigError, UnavailableError
from bft.settings import Secret, Settings
from bft.wiring import Wired

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
    assert held_symbols(f"sqlite:///{file}") == ["AAPL", "MSFT"]
    assert sorted(tmp_path.iterdir()) == before


def test_what_an_open_book_has_not_merged_yet_is_seen(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    SqlBook(f"sqlite:///{file}", at=AT).close()
    with closing(sqlite3.connect(file)) as link:
        link.execute("pragma wal_autocheckpoint = 0")
        link.execute(ROW, (1, "AAPL", "49"))
        link.commit()
        assert (tmp_path / "state.db-wal").stat().st_size
        assert held_symbols(f"sqlite:///{file}") == ["AAPL"]


def test_where_there_is_no_book_none_is_made(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    assert held_symbols(f"sqlite:///{file}") == []
    assert not file.exists()
    with closing(sqlite3.connect(file)) as link, link:
        link.execute("create table leases (name text)")
    before = file.read_bytes()
    assert held_symbols(f"sqlite:///{file}") == []
    assert file.read_bytes() == before


def test_file_named_by_a_state_url_is_neither_made_nor_migrated(tmp_path: Path) -> None:
    file = tmp_path / "elsewhere" / "state.db"
    settings = Settings(state_url=Secret(f"sqlite:///{file}"))
    ports = Wired(settings, root=str(tmp_path / "root"), commands=CommandLine())
    assert ports.held_symbols() == []
    assert list(tmp_path.iterdir()) == []
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as link, link:  # of an older bft: a book of one table
        link.execute("create table positions (symbol text, qty text)")
        link.execute("insert into positions values ('AAPL', '49')")
    before = file.read_bytes()
    assert ports.held_symbols() == ["AAPL"]
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["state.db"]


@pytest.mark.parametrize(("url", "told"), [("mysql://h/x", "mysql://..."), ("x", "no address")])
def test_address_of_no_book_is_said_without_its_words(url: str, told: str) -> None:
    with pytest.raises(ConfigError, match=f"BFT_STATE_URL is {told}"):
        held_symbols(url)


@pytest.mark.parametrize("place", ["bft:hunter2@127.0.0.1:1/x", "127.0.0.1:1/x?password=hunter2"])
def test_server_that_does_not_answer_is_said_and_hides_the_password(place: str) -> None:
    with pytest.raises(UnavailableError, match=r"book postgresql.*127\.0\.0\.1:1") as caught:
        held_symbols(f"postgresql://{place}")
    assert "hunter2" not in str(caught.value)


def test_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    file.write_text("no database at all, but long enough to look at" * 40)
    with pytest.raises(UnavailableError, match=r"state\.db: file is not a database"):
        held_symbols(f"sqlite:///{file}")
