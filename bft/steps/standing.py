"""What is on already: held positions, entries that wait for their fill, cooldowns.

The seam between the scan and whoever keeps the book. `--positions FILE` is one JSON object::

    {"held": [{"symbol": "AAPL", "direction": "long", "strategy_id": "bollinger", "held_days": 3,
               "instrument": "STOCK", "value_usd": 9500.0, "stop_usd": null, "target_usd": null}],
     "pending": ["<signal_id>", ...],
     "cooling": [["AAPL", "bollinger"], ...]}

Keys may be absent. Without a file nothing is held, and the entries that the close tagged
`execute` are taken to wait.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bft.domain.trading import Direction, Instrument, Signal

if TYPE_CHECKING:
    from bft.strategies.signals import Held


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Positions, ids of pending entries (None: those the close executes), cooldowns.

    `error` says why the book could not be read: then entries are blocked, exits go on.
    """

    held: "tuple[Held, ...]" = ()
    pending: tuple[str, ...] | None = None
    cooling: frozenset[tuple[str, str]] = frozenset()
    error: str | None = None

    def waiting(self, stored: "list[tuple[Signal, str]]") -> list[Signal]:
        """Pending ones among stored entries (signal, tag), in stored order."""
        if self.pending is None:
            return [s for s, tag in stored if tag == "execute" and s.source == "close"]
        return [signal for signal, _ in stored if signal.signal_id in self.pending]


def read_standing(path: str | None) -> Standing:
    """The book in a file; one that cannot be read leaves `error`."""
    if path is None:
        return Standing()
    try:
        body = json.loads(Path(path).read_text(encoding="utf-8"))
        return Standing(
            held=tuple(_held(row) for row in body.get("held", ())),
            pending=tuple(str(name) for name in body.get("pending", ())),
            cooling=frozenset((str(a), str(b)) for a, b in body.get("cooling", ())),
        )
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        text = f"--positions {path}: {error}; no entries until it can be read, exits go on"
        return Standing(pending=(), error=text)


def standing_digest(path: str | None) -> str:
    """sha256 of the file, or why there is none."""
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest() if path else "none"
    except OSError as error:
        return f"unreadable: {error.strerror}"


def _held(row: Mapping[str, Any]) -> "Held":
    from bft.strategies.signals import Held

    known = {field.name for field in fields(Held)}
    odd = sorted(set(row) - known)
    if odd:
        raise ValueError(f"a held position has no key {odd[0]!r}; keys: {sorted(known)}")
    given = dict(row)
    given["direction"] = Direction(given["direction"])
    given["instrument"] = Instrument(given.get("instrument", Instrument.STOCK))
    return Held(**given)
