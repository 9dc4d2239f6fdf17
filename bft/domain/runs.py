"""Values of tracked runs and of work sent elsewhere."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bft.domain.errors import DataError

Json = dict[str, Any]


def check_finite(value: Any, path: str = "") -> None:
    """Refuse NaN and infinities anywhere in a value; what is unknown is None.

    Raises:
        DataError: names the path to the first one.
    """
    if isinstance(value, float) and not math.isfinite(value):
        what = path.removeprefix(".") or "the value"
        raise DataError(f"{what} is {value}, which JSON cannot hold; unknown is null")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            check_finite(inner, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            check_finite(inner, f"{path}[{place}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One value of a tracked run."""

    name: str
    value: float
    step: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """A version in the model registry."""

    name: str
    version: str
    run_id: str | None
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a task asks of a slot."""

    cpus: int = 1
    memory_mb: int = 1024
    gpu_memory_mb: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One call to make elsewhere: `call` is "module:function", `spec` is JSON."""

    key: str
    call: str
    spec: Json
    needs: Needs = Needs()
    timeout_s: float = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Progress of a task; state is queued, running, progress, done or failed.

    `metrics` are the epoch's values for the tracker, which only the parent process talks to.
    """

    key: str
    state: str
    at: datetime
    epoch: int = 0
    epochs: int = 0
    step: int = 0
    loss: float | None = None
    epoch_s: float | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a task has no value: data, config, unavailable, oom, crashed or timeout."""

    kind: str
    message: str
    retryable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a task: a JSON value, or a failure."""

    key: str
    value: Json | None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedStep:
    """A step of a night that failed: its verb, exit code and error."""

    verb: str
    exit_code: int
    error: str

    @property
    def told(self) -> str:
        """In one line."""
        return f"{self.verb} failed (exit code {self.exit_code}): {self.error}"
