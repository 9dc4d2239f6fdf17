"""What every State does: SQLite and a real PostgreSQL."""

import hashlib
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest
import sqlalchemy as sa
from fakes import NOW, FixedClock
from servers import postgres

from bft.adapters.store.book import SqlBook
from bft.adapters.store.state import SqlState, folder_url
from bft.domain.errors import ConfigError, RefusedError, UnavailableError

DAY = date(2025, 1, 6)
AT = datetime(2025, 1, 6, 23, tzinfo=UTC)


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return folder_url(tmp_path)
    made: str = request.getfixturevalue("postgres_url")
    name = f"t{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"
    admin = sa.create_engine(made.replace("://", "+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    admin.dispose()
    return made.replace("/postgres", f"/{name}")


class Connect(Protocol):
    def __call__(self, at: datetime = NOW) -> SqlState: ...


@pytest.fixture
def connect(url: str) -> Iterator[Connect]:
    """Opens the same database again, as another process would; all are closed at the end."""
    opened: list[SqlState] = []

    def open_state(at: datetime = NOW) -> SqlState:
        opened.append(SqlState(url, clock=FixedClock(at)))
        return opened[-1]

    yield open_state
    for state in opened:
        state.close()


@pytest.fixture
def state(connect: Connect) -> SqlState:
    return connect()


def entry(reason: str = "test") -> dict[str, object]:
    return {"ts_utc": AT.isoformat(), "actor": "me", "action": "promote", "reason": reason}


def test_budget_counts_to_its_limit_per_day(state: SqlState) -> None:
    counted = [state.charge("key", day=DAY, limit=2) for _ in range(3)]
    assert counted == [True, True, False]
    assert state.charged("key", day=DAY) == 2
    assert state.charge("key", day=date(2025, 1, 7), limit=2)
    assert all(state.charge("other", day=DAY, limit=0) for _ in range(5))


def test_pointer_moves_and_previous_takes_the_old_set(state: SqlState) -> None:
    assert state.pointer("production").set_digest is None
    state.move_pointer(expected_revision=0, set_digest="one", entry=entry(), key="k1")
    now, already = state.move_pointer(
        expected_revision=1, set_digest="two", entry=entry(), key="k2"
    )
    assert (now.set_digest, now.revision, now.audit_seq, already) == ("two", 2, 2, False)
    assert state.pointer("previous").set_digest == "one"
    back, _ = state.move_pointer(
        expected_revision=2, set_digest="one", entry=entry(), key="k3", previous="zero"
    )
    assert (back.set_digest, state.pointer("previous").set_digest) == ("one", "zero")


def test_repeated_key_returns_the_first_result(state: SqlState) -> None:
    first, _ = state.move_pointer(expected_revision=0, set_digest="one", entry=entry(), key="k")
    again, already = state.move_pointer(
        expected_revision=0, set_digest="one", entry=entry(), key="k"
    )
    assert (again, already) == (first, True)
    assert len(state.audit()) == 1


def test_64_concurrent_promotions_have_one_winner(connect: Connect) -> None:
    states = [connect() for _ in range(8)]

    def promote(n: int) -> bool:
        try:
            states[n % 8].move_pointer(
                expected_revision=0, set_digest=f"s{n}", entry=entry(), key=f"k{n}"
            )
        except RefusedError as error:
            assert "conflict" in str(error)  # noqa: PT017  losing is the outcome under test
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(promote, range(64)))
    assert sum(won) == 1
    assert states[0].pointer("production").set_digest == f"s{won.index(True)}"


def test_audit_rows_chain_and_refuse_change(state: SqlState, url: str) -> None:
    for n in range(3):
        state.move_pointer(expected_revision=n, set_digest=f"s{n}", entry=entry(), key=f"k{n}")
    rows, before = state.audit(), "0" * 64
    for row in rows:
        rest = {k: v for k, v in row.items() if k not in {"hash", "prev_hash"}}
        body = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert row["prev_hash"] == before
        assert row["hash"] == hashlib.sha256((before + body).encode()).hexdigest()
        before = row["hash"]
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    for statement in ("UPDATE audit SET body = 'x'", "DELETE FROM audit"):
        with pytest.raises(sa.exc.DBAPIError, match="never changed"), engine.begin() as connection:
            connection.exec_driver_sql(statement)
    engine.dispose()


def test_lease_refuses_a_second_holder_and_names_the_first(connect: Connect) -> None:
    one, two = connect(), connect()
    with one.lease("tables") as check:
        check()
        here = f"pid {os.getpid()} on {socket.gethostname()}"
        with pytest.raises(RefusedError, match=here), two.lease("tables"):
            pass
    with two.lease("tables") as check:
        check()


def test_lease_of_a_killed_process_is_free(
    url: str, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import os, sys; from datetime import UTC, datetime;"
        "from bft.adapters.store.state import SqlState;"
        "from fakes import NOW, FixedClock;"
        f"context = SqlState({url!r}, clock=FixedClock()).lease('tables');"
        "context.__enter__(); os.kill(os.getpid(), 9)"
    )
    tests = str(Path(__file__).resolve().parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([tests, str(Path(tests).parent)]))
    ended = subprocess.run([sys.executable, "-c", code])
    assert ended.returncode == -9
    with connect().lease("tables") as check:
        check()


def test_lost_lease_is_noticed_before_publishing(connect: Connect) -> None:
    early, late = connect(), connect(NOW + timedelta(minutes=10))
    with early.lease("tables") as check:
        with late.lease("tables"):
            pass
        with pytest.raises(RefusedError, match="lost"):
            check()


def test_approvals_count_once_per_actor(state: SqlState) -> None:
    for actor in ("ann", "bob", "ann"):
        state.approve("report", actor=actor, at=AT)
    assert [row["actor"] for row in state.approvals("report")] == ["ann", "bob"]


@pytest.mark.parametrize(
    "url",
    [
        "mysql://bft:hunter2@127.0.0.1/x",
        "oracle+cx://bft:hunter2@127.0.0.1/x",
        "postgresql://bft:hunter2@127.0.0.1:port/x",
        "hunter2",
    ],
)
def test_address_of_no_known_database_is_a_configuration_fault(url: str) -> None:
    with pytest.raises(ConfigError, match=r"BFT_STATE_URL.*postgresql://") as caught:
        SqlState(url, clock=FixedClock())
    assert "bft:hunter2" not in str(caught.value)


def test_absent_server_is_unavailable_and_hides_the_password() -> None:
    with pytest.raises(UnavailableError) as caught:
        SqlState("postgresql://bft:hunter2@127.0.0.1:1/x", clock=FixedClock())
    assert "hunter2" not in str(caught.value)


def test_password_in_the_query_is_hidden_as_well() -> None:
    with pytest.raises(UnavailableError) as caught:
        SqlState("postgresql://127.0.0.1:1/x?password=hunter2", clock=FixedClock())
    assert "hunter2" not in str(caught.value)


def test_file_that_is_not_there_reads_as_empty_until_something_is_written(tmp_path: Path) -> None:
    state = SqlState(folder_url(tmp_path / "root"), clock=FixedClock(AT))
    assert state.pointer("production").revision == 0
    assert state.audit() == []
    assert state.charged("calls", day=DAY) == 0
    assert state.approvals("x") == []
    assert not (tmp_path / "root").exists()
    assert state.charge("calls", day=DAY, limit=0)
    assert state.charged("calls", day=DAY) == 1
    other = SqlState(folder_url(tmp_path / "root"), clock=FixedClock(AT))
    assert other.charged("calls", day=DAY) == 1
    for each in (state, other):
        each.close()


def test_database_that_is_only_read_gets_no_table(connect: Connect, url: str) -> None:
    looking = connect()
    assert looking.pointer("production").set_digest is None
    assert looking.audit() == []
    assert looking.charged("vendor", day=DAY) == 0
    assert tables_of(url) == []
    assert connect().charge("vendor", day=DAY, limit=5)
    assert looking.charged("vendor", day=DAY) == 1  # what another process made is seen
    assert "audit" in tables_of(url)


def tables_of(url: str) -> list[str]:
    if url.startswith("sqlite") and not Path(url.removeprefix("sqlite:///")).exists():
        return []
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    found = sa.inspect(engine).get_table_names()
    engine.dispose()
    return found


def test_file_of_the_book_alone_is_read_unchanged(tmp_path: Path) -> None:
    url = folder_url(tmp_path)
    SqlBook(url, at=AT).close()
    before = tables_of(url)
    state = SqlState(url, clock=FixedClock(AT))
    assert state.pointer("production").set_digest is None
    assert tables_of(url) == before
    assert state.charge("calls", day=DAY, limit=0)
    assert set(tables_of(url)) > set(before)
    state.close()


def test_file_that_another_process_makes_is_seen(tmp_path: Path) -> None:
    first, other = (SqlState(folder_url(tmp_path), clock=FixedClock(AT)) for _ in range(2))
    assert first.charged("calls", day=DAY) == 0
    assert other.charge("calls", day=DAY, limit=0)
    assert first.charged("calls", day=DAY) == 1
    for each in (first, other):
        each.close()


def test_state_that_is_not_there_is_read_by_any_thread(tmp_path: Path) -> None:
    state = SqlState(folder_url(tmp_path / "root"), clock=FixedClock(AT))
    assert state.pointer("production").revision == 0
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: state.pointer("production").revision, range(8)))
    assert found == [0] * 8
    state.close()


@contextmanager
def forbidden(folder: Path) -> Iterator[None]:
    """A folder that this process may not write to; an administrator steps down for that."""
    folder.chmod(0o555)
    user = os.geteuid()
    os.seteuid(user or 65534)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o755)


@pytest.mark.parametrize("table", [True, False])
def test_a_folder_that_may_only_be_read_tells_its_pointer(table: bool) -> None:
    """Red: `unable to open database file`, though nothing was to be written."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        writer = SqlState(folder_url(folder), clock=FixedClock(NOW))
        if table:
            move = {"expected_revision": 0, "set_digest": "a" * 64, "key": "k1"}
            writer.move_pointer(**move, entry=entry())
        writer.close()
        before = sorted(file.name for file in folder.iterdir())
        with forbidden(folder):
            reader = SqlState(folder_url(folder), clock=FixedClock(NOW))
            digest = reader.pointer("production").set_digest
            with pytest.raises(ConfigError, match="give --root a folder you may write to"):
                reader.charge("x", day=DAY, limit=1)
            reader.close()
        assert digest == ("a" * 64 if table else None)
        assert sorted(file.name for file in folder.iterdir()) == before


def test_disk_without_room_says_so(tmp_path: Path) -> None:
    """Red: `disk I/O error`, and nothing of what to do."""
    state = SqlState(folder_url(tmp_path), clock=FixedClock(NOW))
    state.charge("x", day=DAY, limit=0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(UnavailableError, match="the disk may be full: make room"):
            state.charge("x", day=DAY, limit=0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    state.close()
