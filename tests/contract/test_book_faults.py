"""A Book whose database dies, fills up, loses an answer, is too old, too new or too weak."""

import hashlib
import resource
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
import sqlalchemy as sa
from books import AT, MNQ, after, booked, fill, round_trip
from fakes import FixedClock
from servers import PostgresServer, postgres_server

from bft.adapters.store.book import SqlBook, migrate_book
from bft.adapters.store.book_glance import held_symbols
from bft.adapters.store.book_migrations import SHIPPED
from bft.adapters.store.state import SqlState
from bft.domain.errors import ConfigError, RefusedError, UnavailableError
from bft.domain.journal import JournalRow
from bft.ledger import entries
from bft.ledger.fold import apply
from bft.ledger.state import BookState
from bft.ledger.verify import compare
from bft.ports import Page


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as running:
        yield running


@pytest.fixture
def database(server: PostgresServer, request: pytest.FixtureRequest) -> str:
    name = f"f{hashlib.sha256(request.node.name.encode()).hexdigest()[:12]}"
    admin(server, f"CREATE DATABASE {name}")
    return server.url.replace("/postgres", f"/{name}")


def admin(server: PostgresServer, *statements: str) -> None:
    engine = sa.create_engine(
        server.url.replace("://", "+psycopg://"), isolation_level="AUTOCOMMIT"
    )
    try:
        with engine.connect() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
    finally:
        engine.dispose()


@contextmanager
def opened(url: str) -> Iterator[SqlBook]:
    book = SqlBook(url, at=AT)
    try:
        yield book
    finally:
        book.close()


def numbered(n: int) -> Page:
    told = entries.event(AT, kind="SYSTEM", severity="INFO", name=str(n), message="")
    return Page(entries=[told], outbox=[{"n": n}])


def names(book: SqlBook) -> list[str]:
    return [row.entry.body["name"] for row in book.journal()]


def until_written(book: SqlBook, page: Page) -> list[JournalRow]:
    """What the executor's writer does: the same page again until it is told an answer."""
    while True:
        with suppress(UnavailableError):
            return book.commit([page], now=AT)


def test_killed_server_loses_no_page_and_writes_none_twice(
    server: PostgresServer, database: str
) -> None:
    migrate_book(database, at=AT)
    with opened(database) as book, ThreadPoolExecutor(1) as pool:
        reached = [threading.Event() for _ in range(2)]

        def load() -> list[int]:
            seqs = []
            for n in range(180):
                seqs += [row.seq for row in until_written(book, numbered(n))]
                if n % 60 == 59 and n // 60 < 2:
                    reached[n // 60].set()
            return seqs

        told = pool.submit(load)
        for moment in reached:
            assert moment.wait(60)
            server.kill()
            server.start()
        assert told.result(120) == list(range(1, 181))
        assert names(book) == [str(n) for n in range(180)]
        assert [note["n"] for note in book.pending_outbox(limit=500)] == list(range(180))
        last = book.verify_chain()
        assert last is not None
        assert last.seq == 180


class CutCommit(threading.Thread):
    """A proxy that lets the first COMMIT through and drops the answer with the connection."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self._target, self._cut = port, threading.Event()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        self.armed = False

    def run(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._door.accept()
                target = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._up, args=(client, target), daemon=True).start()
                threading.Thread(target=self._down, args=(target, client), daemon=True).start()

    def _up(self, client: socket.socket, target: socket.socket) -> None:
        with client, target, suppress(OSError):
            while data := client.recv(65536):
                if self.armed and b"COMMIT" in data:
                    self.armed = False
                    self._cut.set()
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def _down(self, target: socket.socket, client: socket.socket) -> None:
        with suppress(OSError):
            while data := target.recv(65536):
                if self._cut.is_set():  # the server has answered: it is committed
                    self._cut.clear()
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(data)

    def close(self) -> None:
        self._door.close()


def test_page_whose_commit_was_not_answered_is_found(server: PostgresServer, database: str) -> None:
    migrate_book(database, at=AT)
    port = int(server.url.rpartition(":")[2].partition("/")[0])
    proxy = CutCommit(port)
    proxy.start()
    with opened(database.replace(f":{port}/", f":{proxy.port}/")) as book:
        first = book.commit([numbered(0)], now=AT)
        proxy.armed = True
        with pytest.raises(UnavailableError):
            book.commit([numbered(1), numbered(2)], now=AT)
        rows = book.commit([numbered(1), numbered(2), numbered(3)], now=AT)
        assert [row.seq for row in first + rows] == [1, 2, 3, 4]
        assert names(book) == ["0", "1", "2", "3"]
        assert [note["n"] for note in book.pending_outbox(limit=9)] == [0, 1, 2, 3]
    proxy.close()


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes: to SQLite, a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def fill_up(book: SqlBook) -> None:
    for n in range(2000):
        book.commit([numbered(n)], now=AT)


def test_full_disk_is_unavailable_and_leaves_whole_pages(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'state.db'}") as book:
        with file_limit(600_000), pytest.raises(UnavailableError, match=r"disk|full|I/O"):
            fill_up(book)
        written = len(names(book))
        assert written > 3
        book.commit([numbered(written)], now=AT)
        assert names(book) == [str(n) for n in range(written + 1)]
        assert book.verify_chain() is not None


def test_read_only_database_is_unavailable(
    server: PostgresServer, database: str, tmp_path: Path
) -> None:
    path = tmp_path / "state.db"
    with opened(f"sqlite:///{path}") as book:
        book.commit([numbered(0)], now=AT)
        with opened(f"sqlite:///file:{path}?mode=ro&uri=true") as reader:
            assert names(reader) == ["0"]
            with pytest.raises(UnavailableError, match="readonly"):
                reader.commit([numbered(1)], now=AT)
    migrate_book(database, at=AT)
    name = database.rpartition("/")[2]
    admin(server, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    with opened(database) as book, pytest.raises(UnavailableError, match="read-only"):
        book.commit([numbered(1)], now=AT)


HOLD = """
import sys, time
from datetime import datetime
from bft.adapters.store.book import SqlBook
book = SqlBook(sys.argv[1], at=datetime.fromisoformat(sys.argv[2]))
book.acquire("executor:DU1", holder="other", ttl_s=15, now=datetime.fromisoformat(sys.argv[2]))
print("held", flush=True)
time.sleep(60)
"""


def test_file_lock_is_refused_at_once_and_free_when_its_holder_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path / 'state.db'}"
    words = [sys.executable, "-c", HOLD, url, AT.isoformat()]
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).resolve().parents[2]))
    with subprocess.Popen(words, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with opened(url) as book:
            with pytest.raises(RefusedError, match="held by other in a running process"):
                book.acquire("executor:DU1", holder="me", ttl_s=15, now=after(3600))
            other.kill()
            other.wait()
            lease = book.acquire("executor:DU1", holder="me", ttl_s=15, now=AT)
            assert lease.token == 2
            book.commit([numbered(0)], lease=lease, now=AT)


def test_weak_durability_is_refused(server: PostgresServer, database: str) -> None:
    with pytest.raises(ConfigError, match="journal_mode is memory"):
        SqlBook("sqlite:///:memory:", at=AT)
    name = database.rpartition("/")[2]
    admin(server, f"ALTER DATABASE {name} SET synchronous_commit = off")
    with pytest.raises(ConfigError, match="synchronous_commit is off"):
        SqlBook(database, at=AT)


def test_postgresql_is_not_migrated_unasked(database: str) -> None:
    with pytest.raises(ConfigError, match="run: bft ledger migrate"):
        SqlBook(database, at=AT)
    assert migrate_book(database, at=AT) == [1, 2]
    assert migrate_book(database, at=AT) == []
    with opened(database) as book:
        assert book.rows("intents") == []


def test_look_at_postgresql_makes_nothing_and_names_what_is_held(
    server: PostgresServer, database: str
) -> None:
    assert held_symbols(database) == []
    with pytest.raises(ConfigError, match="run: bft ledger migrate"):
        SqlBook(database, at=AT)
    migrate_book(database, at=AT)
    state = BookState()
    told = (fill(None, 3, "100", id="a.01"), fill(None, 1, "5", id="b.01", contract=MNQ))
    with opened(database) as book:
        for entry in map(booked, told):
            book.commit([Page(entries=[entry], rows=apply(state, entry))], now=AT)
    assert held_symbols(database) == ["AAPL", "MNQH6"]


def upgraded(folder: Path, *, second: str) -> Path:
    """The shipped migrations and one more."""
    folder.mkdir()
    for path in SHIPPED.glob("*.sql"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "0003_more.sql").write_text(second)
    return folder


def test_upgrade_keeps_a_copy_and_every_row(tmp_path: Path) -> None:
    url, state = f"sqlite:///{tmp_path / 'state.db'}", BookState()
    with opened(url) as book:
        pages = [Page(entries=[e], rows=apply(state, e)) for e in round_trip()]
        book.commit(pages, now=AT)
    assert not (tmp_path / "state.db.bak-0").exists()
    folder = upgraded(tmp_path / "m", second="CREATE TABLE more (x TEXT)\n\nDROP TABLE none_such")
    with pytest.raises(UnavailableError, match="none_such"):
        SqlBook(url, at=AT, migrations=folder)
    with opened(url) as book:  # the failed upgrade left nothing
        assert compare([row.entry for row in book.journal()], book.rows) == []
    (folder / "0003_more.sql").write_text("CREATE TABLE more (x TEXT)\n")
    SqlBook(url, at=AT, migrations=folder).close()
    with opened(f"sqlite:///{tmp_path / 'state.db.bak-2'}") as copy:
        assert len(list(copy.journal())) == len(pages)
    with pytest.raises(ConfigError, match="schema 3 is newer than this bft knows"):
        SqlBook(url, at=AT)
    (folder / "0001_book.sql").write_text("-- other\n")
    with pytest.raises(ConfigError, match="another text"):
        SqlBook(url, at=AT, migrations=folder)


def test_kill_pulled_before_the_upgrade_holds_and_asks_for_no_more(tmp_path: Path) -> None:
    url, folder = f"sqlite:///{tmp_path / 'state.db'}", tmp_path / "m"
    folder.mkdir()
    (folder / "0001_book.sql").write_bytes((SHIPPED / "0001_book.sql").read_bytes())
    SqlBook(url, at=AT, migrations=folder).close()
    pulled = "INSERT INTO kill_switch (name, latched, generation, sources) VALUES (?, 1, 3, '[]')"
    with closing(sqlite3.connect(tmp_path / "state.db")) as raw, raw:
        raw.execute(pulled, ("kill",))
    with opened(url) as book:
        (row,) = book.rows("kill_switch")
    assert (row["latched"], row["generation"], row["flatten"]) == (True, 3, False)


def test_book_and_state_share_a_database(database: str, tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path / 'state.db'}", database):
        state = SqlState(url, clock=FixedClock())
        with state.lease("tables"):
            migrate_book(url, at=AT)
            with opened(url) as book:
                book.acquire("tables", holder="me", ttl_s=15, now=AT)
                book.commit([numbered(0)], now=AT)
        assert state.audit() == []
        state.close()
    assert (tmp_path / "state.db.bak-0").exists()


def test_full_disk_loses_no_lease_while_the_file_lock_is_held(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path / 'state.db'}") as book:
        lease = book.acquire("executor:DU1", holder="a", ttl_s=15, now=AT)
        with file_limit(1):
            with pytest.raises(UnavailableError):
                book.commit([numbered(1)], lease=lease, now=AT)
            for later in (5, 10, 20, 60):
                lease = book.renew(lease, ttl_s=15, now=after(later))
        book.commit([numbered(1)], lease=lease, now=after(90))
        assert names(book) == ["1"]
