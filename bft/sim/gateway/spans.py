"""Which bars a history request asks for: spans of session time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from bft.domain import sessions
from bft.sim.gateway.exchange import hours
from bft.sim.gateway.exchange.contracts import Contract
from bft.sim.gateway.market import Span

_UNITS_S = {"sec": 1, "min": 60, "hour": 3600}
_SIZES = {
    "sec": (1, 5, 10, 15, 30),
    "min": (1, 2, 3, 5, 10, 15, 20, 30),
    "hour": (1, 2, 3, 4, 8),
    "day": (1,),
    "week": (1,),
    "month": (1,),
}
_SESSIONS = {"D": 1, "W": 5, "M": 21, "Y": 252}
MOST_BARS = 30_000


class HistoryError(Exception):
    """A size or duration that does not exist."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """Length of a bar: seconds within a session, or a number of whole ones."""

    seconds: int = 0
    unit: str = ""  # day, week, month


def size_of(text: str) -> Size:
    """Size of `5 mins`, `1 day` and the like.

    Raises:
        HistoryError: not one of the broker's.
    """
    count, _, unit = text.strip().partition(" ")
    unit = unit.rstrip("s")
    if not count.isdigit() or int(count) not in _SIZES.get(unit, ()):
        raise HistoryError(f"Invalid bar size {text!r}")
    if unit in _UNITS_S:
        return Size(seconds=int(count) * _UNITS_S[unit])
    return Size(unit=unit)


def spans(contract: Contract, end: datetime, duration: str, size: Size) -> list[list[Span]]:
    """Bars oldest first; each is the spans (one a session) it consists of.

    Raises:
        HistoryError: no such duration, or too many bars.
    """
    count, _, unit = duration.strip().partition(" ")
    if not count.isdigit() or int(count) < 1 or unit not in {"S", *_SESSIONS}:
        raise HistoryError(f"Invalid duration {duration!r}")
    if size.unit:
        wanted = int(count) * _SESSIONS.get(unit, 1) if unit != "S" else 1
        found = [[span] for span in _sessions(contract, end, wanted)]
        return found if size.unit == "day" else _merged(found, size.unit)
    if unit == "S":
        return [[span] for span in _last(contract, end, int(count), size.seconds)]
    days = _sessions(contract, end, int(count) * _SESSIONS[unit])
    if len(days) * 23_400 // size.seconds > MOST_BARS:
        raise HistoryError(f"more than {MOST_BARS} bars; ask for a shorter duration")
    return [[span] for day in days for span in _cut(day, size.seconds)]


def _sessions(contract: Contract, end: datetime, count: int) -> list[Span]:
    """The last sessions that have begun by `end`, oldest first; a running one ends there."""
    found = list(_backwards(contract, end, count))
    return found[::-1]


def _backwards(contract: Contract, end: datetime, count: int) -> Iterator[Span]:
    day = sessions.on_or_before((end.astimezone(sessions.NEW_YORK) + timedelta(days=1)).date())
    while count:
        opened, closed = hours.opens_at(contract, day), hours.closes_at(contract, day)
        if opened < end:
            count -= 1
            yield opened, min(closed, end)
        if day <= date(1990, 1, 2):
            return
        day = sessions.shift(day, -1)


def _cut(session: Span, seconds: int) -> Iterator[Span]:
    start, end = session
    step = timedelta(seconds=seconds)
    while start < end:
        yield start, min(start + step, end)
        start += step


def _last(contract: Contract, end: datetime, wanted_s: int, seconds: int) -> list[Span]:
    """So many seconds of session time before `end`."""
    bars = max(-(-wanted_s // seconds), 1)
    if bars > MOST_BARS:
        raise HistoryError(f"more than {MOST_BARS} bars; ask for a shorter duration")
    found: list[Span] = []
    for session in _backwards(contract, end, 260):
        found = [*_cut(session, seconds), *found]
        if len(found) >= bars:
            break
    return found[-bars:]


def _merged(days: Sequence[list[Span]], unit: str) -> list[list[Span]]:
    groups: dict[tuple[int, int], list[Span]] = {}
    for (span,) in days:
        day = span[0].astimezone(sessions.NEW_YORK).date()
        week = day.isocalendar()
        key = (week.year, week.week) if unit == "week" else (day.year, day.month)
        groups.setdefault(key, []).append(span)
    return list(groups.values())
