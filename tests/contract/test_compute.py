"""What every compute back-end does with tasks."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from fakes import FixedClock

from bft.adapters.compute.inline import InlineCompute
from bft.adapters.compute.placement import Capacity, fits, gpu_frac, largest_first
from bft.adapters.compute.pool import PoolCompute
from bft.domain.errors import ConfigError
from bft.domain.runs import Event, Needs, Task
from bft.ports import Compute

SMALL = Needs()
TWO = Capacity(cpus=2, memory_mb=8192, gpu_memory_mb=10_000)


@pytest.fixture(params=["inline", "pool"])
def compute(request: pytest.FixtureRequest) -> Compute:
    clock = FixedClock(datetime(2026, 1, 5, tzinfo=UTC))
    made = {"inline": InlineCompute, "pool": PoolCompute}[request.param]
    return made(clock=clock, capacity=TWO)


def task(
    key: str, call: str, *, needs: Needs = SMALL, timeout_s: float = 60, **spec: object
) -> Task:
    return Task(key=key, call=f"compute_tasks:{call}", spec=spec, needs=needs, timeout_s=timeout_s)


def ignore(_one: object) -> None:
    pass


def test_outcomes_come_in_task_order_with_events(compute: Compute) -> None:
    events: list[Event] = []
    memory = {"a": 512, "b": 2048, "c": 1024}
    tasks = [
        task(key, "square", x=n, needs=Needs(memory_mb=memory[key])) for n, key in enumerate("abc")
    ]
    outcomes = compute.run(tasks, events.append, ignore)
    assert [(o.key, o.value) for o in outcomes] == [
        ("a", {"square": 0}),
        ("b", {"square": 1}),
        ("c", {"square": 4}),
    ]
    of_b = [(e.state, e.epoch) for e in events if e.key == "b"]
    assert of_b == [("queued", 0), ("running", 0), ("progress", 0), ("progress", 1), ("done", 0)]
    assert {e.at.year for e in events} == {2026}


def test_faults_become_failures_and_lose_no_other_task(compute: Compute) -> None:
    kinds = ["data", "unavailable", "memory", "key"]
    tasks = [task(kind, "fault", kind=kind) for kind in kinds] + [task("good", "square", x=3)]
    outcomes = compute.run(tasks, ignore, ignore)
    failures = [(o.failure.kind, o.failure.retryable) for o in outcomes if o.failure]
    assert failures == [
        ("data", False),
        ("unavailable", True),
        ("oom", False),
        ("crashed", False),
    ]
    assert outcomes[0].failure
    assert outcomes[0].failure.message == "a data fault"
    assert outcomes[-1].value == {"square": 9}


def test_unknown_function_is_a_config_failure(compute: Compute) -> None:
    (outcome,) = compute.run([task("x", "nowhere")], ignore, ignore)
    assert outcome.failure
    assert outcome.failure.kind == "config"


def test_task_above_every_slot_is_refused_with_both_numbers(compute: Compute) -> None:
    with pytest.raises(ConfigError, match=r"memory_mb 9000.*8192"):
        compute.run([task("x", "square", x=1, needs=Needs(memory_mb=9000))], ignore, ignore)


def test_out_of_device_memory_runs_once_more(compute: Compute, tmp_path: Path) -> None:
    needs = Needs(gpu_memory_mb=4000)
    (outcome,) = compute.run(
        [task("x", "hungry", needs=needs, marker=str(tmp_path / "tried"))], ignore, ignore
    )
    assert outcome.value == {"second": True}


def pool(capacity: Capacity = TWO) -> PoolCompute:
    return PoolCompute(clock=FixedClock(), capacity=capacity)


def test_dead_worker_fails_its_task_alone() -> None:
    tasks = [task("dead", "end"), *(task(f"t{n}", "square", x=n) for n in range(3))]
    dead, *others = pool().run(tasks, ignore, ignore)
    assert dead.failure
    assert (dead.failure.kind, dead.failure.retryable) == ("crashed", True)
    assert "code 9" in dead.failure.message
    assert [o.value for o in others] == [{"square": 0}, {"square": 1}, {"square": 4}]


def test_late_task_times_out_and_others_finish() -> None:
    tasks = [task("late", "process", seconds=30, timeout_s=0.5), task("t", "square", x=2)]
    late, other = pool().run(tasks, ignore, ignore)
    assert late.failure
    assert (late.failure.kind, late.failure.retryable) == ("timeout", True)
    assert other.value == {"square": 4}


def test_worker_takes_the_next_task() -> None:
    one = Capacity(cpus=2, memory_mb=8192, tasks=1)
    outcomes = pool(one).run([task(f"t{n}", "process") for n in range(3)], ignore, ignore)
    assert len({o.value["pid"] for o in outcomes if o.value}) == 1


def test_prepared_workers_run_tasks() -> None:
    compute = pool()
    compute.prepare("compute_tasks")
    outcomes = compute.run(
        [task(f"t{n}", "process", seconds=0.2) for n in range(2)], ignore, ignore
    )
    assert len({o.value["pid"] for o in outcomes if o.value}) == 2


def test_placement_is_largest_first_and_first_fit() -> None:
    sizes = [1024, 4096, 2048]
    tasks = [task(str(s), "square", needs=Needs(memory_mb=s)) for s in sizes]
    assert largest_first(tasks) == [1, 2, 0]
    running = [tasks[1].needs]
    capacity = Capacity(cpus=8, memory_mb=5120)
    assert [fits(tasks[n].needs, running, capacity) for n in (2, 0)] == [False, True]


def test_gpu_share_rounds_up_to_a_twentieth() -> None:
    assert gpu_frac(4096, 24_000) == pytest.approx(0.20)  # 0.1707
    assert gpu_frac(4000, 16_000) == pytest.approx(0.25)
    assert gpu_frac(0, 0) == 0
    needs, capacity = (
        Needs(gpu_memory_mb=5000),
        Capacity(cpus=8, memory_mb=9999, gpu_memory_mb=10_000),
    )
    assert fits(needs, [needs], capacity)
    assert not fits(Needs(gpu_memory_mb=500), [needs, needs], capacity)
