"""What the paper account remembers: a file of JSON lines, on disk before anything is reported."""

import json
import os
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bft.domain.errors import DataError, UnavailableError

Row = tuple[str, Any]
"""Kind and JSON value."""


class PaperLog:
    """Appends batches of rows; a batch is there whole or not at all, also after kill -9.

    Each line is {"rows": [[kind, value], ...], "crc": CRC-32 of the rows' text}. `sync` puts a
    file's bytes on disk; a test that survives no power cut may pass one that does nothing.
    """

    def __init__(self, path: Path, *, sync: Callable[[int], None] = os.fsync) -> None:
        self.path, self._sync = path, sync
        self._file: int | None = None

    def read(self) -> list[Row]:
        """All rows, oldest first; a torn last line is cut off.

        Raises:
            DataError: a line in the middle is broken.
            UnavailableError: the file cannot be read.
        """
        try:
            data = self.path.read_bytes() if self.path.exists() else b""
        except OSError as error:
            raise UnavailableError(f"paper account {self.path}: {error.strerror}") from error
        lines, good, rows = data.splitlines(keepends=True), 0, []
        for number, line in enumerate(lines, 1):
            batch = _batch(line)
            if batch is None and number < len(lines):
                raise DataError(
                    f"{self.path}:{number} is broken; restore the file, or move it away to begin "
                    "a new paper account"
                )
            if batch is None:
                os.truncate(self.path, good)
            else:
                rows += batch
                good += len(line)
        return rows

    def append(self, rows: Iterable[Row]) -> None:
        """Write one batch; it is on disk when this returns.

        Raises:
            UnavailableError: the disk did not take it.
        """
        try:
            if self._file is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = _opened(self.path)
            _write(self._file, _line(rows))
            self._sync(self._file)
        except OSError as error:
            raise UnavailableError(f"paper account {self.path}: {error.strerror}") from error

    def replace(self, rows: Iterable[Row]) -> None:
        """Put these rows in the place of all others, atomically.

        Raises:
            UnavailableError: the disk did not take them.
        """
        self.close()
        fresh = PaperLog(self.path.with_suffix(".new"), sync=self._sync)
        try:
            fresh.path.unlink(missing_ok=True)
            fresh.append(rows)
            fresh.close()
            fresh.path.replace(self.path)
            self._sync_folder()
        except OSError as error:
            raise UnavailableError(f"paper account {self.path}: {error.strerror}") from error

    def close(self) -> None:
        """Close the file; `append` opens it again."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            self._sync(folder)
        finally:
            os.close(folder)


def _opened(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def _line(rows: Iterable[Row]) -> bytes:
    text = json.dumps(list(rows), separators=(",", ":"))
    return f'{{"crc":{zlib.crc32(text.encode())},"rows":{text}}}\n'.encode()


def _batch(line: bytes) -> list[Row] | None:
    """Rows of a line, or None where it is torn or broken."""
    head, _, text = line.rstrip(b"\n").partition(b',"rows":')
    body = text[:-1]
    whole = line.endswith(b"\n") and text.endswith(b"}")
    if not whole or head != b'{"crc":%d' % zlib.crc32(body):
        return None
    return [(kind, value) for kind, value in json.loads(body)]
