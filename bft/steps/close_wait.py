"""What `bft close` waits for: the very units and entries that its one request named.

Told from positions and entries as the API shows them. What others buy meanwhile is not meant, nor
what another request has leave. Source: executor specification, sections 6, 7.1 and 10.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bft.ports import ExecutorApi, Tick
from bft.steps.asking import answer
from bft.steps.close_foreseen import Key, Row, pending, shares

LOOK_S = 0.5
AWAY_S = 15.0  # a session that comes back is ARMED within 10 s; executor specification, 16
CLOSING_STATES = ("RECONCILING", "ARMED", "DRAINING")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Of each entry or contract the units that stay, and entries that shall end."""

    stays: Mapping[Key, int]
    ending: frozenset[str] = frozenset()

    @classmethod
    def of(cls, closing: Iterable[Row], whole: Iterable[Key] = ()) -> "Asked":
        """What an answer of POST /v1/close says; of `whole` nothing stays either.

        A wish that was there before is in no answer, and is waited for where it is meant.
        """
        stays: dict[Key, int] = dict.fromkeys(whole, 0)
        ending = set()
        for item in closing:
            stays[item["entry"] or item.get("con_id", 0)] = item.get("stays", 0)
            if item["what"] == "cancel entry":
                ending.add(item["entry"])
        return cls(stays=stays, ending=frozenset(ending))

    def left(self, row: Row) -> int:
        """Units of a position that shall leave and are still there."""
        return sum(max(0, self._left(key, units, row)) for key, _, units in shares(row))

    def _left(self, key: Key, units: int, row: Row) -> int:
        """Of units that no entry holds others may buy more: those are not leaving."""
        if key not in self.stays:
            return 0
        left = units - self.stays[key]
        return min(left, row.get("leaving_quantity", left)) if isinstance(key, int) else left


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What is still to leave: units by symbol, entries by id; `state` of the broker session."""

    units: Mapping[str, int] = field(default_factory=dict)
    entries: tuple[str, ...] = ()
    state: str = ""
    waited_s: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.units or self.entries)

    def told(self) -> str:
        """What did not happen, what stays asked, and who goes on."""
        parts = [f"{qty} of {symbol}" for symbol, qty in sorted(self.units.items())]
        if self.entries:
            many = len(self.entries)
            parts.append(f"{many} {'entry' if many == 1 else 'entries'} not cancelled yet")
        what = ", ".join(parts)
        if self.state in CLOSING_STATES:
            return f"still open after {self.waited_s:.0f} s: {what}; {GOES_ON}"
        away = f"the broker session is {self.state}: nothing leaves before it is ARMED"
        return f"{away}; stays asked: {what}; {GOES_ON}"


GOES_ON = "the executor goes on, see bft status"


@dataclass(slots=True)
class Waiting:
    """Looks at an executor until all is done or the time is up; `timer` in seconds."""

    api: ExecutorApi
    tick: Tick
    timer: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    _most: int = 0
    _away_since: float | None = None

    def until(self, asked: Asked, wait_s: float) -> Left:
        """What is left after so many seconds; sooner where the session is away for `AWAY_S`."""
        began = self.timer()
        while True:
            waited_s = self.timer() - began
            left = self._look(asked, waited_s)
            if not left or waited_s >= wait_s or self._away(left.state):
                return left
            self.pause(LOOK_S)

    def _look(self, asked: Asked, waited_s: float) -> Left:
        units: dict[str, int] = {}
        for row in positions(self.api):
            if qty := asked.left(row):
                units[row["symbol"]] = units.get(row["symbol"], 0) + qty
        live = {order["id"] for order in pending(self.api)} if asked.ending else set()
        entries = tuple(sorted(asked.ending & live))
        many = len(units) + len(entries)
        self._most = max(self._most, many)
        self.tick(self._most - many, self._most, "closed")
        state = str(answer(self.api.ask("GET", "/v1/health"))["session_state"]) if many else ""
        return Left(units=units, entries=entries, state=state, waited_s=waited_s)

    def _away(self, state: str) -> bool:
        """Whether the session has been away for longer than it takes to come back."""
        if state in CLOSING_STATES:
            self._away_since = None
            return False
        now = self.timer()
        self._away_since = now if self._away_since is None else self._away_since
        return now - self._away_since >= AWAY_S


def positions(api: ExecutorApi) -> list[Mapping[str, Any]]:
    """What is held, as the executor shows it."""
    found: list[Mapping[str, Any]] = answer(api.ask("GET", "/v1/positions"))["positions"]
    return found
