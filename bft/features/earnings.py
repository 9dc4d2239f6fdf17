"""Reports as known: the latest quarter, its surprise, and the last four quarters together."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from bft.features.factors import Actions, split_on
from bft.features.facts import Floats, Ints, days, latest, numbers, picked, seconds, spans, unfold

QUARTER_DAYS = (75, 107)  # between two consecutive quarter ends, 13- and 14-week quarters included
EPS = ("reported_eps", "estimated_eps", "surprise", "surprise_percentage")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """One symbol's reports in the order in which they were known; shape (E,) each."""

    known_at: Ints
    quarter: Ints
    revision: Ints
    basis_day: Ints
    reported_eps: Floats
    estimated_eps: Floats
    surprise: Floats
    surprise_percentage: Floats


def reports_by_symbol(rows: pa.Table) -> dict[str, Reports]:
    """Reports of every symbol that has any; `rows` as given by `facts.as_known`."""
    known_at = seconds(rows["known_at"])
    basis = days(rows["basis_on"])
    columns: dict[str, Any] = {
        "known_at": known_at,
        "quarter": days(rows["fiscal_date_ending"]),
        "revision": numbers(rows["revision"]).astype(np.int64),
        "basis_day": np.where(basis < -(10**6), known_at // 86_400, basis),
        **{name: numbers(rows[name]) for name in EPS},
    }
    return {
        symbol: Reports(**{name: values[a:b] for name, values in columns.items()})
        for symbol, (a, b) in spans(rows["symbol"]).items()
    }


def report_columns(
    reports: Reports, actions: Actions, *, close_at: Ints, split: Floats, first_day: int
) -> dict[str, Any]:
    """Columns 34-39 on each row, per-share figures on the row's own share basis.

    Shape: `close_at`, `split` (T,) -> (T,) each. As of: row t uses reports known at its close.
    """
    basis = split_on(actions, reports.basis_day, since=first_day)
    reported, estimated = reports.reported_eps * basis, reports.estimated_eps * basis
    newest, ttm = _states(reports, reported)
    place = latest(reports.known_at, close_at)
    row = np.where(place >= 0, newest[place], -1)
    surprise = reported - estimated
    with np.errstate(divide="ignore", invalid="ignore"):
        own_pct = 100 * surprise / np.abs(estimated)
    vendor_pct = reports.surprise_percentage
    pct = np.where(np.isnan(vendor_pct), np.where(estimated == 0, np.nan, own_pct), vendor_pct)
    quarter = np.where(row >= 0, reports.quarter[row], np.iinfo(np.int64).min)
    return {
        "fiscal_date_ending": quarter,
        "reported_eps": picked(reported, row) / split,
        "estimated_eps": picked(estimated, row) / split,
        "ttm_eps": picked(ttm, place) / split,
        "surprise": picked(surprise, row) / split,
        "surprise_percentage": picked(pct, row),
    }


def _states(reports: Reports, reported: Floats) -> tuple[Ints, Floats]:
    """After each event: the row of the newest quarter, and the sum of the last four."""
    newest = np.empty(len(reports.quarter), dtype=np.int64)
    ttm = np.empty(len(reports.quarter))
    for event, (quarter, rows) in enumerate(unfold(reports.quarter, reports.revision)):
        newest[event] = rows[quarter]
        ttm[event] = _last_four(rows, reported)
    return newest, ttm


def _last_four(rows: dict[int, int], reported: Floats) -> float:
    quarters = sorted(rows)[-4:]
    low, high = QUARTER_DAYS
    steps = (b - a for a, b in pairwise(quarters))
    if len(quarters) < 4 or not all(low <= step <= high for step in steps):
        return float("nan")
    return float(sum(reported[rows[quarter]] for quarter in quarters))
