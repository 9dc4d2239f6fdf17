"""Which object holds which day: days of the running month apart, closed months in one object.

The layout depends on asof alone, so a full build and a chain of appends give the same objects.
"""

from collections.abc import Iterable
from datetime import date

from bft.domain import sessions

MERGED_ON = {"gold": 1, "gold_targets": 2, "raw": 3}
"""Session of a month on which the month before is merged; one table a day."""


def partition_of(day: date, *, asof: date, prefix: str, merged_on: int) -> str:
    """Partition of a day's rows in the table of asof."""
    return f"month={day:%Y-%m}" if _merged(day, asof, merged_on) else f"{prefix}={day}"


def first_day(since: date, *, asof: date, merged_on: int, held: Iterable[str]) -> date:
    """First day to rewrite: the start of the object that holds `since`, and of months to merge.

    `held` are the partitions of the table before asof.
    """
    starts = [since.replace(day=1)] if _merged(since, asof, merged_on) else [since]
    for name in held:
        kind, _, text = name.partition("=")
        if kind != "month" and _merged(date.fromisoformat(text), asof, merged_on):
            starts.append(date.fromisoformat(text).replace(day=1))
    return min(starts)


def superseded(held: Iterable[str], *, since: date) -> list[str]:
    """Partitions of which all rows are on or after `since`."""
    days = {name: name.partition("=")[2] for name in held}
    return [name for name, text in days.items() if _start(text) >= since]


def _merged(day: date, asof: date, merged_on: int) -> bool:
    age = (asof.year - day.year) * 12 + asof.month - day.month
    done = len(sessions.sessions(asof.replace(day=1), asof)) >= merged_on
    return age > 1 or (age == 1 and done)


def _start(text: str) -> date:
    return date.fromisoformat(text if len(text) == 10 else f"{text}-01")
