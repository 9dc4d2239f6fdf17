"""A pool of spawned processes, each of which runs one task after the other."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from bft.adapters.compute import placement, worker
from bft.adapters.compute.placement import Capacity
from bft.domain.runs import Event, Failure, Needs, Outcome, Task
from bft.ports import Clock


@dataclass(slots=True, kw_only=True)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    task: Task | None = None
    place: int = -1
    deadline_s: float = 0.0
    again: bool = False  # this is the task's second try, after it ran out of device memory

    def stop(self) -> None:
        """End the process, whatever it does."""
        self.process.kill()
        self.process.join()
        self.pipe.close()


class PoolCompute:
    """The Compute port over `spawn` workers.

    Workers start when there is work for them, import a task's module once and take the next task.
    A dead or late one fails its task only and is replaced.
    """

    def __init__(self, *, clock: Clock, capacity: Capacity) -> None:
        self._clock, self._capacity = clock, capacity
        self._idle: list[_Worker] = []

    def prepare(self, module: str) -> None:
        """Start all workers and let them import `module` while the caller does other work."""
        while len(self._idle) < min(self._capacity.cpus, self._capacity.tasks):
            self._idle.append(_start())
        for one in self._idle:
            one.pipe.send(module)

    def run(
        self,
        tasks: Sequence[Task],
        on_event: Callable[[Event], None],
        on_outcome: Callable[[Outcome], None],
    ) -> list[Outcome]:
        """Run the tasks on as many workers as fit; outcomes in task order."""
        placement.check(tasks, self._capacity)
        tell = _Tell(self._tell(on_event), on_outcome)
        job = _Job(tasks, tell, self._capacity, self._idle)
        try:
            return job.run()
        finally:
            for one in [*job.busy, *self._idle]:
                one.stop()
            self._idle = []

    def _tell(self, on_event: Callable[[Event], None]) -> Callable[[str, str, Event | None], None]:
        def tell(key: str, state: str, event: Event | None = None) -> None:
            now = self._clock.now()
            shown = (
                replace(event, key=key, at=now) if event else Event(key=key, state=state, at=now)
            )
            on_event(shown)

        return tell


@dataclass(frozen=True, slots=True)
class _Tell:
    """Whom a job tells of states and of outcomes."""

    state: Callable[..., None]
    outcome: Callable[[Outcome], None]


class _Job:
    """One call of `run`: which tasks wait, which run where, what came of them."""

    def __init__(
        self,
        tasks: Sequence[Task],
        tell: _Tell,
        capacity: Capacity,
        idle: list[_Worker],
    ) -> None:
        self._tasks, self._tell, self._capacity, self._idle = tasks, tell, capacity, idle
        self._waiting = [(place, tasks[place], False) for place in placement.largest_first(tasks)]
        self._outcomes: dict[int, Outcome] = {}
        self.busy: list[_Worker] = []

    def run(self) -> list[Outcome]:
        for task in self._tasks:
            self._tell.state(task.key, "queued")
        while len(self._outcomes) < len(self._tasks):
            self._place()
            self._listen()
            self._end_late()
        return [self._outcomes[place] for place in range(len(self._tasks))]

    def _place(self) -> None:
        for entry in list(self._waiting):
            place, task, again = entry
            if placement.fits(task.needs, self._running(), self._capacity):
                self._waiting.remove(entry)
                self._send(place, task, again=again)

    def _running(self) -> list[Needs]:
        return [one.task.needs for one in self.busy if one.task]

    def _send(self, place: int, task: Task, *, again: bool) -> None:
        one = self._idle.pop(0) if self._idle else _start()
        one.task, one.place, one.again = task, place, again
        one.deadline_s = time.monotonic() + task.timeout_s
        self.busy.append(one)
        self._tell.state(task.key, "running")
        try:
            one.pipe.send(task)
        except OSError:
            self._lost(one)  # it died while it was idle

    def _listen(self) -> None:
        by_pipe = {one.pipe: one for one in self.busy}
        next_deadline_s = min((one.deadline_s for one in self.busy), default=0.0)
        left_s = max(0.0, next_deadline_s - time.monotonic())
        for pipe in wait(list(by_pipe), timeout=min(left_s, 3600.0)):
            self._receive(by_pipe[pipe])  # type: ignore[index]  # only these were asked for

    def _receive(self, one: _Worker) -> None:
        try:
            message = one.pipe.recv()
        except (EOFError, OSError):
            self._lost(one)
            return
        if isinstance(message, Event):
            self._tell.state(one.task.key if one.task else message.key, "progress", message)
        else:
            self._ended(one, message)

    def _ended(self, one: _Worker, outcome: Outcome) -> None:
        self.busy.remove(one)
        self._idle.append(one)
        task = one.task
        full = outcome.failure is not None and outcome.failure.kind == "oom"
        if full and task and task.needs.gpu_memory_mb and not one.again:
            self._waiting.append((one.place, placement.grown(task, self._capacity), True))
            self._tell.state(outcome.key, "queued")
            return
        self._settle(one.place, outcome)

    def _lost(self, one: _Worker) -> None:
        one.process.join()
        text = f"worker {one.process.pid} ended with code {one.process.exitcode}"
        self._fail(one, Failure(kind="crashed", message=text, retryable=True))

    def _end_late(self) -> None:
        for one in [one for one in self.busy if time.monotonic() >= one.deadline_s]:
            limit_s = one.task.timeout_s if one.task else 0.0
            text = f"not done after {limit_s:g} s; the next run resumes"
            self._fail(one, Failure(kind="timeout", message=text, retryable=True))

    def _fail(self, one: _Worker, failure: Failure) -> None:
        self.busy.remove(one)
        one.stop()
        key = self._tasks[one.place].key
        self._settle(one.place, Outcome(key=key, value=None, failure=failure))

    def _settle(self, place: int, outcome: Outcome) -> None:
        self._outcomes[place] = outcome
        self._tell.state(outcome.key, "failed" if outcome.failure else "done")
        self._tell.outcome(outcome)


def _start() -> _Worker:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=worker.main, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process=process, pipe=ours)
