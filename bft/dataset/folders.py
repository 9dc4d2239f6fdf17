"""Folders published whole: written aside, synced, renamed; a reader sees all files or none."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def publish(folder: Path, write: Callable[[Path], None]) -> None:
    """Let `write` fill a folder aside, then put it in the place of `folder`.

    An older folder of that name is replaced; who has it open or mapped keeps what he has.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".tmp-", dir=folder.parent))
    try:
        aside.chmod(0o755)
        write(aside)
        for path in sorted(aside.rglob("*")):
            sync(path)
        _replace(aside, folder)
        sync(folder.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


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
