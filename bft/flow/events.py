"""`--events FILE`: what a run writes down, also as lines of a file of the caller's."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bft.domain.errors import UsageError
from bft.domain.runs import Json
from bft.flow.state import Listener


@contextmanager
def copied(path: Path | None) -> Iterator[Listener]:
    """Append what is told to the file, one JSON line each; without a file tell nobody.

    Raises:
        UsageError: no such file can be written.
    """
    if path is None:
        yield lambda _line: None
        return
    try:
        file = path.open("a", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--events {path}: {error.strerror}; name a file, in a folder that is there"
        ) from error
    with file:

        def copy(line: Json) -> None:
            told = {key: value for key, value in line.items() if key not in {"outputs", "leaf"}}
            file.write(json.dumps(told, default=str) + "\n")
            file.flush()

        yield copy
