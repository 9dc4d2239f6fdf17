"""The executor's state in SQL: a journal, and the tables that replaying it gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from bft.domain.journal import Entry, JournalRow, RowChange

if TYPE_CHECKING:
    from datetime import datetime

    from bft.domain.runs import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An idempotency key's row: `request_hash` is sha256 of the canonical body.

    `status` and `body` None: claimed, not answered yet. `intent_id` answers after a crash.
    """

    key: str
    subject: str
    request_hash: str
    at: datetime
    intent_id: str | None = None
    status: int | None = None
    body: Json | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a claimed key was answered; a key that nobody claimed is passed over."""

    key: str
    status: int
    body: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who may open on an account; `token` grows with every new holder.

    `locked`: a lock that ends with its process holds it, whatever `expires_at` says.
    """

    name: str
    holder: str
    token: int
    expires_at: datetime
    locked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One write: entries with the rows they change, claims and answers; whole or not at all."""

    entries: Sequence[Entry]
    rows: Sequence[RowChange] = ()
    claims: Sequence[Claim] = ()
    answers: Sequence[Answered] = ()
    outbox: Sequence[Mapping[str, Any]] = field(default_factory=tuple)


class Book(Protocol):
    """Durable state of one executor; every method is one transaction, called off the loop.

    Raises UnavailableError when the database does not answer, is full or read-only.
    """

    def commit(
        self, pages: Sequence[Page], *, lease: Lease | None = None, now: datetime
    ) -> list[JournalRow]:
        """Write pages in order, durably (fsync), as one transaction; return the journal's rows.

        After UnavailableError the outcome may be unknown: give the same pages again, first and in
        order, more may follow. Those that were written are found by the chain and not written
        twice (a page without entries cannot be found so).

        Raises:
            RefusedError: `lease` is no longer held at `now`; nothing was written.
            DataError: a row does not fit its table, or a claim's key is taken.
        """

    def rows(
        self,
        table: str,
        *,
        where: Mapping[str, object] | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[dict[str, Any]]:
        """Rows of a table by its key, or newest first by its instant, which `since` filters.

        `where` compares columns: a value, None, a list of values, or `AtLeast`.

        Raises:
            DataError: no such table or column.
        """

    def count(
        self,
        table: str,
        *,
        where: Mapping[str, object] | None = None,
        since: datetime | None = None,
    ) -> int:
        """How many rows `rows` would find."""

    def distinct(
        self, table: str, column: str, *, where: Mapping[str, object] | None = None
    ) -> list[Any]:
        """Values of a column, each once, ascending."""

    def journal(self, *, after: int = 0) -> Iterator[JournalRow]:
        """Journal rows with a higher seq, ascending, complete at the time of the call."""

    def mentions(self, text: str, *, limit: int) -> list[JournalRow]:
        """Journal rows whose body holds the text, oldest first; reads all of it."""

    def verify_chain(self, *, newest: int | None = None) -> JournalRow | None:
        """Check every hash, or that of the newest rows (a start has no time for years).

        Return the last row.

        Raises:
            DataError: a row does not follow from the one before; names the seq.
        """

    def set_aside(self, *, at: datetime, reason: str) -> JournalRow | None:
        """Move a torn last row to `journal_aside`; the row that is last now.

        Raises:
            DataError: an earlier row is broken; nothing was moved.
        """

    def claim(self, key: str) -> Claim | None:
        """The row of an idempotency key, or None."""

    def claimed(self, *, most: int) -> Sequence[str] | None:
        """Every idempotency key there is; None: there are more than `most`."""

    def acquire(
        self, name: str, *, holder: str, ttl_s: float, now: datetime, holder_dead: bool = False
    ) -> Lease:
        """Take a free or expired lease, or one whose holder is proven dead; token + 1.

        With SQLite a file lock goes with it: taken is refused at once, free proves death.

        Raises:
            RefusedError: held; names the holder and until when.
        """

    def renew(self, lease: Lease, *, ttl_s: float, now: datetime) -> Lease:
        """Hold it longer. Raises RefusedError: it is another's by now."""

    def release(self, lease: Lease) -> None:
        """Give it back; another's stays."""

    def pending_outbox(self, *, limit: int) -> list[dict[str, Any]]:
        """Notifications not delivered yet, oldest first."""

    def delivered(self, ids: Sequence[int], *, at: datetime) -> None:
        """Mark notifications as delivered."""

    def prune(self, *, now: datetime) -> Mapping[str, int]:
        """Drop idempotency rows of 7 days, outbox of 90, broker snapshots of 30; count them."""

    def probe(self) -> float:
        """Write and commit one row; seconds it took."""

    def close(self) -> None:
        """Close the connections."""
