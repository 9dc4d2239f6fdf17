"""What a step is, and everything it may touch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from bft.domain.runs import Json
from bft.ports.book import Book
from bft.ports.executor import ExecutorApi
from bft.ports.night import (
    Clock,
    Compute,
    Notifier,
    Source,
    State,
    Store,
    Summarizer,
    Tick,
    Tracker,
)

if TYPE_CHECKING:
    import argparse
    from datetime import date

Effect = Literal["pure", "replace", "once"]
Inputs = Mapping[str, str | None]
Parts = Iterable[tuple["argparse.Namespace", "Summary"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a step did: `values` go into its JSON line, `objects` are what it published."""

    values: Json = field(default_factory=dict)
    rows: int = 0
    skipped: Mapping[str, int] = field(default_factory=dict)
    objects: Mapping[str, str] = field(default_factory=dict)
    exit_code: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """Whose prices are to train which profile (None: nothing is trained), up to which session.

    `again` is the command that asked, without its profile and session; `fresh`: even if it replaces
    what the root holds.
    """

    source: str
    profile: str | None
    asof: date
    again: str
    fresh: bool = False


class Commands(Protocol):
    """The command line as steps and `flow` see it: it parses, describes and looks up markers."""

    def again(self, day: date | None) -> str:
        """The call itself as of another day, as its reader must type it; without its root."""

    def describe(self, verb: str) -> Json:
        """What `bft VERB --describe` prints. Raises UsageError for an unknown verb."""

    def refuse(self, argv: Sequence[str]) -> str | None:
        """Why the parser refuses a command line, or None."""

    def cached(self, argv: Sequence[str]) -> Json | None:
        """JSON line of a finished, still intact equal call (its marker), or None."""

    def stale_because(self, argv: Sequence[str]) -> str:
        """In words: which digest, argument or code differs from the last finished call."""

    def source_end(self, root: str, *, source: str, asof: date) -> date | None:
        """Last session up to asof that a file has prices of; None for other sources.

        Raises DataError (an unreadable file).
        """

    def preflight(self, root: str, asked: RunRequest) -> tuple[str, ...]:
        """Sentences on whether a source's prices suffice for a profile, before a run begins.

        Raises ConfigError (profile, source or its key), DataError (too little to train), of
        which UnfitError names the command that would do.
        """


class Ports(Protocol):
    """Everything a step may touch; members are built on first use."""

    @property
    def clock(self) -> Clock: ...
    @property
    def store(self) -> Store: ...
    @property
    def state(self) -> State: ...
    @property
    def book(self) -> Book: ...
    def held_symbols(self) -> list[str]:
        """Symbols of the book's open positions, sorted; none where there is no book.

        A look: neither a book nor its schema is made or changed.

        Raises:
            ConfigError: the settings name no database that could hold a book.
            UnavailableError: it cannot be read.
        """

    def last_start(self) -> dict[str, str]:
        """How the book's executor was started: `owner`, `clock`, `flags`, `last_at`; a look too.

        Raises:
            ConfigError: the settings name no database that could hold a book.
            UnavailableError: it cannot be read.
        """

    def token_secrets(self) -> tuple[str, ...]:
        """Secrets of the executor's tokens, the current one first. Raises ConfigError: unusable."""

    def migrate_book(self) -> list[int]: ...
    @property
    def tracker(self) -> Tracker: ...
    @property
    def summarizer(self) -> Summarizer: ...
    @property
    def notifier(self) -> Notifier: ...
    @property
    def commands(self) -> Commands: ...
    def compute(self, spec: str, *, tasks: int, jobs: int = 0) -> Compute:
        """Where to run that many tasks, `jobs` at once; spec is auto, inline, pool or ray."""

    def source(self, spec: str) -> Source:
        """Source named by `--source` (alphavantage, sim[:URL], files:PATH, mysql:URL)."""

    def executor(self, url: str, *, mode: str | None = None) -> ExecutorApi:
        """The executor at an address, asked as the settings' token; not contacted yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One verb: how it is parsed, what it reads and writes, what it does.

    `effect` is pure, replace or once (design, section 3); `effects` names actions of a verb that
    are of another class. `outputs` are keys of the JSON line that
    workflows may read. `settings` are names of Settings that are put on `args` before `run`.
    `code` lists the packages whose source is part of the marker key. `inputs` returns the digests
    a re-run compares, None for one that is asked anew each time; or None: never cached. `done` is
    the line of a `once` step that would change nothing, or None: a re-run workflow need not start
    it. `reads_newest` tells whether a call only tells of a night: without a day it is as of the
    newest one the root holds (ADR 0093). `parts` are smaller calls whose work a finished call
    included, with what each would say: of the same inputs, they are found finished as well.
    `whole`: is all it judged still there, byte for byte? Asked of a finished call made again, not
    by a runner that looks for finished ones.
    """

    effect: Effect
    summary: str
    arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[Ports, argparse.Namespace, Tick], Summary]
    inputs: Callable[[Ports, argparse.Namespace], Inputs | None] = lambda _p, _a: None
    done: Callable[[Ports, argparse.Namespace], Json | None] = lambda _p, _a: None
    parts: Callable[[argparse.Namespace, Summary], Parts] = lambda _a, _s: ()
    reads_newest: Callable[[argparse.Namespace], bool] = lambda _a: False
    whole: Callable[[Ports, argparse.Namespace], bool] = lambda _p, _a: True
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)
    settings: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    effects: Mapping[str, Effect] = field(default_factory=dict)
