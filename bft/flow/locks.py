"""Who may go next: mutexes, semaphores, and room for a node's requests; first come first served."""

import fcntl
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bft.flow.spec import ConfigMaps, Container, Locks

SLOTS = 2  # of a semaphore no parameter file states (platform specification, section 1.3)
LOOK_S = 0.1
Halted = Callable[[], bool]
"""Tells that waiting has become pointless: the run stops, or the node's time is up."""


_ARRIVAL = threading.local()


def announce(event: threading.Event) -> None:
    """In a new thread: set this event once the thread waits for its turn, or need not."""
    _ARRIVAL.event = event


def arrive() -> None:
    """This thread has its place in the queue; the next one may line up behind it."""
    event: threading.Event | None = getattr(_ARRIVAL, "event", None)
    if event is not None:
        event.set()


class Gate:
    """Amounts of named things; whoever asked first for a thing gets it first."""

    def __init__(self, capacity: Mapping[str, float]) -> None:
        self._free = dict(capacity)
        self._changed = threading.Condition()
        self._queue: list[Mapping[str, float]] = []

    @contextmanager
    def hold(self, needs: Mapping[str, float], halted: Halted) -> Iterator[bool]:
        """Wait for all of `needs` at once; yields False where waiting was halted."""
        got = self._take(needs, halted)
        try:
            yield got
        finally:
            if got:
                with self._changed:
                    for name, amount in needs.items():
                        self._free[name] += amount
                    self._changed.notify_all()

    def _take(self, needs: Mapping[str, float], halted: Halted) -> bool:
        with self._changed:
            self._queue.append(needs)
            arrive()
            try:
                while not self._turn(needs):
                    if halted():
                        return False
                    self._changed.wait(LOOK_S)
                for name, amount in needs.items():
                    self._free[name] -= amount
            finally:
                self._queue = [waiting for waiting in self._queue if waiting is not needs]
                self._changed.notify_all()
        return not halted()

    def _turn(self, needs: Mapping[str, float]) -> bool:
        place = next(n for n, waiting in enumerate(self._queue) if waiting is needs)
        earlier = {name for waiting in self._queue[:place] for name in waiting}
        return all(
            amount <= self._free[name] + 1e-9 and name not in earlier
            for name, amount in needs.items()
        )


class Room:
    """Cores, memory and jobs of this machine; a node larger than all of it runs alone."""

    def __init__(self, *, cpus: float, memory_mb: float, jobs: int) -> None:
        self._size = {"cpus": cpus, "memory": memory_mb, "jobs": float(jobs)}
        self._gate = Gate(self._size)

    def too_large(self, container: Container) -> str | None:
        """Why a node is larger than this machine, or None."""
        asked = {"cpus": container.cpus, "memory": float(container.memory_mb)}
        over = [f"{name} {asked[name]:g} of {self._size[name]:g}" for name in asked]
        large = [
            text for name, text in zip(asked, over, strict=True) if asked[name] > self._size[name]
        ]
        return ", ".join(large) or None

    @contextmanager
    def hold(self, container: Container, halted: Halted) -> Iterator[bool]:
        """Wait until the node fits."""
        asked = {"cpus": container.cpus, "memory": container.memory_mb, "jobs": 1.0}
        needs = {name: min(float(amount), self._size[name]) for name, amount in asked.items()}
        with self._gate.hold(needs, halted) as got:
            yield got


def machine(jobs: int | None) -> Room:
    """Room of this machine: its cores, 80 % of its memory, at most `jobs` nodes at once."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**20 * 0.8
    return Room(cpus=float(cores or 1), memory_mb=memory_mb, jobs=jobs or 1_000_000)


class Synchronization:
    """Mutexes as files in the root, semaphores as slots of this run."""

    def __init__(self, folder: Path, all_locks: list[Locks], limits: ConfigMaps) -> None:
        self._folder = folder
        slots = {
            f"{m}/{k}": float(limits.get(m, {}).get(k, SLOTS))
            for s in all_locks
            for m, k in s.semaphores
        }
        self._gate = Gate(slots | {name: 1.0 for locks in all_locks for name in locks.mutexes})

    @contextmanager
    def hold(self, locks: Locks, halted: Halted) -> Iterator[bool]:
        """Wait for all locks of a template; yields False where waiting was halted."""
        needs = {f"{m}/{k}": 1.0 for m, k in locks.semaphores} | dict.fromkeys(locks.mutexes, 1.0)
        if not needs:
            yield True
            return
        with self._gate.hold(needs, halted) as got:
            files = [self._folder / name for name in sorted(locks.mutexes)] if got else []
            handles = [_file_lock(path, halted) for path in files]
            try:
                yield got and None not in handles
            finally:
                for handle in handles:
                    if handle is not None:
                        os.close(handle)


def _file_lock(path: Path, halted: Halted) -> int | None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if halted():
                os.close(handle)
                return None
            time.sleep(LOOK_S)
        else:
            return handle
