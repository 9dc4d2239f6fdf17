"""Pace of calls: a token bucket that all workers share, evenly spaced, with pauses."""

import threading
import time
from collections.abc import Callable

from bft.domain.errors import UnavailableError

PAUSE_S, PAUSE_MAX_S, PAUSES_MAX = 60.0, 300.0, 10
"""A minute limit pauses everyone; the pause doubles (data specification, 1.3)."""


class Bucket:
    """Hands out call slots at most `calls_per_minute`; 0 is unlimited. `stopped` ends all waits.

    `tell` hears the seconds of each pause: ten of them are forty minutes.
    """

    def __init__(
        self,
        calls_per_minute: int,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
        tell: Callable[[float], object] = lambda _pause_s: None,
    ) -> None:
        self._interval_s = 60.0 / calls_per_minute if calls_per_minute else 0.0
        self.stopped = threading.Event()
        self._now, self._sleep, self._tell = now, sleep or self.stopped.wait, tell
        self._lock = threading.Lock()
        self._next_s = 0.0
        self._paused_at_s = float("-inf")
        self._pauses = 0

    def take(self) -> float:
        """Wait for the next slot; return its instant."""
        with self._lock:
            slot = max(self._now(), self._next_s)
            self._next_s = slot + self._interval_s
        self.wait(slot - self._now())
        return slot

    def pause(self, *, slot: float) -> None:
        """Stop handing out slots for a while, told so by the answer to a call of that slot.

        Calls that were under way when the pause began do not lengthen it.

        Raises:
            UnavailableError: the tenth pause of this run is over.
        """
        with self._lock:
            if slot <= self._paused_at_s:
                return
            self._pauses += 1
            if self._pauses > PAUSES_MAX:
                raise UnavailableError(
                    f"minute limit met {PAUSES_MAX} times; run again later or lower "
                    "BFT_AV_CALLS_PER_MINUTE; finished calls are kept"
                )
            self._paused_at_s = self._now()
            length_s = min(PAUSE_S * 2 ** (self._pauses - 1), PAUSE_MAX_S)
            self._next_s = max(self._next_s, self._paused_at_s + length_s)
        self._tell(length_s)

    def wait(self, seconds: float) -> None:
        """Sleep, if there is anything to wait for."""
        if seconds > 0:
            self._sleep(seconds)
