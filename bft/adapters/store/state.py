"""SQL state: model pointer and audit chain, leases, budgets, approvals (SQLite or PostgreSQL)."""

import hashlib
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError

from bft.adapters.store.state_engines import open_engine, read_only
from bft.domain.errors import ConfigError, RefusedError, UnavailableError
from bft.domain.masking import masked
from bft.domain.runs import Json
from bft.ports import Clock, Pointer

LEASE_TTL_S, LEASE_RENEW_S = 60.0, 20.0  # platform specification, section 1.5
GENESIS = "0" * 64
_FORBIDDEN = ("unable to open database file", "readonly database")
_NO_ROOM = ("disk I/O error", "database or disk is full")

_METADATA = sa.MetaData()
_LEASES = sa.Table(
    "lease",
    _METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("token", sa.Integer, nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False),
)
_BUDGETS = sa.Table(
    "budget",
    _METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("day", sa.Text, primary_key=True),
    sa.Column("calls", sa.Integer, nullable=False),
)
_POINTERS = sa.Table(
    "model_pointer",
    _METADATA,
    sa.Column("alias", sa.Text, primary_key=True),
    sa.Column("set_digest", sa.Text),
    sa.Column("revision", sa.Integer, nullable=False),
    sa.Column("audit_seq", sa.Integer, nullable=False),
)
_AUDIT = sa.Table(
    "audit",
    _METADATA,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("key", sa.Text, nullable=False, unique=True),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("prev_hash", sa.Text, nullable=False),
    sa.Column("hash", sa.Text, nullable=False),
)
_APPROVALS = sa.Table(
    "approval",
    _METADATA,
    sa.Column("report_digest", sa.Text, primary_key=True),
    sa.Column("actor", sa.Text, primary_key=True),
    sa.Column("at", sa.Text, nullable=False),
)
_GUARDS = {
    "sqlite": [
        f"CREATE TRIGGER IF NOT EXISTS audit_no_{verb} BEFORE {verb} ON audit "
        "BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END"
        for verb in ("update", "delete")
    ],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION audit_guard() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'audit rows are never changed'; END $$",
        "CREATE OR REPLACE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit "
        "FOR EACH ROW EXECUTE FUNCTION audit_guard()",
    ],
}


class SqlState:
    """The State port over SQLAlchemy; `url` names SQLite or PostgreSQL.

    An SQLite file or tables that are not there are made by the first write; until then they read as
    empty.
    """

    def __init__(self, url: str, *, clock: Clock) -> None:
        self._clock = clock
        self._url = url
        self._engine = open_engine(url)
        self._empty: sa.Engine | None = None
        self._made = False
        self._reading = read_only(self._engine)
        if not self._reading and not self._absent():
            self._make()

    def close(self) -> None:
        """Close the connections."""
        for engine in (self._engine, self._reading, self._empty):
            if engine is not None:
                engine.dispose()

    @contextmanager
    def lease(self, name: str, *, wait_s: float = 0) -> Iterator[Callable[[], None]]:
        """Hold a lease; a dead holder on this host loses it at once."""
        token = self._acquire(name, wait_s=wait_s)
        stop = threading.Event()
        renewer = threading.Thread(target=self._renew, args=(name, token, stop), daemon=True)
        renewer.start()
        try:
            yield lambda: self._check(name, token)
        finally:
            stop.set()
            renewer.join()
            self._release(name, token)

    def charge(self, budget: str, *, day: date, limit: int) -> bool:
        """Count one call, unless the limit of the day is reached."""
        with self._transaction(exclusive=f"budget {budget}") as connection:
            calls = self._calls(connection, budget, day)
            if limit and calls >= limit:
                return False
            where = (_BUDGETS.c.name == budget) & (_BUDGETS.c.day == str(day))
            changed = connection.execute(sa.update(_BUDGETS).where(where).values(calls=calls + 1))
            if not changed.rowcount:
                row = {"name": budget, "day": str(day), "calls": 1}
                connection.execute(sa.insert(_BUDGETS).values(row))
        return True

    def charged(self, budget: str, *, day: date) -> int:
        """Calls of that day so far."""
        with self._transaction() as connection:
            return self._calls(connection, budget, day)

    def pointer(self, alias: str) -> Pointer:
        """Where the alias points."""
        with self._transaction() as connection:
            return _pointer(connection, alias)

    def move_pointer(
        self,
        *,
        expected_revision: int,
        set_digest: str,
        entry: Mapping[str, Any],
        key: str,
        previous: str | None = None,
    ) -> tuple[Pointer, bool]:
        """Compare and set `production`, with its audit row, in one transaction."""
        with self._transaction(exclusive="promotion") as connection:
            done = connection.execute(sa.select(_AUDIT.c.body).where(_AUDIT.c.key == key)).scalar()
            if done is not None:
                row = json.loads(done)
                return Pointer(
                    alias="production",
                    set_digest=row["to"],
                    revision=row["revision"],
                    audit_seq=row["seq"],
                ), True
            now = _pointer(connection, "production")
            if now.revision != expected_revision:
                raise RefusedError(
                    f"conflict: production is at revision {now.revision}, this promotion expected "
                    f"{expected_revision}; look at `bft models`, then run the gate again"
                )
            seq = _append(connection, key, now, set_digest, entry)
            back = entry["action"] == "rollback"  # to the first set: nothing was before it
            old = previous or (None if back else now.set_digest)
            _point(connection, "previous", old, now.revision + 1, seq)
            _point(connection, "production", set_digest, now.revision + 1, seq)
            return _pointer(connection, "production"), False

    def audit(self) -> list[Json]:
        """All audit rows by seq."""
        with self._transaction() as connection:
            rows = connection.execute(sa.select(_AUDIT).order_by(_AUDIT.c.seq)).all()
        return [
            {**json.loads(row.body), "prev_hash": row.prev_hash, "hash": row.hash} for row in rows
        ]

    def approvals(self, report_digest: str) -> list[Json]:
        """Approvals of a report, oldest first."""
        query = sa.select(_APPROVALS).where(_APPROVALS.c.report_digest == report_digest)
        with self._transaction() as connection:
            rows = connection.execute(query.order_by(_APPROVALS.c.at, _APPROVALS.c.actor)).all()
        return [{"actor": row.actor, "at": row.at} for row in rows]

    def approve(self, report_digest: str, *, actor: str, at: datetime) -> None:
        """Record an approval once per actor; given again, it counts from then."""
        row = {"report_digest": report_digest, "actor": actor, "at": at.isoformat()}
        with self._transaction(exclusive=f"approval {report_digest}") as connection:
            known = (_APPROVALS.c.report_digest == report_digest) & (_APPROVALS.c.actor == actor)
            again = sa.update(_APPROVALS).where(known).values(at=row["at"])
            if not connection.execute(again).rowcount:
                connection.execute(sa.insert(_APPROVALS).values(row))

    @contextmanager
    def _transaction(self, *, exclusive: str | None = None) -> Iterator[sa.Connection]:
        """One transaction; `exclusive` names what only one writer at a time may touch."""
        with self._begun(self._opened(writes=exclusive is not None), exclusive) as connection:
            yield connection

    @contextmanager
    def _begun(self, engine: sa.Engine, exclusive: str | None = None) -> Iterator[sa.Connection]:
        try:
            with engine.begin() as connection:
                if exclusive and engine.dialect.name == "postgresql":
                    number = int.from_bytes(hashlib.sha256(exclusive.encode()).digest()[:7])
                    connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({number})"))
                yield connection
        except (OperationalError, DBAPIError) as error:
            reason = str(error.orig).strip().splitlines()[0]
            text = masked(f"state {self._url}: {reason}", self._url)
            if any(words in reason for words in _FORBIDDEN):
                raise ConfigError(f"{text}; give --root a folder you may write to") from error
            if any(words in reason for words in _NO_ROOM):
                text += "; the disk may be full: make room, then run the same command again"
            raise UnavailableError(text) from error

    def _absent(self) -> bool:
        """No file, or not one table of these: a file may hold the executor's book alone."""
        sqlite = self._engine.dialect.name == "sqlite"
        if sqlite and not Path(self._engine.url.database or "").exists():
            return True
        with self._begun(self._reading or self._engine) as connection:
            return _METADATA.tables.keys().isdisjoint(sa.inspect(connection).get_table_names())

    def _opened(self, *, writes: bool) -> sa.Engine:
        """The database; for reading one that is not there, an empty one in memory."""
        readable = not self._made and not writes and not self._absent()
        if self._reading and readable:
            return self._reading
        if writes or readable:
            self._make()
        if self._made:
            return self._engine
        if self._empty is None:
            # Made anew by every reader: SQLite keeps a connection to the thread that opened it.
            self._empty = sa.create_engine("sqlite://", poolclass=sa.NullPool)
            sa.event.listen(self._empty, "begin", _METADATA.create_all)
        return self._empty

    def _make(self) -> None:
        if self._engine.dialect.name == "sqlite":
            Path(str(self._engine.url.database)).parent.mkdir(parents=True, exist_ok=True)
        with self._begun(self._engine, "schema") as connection:
            _METADATA.create_all(connection)
            for statement in _GUARDS[self._engine.dialect.name]:
                connection.exec_driver_sql(statement)
        self._made = True  # not before: another thread would find no table

    def _acquire(self, name: str, *, wait_s: float) -> int:
        give_up = time.monotonic() + wait_s
        while True:
            found = self._try_acquire(name)
            if isinstance(found, int):
                return found
            if time.monotonic() >= give_up:
                raise RefusedError(
                    f"{name} is held by {found}, waited {wait_s:g} s; run again when that is done"
                )
            time.sleep(min(0.2, max(0.0, give_up - time.monotonic())))

    def _try_acquire(self, name: str) -> int | str:
        now = self._clock.now().timestamp()
        with self._transaction(exclusive=f"lease {name}") as connection:
            row = connection.execute(sa.select(_LEASES).where(_LEASES.c.name == name)).first()
            if row and row.expires_at > now and not _dead(row.holder):
                return _described(row.holder)
            token = (row.token if row else 0) + 1
            values = {"holder": _me(), "token": token, "expires_at": now + LEASE_TTL_S}
            if row:
                connection.execute(sa.update(_LEASES).where(_LEASES.c.name == name).values(values))
            else:
                connection.execute(sa.insert(_LEASES).values(name=name, **values))
            return token

    def _renew(self, name: str, token: int, stop: threading.Event) -> None:
        mine = (_LEASES.c.name == name) & (_LEASES.c.token == token)
        while not stop.wait(LEASE_RENEW_S):
            until = self._clock.now() + timedelta(seconds=LEASE_TTL_S)
            try:
                with self._transaction() as connection:
                    new = sa.update(_LEASES).where(mine).values(expires_at=until.timestamp())
                    connection.execute(new)
            except UnavailableError:
                continue  # `check` decides by the row's expiry whether the lease was lost

    def _check(self, name: str, token: int) -> None:
        with self._transaction() as connection:
            row = connection.execute(sa.select(_LEASES).where(_LEASES.c.name == name)).first()
        if row is None or row.token != token or row.expires_at <= self._clock.now().timestamp():
            raise RefusedError(f"the lease {name} was lost; nothing was published, run again")

    def _release(self, name: str, token: int) -> None:
        mine = (_LEASES.c.name == name) & (_LEASES.c.token == token)
        with self._transaction() as connection:
            connection.execute(sa.update(_LEASES).where(mine).values(expires_at=0.0))

    @staticmethod
    def _calls(connection: sa.Connection, budget: str, day: date) -> int:
        where = (_BUDGETS.c.name == budget) & (_BUDGETS.c.day == str(day))
        return connection.execute(sa.select(_BUDGETS.c.calls).where(where)).scalar() or 0


def folder_url(root: Path) -> str:
    """SQLite in a root folder, which need not be there yet."""
    return f"sqlite:///{root.resolve() / 'state.db'}"


def _pointer(connection: sa.Connection, alias: str) -> Pointer:
    row = connection.execute(sa.select(_POINTERS).where(_POINTERS.c.alias == alias)).first()
    if row is None:
        return Pointer(alias=alias, set_digest=None, revision=0, audit_seq=0)
    return Pointer(
        alias=alias, set_digest=row.set_digest, revision=row.revision, audit_seq=row.audit_seq
    )


def _point(
    connection: sa.Connection, alias: str, set_digest: str | None, revision: int, seq: int
) -> None:
    values = {"set_digest": set_digest, "revision": revision, "audit_seq": seq}
    where = _POINTERS.c.alias == alias
    if not connection.execute(sa.update(_POINTERS).where(where).values(values)).rowcount:
        connection.execute(sa.insert(_POINTERS).values(alias=alias, **values))


def _append(
    connection: sa.Connection, key: str, now: Pointer, to: str, entry: Mapping[str, Any]
) -> int:
    last = connection.execute(
        sa.select(_AUDIT.c.seq, _AUDIT.c.hash).order_by(_AUDIT.c.seq.desc()).limit(1)
    ).first()
    seq, prev_hash = (last.seq + 1, last.hash) if last else (1, GENESIS)
    rest = {**entry, "seq": seq, "from": now.set_digest, "to": to, "revision": now.revision + 1}
    body = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    row_hash = hashlib.sha256((prev_hash + body).encode()).hexdigest()
    row = {"seq": seq, "key": key, "body": body, "prev_hash": prev_hash, "hash": row_hash}
    connection.execute(sa.insert(_AUDIT).values(row))
    return seq


def _me() -> str:
    return f"{socket.gethostname()} {os.getpid()} {_started(os.getpid())}"


def _started(pid: int) -> str:
    """Start time of a process in clock ticks, so that a reused pid is not taken for the holder."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return "-"
    return "ended" if stat[0] == "Z" else stat[19]


def _dead(holder: str) -> bool:
    host, pid, started = holder.split(" ")
    if host != socket.gethostname():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return _started(int(pid)) != started


def _described(holder: str) -> str:
    host, pid, _ = holder.split(" ")
    return f"pid {pid} on {host}"
