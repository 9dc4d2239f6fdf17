"""Work kept for a tracker that does not answer: objects of JSON lines, replayed in order."""

import json
import os
from collections.abc import Iterable, Iterator
from itertools import count

from bft.domain.runs import Json
from bft.ports import Store

PREFIX = "spool/mlflow/"


class Spool:
    """Objects under `spool/mlflow/`, each whole and synced; their names sort by time."""

    def __init__(self, store: Store) -> None:
        self._store, self._counter = store, count()

    def append(self, operations: Iterable[Json], *, at_ms: int) -> None:
        """Keep operations. Raises UnavailableError when the root does not answer either."""
        lines = "".join(json.dumps(one) + "\n" for one in operations)
        key = f"{PREFIX}{at_ms:015d}-{os.getpid()}-{next(self._counter):06d}.jsonl"
        self._store.put(key, lines.encode())

    def waiting(self) -> Iterator[tuple[str, list[Json]]]:
        """Objects and their operations, oldest first."""
        for key in self._store.keys(PREFIX):
            yield key, [json.loads(line) for line in self._store.get(key).splitlines()]

    def done(self, key: str) -> None:
        """Forget an object that was replayed; a repeat would change nothing."""
        self._store.delete(key)
