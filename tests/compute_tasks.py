"""Functions that compute back-ends call in tests, by name, in other processes."""

import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bft.domain.errors import DataError, UnavailableError
from bft.domain.runs import Event

NO_TIME = datetime(2000, 1, 1, tzinfo=UTC)


def square(spec: dict[str, Any], emit: Any) -> dict[str, Any]:
    for epoch in range(2):
        event = Event(key="?", state="progress", at=NO_TIME, epoch=epoch, metrics={"loss": 1.5})
        emit(event)
    return {"square": spec["x"] ** 2}


def process(spec: dict[str, Any], _emit: Any) -> dict[str, Any]:
    time.sleep(spec.get("seconds", 0))
    return {"pid": os.getpid()}


def end(_spec: dict[str, Any], _emit: Any) -> dict[str, Any]:
    os._exit(9)


def fault(spec: dict[str, Any], _emit: Any) -> dict[str, Any]:
    faults = {"data": DataError, "unavailable": UnavailableError, "memory": MemoryError}
    raise faults.get(spec["kind"], KeyError)(f"a {spec['kind']} fault")


class OutOfMemoryError(RuntimeError):
    """Named as torch's."""


def hungry(spec: dict[str, Any], _emit: Any) -> dict[str, Any]:
    """Run out of device memory the first time."""
    marker = Path(spec["marker"])
    if marker.exists():
        return {"second": True}
    marker.touch()
    raise OutOfMemoryError("CUDA out of memory")
