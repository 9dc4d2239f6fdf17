"""Folders published whole: written aside, synced, renamed; a reader sees all files or none."""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bft.domain.errors import UnavailableError


def publish(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a folder aside, then put it in the place of `folder`.

    An older folder of that name is replaced; who has it open or mapped keeps what he has.

    Raises:
        UnavailableError: the disk is full.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".tmp-", dir=folder.parent))
    try:
        with disk_faults(folder):
            aside.chmod(0o755)
            write(aside)
            for path in sorted(aside.rglob("*")):
                sync(path)
            _replace(aside, folder)
            sync(folder.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def disk_faults(target: Path) -> Iterator[None]:
    """Tell a full disk from other faults: room may be made, then the same call works.

    Raises:
        UnavailableError: the disk is full; nothing half-written is visible.
    """
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise UnavailableError(
                f"disk full, writing {target}; make room and run again"
            ) from error
        raise


def sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def file_sum(path: Path) -> str:
    """sha256 hex of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _replace(aside: Path, folder: Path) -> None:
    try:
        aside.rename(folder)
    except OSError:
        old = Path(tempfile.mkdtemp(prefix=".tmp-", dir=folder.parent))
        try:
            folder.rename(old / "old")
            aside.rename(folder)
        finally:
            shutil.rmtree(old, ignore_errors=True)
