"""Sessions of the New York Stock Exchange (XNYS): dates, numbers, opening and closing instants.

The exceptions are data (`xnys.py`, generated from exchange_calendars), so that a process that only
asks for the last closed session imports neither pandas nor a calendar library.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bft.domain import xnys
from bft.domain.errors import DataError, UsageError

NEW_YORK = ZoneInfo("America/New_York")
EPOCH = date(2000, 1, 3)  # session number 0
EVENING = time(18, 0)  # the run's instant of a day that is not the newest (design, section 6.5)


class _Calendar(NamedTuple):
    days: tuple[date, ...]
    place: dict[date, int]
    close_hour: dict[date, int]
    origin: int


def _marked(block: str) -> list[date]:
    days = []
    for line in block.split("\n"):
        year, _, marks = line.partition(":")
        days += [date(int(year), int(mark[:2]), int(mark[2:])) for mark in marks.split()]
    return days


@cache
def _calendar() -> _Calendar:
    first, last = date.fromisoformat(xnys.FIRST), date.fromisoformat(xnys.LAST)
    closed = set(_marked(xnys.HOLIDAYS.strip()))
    span = (first + timedelta(days=n) for n in range((last - first).days + 1))
    days = tuple(day for day in span if day.weekday() < 5 and day not in closed)
    index = {day: n for n, day in enumerate(days)}
    hours = dict.fromkeys(_marked(xnys.CLOSE_AT_13.strip()), 13)
    hours |= dict.fromkeys(_marked(xnys.CLOSE_AT_14.strip()), 14)
    return _Calendar(days, index, hours, index[EPOCH])


def is_session(day: date) -> bool:
    """Tell whether the exchange opens on `day`."""
    return day in _calendar().place


def number(day: date) -> int:
    """Session number; 2000-01-03 is 0, earlier sessions are negative.

    Raises:
        DataError: `day` is no session.
    """
    calendar = _calendar()
    if day not in calendar.place:
        raise DataError(f"{day} is no XNYS session; nearest earlier: {on_or_before(day)}")
    return calendar.place[day] - calendar.origin


def session(session_number: int) -> date:
    """Session of that number (the inverse of `number`).

    Raises:
        DataError: the calendar has no such session.
    """
    calendar = _calendar()
    place = session_number + calendar.origin
    if not 0 <= place < len(calendar.days):
        first, last = calendar.days[0], calendar.days[-1]
        raise DataError(
            f"session number {session_number} is not in the calendar, {first} to {last}"
        )
    return calendar.days[place]


def shift(day: date, sessions_by: int) -> date:
    """Session that lies `sessions_by` sessions after (negative: before) the session `day`.

    Raises:
        DataError: `day` is no session, or the calendar does not reach as far.
    """
    return session(number(day) + sessions_by)


def shift_or_last(day: date, sessions_by: int) -> date:
    """As `shift`, but the calendar's last session where it ends before."""
    return session(min(number(day) + sessions_by, number(_calendar().days[-1])))


def on_or_before(day: date) -> date:
    """Newest session that is not after `day`."""
    calendar = _calendar()
    return calendar.days[max(0, bisect_right(calendar.days, day) - 1)]


def on_or_after(day: date) -> date:
    """Oldest session that is not before `day`."""
    calendar = _calendar()
    return calendar.days[min(len(calendar.days) - 1, bisect_left(calendar.days, day))]


def sessions(first: date, last: date) -> Sequence[date]:
    """All sessions from `first` to `last`, both included."""
    days = _calendar().days
    return days[bisect_left(days, first) : bisect_right(days, last)]


@cache
def open_at(day: date) -> datetime:
    """Opening instant (09:30 New York) of a session, in UTC."""
    return datetime.combine(day, time(9, 30), NEW_YORK).astimezone(UTC)


@cache
def close_at(day: date) -> datetime:
    """Closing instant of a session in UTC, half days included."""
    hour = _calendar().close_hour.get(day, 16)
    return datetime.combine(day, time(hour), NEW_YORK).astimezone(UTC)


def is_open(at: datetime) -> bool:
    """Tell whether the exchange trades at the instant `at`."""
    day = at.astimezone(NEW_YORK).date()
    return is_session(day) and open_at(day) <= at < close_at(day)


def last_closed(at: datetime) -> date:
    """Newest session whose close is not after the instant `at`."""
    day = on_or_before(at.astimezone(NEW_YORK).date())
    return day if close_at(day) <= at else shift(day, -1)


def evening(day: date) -> datetime:
    """18:00 New York of `day`, in UTC: when a night of the past is taken to run."""
    return datetime.combine(day, EVENING, NEW_YORK).astimezone(UTC)


def run_instant(asof: date, *, now: datetime, replayed: bool) -> datetime:
    """Instant at which ages, deadlines and `created` of a run are measured.

    The clock while `asof` is the newest closed session, else (and always for `replayed` sources,
    the simulator and files) 18:00 New York of `asof`, so that a past night gives the same bytes.
    """
    return now if asof == last_closed(now) and not replayed else evening(asof)


def check_past(day: date, *, now: datetime, option: str = "--asof ") -> None:
    """Refuse a day that New York has not seen yet; `option` is how it was given.

    Raises:
        UsageError: it is in the future; names the newest session there can be.
    """
    today = now.astimezone(NEW_YORK).date()
    if day > today:
        newest = f"{option}{last_closed(now)}"
        raise UsageError(f"{option}{day} is in the future; the newest closed session: {newest}")


def check_asof(day: date, *, now: datetime, option: str = "--asof ") -> date:
    """Return `day` if it is a closed session.

    Raises:
        UsageError: in the future, a holiday, a weekend, or not closed yet; names the nearest one.
    """
    check_past(day, now=now, option=option)
    newest = last_closed(now)
    if not is_session(day):
        nearest = f"{option}{on_or_before(day)}"
        raise UsageError(f"{option}{day} is no XNYS session; nearest earlier: {nearest}")
    if day > newest:
        raise UsageError(f"{option}{day} has not closed yet; use {option}{newest}")
    return day
