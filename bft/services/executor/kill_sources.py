"""Where the kill switch may be pulled from outside: files in folders, and a signal.

Source: executor specification, section 9.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from bft.domain.errors import UnavailableError

POLL_S = 0.1
FILE = "KILL"


class KillSources:
    """The file KILL of the state folder, and the key KILL of a mounted ConfigMap."""

    def __init__(self, folder: Path, config_map: Path | None = None) -> None:
        self._file = folder / FILE
        self._key = config_map / FILE if config_map else None
        self.signalled = False

    def pulled(self) -> str | None:
        """Name of a source that says kill, or None. What cannot be read counts as kill."""
        if self.signalled:
            return "signal"
        try:
            if self._file.exists():
                return "file"
            if self._key is not None and self._key.exists() and self._key.read_bytes().strip():
                return "configmap"
        except OSError:
            return "unreadable"
        return None

    def place(self, source: str) -> str:
        """Where a source lies, for a person who is to end it."""
        return str(self._key if source == "configmap" else self._file)

    def pull(self, why: str) -> None:
        """Write the file, when the book cannot hold the kill.

        Raises:
            UnavailableError: the folder is not writable either; the kill holds in memory.
        """
        try:
            self._file.write_text(why + "\n", encoding="utf-8")
        except OSError as error:
            raise UnavailableError(f"{self._file}: {error.strerror}") from error

    def clear_signal(self) -> None:
        """Forget the signal; files are removed by whoever made them."""
        self.signalled = False


async def watch(sources: KillSources, on_kill: Callable[[str], None]) -> None:
    """Poll for ever; `on_kill` hears of a pull as long as it lasts: latching twice is fine."""
    while True:
        source = sources.pulled()
        if source:
            on_kill(source)
        await asyncio.sleep(POLL_S)
