"""MLflow as tracker and registry: embedded on SQLite, or a server.

All of MLflow happens on one thread that imports and opens it while the caller trains. What the
caller logs is queued; while MLflow is away it goes to a spool, which the next connection replays.
"""

import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar

from bft.adapters.tracker import tables
from bft.adapters.tracker.session import Session, refusal
from bft.adapters.tracker.spool import Spool
from bft.domain.errors import BftError, UnavailableError
from bft.domain.masking import masked
from bft.domain.runs import Json, Metric, ModelVersion
from bft.ports import Clock, Store

QUEUE = 10_000
RETRY_S = 30.0
T = TypeVar("T")


class _Away(Exception):  # noqa: N818  no fault of the caller's: the work is kept
    """MLflow does not answer, or lets nobody in; `kind` is what that is to who asks."""

    def __init__(self, reason: str, kind: type[BftError]) -> None:
        super().__init__(reason)
        self.kind = kind


@dataclass(frozen=True, slots=True, eq=False)
class _Call:
    """Something whose answer the caller waits for."""

    ask: Callable[[Session], Any]
    answer: Future[Any]


class MlflowTracker:
    """The Tracker port; a run's id here is its key, so that starting one waits for nothing.

    `database` is the SQLite file of an embedded MLflow, None for a server.
    """

    def __init__(
        self,
        uri: str,
        *,
        database: Path | None,
        store: Store,
        clock: Clock,
        log: Callable[..., None] = lambda *_about, **_values: None,
    ) -> None:
        self._uri, self._database, self._clock, self._log = uri, database, clock, log
        self._spool, self._spilled = Spool(store), False
        self._queue: queue.Queue[Json | _Call] = queue.Queue(QUEUE)
        self._session: Session | None = None
        self._away: _Away | None = None
        self._retry_at_s = 0.0
        self._roots: set[str] = set()
        self._thread: threading.Thread | None = None

    def start(
        self, name: str, *, run_key: str, tags: Mapping[str, str], parent: str | None = None
    ) -> str:
        """Open or reopen the run of `run_key`."""
        if parent is None:
            self._roots.add(run_key)
        about = {"name": name, "tags": dict(tags), "parent": parent, "at_ms": self._now_ms()}
        self._put({"op": "start", "run": run_key, **about})
        return run_key

    def params(self, run: str, values: Mapping[str, object]) -> None:
        """Queue parameters."""
        texts = {key: str(value)[:6000] for key, value in values.items()}
        self._put({"op": "params", "run": run, "values": texts})

    def describe(self, run: str, text: str) -> None:
        """Queue a run's description."""
        self._put({"op": "describe", "run": run, "text": text})

    def dataset(self, run: str, name: str, *, digest: str, about: Mapping[str, object]) -> None:
        """Queue a run's input."""
        self._put(
            {"op": "dataset", "run": run, "name": name, "digest": digest} | {"about": dict(about)}
        )

    def metrics(self, run: str, values: Sequence[Metric]) -> None:
        """Queue metrics."""
        rows = [(one.name, one.value, one.step, one.at_ms) for one in values]
        self._put({"op": "metrics", "run": run, "values": rows})

    def artifacts(self, run: str, folder: Path, *, to: str = "") -> None:
        """Queue a folder's copy; it must stay where it is."""
        self._put({"op": "artifacts", "run": run, "folder": str(folder), "to": to})

    def finish(self, run: str, *, status: Literal["FINISHED", "FAILED"] = "FINISHED") -> None:
        """Queue the end of a run; of a run without parent, wait until all is sent or spooled."""
        self._put({"op": "finish", "run": run, "status": status, "at_ms": self._now_ms()})
        if run in self._roots:
            self._queue.join()

    def register(
        self,
        name: str,
        folder: Path,
        *,
        run: str,
        tags: Mapping[str, str],
        description: str = "",
    ) -> ModelVersion:
        """Register an artifact folder once per digest."""
        return self._ask(
            lambda session: session.register(
                name, folder, run=run, tags=tags, description=description
            )
        )

    def versions(self, name: str) -> list[ModelVersion]:
        """Versions, newest first."""
        if self._database:
            self._queue.join()
            return tables.versions(self._database, name)
        return self._ask(lambda session: session.versions(name))

    def aliases(self, name: str) -> dict[str, str]:
        """Alias to version."""
        if self._database:
            self._queue.join()
            return tables.aliases(self._database, name)
        return self._ask(lambda session: session.aliases(name))

    def set_alias(self, name: str, alias: str, version: str | None) -> None:
        """Point an alias at a version, or remove it."""
        self._ask(lambda session: session.set_alias(name, alias, version))

    def tag_version(self, name: str, version: str, key: str, value: str) -> None:
        """Set one tag of a version."""
        self._ask(lambda session: session.tag_version(name, version, key, value))

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)

    def _put(self, operation: Json) -> None:
        self._run_thread()
        try:
            self._queue.put_nowait(operation)
        except queue.Full:  # training never waits
            self._spool.append([operation], at_ms=self._now_ms())
            self._spilled = True

    def _ask(self, ask: Callable[[Session], T]) -> T:
        self._run_thread()
        answer: Future[T] = Future()
        self._queue.put(_Call(ask, answer))
        return answer.result()

    def _run_thread(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while True:
            batch = self._take()
            try:
                self._send(_merged(batch))
            finally:
                for _ in batch:
                    self._queue.task_done()

    def _take(self) -> list[Json | _Call]:
        batch = [self._queue.get()]
        while len(batch) < QUEUE:
            try:
                batch.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return batch

    def _send(self, batch: Sequence[Json | _Call]) -> None:
        for place, one in enumerate(batch):
            try:
                self._carry_out(one, self._connected())
            except _Away as error:
                self._keep(batch[place:], error.kind(str(error)))
                return
            except BftError as error:  # the root is away: what is spooled there was not replayed
                self._session = None
                self._keep(batch[place:], UnavailableError(f"{error}; run again when it does"))
                return

    def _carry_out(self, one: Json | _Call, session: Session) -> None:
        try:
            if isinstance(one, _Call):
                one.answer.set_result(one.ask(session))
            else:
                session.apply(one)
        except Exception as error:  # noqa: BLE001  whatever MLflow or its libraries raise
            kind, said = refusal(error), self._said(error)
            if kind is None:
                self._lose(error)
            if isinstance(one, _Call):
                one.answer.set_exception(kind(f"{self._name} refused: {said}"))
            else:
                self._log("warning", "tracker.refused", op=one["op"], run=one["run"], error=said)

    def _connected(self) -> Session:
        """The session, opened and with the spool replayed."""
        if self._session is None:
            if self._away is not None and time.monotonic() < self._retry_at_s:
                raise self._away
            try:
                self._session = Session(self._uri, database=self._database)
            except Exception as error:  # noqa: BLE001  whatever MLflow or its libraries raise
                self._lose(error)
            self._replay(self._session)
        elif self._spilled:
            self._spilled = False
            self._replay(self._session)
        return self._session

    def _replay(self, session: Session) -> None:
        for key, operations in self._spool.waiting():
            for one in operations:
                self._carry_out(one, session)
            self._spool.done(key)

    def _lose(self, error: Exception) -> NoReturn:
        """MLflow is away, or refused to be opened at all."""
        self._session = None
        kind = refusal(error)
        said = self._said(error)
        if kind is None:
            reason = f"{self._name} does not answer: {said}; run again when it does"
        else:
            reason = f"{self._name} lets nobody in: {said}; check BFT_TRACKER_URL"
        self._away = _Away(reason, kind or UnavailableError)
        self._retry_at_s = time.monotonic() + RETRY_S
        self._log("warning", "tracker.away", error=reason)
        raise self._away from error

    @property
    def _name(self) -> str:
        return f"MLflow {masked(self._uri, self._uri)}"

    def _said(self, error: Exception) -> str:
        """The first line of an error; MLflow quotes the address it asked, password included."""
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        return masked(said, self._uri)

    def _keep(self, rest: Sequence[Json | _Call], reason: BftError) -> None:
        for one in rest:
            if isinstance(one, _Call):
                one.answer.set_exception(type(reason)(str(reason)))
        operations = [one for one in rest if not isinstance(one, _Call)]
        try:
            if operations:
                self._spool.append(operations, at_ms=self._now_ms())
        except BftError as error:  # the root is away as well
            self._log("error", "tracker.lost", operations=len(operations), error=str(error))


def _merged(batch: Sequence[Json | _Call]) -> list[Json | _Call]:
    """The batch with each run's metrics in one operation, where its first ones stood."""
    out: list[Json | _Call] = []
    of_run: dict[str, Json] = {}
    for one in batch:
        if isinstance(one, _Call) or one["op"] != "metrics":
            out.append(one)
        elif one["run"] in of_run:
            of_run[one["run"]]["values"].extend(one["values"])
        else:
            of_run[one["run"]] = {**one, "values": list(one["values"])}
            out.append(of_run[one["run"]])
    return out
