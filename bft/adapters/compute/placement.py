"""What fits where: largest memory first, first fit (models specification, 5.1)."""

import math
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bft.domain.errors import ConfigError
from bft.domain.runs import Needs, Task

GPU_STEP_FRAC = 0.05
OOM_GROWTH = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What one machine offers; `tasks` bounds how many run at once."""

    cpus: int
    memory_mb: int
    gpu_memory_mb: int = 0
    tasks: int = 1_000


def machine(*, cpus: int = 0, jobs: int = 0) -> Capacity:
    """This machine (or container); 0 means all it has."""
    return Capacity(
        cpus=cpus or len(os.sched_getaffinity(0)),
        memory_mb=_memory_mb(),
        gpu_memory_mb=_gpu_memory_mb(),
        tasks=jobs or 1_000,
    )


def check(tasks: Sequence[Task], capacity: Capacity) -> None:
    """Refuse a task that is larger than the machine.

    Raises:
        ConfigError: names what it needs and what there is.
    """
    counted = ("cpus", "memory_mb", "gpu_memory_mb" if capacity.gpu_memory_mb else "cpus")
    for task in tasks:
        for name in counted:  # without a device, a task that may use one runs on the CPU
            need, there = getattr(task.needs, name), getattr(capacity, name)
            if need > there:
                raise ConfigError(
                    f"task {task.key} needs {name} {need}, the largest slot has {there}; "
                    f"lower it with --override {name}=N or use a larger machine"
                )


def largest_first(tasks: Sequence[Task]) -> list[int]:
    """Places of the tasks in the order they are tried; equals keep their order."""
    return sorted(range(len(tasks)), key=lambda place: -tasks[place].needs.memory_mb)


def fits(needs: Needs, running: Iterable[Needs], capacity: Capacity) -> bool:
    """Tell whether a task can start beside the running ones."""
    beside = [*running, needs]
    device = capacity.gpu_memory_mb
    return (
        len(beside) <= capacity.tasks
        and sum(one.cpus for one in beside) <= capacity.cpus
        and sum(one.memory_mb for one in beside) <= capacity.memory_mb
        and sum(gpu_frac(one.gpu_memory_mb, device) for one in beside) <= 1 + 1e-9
    )


def gpu_frac(declared_mb: int, device_mb: int) -> float:
    """Share of a device that a task takes, rounded up to 0.05."""
    if not declared_mb or not device_mb:
        return 0.0
    return math.ceil(declared_mb / device_mb / GPU_STEP_FRAC - 1e-9) * GPU_STEP_FRAC


def grown(task: Task, capacity: Capacity) -> Task:
    """The task once more, after it ran out of device memory."""
    more = min(math.ceil(task.needs.gpu_memory_mb * OOM_GROWTH), capacity.gpu_memory_mb)
    return replace(task, needs=replace(task.needs, gpu_memory_mb=more))


def _memory_mb() -> int:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text(encoding="ascii").strip() if limit.exists() else "max"
    return min(total, int(text) if text.isdigit() else total) >> 20


def _gpu_memory_mb() -> int:
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return 0
    asked = [tool, "--query-gpu=memory.total", "--format=csv,noheader,nounits"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603  a fixed argv
    lines = done.stdout.split() if done.returncode == 0 else []
    return int(lines[0]) if lines else 0
