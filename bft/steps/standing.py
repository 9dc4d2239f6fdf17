"""What is on already: held positions, entries that wait for their fill, cooldowns.

The seam between the scan and whoever keeps the book. `--positions executor` asks the executor
(`standing_executor`); `--positions FILE` is one JSON object::

    {"held": [{"symbol": "AAPL", "direction": "long", "strategy_id": "bollinger", "held_days": 3,
               "instrument": "STOCK", "value_usd": 9500.0, "stop_usd": null, "target_usd": null}],
     "pending": ["<signal_id>", ...],
     "cooling": [["AAPL", "bollinger"], ...]}

Keys may be absent. With `none` nothing is held, and the entries that the close tagged `execute`
are taken to wait.
"""

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bft.domain.trading import Direction, Instrument, Signal
from bft.ports import Ports
from bft.steps.asking import MODES, add_api

if TYPE_CHECKING:
    from bft.strategies.signals import Held

NONE, EXECUTOR = "none", "executor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """An entry that waits for its fill; whoever tells only its id knows it by its stored signal.

    `units` are those not filled yet, times the multiplier; `price_usd` is the order's own.
    """

    signal_id: str
    symbol: str | None = None
    strategy_id: str = ""
    units: float = 0.0
    price_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Positions, pending entries (None: those the close executes), cooldowns.

    A cooldown is (symbol, strategy); an empty strategy is any. `equity_usd` is the account's, where
    it is told. `error` says why the book could not be read: then entries are blocked, exits go on.
    """

    held: "tuple[Held, ...]" = ()
    pending: tuple[Pending, ...] | None = None
    cooling: frozenset[tuple[str, str]] = frozenset()
    equity_usd: float | None = None
    error: str | None = None

    def waiting(self, stored: "list[tuple[Signal, str]]") -> list[Signal]:
        """Pending ones among stored entries (signal, tag), in stored order."""
        if self.pending is None:
            return [s for s, tag in stored if tag == "execute" and s.source == "close"]
        ids = {each.signal_id for each in self.pending}
        return [signal for signal, _ in stored if signal.signal_id in ids]

    def leaving(self, strategies: Sequence[Any], overrides: Sequence[str]) -> list[Any]:
        """Strategies that are not scanned, but hold something: it leaves by their rules."""
        from bft.strategies import others

        ids = {held.strategy_id for held in self.held}
        return [made for made in others(strategies, overrides) if made.id in ids]


def add_standing(parser: argparse.ArgumentParser) -> None:
    """Add `--positions`, and where and in which mode the executor is asked."""
    add = parser.add_argument
    add("--positions", default=NONE, metavar="none|executor|FILE", help="what is on (none)")
    add_api(parser)
    add("--trading", choices=MODES, default="paper", help="the executor's mode must be this")


def standing_of(ports: Ports, args: argparse.Namespace) -> Standing:
    """What `--positions` names: nothing, what the executor says now, or a file.

    Raises:
        UnavailableError: the executor does not answer; nothing is taken to be flat.
        RefusedError: it trades in another mode than `--trading`, or refuses the token.
    """
    if args.positions == EXECUTOR:
        from bft.steps.standing_executor import told

        return told(ports, args.api_url, mode=args.trading)
    return Standing() if args.positions == NONE else read_standing(args.positions)


def read_standing(path: str) -> Standing:
    """The book in a file; one that cannot be read leaves `error`."""
    try:
        body = json.loads(Path(path).read_text(encoding="utf-8"))
        return Standing(
            held=tuple(_held(row) for row in body.get("held", ())),
            pending=tuple(Pending(signal_id=str(name)) for name in body.get("pending", ())),
            cooling=frozenset((str(a), str(b)) for a, b in body.get("cooling", ())),
        )
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        text = f"--positions {path}: {error}; no entries until it can be read, exits go on"
        return Standing(pending=(), error=text)


def standing_digest(where: str) -> str | None:
    """sha256 of the file, or why there is none; None: the executor, asked anew each time."""
    if where in {NONE, EXECUTOR}:
        return where if where == NONE else None
    try:
        return hashlib.sha256(Path(where).read_bytes()).hexdigest()
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
