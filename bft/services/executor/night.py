"""The night's facts, read in a process of its own that ends at once.

Reading tables needs pyarrow, whose memory an executor must not carry.
`python -m bft.services.executor.night ROOT [SYMBOL ...]` prints them as one JSON line.
Source: executor specification, section 16 (memory); decision record 0032.
"""

import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bft.domain.encoding import decode, encode
from bft.domain.errors import BftError, DataError, UnavailableError
from bft.services.executor.reference import Reference

TABLES = ("gold", "forecasts", "universe", "actions")
CHILD_S = 60.0


class Night:
    """Reads the reference again where the root's manifests or the held symbols changed."""

    def __init__(self, root: str) -> None:
        self._root = root
        self._read: tuple[object, frozenset[str], Reference] | None = None

    async def __call__(self, held: frozenset[str]) -> Reference:
        """The newest facts.

        Raises:
            UnavailableError: the root does not answer, or reading took too long.
            DataError: an object is absent or altered.
        """
        mark = fingerprint(self._root)
        if self._read is not None and mark is not None and self._read[:2] == (mark, held):
            return self._read[2]
        found = from_line(await child("the night", "night", self._root, *sorted(held)))
        self._read = (mark, held, found)
        return found


def fingerprint(root: str, tables: Sequence[str] = TABLES) -> object:
    """What changes when a manifest is published in a folder; None where only reading tells."""
    if "://" in root:
        return None
    found = []
    for name in tables:
        folder = Path(root) / "manifests" / name
        files = sorted(folder.glob("asof=*.json")) if folder.is_dir() else []
        if files:
            state = files[-1].stat()
            found.append((name, files[-1].name, state.st_mtime_ns, state.st_size))
    return tuple(found)


async def child(what: str, module: str, *words: str) -> str:
    """What a module of this package prints, run with words in a process of its own.

    Raises:
        UnavailableError: it took longer than 60 s, or ended with a fault.
        DataError: it says that an object is absent or altered.
    """
    argv = (sys.executable, "-m", f"bft.services.executor.{module}", *words)
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(CHILD_S):
            out, err = await process.communicate()
    except TimeoutError as error:
        raise UnavailableError(f"reading {what} took longer than {CHILD_S:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode:
        text = err.decode(errors="replace").strip()[-500:] or f"ended with {process.returncode}"
        kind = DataError if process.returncode == DataError.exit_code else UnavailableError
        raise kind(f"reading {what}: {text}")
    return out.decode()


def to_line(reference: Reference) -> str:
    """One JSON line of a reference."""
    return json.dumps(encode(reference))


def from_line(line: str) -> Reference:
    """The reference of a line.

    Raises:
        DataError: the line holds none.
    """
    try:
        return decode(Reference, json.loads(line))
    except (ValueError, TypeError, KeyError) as error:
        raise DataError(f"the night's facts cannot be read: {error}") from error


def main(argv: Sequence[str]) -> int:
    """Print the facts of a root; the exit code of the fault where there is one."""
    from bft import wiring
    from bft.services.executor.reference import read_reference

    os.nice(10)  # orders come first
    root, held = argv[0], argv[1:]
    try:
        store = wiring.tables(wiring.settings(), root)
        sys.stdout.write(to_line(read_reference(store, held=held)) + "\n")
    except BftError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
