"""When opening orders may leave: entry windows on the wall clock and around the session.

Source: executor specification, section 4 (rule 9, session windows, profiles).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from bft.domain import sessions
from bft.domain.errors import ConfigError

DAY_MIN = 24 * 60
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)|24:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Minutes of a local day, half-open [start, end); an end before the start is after midnight."""

    start_min: int
    end_min: int

    def admits(self, minute: int) -> bool:
        """Whether the minute of the day lies inside."""
        if self.start_min < self.end_min:
            return self.start_min <= minute < self.end_min
        return minute >= self.start_min or minute < self.end_min

    def minutes(self) -> frozenset[int]:
        """Every minute of the day inside."""
        return frozenset(minute for minute in range(DAY_MIN) if self.admits(minute))


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Windows of one time zone; an instant in any of them is inside."""

    timezone: str
    windows: tuple[Window, ...]

    def admit(self, at: datetime) -> bool:
        """Whether the instant lies in one of the windows."""
        local = at.astimezone(zone(self.timezone))
        minute = local.hour * 60 + local.minute
        return any(window.admits(minute) for window in self.windows)

    def minutes(self) -> frozenset[int]:
        """Every minute of the local day inside."""
        return frozenset().union(*(window.minutes() for window in self.windows))


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryTimes:
    """Minutes around the session in which entries may leave; None: only the hours bind.

    `before_open_min` is for close-decided orders, whose limit rests for the opening auction.
    """

    before_open_min: int | None = 45
    after_open_min: int | None = 5
    before_close_min: int = 10
    day_trade_before_close_min: int = 10


def parse_windows(value: object) -> tuple[Window, ...]:
    """Windows of a list of `HH:MM-HH:MM`, of comma text, or of `{start, end}` (one or a list).

    Raises:
        ConfigError: no window, or one that cannot be read; names it.
    """
    parts: Sequence[object]
    if isinstance(value, str):
        parts = [part for part in value.split(",") if part.strip()]
    elif isinstance(value, Mapping):
        parts = [value]
    elif isinstance(value, Sequence):
        parts = value
    else:
        parts = []
    if not parts:
        raise ConfigError(f"session windows {value!r}: give at least one, such as 09:35-15:50")
    return tuple(_window(part) for part in parts)


@lru_cache(maxsize=64)
def session_bounds(day: date) -> tuple[datetime, datetime] | None:
    """Opening and closing instant of a session, or None where the exchange stays closed."""
    return (sessions.open_at(day), sessions.close_at(day)) if sessions.is_session(day) else None


def new_york_date(at: datetime) -> date:
    """Date of an instant at the exchange."""
    return at.astimezone(sessions.NEW_YORK).date()


def closed_because(
    at: datetime, times: EntryTimes, *, close_decided: bool, day_trade: bool
) -> str | None:
    """Why no entry may leave at the instant as far as the session goes, or None."""
    bounds = session_bounds(new_york_date(at))
    if bounds is None:
        return "no session today"
    opens, closes = bounds
    late_min = times.day_trade_before_close_min if day_trade else times.before_close_min
    if at >= closes - timedelta(minutes=late_min):
        return "session over"
    early = close_decided and times.before_open_min is not None
    if early and at < opens:
        begins = opens - timedelta(minutes=times.before_open_min or 0)
        return None if at >= begins else _from(begins, "window of close-decided orders")
    if close_decided and early:
        return None
    after_min = times.after_open_min
    if after_min is not None and at < opens + timedelta(minutes=after_min):
        return _from(opens + timedelta(minutes=after_min), "entry window")
    return None


def _from(begins: datetime, window: str) -> str:
    return f"before the {window}, from {begins.astimezone(sessions.NEW_YORK):%H:%M} New York"


@lru_cache(maxsize=16)
def zone(name: str) -> ZoneInfo:
    """The time zone of that name.

    Raises:
        ConfigError: there is none.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ConfigError(f"time zone {name!r} is unknown; use one such as America/New_York") from (
            error
        )


def _window(part: object) -> Window:
    ends: Sequence[object] = ()
    if isinstance(part, str):
        ends = part.split("-")
    elif isinstance(part, Mapping) and set(part) == {"start", "end"}:
        ends = (part["start"], part["end"])
    minutes = [_minute(end) for end in ends]
    if len(minutes) != 2 or minutes[0] is None or minutes[1] is None:
        raise ConfigError(f"session window {part!r}: use HH:MM-HH:MM, such as 09:35-15:50")
    start, end = minutes[0], minutes[1]
    if start % DAY_MIN == end % DAY_MIN and (start, end) != (0, DAY_MIN):
        raise ConfigError(f"session window {part!r} is empty; for a whole day use 00:00-24:00")
    return Window(start_min=start % DAY_MIN, end_min=end)


def _minute(text: object) -> int | None:
    word = text.strip() if isinstance(text, str) else ""
    if not _TIME.fullmatch(word):
        return None
    hours, minutes = word.split(":")
    return int(hours) * 60 + int(minutes)
