"""Macro series as known at each close: latest reference, newest vintage (data spec., 1.5)."""

from datetime import date
from functools import partial

import numpy as np
import pyarrow as pa

from bft.domain.market import MACRO_SERIES
from bft.features.facts import (
    Floats,
    Ints,
    closes,
    days,
    latest,
    numbers,
    picked,
    seconds,
    spans,
    unfold,
)

YEAR_MONTHS = 12


def macro_levels(rows: pa.Table, first: date, last: date) -> dict[str, Floats]:
    """Latest known value of each of the nine series at every close from first to last.

    Shape: (sessions,) each; NaN before the first release.
    """
    at = closes(first, last)
    series = {name: _Series(rows, a, b) for name, (a, b) in spans(rows["series"]).items()}
    return {
        name: series[name].at(at) if name in series else np.full(len(at), np.nan)
        for name in MACRO_SERIES
    }


def payroll_change(rows: pa.Table, first: date, last: date) -> Floats:
    """100 (v / v of 12 reference months before - 1) of nonfarm_payroll, as known at each close.

    Shape: (sessions,).
    """
    at = closes(first, last)
    found = spans(rows["series"]).get("nonfarm_payroll")
    if found is None:
        return np.full(len(at), np.nan)
    return _Series(rows, *found).change(at, months=YEAR_MONTHS)


class _Series:
    """Events of one series, in the order in which they were known.

    Of a reference day what arrived last counts, of vintages that arrived together the one known
    last: what was delivered once and mended later, with an earlier day, does not come back.
    """

    def __init__(self, rows: pa.Table, a: int, b: int) -> None:
        part = rows.slice(a, b - a)
        self.known_at, self.value = seconds(part["known_at"]), numbers(part["value"])
        self.reference = days(part["reference_on"])
        self.rank = np.empty(b - a, dtype=np.int64)
        arrived_at, revision = seconds(part["arrived_at"]), numbers(part["revision"])
        self.rank[np.lexsort((revision, self.known_at, arrived_at))] = np.arange(b - a)

    def at(self, at: Ints) -> Floats:
        states = [rows[newest] for newest, rows in unfold(self.reference, self.rank)]
        return self._then(self.value[np.array(states)], at)

    def change(self, at: Ints, *, months: int) -> Floats:
        before = partial(_months_before, months=months)
        states = [
            (rows[newest], rows.get(before(newest), -1))
            for newest, rows in unfold(self.reference, self.rank)
        ]
        now, then = np.array(states).T
        change = 100 * (self.value[now] / np.where(then >= 0, self.value[then], np.nan) - 1)
        return self._then(change, at)

    def _then(self, states: Floats, at: Ints) -> Floats:
        return picked(states, latest(self.known_at, at))


def _months_before(day: int, *, months: int) -> int:
    then = np.datetime64(day, "D").astype("datetime64[M]") - months
    return int(then.astype("datetime64[D]").astype(np.int64))
