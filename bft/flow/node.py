"""One attempt of a container: a child process with its own session, folders, log and limits."""

import json
import os
import re
import selectors
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from bft.domain.runs import Json

if TYPE_CHECKING:  # a child that follows its runner loads this module first
    from bft.ports import Tick


MESSAGE_CHARS = 2000
LOG_BYTES = 2**20  # a log keeps its last MiB
GRACE_S = 10.0  # between SIGTERM and SIGKILL
LOOK_S = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a child came to: `exit_code` is None where it could not be started."""

    exit_code: int | None
    line: Json | None
    message: str
    seconds: float
    halted: str | None = None


class Pipe:
    """The runner's life: children read its other end and end when it closes."""

    def __init__(self) -> None:
        self.read, self._write = os.pipe()

    def close(self) -> None:
        """Let go; children that still run end."""
        os.close(self._write)
        os.close(self.read)


class Log:
    """A node's output on disk; the newest MiB is kept."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._file = path, path.open("ab")

    def write(self, data: bytes) -> None:
        """Append; cut the file when it has grown to twice its size."""
        self._file.write(data)
        self._file.flush()
        if self._file.tell() > 2 * LOG_BYTES:
            self._cut()

    def close(self) -> None:
        """Cut to size and close."""
        if self._file.tell() > LOG_BYTES:
            self._cut()
        self._file.close()

    def _cut(self) -> None:
        self._file.close()
        kept = self._path.read_bytes()[-LOG_BYTES:]
        self._path.write_bytes(kept)
        self._file = self._path.open("ab")


class Child:
    """Runs one command line; call `run` once."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        env: Mapping[str, str],
        work: Path,
        log: Path,
        pipe: Pipe,
        grace_s: float = GRACE_S,
    ) -> None:
        self._words, self._work, self._pipe = list(words), work, pipe
        self._grace_s = grace_s
        self.outputs = work / "out"
        shutil.rmtree(work, ignore_errors=True)
        self.outputs.mkdir(parents=True)
        (work / "tmp").mkdir()
        self._env = {**env, "BFT_OUTPUTS_DIR": str(self.outputs), "TMPDIR": str(work / "tmp")}
        self._log = Log(log)
        self._stdout, self._stderr, self._partial = bytearray(), bytearray(), b""

    def run(self, tick: "Tick", halted: Callable[[], str | None]) -> Ended:
        """Start, follow and end the process; `halted` gives a reason to stop it."""
        started = time.monotonic()
        ours, theirs = os.pipe()
        try:
            process = self._start(theirs)
        except OSError as error:
            os.close(theirs)
            os.close(ours)
            self._log.close()
            return Ended(exit_code=None, line=None, message=str(error), seconds=0.0)
        os.close(theirs)
        try:
            why = self._follow(process, ours, tick, halted)
        finally:
            os.close(ours)
            _end_group(process)
            self._log.close()
        code = process.returncode
        return Ended(
            exit_code=128 - code if code < 0 else code,
            line=json_line(bytes(self._stdout)),
            message=_message(bytes(self._stderr)),
            seconds=time.monotonic() - started,
            halted=why,
        )

    def forget(self) -> None:
        """Remove the work folder."""
        shutil.rmtree(self._work, ignore_errors=True)

    def _start(self, progress: int) -> subprocess.Popen[bytes]:
        pipes = {"BFT_PARENT_FD": str(self._pipe.read), "BFT_PROGRESS_FD": str(progress)}
        return subprocess.Popen(  # noqa: S603  argv comes from the rendered workflow
            self._words,
            env={**self._env, **pipes},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(self._pipe.read, progress),
            start_new_session=True,
        )

    def _follow(
        self,
        process: subprocess.Popen[bytes],
        progress: int,
        tick: "Tick",
        halted: Callable[[], str | None],
    ) -> str | None:
        why, kill_at = None, None
        with selectors.DefaultSelector() as selector:
            streams: list[tuple[int | IO[bytes] | None, Callable[[bytes], None]]] = [
                (process.stdout, self._out),
                (process.stderr, self._err),
                (progress, lambda data: self._progress(data, tick)),
            ]
            for stream, take in streams:
                if stream is not None:
                    selector.register(stream, selectors.EVENT_READ, take)
            while selector.get_map():
                _read(selector)
                if why is None and (why := halted()):
                    _signal(process, signal.SIGTERM)
                    kill_at = time.monotonic() + self._grace_s
                if kill_at and time.monotonic() > kill_at:
                    _signal(process, signal.SIGKILL)
                if process.poll() is not None:
                    _drain(selector)
                    break
        process.wait()
        for stream, _ in streams[:2]:
            stream.close()  # type: ignore[union-attr]
        return why

    def _out(self, data: bytes) -> None:
        self._stdout += data
        del self._stdout[:-LOG_BYTES]
        self._log.write(data)

    def _err(self, data: bytes) -> None:
        self._stderr += data
        del self._stderr[:-65536]
        self._log.write(data)

    def _progress(self, data: bytes, tick: "Tick") -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines[-1:]:
            with suppress(ValueError, KeyError, TypeError):
                said = json.loads(line)
                tick(int(said["done"]), int(said["total"]), str(said["note"]))


def _read(selector: selectors.BaseSelector, timeout_s: float = LOOK_S) -> bool:
    found = selector.select(timeout_s)
    for key, _ in found:
        data = os.read(key.fd, 65536)
        if data:
            key.data(data)
        else:
            selector.unregister(key.fileobj)
    return bool(found)


def _drain(selector: selectors.BaseSelector) -> None:
    while selector.get_map() and _read(selector, 0):
        pass


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Nothing a child started outlives it."""
    _signal(process, signal.SIGKILL)
    process.wait()


def json_line(text: bytes) -> Json | None:
    """The JSON object on the last line, or None."""
    last = text.strip().rpartition(b"\n")[2]
    try:
        line = json.loads(last)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None


def _message(text: bytes) -> str:
    lines = [line for line in text.decode(errors="replace").splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("error: ")]
    said = (told or lines or [""])[-1].removeprefix("error: ")
    said = re.sub(r"\s+\[\d+\]$", "", said)  # its exit code is known
    return said if len(said) <= MESSAGE_CHARS else said[:MESSAGE_CHARS] + "..."


def inherited_fds() -> tuple[int, ...]:
    """In a child: pipes of the runner that its own children need too."""
    names = ("BFT_PROGRESS_FD", "BFT_PARENT_FD")
    return tuple(int(os.environ[name]) for name in names if name in os.environ)  # noqa: TID251  set by the runner


def follow_parent(handle: int, stop: Callable[[], None]) -> None:
    """In a child: call `stop` when the runner's end of the pipe closes, then end the group."""

    def watch() -> None:
        with suppress(OSError):
            while os.read(handle, 1):
                pass
        stop()
        time.sleep(GRACE_S)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
