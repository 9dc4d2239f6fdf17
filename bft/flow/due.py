"""Whether the calendar, and what already ran, ask for a run.

Source: platform specification, sections 1.1 to 1.5.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from bft.domain import sessions
from bft.domain.errors import ConfigError, UsageError
from bft.domain.sessions import NEW_YORK

MOST_DAYS = 260
FULL_DAY_ENDS = 16  # hour of the close, New York; earlier is a half day
NIGHTS = frozenset({"nightly", "retrain"})  # the others have hours of their own
NIGHT_ENDS = time(8, 45)  # of the next session, New York
PREMARKET = (time(9, 0), time(9, 27))
SLOTS = tuple(time(h, m) for h in range(9, 16) for m in (5, 20, 35, 50) if (h, m) >= (9, 35))
SCAN_ENDS, CLOSE_STARTS = timedelta(minutes=8), timedelta(minutes=12)  # before the close
SETTLED = timedelta(minutes=10)  # after the close

IN_WORDS = {
    "done": "done already",
    "holiday": "no session on that day",
    "too_early": "too early",
    "too_late": "too late",
    "half_day": "too late, a half day",
}
"""Reasons not to run, for people."""

Done = Callable[[date, str], bool]
"""Did the workflow succeed for that asof and slot?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the guard puts out."""

    run: bool
    asof: date
    reason: str
    slot: str = ""
    settle_s: int = 0


def judge(workflow: str, *, at: datetime, day: date | None, now: datetime, done: Done) -> Verdict:
    """Judge one workflow at the instant `at`; `day` is an asof somebody asked for.

    Raises:
        UsageError: `day` is in the future or, of a night, not closed yet; no such workflow.
    """
    rules = {
        "nightly": _night,
        "retrain": _night,
        "premarket": _premarket,
        "market-hours": _market_hours,
        "close": _close,
    }
    if workflow not in rules:
        raise UsageError(f"no rule for workflow {workflow!r}; known: {', '.join(rules)}")
    if day is not None:
        sessions.check_past(day, now=max(at, now))
    if day is not None and not sessions.is_session(day):
        return Verdict(run=False, asof=sessions.on_or_before(day), reason="holiday")
    if workflow in NIGHTS:
        return _night(workflow, at, day, now, done)
    today = at.astimezone(NEW_YORK).date()
    if not sessions.is_session(today):
        return Verdict(run=False, asof=sessions.on_or_before(today), reason="holiday")
    found = rules[workflow](workflow, at, today, now, done)
    if day is not None and day != found.asof:
        reason = "too_late" if day < found.asof else "too_early"
        return Verdict(run=False, asof=day, reason=reason)
    return found


def window(workflow: str, asof: date) -> str:
    """In words: when a workflow runs for the session `asof`, by the clock of New York."""
    if workflow in NIGHTS:
        ends = f" to {NIGHT_ENDS:%H:%M} of {sessions.shift(asof, 1)}"
        return f"from the close of {asof}" + (ends if workflow == "nightly" else " on")
    day = asof if workflow == "close" else sessions.shift(asof, 1)
    close = sessions.close_at(day).astimezone(NEW_YORK)
    first, last = {
        "premarket": PREMARKET,
        "market-hours": (SLOTS[0], (close - SCAN_ENDS).time()),
        "close": ((close - CLOSE_STARTS).time(), close.time()),
    }[workflow]
    half = ", a half day" if close.hour < FULL_DAY_ENDS else ""
    return f"{first:%H:%M} to {last:%H:%M} on {day}{half}"


def check_days(workflow: str, values: Mapping[str, str], *, now: datetime) -> None:
    """Check the days of a run, before anything of it runs.

    Raises:
        UsageError: one is no ISO date or in the future; of a night its day has not closed yet; of a
            backfill one is absent, the first lies after the last, or else as `days_to_fill`.
        ConfigError: as `days_to_fill`.
    """
    if text := values.get("asof"):
        sessions.check_past(_date(text), now=now)
        if workflow in NIGHTS and sessions.is_session(_date(text)):
            sessions.check_asof(_date(text), now=now)
    if workflow != "backfill":
        return
    if not (values["from"] and values["to"]):
        raise UsageError("bft run backfill needs --param from=DATE --param to=DATE")
    first, last = (_date(values[name]) for name in ("from", "to"))
    if first > last:
        raise UsageError(f"bft run backfill: --param from={first} is after --param to={last}")
    days_to_fill(first, last, now=now)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is no date; give it as 2025-01-06") from None


def days_to_fill(first: date, last: date, *, now: datetime) -> Sequence[date]:
    """Sessions of a backfill, ascending; its faults speak of `bft run backfill --param`.

    Raises:
        UsageError: none, or some not closed yet.
        ConfigError: more than 260; says how to split.
    """
    if last > sessions.last_closed(now):
        sessions.check_asof(last, now=now, option="--param to=")
    days = sessions.sessions(first, last)
    if not days:
        raise UsageError(
            f"no session from {first} to {last}; give --param from= and to= that hold one, such "
            f"as {sessions.on_or_before(first)}"
        )
    if len(days) > MOST_DAYS:
        parts = [days[at : at + MOST_DAYS] for at in range(0, len(days), MOST_DAYS)]
        told = [f"--param from={part[0]} --param to={part[-1]}" for part in parts]
        raise ConfigError(
            f"{len(days)} sessions from {first} to {last}, {MOST_DAYS} are the most of one run; "
            f"split it: {', then '.join(told)}"
        )
    return days


def _night(workflow: str, at: datetime, day: date | None, now: datetime, done: Done) -> Verdict:
    if day is not None:
        return Verdict(run=True, asof=sessions.check_asof(day, now=now), reason="due")
    asof = sessions.last_closed(at)
    ends = datetime.combine(sessions.shift(asof, 1), NIGHT_ENDS, NEW_YORK)
    if done(asof, ""):
        return Verdict(run=False, asof=asof, reason="done")
    late = workflow == "nightly" and at >= ends
    return Verdict(run=not late, asof=asof, reason="too_late" if late else "due")


def _premarket(_name: str, at: datetime, today: date, _now: datetime, done: Done) -> Verdict:
    asof = sessions.shift(today, -1)
    clock = at.astimezone(NEW_YORK).time()
    if clock < PREMARKET[0]:
        return Verdict(run=False, asof=asof, reason="too_early")
    if clock >= PREMARKET[1]:
        return Verdict(run=False, asof=asof, reason="too_late")
    over = done(asof, "")
    return Verdict(run=not over, asof=asof, reason="done" if over else "due")


def _market_hours(_name: str, at: datetime, today: date, _now: datetime, done: Done) -> Verdict:
    asof, clock = sessions.shift(today, -1), at.astimezone(NEW_YORK).time()
    slot = max((entry for entry in SLOTS if entry <= clock), default=None)
    if slot is None:
        return Verdict(run=False, asof=asof, reason="too_early")
    text = f"{slot:%H%M}"
    if at >= sessions.close_at(today) - SCAN_ENDS:
        return Verdict(run=False, asof=asof, slot=text, reason="too_late")
    over = done(asof, text)
    return Verdict(run=not over, asof=asof, slot=text, reason="done" if over else "due")


def _close(_name: str, at: datetime, today: date, now: datetime, done: Done) -> Verdict:
    close = sessions.close_at(today)
    if at < close - CLOSE_STARTS:
        return Verdict(run=False, asof=today, reason="too_early")
    if at >= close:
        half = close.astimezone(NEW_YORK).hour < FULL_DAY_ENDS
        return Verdict(run=False, asof=today, reason="half_day" if half else "too_late")
    settle_s = max(0, round((close + SETTLED - now).total_seconds()))
    over = done(today, "")
    reason = "done" if over else "due"
    return Verdict(run=not over, asof=today, settle_s=settle_s, reason=reason)
