"""Objects in a folder: written aside, synced, renamed."""

import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bft.adapters.store import keys
from bft.domain.errors import ConfigError, DataError, UnavailableError


def sha256(data: bytes) -> str:
    """Hex digest of bytes."""
    return hashlib.sha256(data).hexdigest()


class FolderObjects:
    """Objects as files below `root`; keys are relative paths with `/`."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def get(self, key: str) -> bytes:
        """Bytes of the object.

        Raises:
            DataError: there is none.
        """
        try:
            return self._file(key).read_bytes()
        except FileNotFoundError as error:
            raise DataError(f"{key} is not in {self.root}") from error

    def put(self, key: str, data: bytes) -> str:
        """Write aside, sync, rename; equal bytes are left alone."""
        digest = sha256(data)
        if self.digest(key) == digest:
            return digest
        file = self._file(key)
        with self._faults(key):
            with self._aside(file) as temporary:
                temporary.write_bytes(data)
                _sync(temporary)
                temporary.replace(file)
            _sync(file.parent)
        return digest

    def create(self, key: str, data: bytes) -> bool:
        """Write only where there is none; a hard link makes it atomic."""
        file = self._file(key)
        with self._faults(key), self._aside(file) as temporary:
            temporary.write_bytes(data)
            _sync(temporary)
            try:
                file.hardlink_to(temporary)
            except FileExistsError:
                return False
            _sync(file.parent)
        return True

    def delete(self, key: str) -> None:
        """Remove; absent is fine."""
        with self._faults(key):
            self._file(key).unlink(missing_ok=True)

    def keys(self, prefix: str) -> list[str]:
        """Keys with that prefix, ascending; files being written are not among them."""
        folder = keys.prefix(prefix).rpartition("/")[0]
        top = self._file(folder) if folder else self.root
        found = (p for p in top.rglob("*") if p.is_file() and not p.name.startswith(".tmp-"))
        names = (p.relative_to(self.root).as_posix() for p in found)
        return sorted(name for name in names if name.startswith(prefix))

    def digest(self, key: str) -> str | None:
        """sha256 of the file as it is now."""
        try:
            with self._file(key).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            return None

    def path(self, key: str) -> Path:
        """The file or folder itself."""
        return self._file(key)

    def _file(self, key: str) -> Path:
        file = (self.root / keys.plain(key)).resolve()
        if not file.is_relative_to(self.root):
            raise DataError(f"key {key!r} leaves the root by a link")
        return file

    @contextmanager
    def _aside(self, file: Path) -> Iterator[Path]:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".tmp-", dir=file.parent)
        os.close(handle)
        temporary = Path(name)
        temporary.chmod(0o644)
        try:
            yield temporary
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def _faults(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                raise UnavailableError(f"disk of {self.root} is full, writing {key}") from error
            raise ConfigError(f"root {self.root} is not writable: {key}: {error}") from error


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
