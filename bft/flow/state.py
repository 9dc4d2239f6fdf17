"""What a run leaves behind: `runs/<id>/state.jsonl`, events, a heartbeat; and what reads them.

Every transition is one line, synced before it takes effect, so that a killed run can be read back
to the last thing it did. A run that no longer beats is closed as `Lost` by whoever looks next.
"""

import fcntl
import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from bft.domain.errors import RefusedError, UsageError
from bft.domain.runs import Json
from bft.flow.graph import Phase, Result
from bft.ports import Clock

HEARTBEAT_S = 5.0
SILENT_S = 30.0  # platform specification, section 2.4
SYNC = getattr(os, "fdatasync", os.fsync)  # data and length; the times of a file may be lost
NOTED = frozenset(
    "at run workflow node attempt event phase exit_code seconds reason done total".split()
)
Listener = Callable[[Json], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """A run as its state file tells it; `phase` is Running, Suspended, Lost, or how it ended.

    `order` has for each node the line of its last start, -1 without one, and its last line.
    """

    run: str
    folder: Path
    workflow: str
    head: Json
    phase: str
    nodes: Mapping[str, Json] = field(default_factory=dict)
    order: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    end: Json = field(default_factory=dict)

    def finished(self) -> dict[str, Result]:
        """Leaves that succeeded, for a resumed run to build on."""
        return {
            node: Result(phase=Phase.SUCCEEDED, outputs=line.get("outputs") or {}, exit_code=0)
            for node, line in self.nodes.items()
            if line["event"] in {"finished", "cached"} and line.get("leaf") and not _bad(line)
        }

    def running(self) -> list[str]:
        """Leaves that had begun and not ended."""
        begun = {"started", "retried", "suspended"}
        return [n for n, line in self.nodes.items() if line["event"] in begun and line.get("leaf")]


def _bad(line: Json) -> bool:
    return line.get("phase") not in {Phase.SUCCEEDED, None}


class Journal:
    """Writes one run's lines, and tells its listeners; any thread may call it."""

    def __init__(self, folder: Path, *, run: str, workflow: str, clock: Clock) -> None:
        self.folder, self._clock = folder, clock
        self._about = {"run": run, "workflow": workflow}
        self._lock, self._stop = threading.Lock(), threading.Event()
        self.listeners: list[Listener] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._state = _appending(folder / "state.jsonl")
        self._events = _appending(folder / "events.jsonl")

    def note(self, event: str, node: str = "", **values: Any) -> None:
        """Record a transition; it is on disk when this returns."""
        line = {"at": _stamp(self._clock), **self._about, "node": node, "event": event, **values}
        with self._lock:
            if event not in {"progress", "queued"}:
                _write(self._state, line)
                SYNC(self._state.fileno())
            told = {key: value for key, value in line.items() if key in NOTED}
            _write(self._events, told)
            for listener in self.listeners:
                listener(line)

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Touch the heartbeat every 5 s while the block runs."""
        pulse = self.folder / "heartbeat"
        pulse.write_text(f"{os.getpid()} {socket.gethostname()}\n", encoding="ascii")
        thread = threading.Thread(target=self._beat, args=(pulse,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            self.close()

    def close(self) -> None:
        """Close the files."""
        self._state.close()
        self._events.close()

    def _beat(self, pulse: Path) -> None:
        while not self._stop.wait(HEARTBEAT_S):
            stamp = self._clock.now().timestamp()
            with suppress(OSError):
                os.utime(pulse, (stamp, stamp))


def _appending(path: Path) -> BinaryIO:
    file = path.open("ab+")
    if file.tell() and _last_byte(file) != b"\n":
        file.write(b"\n")  # the line a killed runner did not finish
    return file


def _last_byte(file: BinaryIO) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)


def _write(file: BinaryIO, line: Mapping[str, Any]) -> None:
    file.write(json.dumps(line, separators=(",", ":"), default=str).encode() + b"\n")
    file.flush()


def _stamp(clock: Clock) -> str:
    return clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")


def lines_of(path: Path) -> list[Json]:
    """JSON lines of a file; a line cut short by a kill is left out."""
    if not path.exists():
        return []
    found = []
    for line in path.read_bytes().split(b"\n"):
        with suppress(ValueError):
            found.append(json.loads(line))
    return [line for line in found if isinstance(line, dict)]


def read_run(folder: Path) -> RunRecord | None:
    """The record of one run folder, or None where nothing was written yet."""
    lines = lines_of(folder / "state.jsonl")
    if not lines:
        return None
    nodes: dict[str, Json] = {}
    order: dict[str, tuple[int, int]] = {}
    phase, end = "Running", {}
    for place, line in enumerate(lines):
        if name := line.get("node"):
            begun = order[name][0] if name in order else -1
            order[name] = (place if line["event"] == "started" else begun, place)
            nodes[name] = line
        elif line["event"] == "ended":
            phase, end = line["phase"], line
        else:
            phase, end = "Running", {}
    head = lines[0]
    return RunRecord(
        run=head["run"],
        folder=folder,
        workflow=head["workflow"],
        head=head,
        phase=phase,
        nodes=nodes,
        order=order,
        end=end,
    )


def runs(root: Path) -> list[RunRecord]:
    """All runs of a root, oldest first."""
    found = [read_run(path.parent) for path in (root / "runs").glob("*/state.jsonl")]
    return sorted((r for r in found if r is not None), key=lambda r: (r.head["at"], r.run))


def find_run(root: Path, name: str) -> RunRecord:
    """The run of that id.

    Raises:
        UsageError: there is none; names the newest.
    """
    record = read_run(root / "runs" / name)
    if record is None:
        newest = [r.run for r in runs(root)[-1:]]
        hint = f"; the newest is {newest[0]}" if newest else ""
        raise UsageError(f"no run {name} in {root}{hint}")
    return record


def reap(root: Path, clock: Clock, *, but: str = "") -> list[RunRecord]:
    """Close runs whose runner is gone as Lost; returns them."""
    lost = []
    for record in runs(root):
        if record.phase != "Running" or record.run == but or not _silent(record, clock):
            continue
        last = record.running()[-1:] or list(record.nodes)[-1:]
        with _appending(record.folder / "state.jsonl") as file:
            reason = f"the runner ended without a word; last node: {last[0] if last else 'none'}"
            line = {"at": _stamp(clock), "run": record.run, "workflow": record.workflow, "node": ""}
            _write(file, {**line, "event": "ended", "phase": "Lost", "reason": reason})
            SYNC(file.fileno())
        shutil.rmtree(record.folder / "work", ignore_errors=True)
        lost.append(record)
    return lost


def _silent(record: RunRecord, clock: Clock) -> bool:
    pulse = record.folder / "heartbeat"
    try:
        pid, host = pulse.read_text(encoding="ascii").split()
        beat = datetime.fromtimestamp(pulse.stat().st_mtime, UTC)
    except (OSError, ValueError):
        beat, pid, host = datetime.fromisoformat(record.head["at"]), "", ""
    if host == socket.gethostname() and not _alive(int(pid)):
        return True
    return (clock.now() - beat).total_seconds() > SILENT_S


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with suppress(OSError):
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
        return stat.rpartition(")")[2].split()[0] != "Z"
    return True


@contextmanager
def only_run(root: Path, *, wait_s: float) -> Iterator[None]:
    """Be the one run of a root.

    Raises:
        RefusedError: another one is active; names its pid and host.
    """
    path = root / "runs" / ".lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    give_up = time.monotonic() + wait_s
    with path.open("a+") as file:
        while not _locked(file.fileno()):
            if time.monotonic() >= give_up:
                file.seek(0)
                holder = file.read().strip() or "another process"
                advice = f"it was for {wait_s:g} s; give --wait more" if wait_s else "add --wait S"
                raise RefusedError(f"{root} is in use by {holder}; wait for it: {advice}")
            time.sleep(0.1)
        file.seek(0)
        file.truncate()
        file.write(f"pid {os.getpid()} on {socket.gethostname()}\n")
        file.flush()
        yield


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
