"""The gateway's timetable: nightly restart and weekly login, New York time.

Source: executor specification, section 7.1.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta

from bft.domain.sessions import NEW_YORK

BEFORE, AFTER = timedelta(minutes=5), timedelta(minutes=15)  # of a restart
WARNING = timedelta(hours=24)  # ahead of a login
GRACE = timedelta(hours=1)  # a session still alive so long after the login time needs none
REMIND_S = 900.0


def restarting(at: datetime, restart_at: time | None) -> bool:
    """Whether the gateway restarts about now."""
    if restart_at is None:
        return False
    day = at.astimezone(NEW_YORK).date()
    days = (day - timedelta(days=1), day, day + timedelta(days=1))
    restarts = [datetime.combine(one, restart_at, NEW_YORK) for one in days]
    return any(one - BEFORE <= at < one + AFTER for one in restarts)


def last_login(at: datetime, login_at: tuple[int, time] | None) -> datetime | None:
    """The newest login instant not after `at`."""
    if login_at is None:
        return None
    weekday, clock = login_at
    day = at.astimezone(NEW_YORK).date()
    day -= timedelta(days=(day.weekday() - weekday) % 7)
    found = datetime.combine(day, clock, NEW_YORK)
    return found if found <= at else datetime.combine(day - timedelta(days=7), clock, NEW_YORK)


@dataclass(slots=True)
class LoginWatch:
    """Says when a person must be told of the weekly login."""

    login_at: tuple[int, time] | None
    alive_at: datetime
    _warned: datetime | None = None
    _reminded: datetime | None = None

    def tomorrow(self, at: datetime) -> bool:
        """Once, from 24 h before a login on."""
        coming = last_login(at + WARNING, self.login_at)
        if coming is None or coming <= at or coming == self._warned:
            return False
        self._warned = coming
        return True

    def needed(self, at: datetime) -> bool:
        """Every 15 minutes from a login instant on, while no session has outlived it."""
        due = last_login(at, self.login_at)
        if due is None or self.alive_at >= due + GRACE:
            return False
        if self._reminded is not None and (at - self._reminded).total_seconds() < REMIND_S:
            return False
        self._reminded = at
        return True
