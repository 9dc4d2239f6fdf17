"""One task: its function called, its faults made outcomes."""

import importlib
from collections.abc import Callable

from bft.domain.errors import ConfigError, DataError, UnavailableError
from bft.domain.runs import Event, Failure, Json, Outcome, Task

Emit = Callable[[Event], None]


def call(task: Task, emit: Emit) -> Outcome:
    """Call the task's function with (spec, emit); never raises."""
    try:
        value = resolve(task.call)(task.spec, emit)
    except Exception as error:  # noqa: BLE001  whatever a task raises is its outcome
        return Outcome(key=task.key, value=None, failure=failure_of(error))
    return Outcome(key=task.key, value=value)


def resolve(name: str) -> Callable[[Json, Emit], Json]:
    """Function behind "module:function".

    Raises:
        ConfigError: no such module or function.
    """
    module, _, function = name.partition(":")
    try:
        found: Callable[[Json, Emit], Json] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"task {name}: {error}; is the training extra installed?") from error
    return found


def failure_of(error: Exception) -> Failure:
    """Name a fault; one that another try may heal is retryable."""
    text = str(error) or type(error).__name__
    if isinstance(error, DataError):
        return Failure(kind="data", message=text, retryable=False)
    if isinstance(error, ConfigError):
        return Failure(kind="config", message=text, retryable=False)
    if isinstance(error, UnavailableError):
        return Failure(kind="unavailable", message=text, retryable=True)
    # torch.cuda.OutOfMemoryError, known by name: torch is imported in models alone
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return Failure(kind="oom", message=text, retryable=False)
    named = f"{type(error).__name__}: {text}"
    return Failure(kind="crashed", message=named, retryable=False)
