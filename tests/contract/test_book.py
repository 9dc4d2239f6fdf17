"""What every Book does: SQLite and a real PostgreSQL."""

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Protocol

import pytest
import sqlalchemy as sa
from books import ACCOUNT, AT, FACTS, after, booked, fill, intent, round_trip
from risk_cases import context, order
from servers import postgres

from bft.adapters.store.book import SqlBook, migrate_book
from bft.adapters.store.book_database import BookDatabase
from bft.adapters.store.book_schema import METADATA
from bft.domain.encoding import encode
from bft.domain.errors import DataError, RefusedError, UnavailableError
from bft.domain.journal import AtLeast, RowChange, canonical_json, chained
from bft.ledger import entries
from bft.ledger.fold import apply, replay
from bft.ledger.load import load
from bft.ledger.state import BookState
from bft.ledger.verify import differences, rows_of
from bft.ports import Answered, Claim, Page
from bft.risk.decide import evaluate


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    with postgres() as url:
        yield url


def new_database(server: str, tmp_path: Path) -> str:
    name = f"b{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"
    admin = sa.create_engine(server.replace("://", "+psycopg://"), isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    admin.dispose()
    return server.replace("/postgres", f"/{name}")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'state.db'}"
    made = new_database(request.getfixturevalue("postgres_url"), tmp_path)
    assert migrate_book(made, at=AT) == [1, 2]
    return made


class Connect(Protocol):
    def __call__(self) -> SqlBook: ...


@pytest.fixture
def connect(url: str) -> Iterator[Connect]:
    """Opens the same database again, as another process would; all are closed at the end."""
    opened: list[SqlBook] = []

    def open_book() -> SqlBook:
        opened.append(SqlBook(url, at=AT))
        return opened[-1]

    yield open_book
    for book in opened:
        book.close()


@pytest.fixture
def book(connect: Connect) -> SqlBook:
    return connect()


def pages_of(state: BookState, told: list[object]) -> list[Page]:
    return [Page(entries=[entry], rows=apply(state, entry)) for entry in told]  # type: ignore[arg-type, list-item]


def event(name: str) -> Page:
    told = entries.event(AT, kind="SYSTEM", severity="INFO", name=name, message="")
    return Page(entries=[told])


def execute(url: str, statement: str, **values: object) -> None:
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    try:
        with engine.begin() as connection:
            connection.execute(sa.text(statement), values)
    finally:
        engine.dispose()


def test_journal_goes_on_as_one_chain(book: SqlBook, connect: Connect) -> None:
    first = book.commit([event("a"), event("b")], now=AT)
    second = connect().commit([event("c")], now=AT)
    rows = list(book.journal())
    assert rows == first + second
    assert [row.seq for row in rows] == [1, 2, 3]
    before = "0" * 64
    for row in rows:
        body = canonical_json(row.entry.body)
        assert row == chained(row.seq, row.entry, before, body=body)
        before = row.hash
    for newest in (None, 1, 3, 9):
        assert book.verify_chain(newest=newest) == rows[-1]
    assert list(book.journal(after=2)) == rows[2:]


def test_stored_text_is_canonical_whatever_it_shares(book: SqlBook, url: str) -> None:
    request = order(features={"\u00e9": [1, {"b": 2, "a": Decimal("0.1")}]}, metadata={})
    told = evaluate(request, context())
    given = {"decision_id": "d", "request": request, "decision": told, "context": context()}
    made = [
        entries.signal(AT, request=request, request_hash="h"),
        entries.decision(AT, **given),  # type: ignore[arg-type]
    ]
    state = BookState()
    rows = [change for entry in made for change in apply(state, entry)]
    book.commit([Page(entries=made, rows=rows)], now=AT)
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.connect() as connection:
        stored = connection.exec_driver_sql("SELECT body FROM journal ORDER BY seq").scalars().all()
    engine.dispose()
    assert stored == [canonical_json(entry.body) for entry in made]
    assert book.rows("decisions")[0]["context"] == encode(context())


def test_tables_and_state_are_what_the_journal_replays_to(book: SqlBook) -> None:
    state = BookState()
    for n in range(3):
        start = AT + timedelta(minutes=n)
        price = ("95", "115", "95")[n]
        told = round_trip(f"s{n}", start=start, exit_price=price, order_id=1 + 3 * n)
        book.commit(pages_of(state, told), now=AT)
    open_order = intent(signal="open")
    more = [
        entries.intents(AT, intents=(open_order,), facts=FACTS),
        booked(fill(open_order, 40, "10", id="o.01", at=after(400))),
        entries.fee(AT, exec_id="nobody.01", fee_usd=FACTS.ref_price_usd),  # type: ignore[arg-type]
        entries.kill(AT, source="api", by="ann", reason="drill"),
        entries.override(AT, name="max_trades_per_day", value=3, by="ann"),
        entries.epoch(AT, number=4),
    ]
    book.commit(pages_of(state, more), now=AT)
    told = [row.entry for row in book.journal()]
    for table, replayed in rows_of(told).items():
        assert list(differences(table, replayed, book.rows(table))) == [], table
    assert replay(told) == state
    assert load(book, at=told[-1].at) == state


def test_schema_is_what_the_code_thinks_it_is(book: SqlBook, url: str) -> None:
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    inspector = sa.inspect(engine)
    for table in METADATA.tables.values():
        found = [column["name"] for column in inspector.get_columns(table.name)]
        assert found == table.columns.keys(), table.name
        key = inspector.get_pk_constraint(table.name)["constrained_columns"]
        assert key == [column.name for column in table.primary_key.columns], table.name
    engine.dispose()
    assert book.rows("intents") == []


def test_rows_are_filtered_and_ordered(book: SqlBook) -> None:
    state = BookState()
    for n in range(4):
        order = intent(signal=f"s{n}")
        told = entries.intents(after(n), intents=(order,), facts=FACTS)
        book.commit(pages_of(state, [told]), now=AT)
    newest = book.rows("intents", newest_first=True, limit=2)
    assert [row["signal_id"] for row in newest] == ["s3", "s2"]
    assert {row["signal_id"] for row in book.rows("intents", since=after(2))} == {"s2", "s3"}
    assert len(book.rows("intents", where={"state": "RESERVED", "ended_at": None})) == 4
    assert len(book.rows("intents", where={"signal_id": ["s1", "s2", "x"]})) == 2
    assert len(book.rows("trades", where={"created_at": AtLeast("2030")})) == 0
    assert (book.count("intents"), book.count("intents", since=after(2))) == (4, 2)
    assert book.count("intents", where={"signal_id": AtLeast("s1")}) == 3
    assert book.distinct("intents", "signal_id", where={"leg": "entry"}) == ["s0", "s1", "s2", "s3"]
    with pytest.raises(DataError, match="no table 'pears'"):
        book.rows("pears")
    with pytest.raises(DataError, match="no column 'pears'"):
        book.rows("intents", where={"pears": 1})


def test_a_page_that_does_not_fit_leaves_nothing(book: SqlBook) -> None:
    bad = RowChange(
        table="orders",
        key={"epoch": 1, "client_id": 1, "order_id": 1},
        row={"epoch": 1, "client_id": 1, "order_id": 1, "intent_id": "nobody", "at": "x"},
    )
    with pytest.raises(DataError, match=r"(?i)foreign key"):
        book.commit([event("a"), Page(entries=event("b").entries, rows=[bad])], now=AT)
    assert list(book.journal()) == []
    assert book.commit([event("c")], now=AT)[0].seq == 1


def test_journal_rows_refuse_change(book: SqlBook, url: str) -> None:
    book.commit([event("a")], now=AT)
    for statement in ("UPDATE journal SET body = 'x'", "DELETE FROM journal"):
        with pytest.raises(sa.exc.DBAPIError, match="never changed"):
            execute(url, statement)
    assert len(list(book.journal())) == 1


def test_torn_last_row_is_set_aside_a_broken_one_before_is_not(book: SqlBook, url: str) -> None:
    rows = book.commit([event("a"), event("b")], now=AT)
    torn = (
        "INSERT INTO journal (seq, at, kind, body, prev_hash, hash) "
        "VALUES (:seq, :at, 'event', '{\"na', :before, 'torn')"
    )
    execute(url, torn, seq=3, at=AT.isoformat(), before=rows[-1].hash)
    with pytest.raises(DataError, match="journal row 3 does not follow"):
        book.verify_chain()
    assert book.set_aside(at=AT, reason="torn") == rows[-1]
    assert book.verify_chain() == rows[-1]
    assert book.commit([event("c")], now=AT)[0].seq == 3
    for seq in (4, 5):
        execute(url, torn, seq=seq, at="x", before="x")
    with pytest.raises(DataError, match="journal row 5 does not follow"):
        book.verify_chain(newest=1)
    with pytest.raises(DataError, match="row 4 of 5 is broken"):
        book.set_aside(at=AT, reason="torn")


def test_claims_are_taken_once_and_answered(book: SqlBook) -> None:
    claim = Claim(key="k", subject="ann", request_hash="h", at=AT, intent_id="i")
    book.commit([Page(entries=event("a").entries, claims=[claim])], now=AT)
    assert book.claim("k") == claim
    assert book.claim("other") is None
    with pytest.raises(DataError, match=r"(?i)unique"):
        book.commit([Page(entries=event("b").entries, claims=[claim])], now=AT)
    told = [Answered(key=key, status=201, body={"id": "i"}) for key in ("k", "unclaimed")]
    for _ in range(2):  # a page without entries may be written again
        book.commit([Page(entries=(), answers=told)], now=AT)
    answered = book.claim("k")
    assert answered is not None
    assert (answered.status, answered.body) == (201, {"id": "i"})
    assert book.claim("unclaimed") is None
    assert (book.claimed(most=1), book.claimed(most=0)) == (["k"], None)
    assert len(list(book.journal())) == 1


def test_outbox_is_delivered_once(book: SqlBook) -> None:
    notes = [{"name": "fill", "n": n} for n in range(3)]
    book.commit([Page(entries=event("a").entries, outbox=notes)], now=AT)
    waiting = book.pending_outbox(limit=2)
    assert [(note["name"], note["n"]) for note in waiting] == [("fill", 0), ("fill", 1)]
    book.delivered([note["id"] for note in waiting], at=AT)
    assert [note["n"] for note in book.pending_outbox(limit=9)] == [2]


def test_prune_drops_by_age_only_what_may_go(book: SqlBook) -> None:
    state = BookState()
    claim = Claim(key="k", subject="ann", request_hash="h", at=AT)
    told = entries.snapshot(AT, snapshot_id="s", snapshot={"positions": []})
    page = Page(entries=[told], rows=apply(state, told), claims=[claim], outbox=[{"n": 1}])
    book.commit([page], now=AT)
    nothing = {"idempotency": 0, "outbox": 0, "broker_snapshots": 0}
    assert book.prune(now=AT + timedelta(days=7)) == nothing
    assert book.prune(now=AT + timedelta(days=31)) == nothing | {
        "idempotency": 1,
        "broker_snapshots": 1,
    }
    assert book.prune(now=AT + timedelta(days=91))["outbox"] == 1
    assert len(list(book.journal())) == 1


def test_lease_fences_every_commit(book: SqlBook, connect: Connect, url: str) -> None:
    lease = book.acquire("executor:DU1", holder="one", ttl_s=15, now=AT)
    assert lease.token == 1
    other = connect()
    with pytest.raises(RefusedError, match=r"executor:DU1 is held by one"):
        other.acquire("executor:DU1", holder="two", ttl_s=15, now=AT)
    book.commit([event("a")], lease=lease, now=after(14))
    if not url.startswith("sqlite"):  # there the file lock proves the holder alive (ADR 0034)
        with pytest.raises(RefusedError, match="expired at"):
            book.commit([event("b")], lease=lease, now=after(16))
    lease = book.renew(lease, ttl_s=15, now=after(10))
    book.commit([event("b")], lease=lease, now=after(16))
    if url.startswith("sqlite"):
        book.close()  # as its process ends; the row has not expired
    late = other.acquire("executor:DU1", holder="two", ttl_s=15, now=after(26))
    assert late.token == 2
    again = connect()
    with pytest.raises(RefusedError, match="by now"):
        again.commit([event("c")], lease=lease, now=after(27))
    with pytest.raises(RefusedError, match="another's by now"):
        again.renew(lease, ttl_s=15, now=after(27))
    again.release(lease)
    assert other.commit([event("c")], lease=late, now=after(27))[0].seq == 3
    other.release(late)
    assert again.acquire("executor:DU1", holder="three", ttl_s=15, now=after(27)).token == 3


def test_holder_proven_dead_loses_its_lease(book: SqlBook, connect: Connect, url: str) -> None:
    book.acquire("l", holder="one", ttl_s=15, now=AT)
    if url.startswith("sqlite"):
        book.close()
    taken = connect().acquire("l", holder="two", ttl_s=15, now=AT, holder_dead=True)
    assert (taken.token, taken.holder) == (2, "two")


def test_probe_commits(book: SqlBook) -> None:
    assert 0 < book.probe() < 5


def test_many_pages_share_one_commit(book: SqlBook, url: str) -> None:
    state = BookState()
    pages = []
    for n in range(32):
        order = intent(signal=f"s{n}")
        pages += pages_of(state, [entries.intents(AT, intents=(order,), facts=FACTS)])
    assert [row.seq for row in book.commit(pages, now=AT)] == list(range(1, 33))
    (row,) = book.rows("limits_state", where={"scope": "account", "key": ACCOUNT})
    assert (row["orders"], row["entries"]) == (32, 32)


def test_connection_lost_in_a_commit_is_told_once_and_replaced(
    postgres_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not by a traceback of the pool as well, in the middle of JSON lines."""
    url = new_database(postgres_url, tmp_path).replace("://", "+psycopg://")
    database, admin = BookDatabase(url), sa.create_engine(url)

    def lose() -> None:
        with database.driving() as driver, admin.connect() as connection:
            (number,) = driver.run("SELECT pg_backend_pid()").fetchone()
            connection.exec_driver_sql(f"SELECT pg_terminate_backend({number})")

    with pytest.raises(UnavailableError, match="terminat"):
        lose()
    assert caplog.records == []
    with database.driving() as driver:
        assert driver.run("SELECT 1").fetchone() == (1,)
    database.close()
    admin.dispose()


def test_absent_server_is_unavailable_and_hides_the_password() -> None:
    with pytest.raises(UnavailableError) as caught:
        SqlBook("postgresql://bft:hunter2@127.0.0.1:1/x", at=AT)
    assert "hunter2" not in str(caught.value)
