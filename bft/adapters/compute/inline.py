"""Tasks in this process, one after the other."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from bft.adapters.compute.placement import Capacity, check, machine
from bft.adapters.compute.task import call
from bft.domain.runs import Event, Outcome, Task
from bft.ports import Clock


class InlineCompute:
    """The Compute port without another process; a task's timeout is not enforced."""

    def __init__(self, *, clock: Clock, capacity: Capacity | None = None) -> None:
        self._clock, self._capacity = clock, capacity or machine()

    def prepare(self, module: str) -> None:
        """Nothing to start."""

    def run(
        self,
        tasks: Sequence[Task],
        on_event: Callable[[Event], None],
        on_outcome: Callable[[Outcome], None],
    ) -> list[Outcome]:
        """Run the tasks in order."""
        check(tasks, self._capacity)
        for task in tasks:
            on_event(Event(key=task.key, state="queued", at=self._clock.now()))
        outcomes = []
        for task in tasks:
            outcomes.append(self._run(task, on_event))
            on_outcome(outcomes[-1])
        return outcomes

    def _run(self, task: Task, on_event: Callable[[Event], None]) -> Outcome:
        def tell(event: Event) -> None:
            on_event(replace(event, key=task.key, at=self._clock.now()))

        tell(Event(key=task.key, state="running", at=self._clock.now()))
        outcome = call(task, tell)
        if outcome.failure and outcome.failure.kind == "oom" and task.needs.gpu_memory_mb:
            outcome = call(task, tell)  # other processes may have left the device meanwhile
        state = "failed" if outcome.failure else "done"
        tell(Event(key=task.key, state=state, at=self._clock.now()))
        return outcome
