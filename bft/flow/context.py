"""What all nodes of one run share: values, journal, options, and the word to stop."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from queue import SimpleQueue

from bft.flow.graph import Phase, Result
from bft.flow.locks import Room, Synchronization, announce, arrive
from bft.flow.node import Pipe
from bft.flow.spec import ConfigMaps, Workflow
from bft.flow.state import Journal
from bft.ports import Commands

Values = dict[str, str]
Approver = Callable[[str, float | None], str | None]
"""Who approves a suspended node (its path, its duration in seconds), or None: nobody yet."""
NOTHING: Mapping[str, object] = {}
_EVENTS = {Phase.SKIPPED: "skipped", Phase.OMITTED: "omitted"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How this run differs from the rendered file, and what its children get.

    `prefix` stands for the command `bft`, `env` is the caller's environment. `finished` are leaves
    that an earlier part of the same run finished, `order` its nodes' places (`RunRecord.order`).
    """

    prefix: tuple[str, ...]
    env: Mapping[str, str]
    limits: ConfigMaps = field(default_factory=dict)
    jobs: int | None = None
    fresh: bool = False
    forced: frozenset[str] = frozenset()
    only: str | None = None
    approve: Approver = lambda _node, _duration_s: None
    finished: Mapping[str, Result] = field(default_factory=dict)
    order: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    def forces(self, path: str) -> bool:
        """Must the node run although it is finished?"""
        return self.fresh or last_name(path) in self.forced


class Stop:
    """Why the run ends early, once it does."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._event = threading.Event()

    def now(self, reason: str) -> None:
        """End everything; the first reason counts."""
        self.reason = self.reason or reason
        self._event.set()

    def wait(self, limit_s: float) -> bool:
        """Sleep, unless the run ends; tells whether it did."""
        return self._event.wait(limit_s)


@dataclass(kw_only=True)
class Context:
    """One run; its nodes report here."""

    workflow: Workflow
    values: dict[str, str]
    journal: Journal
    commands: Commands
    options: Options
    locks: Synchronization
    room: Room
    pipe: Pipe
    stop: Stop = field(default_factory=Stop)
    failures: list[dict[str, str]] = field(default_factory=list)
    started: set[str] = field(default_factory=set)
    outdated: set[str] = field(default_factory=set)

    def finished(self, path: str) -> Result | None:
        """What an earlier part of this run left of a node, unless it is outdated."""
        return None if path in self.outdated else self.options.finished.get(path)

    def starts_after(self, parents: Sequence[str], path: str) -> None:
        """Drop what earlier parts left of a node that a parent has been started after.

        It was made of what the parent was then, as reports of a night whose scoring had failed.
        """
        mine = self._left_of(path)
        if not any(_within(node, parents) for node in tuple(self.started)):
            order = self.options.order
            begun = max((order[node][0] for node in order if _within(node, parents)), default=-1)
            mine = {leaf for leaf in mine if order[leaf][1] < begun}
        self.outdated |= mine

    def forget(self, path: str) -> None:
        """Drop what earlier parts left of a node."""
        self.outdated |= self._left_of(path)

    def _left_of(self, path: str) -> set[str]:
        return {leaf for leaf in self.options.finished if _within(leaf, [path])}

    def halted(self, end: float | None) -> str | None:
        """Why a node should not go on: the run stops, or its own time (monotonic) is up."""
        if self.stop.reason:
            return self.stop.reason
        return "timeout" if end is not None and time.monotonic() > end else None

    def forced(self, path: str) -> bool:
        """Must the node run although it is finished?"""
        return self.options.forces(path)

    def over(
        self,
        path: str,
        result: Result,
        *,
        event: str = "finished",
        leaf: bool = True,
        more: Mapping[str, object] = NOTHING,
    ) -> Result:
        """Record a node's end, then hand it on; the graph around everything has no name."""
        if not path:
            return result
        if leaf and result.phase.bad:
            told = {"phase": str(result.phase), "message": result.reason}
            self.failures.append({"displayName": path, **told})
        self.journal.note(
            _EVENTS.get(result.phase, event),
            path,
            leaf=leaf,
            phase=str(result.phase),
            exit_code=result.exit_code,
            reason=result.reason or None,
            outputs=dict(result.outputs),
            **more,
        )
        return result


def stopped(reason: str | None) -> Result:
    """A node that was not allowed to finish."""
    return Result(phase=Phase.FAILED, exit_code=75, reason=reason or "stopped")


def join(path: str, name: str) -> str:
    """Path of a node below another."""
    return f"{path}.{name}" if path else name


def _within(path: str, nodes: Sequence[str]) -> bool:
    """Is it one of those nodes, a member of its loop, or below it?"""
    return any(path == node or path.startswith((f"{node}.", f"{node}(")) for node in nodes)


def last_name(path: str) -> str:
    """Name of the task a path ends in: `night.train(0:all)` is `train`."""
    return path.partition("(")[0].rpartition(".")[2]


class Crew:
    """Threads working on named nodes; results come in the order they finish."""

    def __init__(self, stop: Stop) -> None:
        self._queue: SimpleQueue[tuple[str, Result | BaseException]] = SimpleQueue()
        self._stop = stop
        self.active = 0

    def start(self, name: str, work: Callable[..., Result], *args: object) -> None:
        """Work on a node in a thread of its own; returns once it has its place in a queue."""
        placed = threading.Event()

        def body() -> None:
            announce(placed)
            try:
                self._queue.put((name, work(*args)))
            except BaseException as fault:  # noqa: BLE001  raised again by whoever waits
                self._queue.put((name, fault))
            finally:
                placed.set()

        self.active += 1
        threading.Thread(target=body, name=name, daemon=True).start()
        placed.wait()

    def next(self) -> tuple[str, Result]:
        """The next finished node; a fault in its thread ends the run and is raised here."""
        arrive()
        name, result = self._queue.get()
        self.active -= 1
        if isinstance(result, BaseException):
            self.stop_all()
            raise result
        return name, result

    def all(self) -> dict[str, Result]:
        """Wait for everybody."""
        return dict(self.next() for _ in range(self.active))

    def stop_all(self) -> None:
        """Something is wrong in here: let nothing go on."""
        self._stop.now("internal error")
