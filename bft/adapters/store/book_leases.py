"""Who may open on an account: a row with a fencing token, and with SQLite a file lock.

Source: executor specification, section 3.
"""

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import sqlalchemy as sa

from bft.adapters.store.book_database import BookDatabase, Driver, HolderLock, refused_by_file
from bft.adapters.store.book_schema import LEASES
from bft.domain.errors import RefusedError, UnavailableError
from bft.ports import Lease

_LEASE = "SELECT holder, token, expires_at FROM executor_lease WHERE name = ?"


class BookLeases:
    """Leases of one database; holds the file locks of this process."""

    def __init__(self, database: BookDatabase) -> None:
        self._database = database
        self._locks: dict[str, HolderLock] = {}

    def acquire(
        self, name: str, *, holder: str, until: datetime, now: datetime, holder_dead: bool
    ) -> Lease:
        """Take a free or expired lease, or a dead holder's; token + 1."""
        dead = self._take_lock(name) or holder_dead
        try:
            wanted = Lease(
                name=name, holder=holder, token=0, expires_at=until, locked=name in self._locks
            )
            return self._take_row(name, wanted, now=now, dead=dead)
        except BaseException:
            self._drop_lock(name)
            raise

    def _take_row(self, name: str, wanted: Lease, *, now: datetime, dead: bool) -> Lease:
        with self._database.writing(alone=f"lease {name}") as connection:
            row = connection.execute(sa.select(LEASES).where(LEASES.c.name == name)).first()
            if row and not dead and datetime.fromisoformat(row.expires_at) > now:
                raise RefusedError(
                    f"{name} is held by {row.holder} until {row.expires_at}; "
                    "stop that one, or wait until it expires"
                )
            token = (row.token if row else 0) + 1
            values = {"holder": wanted.holder, "token": token}
            values["expires_at"] = _text(wanted.expires_at)
            if row:
                connection.execute(sa.update(LEASES).where(LEASES.c.name == name).values(values))
            else:
                connection.execute(sa.insert(LEASES).values(name=name, **values))
        return replace(wanted, token=token)

    def check(self, driver: Driver, lease: Lease, *, now: datetime) -> None:
        """Fence a commit: the token must be the row's, and not expired.

        Raises:
            RefusedError: the lease was lost.
        """
        row = driver.read(_LEASE, (lease.name,))
        holder, token, expires_at = row or ("nobody", None, "")
        if token != lease.token:
            raise RefusedError(f"the lease {lease.name} is {holder}'s by now; nothing was written")
        if lease.name not in self._locks and datetime.fromisoformat(expires_at) <= now:
            raise RefusedError(
                f"the lease {lease.name} expired at {expires_at}; nothing was written"
            )

    def renew(self, lease: Lease, *, until: datetime) -> Lease:
        """Hold it longer; while its file lock is held, a disk that is full loses nothing."""
        with suppress(*([UnavailableError] if lease.name in self._locks else [])):
            self._renew(lease, until)
        return replace(lease, expires_at=until)

    def _renew(self, lease: Lease, until: datetime) -> None:
        renewed = sa.update(LEASES).where(*_mine(lease)).values(expires_at=_text(until))
        with self._database.writing() as connection:
            if not connection.execute(renewed).rowcount:
                raise RefusedError(f"the lease {lease.name} is another's by now; stop opening")

    def release(self, lease: Lease) -> None:
        """Give it back; the token stays, so that the next is higher."""
        free = _text(datetime.fromtimestamp(0, UTC))
        try:
            with self._database.writing() as connection:
                connection.execute(sa.update(LEASES).where(*_mine(lease)).values(expires_at=free))
        finally:
            self._drop_lock(lease.name)

    def close(self) -> None:
        """Let go of the file locks; rows expire by themselves."""
        for name in list(self._locks):
            self._drop_lock(name)

    def _take_lock(self, name: str) -> bool:
        """Whether a free file lock proves the holder dead; PostgreSQL has none."""
        path = self._database.path
        if path is None:
            return False
        lock = HolderLock(path, name)
        if name in self._locks or not lock.take():
            raise refused_by_file(name, self._holder(name))
        self._locks[name] = lock
        return True

    def _holder(self, name: str) -> str:
        query = sa.select(LEASES.c.holder).where(LEASES.c.name == name)
        with self._database.reading() as connection:
            return connection.execute(query).scalar() or "another"

    def _drop_lock(self, name: str) -> None:
        lock = self._locks.pop(name, None)
        if lock is not None:
            lock.drop()


def _mine(lease: Lease) -> list[sa.ColumnElement[bool]]:
    return [LEASES.c.name == lease.name, LEASES.c.token == lease.token]


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")
