"""send.marker: which orders may have reached the broker, without waiting for a disk.

A record is appended, not fsynced, before an order's first byte leaves. The page cache outlives the
process, so on the same boot of the machine an intact file without a record proves that nothing was
sent. Absent, torn, of another boot or another process, it proves nothing.
Source: executor specification, section 3.
"""

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bft.domain.errors import UnavailableError

NAME = "send.marker"
BOOT_ID_FILE = Path("/proc/sys/kernel/random/boot_id")
UNKNOWN_BOOT = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One life of an executor: the machine's boot and the lease token, unique to the process."""

    boot_id: str
    lease_token: int

    @property
    def text(self) -> str:
        """As written in the file's first record."""
        return f"{self.boot_id} {self.lease_token}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Markers:
    """What a file of a process says: `whole` unless a record is torn or altered."""

    process: str
    whole: bool
    intents: frozenset[str]


class SendMarker:
    """The file of this process, and what those of earlier ones prove."""

    def __init__(self, folder: Path, process: Process) -> None:
        self._folder, self.process = folder, process
        self._file: int | None = None
        self.earlier = tuple(m for f in sorted(folder.glob(f"{NAME}.*")) if (m := read(f)))

    def open(self) -> None:
        """Begin this process's own file, header first.

        Raises:
            UnavailableError: the folder cannot be written.
        """
        path = self._path(self.process.lease_token)
        try:
            self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600)
            os.write(self._file, _record(self.process.text))
        except OSError as error:
            raise UnavailableError(f"{path}: {error.strerror}; nothing is sent") from error

    def mark(self, intent_ids: Iterable[str]) -> None:
        """Append a record for each order about to be sent.

        Raises:
            UnavailableError: it could not be appended whole; nothing may be sent.
        """
        data = b"".join(map(_record, intent_ids))
        if self._file is None:
            raise UnavailableError(f"{NAME} is not open; nothing is sent")
        try:
            written = os.write(self._file, data)
        except OSError as error:
            raise UnavailableError(f"{NAME}: {error.strerror}; nothing is sent") from error
        if written != len(data):
            raise UnavailableError(f"{NAME}: only a part could be appended; nothing is sent")

    def proves_unsent(self, intent_id: str, process: str) -> bool:
        """Tell whether the order, committed by that process, was surely not sent.

        `process` is the text that its commit stored.
        """
        boot_id = process.partition(" ")[0]
        file = next((m for m in self.earlier if m.process == process), None)
        same_boot = boot_id == self.process.boot_id and boot_id != UNKNOWN_BOOT
        return same_boot and file is not None and file.whole and intent_id not in file.intents

    def strangers(self, known: Iterable[str]) -> frozenset[str]:
        """Orders marked by earlier processes that state does not hold: it was restored."""
        marked = frozenset[str]().union(*(m.intents for m in self.earlier))
        return marked - frozenset(known)

    def drop_earlier(self) -> None:
        """Remove files of earlier processes, once each of their orders is terminal."""
        for file in self._folder.glob(f"{NAME}.*"):
            if file != self._path(self.process.lease_token):
                with suppress(OSError):
                    file.unlink()
        self.earlier = ()

    def close(self) -> None:
        """Close the file; it stays as evidence."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _path(self, token: int) -> Path:
        return self._folder / f"{NAME}.{token:010d}"


def read(path: Path) -> Markers | None:
    """What a marker file says; None where not even its header is whole."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return None
    texts = [_text(line) for line in lines[:-1]]
    if not texts or texts[0] is None:
        return None
    whole = None not in texts and lines[-1] == b""
    return Markers(process=texts[0], whole=whole, intents=frozenset(t for t in texts[1:] if t))


def machine_boot_id() -> str:
    """Identity of the boot (Linux); `UNKNOWN_BOOT` where there is none: it proves nothing."""
    try:
        return BOOT_ID_FILE.read_text(encoding="ascii").strip()
    except OSError:
        return UNKNOWN_BOOT


def _record(text: str) -> bytes:
    return f"{text} {hashlib.sha256(text.encode()).hexdigest()[:16]}\n".encode()


def _text(line: bytes) -> str | None:
    text, _, checksum = line.decode(errors="replace").rpartition(" ")
    good = hashlib.sha256(text.encode()).hexdigest()[:16] == checksum
    return text if text and good else None
