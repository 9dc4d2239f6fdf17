"""Settings to ports; the only importer of adapters. Members are built on first use."""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bft.domain import origin
from bft.domain.errors import ConfigError
from bft.ports import Commands, Tick
from bft.settings import Settings, read_settings, token_secrets
from bft.wiring.roots import check_folder, fault_of_root

if TYPE_CHECKING:
    from bft.ports import (
        Book,
        Compute,
        ExecutorApi,
        Notifier,
        Source,
        State,
        Store,
        Summarizer,
        Tracker,
    )


__all__ = ["Wired", "book_url", "fault_of_root", "progress", "settings", "tables", "wire"]

_NO_KEY = (
    "--source alphavantage needs a key: write it into a file and name that in "
    "ALPHAVANTAGE_API_KEY_FILE, or give another source"
)
_NO_SOURCE = (
    "no data source: put your key into ALPHAVANTAGE_API_KEY_FILE, set BFT_SOURCE or give --source"
)

_LACKING = {
    "files": "path, for example --source files:prices.csv",
    "mysql": "address, for example --source mysql:mysql+pymysql://user@host:3306/bar_fly_trading",
}

TABLES_WAIT_S = 300.0
"""How long a publication waits for another one; the longest, of gold, takes minutes."""


@cache
def settings() -> Settings:
    """The process's settings, read once."""
    return read_settings()


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Aware UTC instant."""
        return datetime.now(UTC)


class Wired:
    """The Ports of a process."""

    def __init__(
        self, values: Settings, *, root: str, commands: Commands, silent: bool = False
    ) -> None:
        self.settings, self.root, self.commands, self._silent = values, root, commands, silent
        self.clock = SystemClock()
        self._sources: dict[str, Source] = {}

    @cached_property
    def store(self) -> "Store":
        """Objects and tables of the root; tables are published under its lease (ADR 0010)."""
        if "://" in self.root:
            self._need_state_url()
        return tables(self.settings, self.root, lease=self._tables_lease)

    @cached_property
    def state(self) -> "State":
        """SQL state."""
        from bft.adapters.store.state import SqlState

        return SqlState(self._state_address(), clock=self.clock)

    @cached_property
    def book(self) -> "Book":
        """The executor's journal and tables."""
        from bft.adapters.store.book import SqlBook

        return SqlBook(book_url(self.settings, self.root), at=self.clock.now())

    def held_symbols(self) -> list[str]:
        """Symbols of the book's open positions; nothing is made or changed for that."""
        from bft.adapters.store.book_glance import held_symbols

        return held_symbols(self._state_address())

    def last_start(self) -> dict[str, str]:
        """How the book's executor was started; a look too."""
        from bft.adapters.store.book_glance import last_start

        return last_start(self._state_address())

    def _state_address(self) -> str:
        self._need_state_url()
        from bft.adapters.store.state import folder_url

        return str.__str__(self.settings.state_url) or folder_url(Path(self.root))

    def token_secrets(self) -> tuple[str, ...]:
        """Secrets of the API's tokens, the current one first."""
        return token_secrets(self.settings)

    def migrate_book(self) -> list[int]:
        """Bring the book's schema up to the code's."""
        from bft.adapters.store.book import migrate_book

        return migrate_book(book_url(self.settings, self.root), at=self.clock.now())

    @cached_property
    def tracker(self) -> "Tracker":
        """Experiment tracking."""
        from bft.adapters.tracker.mlflow import MlflowTracker

        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read when it is imported
        url, database = str.__str__(self.settings.tracker_url), None
        if not url and "://" in self.root:
            raise ConfigError("BFT_TRACKER_URL: name an MLflow server for a bucket root")
        if not url:
            database = Path(self.root).resolve() / "mlflow.db"
            url = f"sqlite:///{database}"
        return MlflowTracker(
            url, database=database, store=self.store, clock=self.clock, log=self._log
        )

    @cached_property
    def summarizer(self) -> "Summarizer":
        """Who writes sentences: a model where a server is configured, else the template."""
        if not self.settings.ollama_url:
            from bft.adapters.llm.template import Template

            return Template()
        _logging(self.settings, silent=self._silent)
        from bft.adapters.llm.ollama import Ollama

        values = self.settings
        return Ollama(values.ollama_url, values.ollama_model, limit=values.ollama_symbols)

    @cached_property
    def notifier(self) -> "Notifier":
        """Who is told: by mail where a server is configured, else the log."""
        _logging(self.settings, silent=self._silent)
        if not self.settings.smtp_url:
            from bft.adapters.notify.stdout import Stdout

            return Stdout()
        from bft.adapters.notify.smtp import Smtp

        return Smtp(str.__str__(self.settings.smtp_url), self.settings.notify_to)

    def compute(self, spec: str, *, tasks: int, jobs: int = 0) -> "Compute":
        """Where training runs; `auto` takes a pool where two tasks can run at once."""
        from bft.adapters.compute.inline import InlineCompute
        from bft.adapters.compute.placement import machine
        from bft.adapters.compute.pool import PoolCompute

        capacity = machine(cpus=self.settings.compute_cpus, jobs=jobs)
        if spec == "auto":
            spec = "pool" if tasks > 1 and capacity.cpus > 1 else "inline"
        if spec == "inline":
            return InlineCompute(clock=self.clock, capacity=capacity)
        if spec == "pool":
            return PoolCompute(clock=self.clock, capacity=capacity)
        raise ConfigError(f"--compute {spec}: one of auto, inline, pool")

    def source(self, spec: str) -> "Source":
        """Source named by `--source`, made once."""
        if spec not in self._sources:
            self._sources[spec] = self._source(spec)
        return self._sources[spec]

    def executor(self, url: str, *, mode: str | None = None) -> "ExecutorApi":
        """The executor at an address, asked as the token of `BFT_TOKEN_FILE`."""
        from bft.adapters.executor.http import HttpExecutor, Tls

        values = self.settings
        tls = Tls(ca=values.api_ca_file, cert=values.api_cert_file, key=values.api_key_file)
        return HttpExecutor(url, token=_token(values.token_file), mode=mode, tls=tls)

    def _need_state_url(self) -> None:
        if not self.settings.state_url and "://" in self.root:
            raise ConfigError("BFT_STATE_URL: name a PostgreSQL database for a bucket root")

    def _tables_lease(self) -> "AbstractContextManager[Callable[[], None]]":
        return self.state.lease("tables", wait_s=TABLES_WAIT_S)

    def _source(self, spec: str) -> "Source":
        kind, _, rest = spec.partition(":")
        if kind == "files" and rest:
            from bft.adapters.sources.files import Files

            return Files(Path(rest))
        if kind == "mysql" and rest:
            from bft.adapters.sources.mysql import MySql

            password = str.__str__(self.settings.mysql_password)
            return MySql(rest, password=password, store=self.store)
        if kind in {"sim", "alphavantage"} or not spec:
            return self._vendor(kind, rest)
        if kind in _LACKING:
            raise ConfigError(f"--source {spec} lacks its {_LACKING[kind]}")
        from bft.adapters.sources.files import meant

        if near := meant(spec):
            raise ConfigError(f"unknown source {spec!r}; did you mean {near}?")
        raise ConfigError(
            f"unknown source {spec!r}; give alphavantage, sim[:URL], files:PATH or mysql:URL, "
            "for example --source sim"
        )

    def _vendor(self, kind: str, url: str) -> "Source":
        from bft.adapters.sources.alphavantage import AlphaVantage
        from bft.adapters.sources.av_client import Client, Vendor
        from bft.adapters.sources.bucket import Bucket

        values, key = self.settings, str.__str__(self.settings.alphavantage_api_key)
        sim = kind == "sim"
        if not (sim or key):
            raise ConfigError(f"{_NO_KEY if kind else _NO_SOURCE}, for example --source sim")
        address = origin.sim_address(url or values.sim_url) if sim else values.av_url
        held = origin.remembered(self.store) if sim else None
        budget = f"alphavantage-{hashlib.sha256(key.encode()).hexdigest()[:12]}"
        limit = values.av_calls_per_day
        client = Client(
            Vendor(
                url=address,
                key="sim" if sim else key,
                sim=sim,
                simulator=origin.listening((held and held.world) or origin.SIMULATOR, address),
            ),
            bucket=Bucket(0 if sim else values.av_calls_per_minute, tell=self._paused),
            clock=self.clock,
            charge=(lambda _: True)
            if sim
            else lambda day: self.state.charge(budget, day=day, limit=limit),
        )
        return AlphaVantage(
            client,
            store=self.store,
            clock=self.clock,
            sim=sim,
            address=address,
            in_flight=values.av_in_flight,
        )

    def _paused(self, pause_s: float) -> None:
        self._log("warning", "pull.minute_limit", pause_s=pause_s, then="it goes on by itself")

    def _log(self, level: str, event: str, **values: object) -> None:
        """Log an event; structlog, 0.3 s to import, is loaded when there is something to say."""
        _logging(self.settings, silent=self._silent)
        import structlog

        getattr(structlog.get_logger(), level)(event, **values)


def wire(values: Settings, *, root: str | None, commands: Commands, json_only: bool) -> Wired:
    """Ports for one command line.

    Raises:
        ConfigError: the root cannot be a folder.
    """
    check_folder(root or values.root)
    return Wired(values, root=root or values.root, commands=commands, silent=json_only)


def tables(
    values: Settings,
    root: str,
    *,
    lease: "Callable[[], AbstractContextManager[Callable[[], None]]] | None" = None,
) -> "Store":
    """Objects and tables of a root; without a lease for readers alone."""
    from bft.adapters.store.folder import FolderObjects
    from bft.adapters.store.tables import TableStore

    objects: Any = None
    if "://" in root:
        from bft.adapters.store.bucket import BucketObjects

        endpoint, region = values.s3_endpoint or None, values.s3_region
        objects = BucketObjects(root, endpoint=endpoint, region=region)
    else:
        objects = FolderObjects(Path(root))
    return TableStore(objects) if lease is None else TableStore(objects, lease=lease)


def book_url(values: Settings, root: str) -> str:
    """Where the executor's book lies: the state's PostgreSQL, else SQLite in the root.

    Raises:
        ConfigError: a bucket root, and no PostgreSQL named.
    """
    from bft.adapters.store.state import folder_url

    if not values.state_url and "://" in root:
        raise ConfigError("BFT_STATE_URL: name a PostgreSQL database for a bucket root")
    if not values.state_url:
        Path(root).mkdir(parents=True, exist_ok=True)
    return values.state_url or folder_url(Path(root))


def _token(path: str) -> str:
    """What the token file holds; without a file nothing is shown."""
    try:
        return Path(path).read_text(encoding="ascii").strip() if path else ""
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "no token"
        raise ConfigError(
            f"BFT_TOKEN_FILE={path}: {why}; write one with bft token USER --roles trader "
            f"--output {path}"
        ) from error


@contextmanager
def progress(verb: str, *, quiet: bool) -> Iterator[Tick]:
    """A tick that shows progress: to the runner's pipe, or as a bar on a terminal."""
    pipe = os.environ.get("BFT_PROGRESS_FD")
    if pipe:

        def tell(done: int, total: int, note: str) -> None:
            line = json.dumps({"done": done, "total": total, "note": note}) + "\n"
            os.write(int(pipe), line.encode())

        yield tell
    elif quiet or not sys.stderr.isatty():
        yield lambda _done, _total, _note: None
    else:
        with _bar(verb) as tick:
            yield tick


@contextmanager
def _bar(verb: str) -> Iterator[Tick]:
    """A bar that appears with the first tick."""
    with ExitStack() as open_bar:
        shown: list[Tick] = []

        def tick(done: int, total: int, note: str) -> None:
            if not shown:
                shown.append(open_bar.enter_context(_open_bar(verb)))
            shown[0](done, total, note)

        yield tick


@contextmanager
def _open_bar(verb: str) -> Iterator[Tick]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as TimeLeft

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeLeft())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(verb, total=None)

        def tick(done: int, total: int, note: str) -> None:
            bar.update(task, completed=done, total=total, description=f"{verb} {note}".strip())

        yield tick


@cache
def _logging(values: Settings, *, silent: bool) -> None:
    import logging

    import structlog

    text = values.log_format == "text" or (values.log_format == "auto" and sys.stderr.isatty())
    level = logging.CRITICAL if silent else logging.getLevelNamesMapping()[values.log_level.upper()]
    plain = structlog.dev.plain_traceback  # the default prints locals: keys and tokens among them
    text_render = structlog.dev.ConsoleRenderer(exception_formatter=plain)
    render = text_render if text else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
