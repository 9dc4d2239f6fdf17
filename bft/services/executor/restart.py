"""The gateway's daily restart. Source: executor specification, section 7.1."""

from datetime import datetime, time, timedelta

from bft.domain.errors import ConfigError
from bft.domain.sessions import NEW_YORK

BEFORE, AFTER = timedelta(minutes=5), timedelta(minutes=15)


def parse_time(text: str) -> time | None:
    """A time of day in New York, `HH:MM`; empty is none.

    Raises:
        ConfigError: no such time.
    """
    if not text:
        return None
    try:
        return time.fromisoformat(text)
    except ValueError as error:
        raise ConfigError(f"restart time {text!r}: HH:MM, such as 23:45") from error


def in_restart_window(now: datetime, at: time | None) -> bool:
    """From 5 min before to 15 min after the restart; the window may cross midnight."""
    if at is None:
        return False
    local = now.astimezone(NEW_YORK)
    days = (local.date() - timedelta(days=1), local.date(), local.date() + timedelta(days=1))
    starts = (datetime.combine(day, at, NEW_YORK) for day in days)
    return any(start - BEFORE <= local < start + AFTER for start in starts)


def first_restart(after: datetime, at: time | None) -> datetime | None:
    """First restart after an instant; what the gateway tells of a day it forgets with it."""
    if at is None:
        return None
    day = after.astimezone(NEW_YORK).date()
    days = (day, day + timedelta(days=1))
    return next(r for d in days if (r := datetime.combine(d, at, NEW_YORK)) > after)
