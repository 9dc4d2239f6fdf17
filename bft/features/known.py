"""When a fact was known: the release rules behind `known_at` (data specification, 1.5 and 2).

Days go in as datetime64 series, instants come out in UTC microseconds. A backfilled fact follows
its rule alone; a live one is never known before it arrived.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime

import numpy as np
import pandas as pd

from bft.domain import sessions

MACRO_RELEASE_DAYS = {
    "unemployment": 10,
    "nonfarm_payroll": 10,
    "cpi": 16,
    "retail_sales": 18,
    "durables": 28,
}
"""Day of the month after the reference month on which a monthly series is out."""
REPORT_DAYS, STATEMENT_DAYS = 45, 60  # after quarter end, where no better date is known
CONFIGURED = datetime(1962, 1, 2, 21, 0, tzinfo=UTC)
"""A universe without `from` has always been configured so: close of the first known session."""


def close_of(days: pd.Series) -> pd.Series:
    """Close of the first session on or after each day."""
    return _each(days, lambda day: sessions.close_at(sessions.on_or_after(day)))


def macro_release(series: str, reference_on: pd.Series) -> pd.Series:
    """Instants at which values of a macro series are taken to be out.

    A daily rate delivered by month is an average of that month, known after its end.
    """
    if series in MACRO_RELEASE_DAYS:
        day_of_month = MACRO_RELEASE_DAYS[series]
        return close_of(_month_after(reference_on) + np.timedelta64(day_of_month - 1, "D"))
    if series == "inflation":  # annual, reference 1 January
        return _each(reference_on, lambda day: _close(date(day.year + 1, 7, 1)))
    if len(reference_on) > 1 and (reference_on.dt.day == 1).all():
        return close_of(_month_after(reference_on))
    return close_of(reference_on + np.timedelta64(1, "D"))


def report_release(
    fiscal_date_ending: pd.Series, reported_on: pd.Series, report_time: pd.Series
) -> pd.Series:
    """Close of the report's day if it came before the market opened, else of the next session."""
    early = report_time.astype("object").fillna("").str.lower().str.startswith("pre")
    same_day = close_of(reported_on)
    next_day = close_of(reported_on + np.timedelta64(1, "D"))
    undated = close_of(fiscal_date_ending + np.timedelta64(REPORT_DAYS, "D"))
    return same_day.where(early, next_day).where(reported_on.notna(), undated)


def statement_release(fiscal_date_ending: pd.Series, reported_on: pd.Series) -> pd.Series:
    """The later of the session after the report and quarter end plus 60 days."""
    late = close_of(fiscal_date_ending + np.timedelta64(STATEMENT_DAYS, "D"))
    after = close_of(reported_on + np.timedelta64(1, "D"))
    return late.where(after.isna() | (after < late), after)


def live(rule: pd.Series, *, backfilled: pd.Series, instant: datetime) -> pd.Series:
    """The rule where backfilled, else the later of rule and arrival."""
    arrived = pd.Timestamp(instant).as_unit("us")
    return rule.where(backfilled | (rule > arrived), arrived)


def exchange_day(instants: pd.Series) -> pd.Series:
    """New York date of each instant."""
    local = instants.dt.tz_convert("America/New_York")
    return local.dt.tz_localize(None).dt.normalize()


def _each(days: pd.Series, instant_of: Callable[[date], datetime]) -> pd.Series:
    # Few distinct days among many rows: one calendar look-up per day.
    known = {day: instant_of(day.date()) for day in days.dropna().unique()}
    return days.map(known).astype("datetime64[us, UTC]")


def _close(day: date) -> datetime:
    return sessions.close_at(sessions.on_or_after(day))


def _month_after(days: pd.Series) -> pd.Series:
    months = days.to_numpy().astype("datetime64[M]") + 1
    return pd.Series(months.astype("datetime64[s]"), index=days.index)
