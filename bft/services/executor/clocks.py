"""The executor's clock, and how far the gateway's differs from it.

Source: executor specification, section 1 (`--clock`) and rule 10.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bft.domain.errors import ConfigError
from bft.ports import Clock

SKEW_LIMIT_S, SAMPLES, SAMPLE_AGE_S = 2.0, 3, 60.0


class ShiftedClock:
    """A clock that starts at an instant and runs on with the loop's timer."""

    def __init__(self, start: datetime, *, timer: Callable[[], float]) -> None:
        self._start, self._timer, self._zero = start, timer, timer()

    def now(self) -> datetime:
        """Aware UTC instant."""
        return self._start + timedelta(seconds=self._timer() - self._zero)

    def set(self, instant: datetime) -> None:
        """Be at `instant` now."""
        self._start, self._zero = instant, self._timer()


def clock_for(name: str, system: Clock, *, broker: str) -> Clock:
    """The clock that `--clock` names: system, gateway (follows a simulated peer), or an instant.

    That of a gateway stands at the machine's time until it is set (`peer_clock`).

    Raises:
        ConfigError: no such clock, or one that needs another broker.
    """
    timer = asyncio.get_running_loop().time
    if name == "system":
        return system
    if name == "gateway":
        if broker != "ib":
            raise ConfigError("--clock gateway: a gateway's clock needs --broker ib")
        return ShiftedClock(system.now(), timer=timer)
    try:
        instant = datetime.fromisoformat(name)
    except ValueError as error:
        raise ConfigError(
            f"--clock {name}: system, gateway or an instant such as 2026-01-06T14:00:00Z"
        ) from error
    if broker != "paper":
        raise ConfigError(f"--clock {name}: an instant needs --broker paper")
    return ShiftedClock(instant if instant.tzinfo else instant.replace(tzinfo=UTC), timer=timer)


class Skew:
    """Differences between the broker's clock and ours, newest three; monotonic ages."""

    def __init__(self, *, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._samples: deque[tuple[float, float]] = deque(maxlen=SAMPLES)

    def sample(self, difference_s: float) -> None:
        """Add one difference, broker minus ours."""
        self._samples.append((self._timer(), difference_s))

    def clear(self) -> None:
        """Forget all: another session."""
        self._samples.clear()

    @property
    def samples_s(self) -> tuple[float, ...]:
        """Differences not older than 60 s, oldest first; none blocks rule 10."""
        now = self._timer()
        return tuple(s for at, s in self._samples if now - at <= SAMPLE_AGE_S)

    @property
    def broken(self) -> bool:
        """More than 2 s on three samples in a row, or no fresh sample."""
        recent = self.samples_s
        return not recent or (len(recent) == SAMPLES and all(abs(s) > SKEW_LIMIT_S for s in recent))
