"""The seams of bft: what steps ask of the outside, and what a step is.

Every method states order, completeness and the errors it raises; the contract suites test that
text. Frames are Arrow tables in the column order of their schema, sorted by key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from bft.domain.delivery import Answer, Want
from bft.domain.runs import Event, Json, Metric, ModelVersion, Outcome, Task

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from datetime import date, datetime
    from pathlib import Path

    import pyarrow as pa

OnEvent = Callable[[Event], None]
OnOutcome = Callable[[Outcome], None]
Tick = Callable[[int, int, str], None]
"""Progress: tick(done, total, note). Steps call it; the command line decides how it looks."""


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """Aware UTC instant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRef:
    """One immutable object of a table: `digest` is sha256 hex of its bytes."""

    partition: str
    key: str
    digest: str
    rows: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a table consisted of at `asof`; `digest` covers partitions and object digests."""

    table: str
    asof: date
    objects: tuple[ObjectRef, ...]
    digest: str


class Store(Protocol):
    """Objects and tables under one root (a folder, or a bucket and prefix).

    Writes are atomic: a reader sees the old object or the new one, never a part.
    Raises UnavailableError when the root does not answer or is full, ConfigError when read-only.
    """

    root: str

    def get(self, key: str) -> bytes:
        """Bytes of an object. Raises DataError where there is none."""

    def put(self, key: str, data: bytes) -> str:
        """Write or replace an object; return its sha256 hex. Equal bytes are not rewritten."""

    def create(self, key: str, data: bytes) -> bool:
        """Write an object only where there is none; tell whether this call wrote it."""

    def delete(self, key: str) -> None:
        """Remove an object; absent is fine."""

    def keys(self, prefix: str) -> list[str]:
        """All keys that begin with `prefix`, ascending and complete."""

    def digest(self, key: str) -> str | None:
        """sha256 hex of the object as it is now, or None where there is none."""

    def path(self, key: str) -> Path:
        """Local folder or file holding what is stored under `key` (a copy for a bucket).

        On a folder root it is the object itself and may be written below; on a bucket it is a
        read-only cache.
        """

    def put_folder(self, key: str, folder: Path) -> dict[str, str]:
        """Publish a local folder's files under `key`; return {key: sha256}."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold the lease `tables` for what must happen together; nests. `publish` takes it itself.

        Raises:
            RefusedError: another process holds it for too long; names it.
        """

    def publish(
        self,
        table: str,
        *,
        asof: date,
        partitions: Mapping[str, pa.Table],
        replaces: bool = False,
        drops: Sequence[str] = (),
    ) -> Manifest:
        """Write partitions of a table and the manifest of `asof`.

        The new manifest is the newest one before `asof` without `drops` and with these partitions
        added or replaced (`replaces`: with these alone). Objects of older manifests stay. The same
        call again writes the same bytes. Later manifests gain a partition they lack, unless they
        hold it in that of its month (`month=YYYY-MM`): what was pulled after the merge they gain.
        Where the object that they name of a pulled table is broken they take the new one.

        Raises:
            DataError: columns or types differ from the table's schema, keys repeat.
            RefusedError: another process holds the lease, or it was lost; nothing is published.
        """

    def faults(self, manifest: Manifest) -> Mapping[str, str]:
        """Partitions whose object is absent or altered: what is wrong, and the way to mend it."""

    def manifest(self, table: str, *, asof: date | None = None) -> Manifest | None:
        """Newest manifest at or before `asof` (None: the newest), or None."""

    def read(
        self,
        table: str,
        *,
        asof: date | None = None,
        columns: Sequence[str] | None = None,
        symbols: Sequence[str] | None = None,
        since: date | None = None,
        partitions: Sequence[str] | None = None,
    ) -> pa.Table:
        """Rows of the newest manifest at or before `asof`: by key, then as they arrived.

        `since` drops rows whose `date` (or `asof`) is before it. No manifest: an empty table. Raw
        tables come with all revisions; `bft.features.facts` picks the ones known.

        Raises:
            DataError: an object is absent or its digest is not the manifest's; says as `faults`.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointer:
    """Which model set an alias means; `revision` counts its moves."""

    alias: str
    set_digest: str | None
    revision: int
    audit_seq: int


class State(Protocol):
    """Small facts in SQL: model pointer and audit, leases, budgets, approvals.

    Raises UnavailableError when the database does not answer.
    """

    def lease(self, name: str, *, wait_s: float = 0) -> AbstractContextManager[Callable[[], None]]:
        """Hold `name` (TTL 60 s, renewed); yields `check()`, to be called before publishing.

        Raises:
            RefusedError: held by a live run; names its pid and host. Lost: raised by `check()`.
        """

    def charge(self, budget: str, *, day: date, limit: int) -> bool:
        """Count one call against `limit` a day (0: unlimited); False when it is used up."""

    def charged(self, budget: str, *, day: date) -> int:
        """Calls counted so far."""

    def pointer(self, alias: str) -> Pointer:
        """Where the alias points; revision 0 and no set where it never moved."""

    def move_pointer(
        self,
        *,
        expected_revision: int,
        set_digest: str,
        entry: Mapping[str, Any],
        key: str,
        previous: str | None = None,
    ) -> tuple[Pointer, bool]:
        """Compare-and-set `production` in one transaction.

        The alias `previous` takes the old set, or the one given: a rollback names the set before,
        and leaves none where there was none. `entry` becomes the audit row (models specification,
        8.3). A `key` seen before returns the first result and True (already done).

        Raises:
            RefusedError: `conflict`, another revision is in place; names both.
        """

    def audit(self) -> list[Json]:
        """All audit rows by seq, with prev_hash and hash."""

    def approvals(self, report_digest: str) -> list[Json]:
        """Approvals given for a gate report, oldest first."""

    def approve(self, report_digest: str, *, actor: str, at: datetime) -> None:
        """Record an approval; the same actor twice counts once, from then on."""


class Source(Protocol):
    """A vendor of market facts.

    `bulk`: one answer per topic holds all symbols and is whole. `live`: it knows only today, so
    facts about a past day were fetched afterwards. `replayed`: its clock is the evening of asof.
    """

    name: str
    replayed: bool
    bulk: bool
    live: bool

    @property
    def calls(self) -> int:
        """Calls made so far."""

    @property
    def topics(self) -> tuple[str, ...]:
        """What it can be asked, in the order in which it should be."""

    def check(self) -> None:
        """See that it can be asked, without asking it anything.

        Raises:
            ConfigError: an address of this machine at which nobody listens.
            DataError: no file of bars, or two of one kind.
        """

    def world(self) -> str:
        """The command of the simulator that is asked, as it tells itself; empty: none, or unknown.

        Raises:
            ConfigError: an address of this machine at which nobody listens.
        """

    def digests(self) -> Mapping[str, str]:
        """What its answers depend on: sha256 by file name, or the address asked.

        Raises:
            DataError: a file is absent or unreadable.
        """

    def fetch(
        self, wants: Sequence[Want], *, asof: date, fresh: bool, tick: Tick
    ) -> Iterator[Answer]:
        """Answer every want once, in order; finished calls of an interrupted run are reused.

        `fresh` asks again for what is staged. A vendor's facts may reach beyond asof.

        Raises:
            DataError: a file's form is broken; names file, column and line.
            UnavailableError: the remote did not answer, or a limit is used up.
            ConfigError: no key, a wrong one, or a plan without daily series.
        """


class Tracker(Protocol):
    """Tracking and registry. Raises UnavailableError (away), DataError, ConfigError (refused)."""

    def start(
        self, name: str, *, run_key: str, tags: Mapping[str, str], parent: str | None = None
    ) -> str:
        """Open a run, or reopen the one that bears `run_key`; return its id."""

    def params(self, run: str, values: Mapping[str, object]) -> None:
        """Log parameters; the same value again is fine."""

    def describe(self, run: str, text: str) -> None:
        """Set what people read first of a run (Markdown); a later text replaces it."""

    def dataset(self, run: str, name: str, *, digest: str, about: Mapping[str, object]) -> None:
        """Note the data a run learned from: its name, content digest, and facts about it."""

    def metrics(self, run: str, values: Sequence[Metric]) -> None:
        """Queue metrics; one thread sends batches. Repeats of (run, name, step) count once."""

    def artifacts(self, run: str, folder: Path, *, to: str = "") -> None:
        """Copy a folder's files into the run's artifacts."""

    def finish(self, run: str, *, status: Literal["FINISHED", "FAILED"] = "FINISHED") -> None:
        """Close a run after its queue is sent."""

    def register(
        self,
        name: str,
        folder: Path,
        *,
        run: str,
        tags: Mapping[str, str],
        description: str = "",
    ) -> ModelVersion:
        """Register an artifact folder; a version with the same `digest` tag is reused."""

    def versions(self, name: str) -> list[ModelVersion]:
        """Versions, newest first; none for an unknown name."""

    def aliases(self, name: str) -> dict[str, str]:
        """Alias -> version; none for an unknown name."""

    def set_alias(self, name: str, alias: str, version: str | None) -> None:
        """Point an alias at a version, or remove it (None)."""

    def tag_version(self, name: str, version: str, key: str, value: str) -> None:
        """Set one tag of a version."""


class Compute(Protocol):
    """Where training runs. A task's function takes (spec, emit) and returns JSON."""

    def prepare(self, module: str) -> None:
        """Start what `run` will need and import `module` there; `run` works without it."""

    def run(self, tasks: Sequence[Task], on_event: OnEvent, on_outcome: OnOutcome) -> list[Outcome]:
        """Run all tasks; outcomes in task order. One task's failure never raises.

        `on_outcome` hears of each as it ends, on the caller's thread; it must be quick.

        Raises:
            ConfigError: a task is larger than every slot; names both numbers.
        """


class Summarizer(Protocol):
    """Writes sentences about numbers; `fallbacks`: symbols a template described in its place."""

    name: str
    fallbacks: int

    def summarize(self, symbol: str, facts: Mapping[str, object]) -> list[str]:
        """Sentences for one symbol; callers check every figure against `facts` before showing."""


class Notifier(Protocol):
    """Tells a person."""

    def notify(self, subject: str, text: str) -> None:
        """Send one message. Raises UnavailableError."""
