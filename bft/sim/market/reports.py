"""Quarterly reports of a stock: when they come and what they say, in shares of the first day."""

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from bft.domain import sessions
from bft.sim.market.draws import Floats, key, normal, uniform

Days = NDArray[np.datetime64]
QUARTERS_BEFORE = 10  # reports that exist before the first bar


@dataclass(frozen=True, slots=True, kw_only=True)
class Reports:
    """One stock's quarters, oldest first; per-share figures on the first day's share basis."""

    quarter_ends: Days
    reported_on: Days
    expected_on: Days
    pre_market: NDArray[np.bool_]
    estimate: Floats
    reported: Floats
    surprise_pct: Floats
    statement_on: Days
    equity_per_share: Floats

    @property
    def released_at(self) -> Days:
        """New York time of each report: 07:00, or 16:15 after the close."""
        minutes = np.where(self.pre_market, 7 * 60, 16 * 60 + 15).astype("timedelta64[m]")
        instants: Days = self.reported_on.astype("datetime64[m]") + minutes
        return instants

    @property
    def known_on(self) -> Days:
        """First session whose close knows the report."""
        known = [
            day if early else sessions.shift(day, 1)
            for day, early in zip(self.reported_on.tolist(), self.pre_market.tolist(), strict=True)
        ]
        return np.array(known, dtype="datetime64[D]")


def reports(seed: int, symbol: str, first: date, last: date, price_usd: float) -> Reports:
    """All reports whose quarter ends between ten quarters before `first` and `last`."""
    ends = _quarter_ends(seed, symbol, first, last)
    number = ends.astype("datetime64[M]").astype(np.int64)
    name = key(symbol)
    habit = uniform(seed, "report/habit", name).item()
    lag = np.floor(20 + 20 * habit + 6.99 * uniform(seed, "report/lag", name, number))
    off = np.floor(3 * uniform(seed, "report/off", name, number) ** 4)
    estimate, reported = _figures(seed, name, number, price_usd)
    reported_on = _session(ends + lag.astype("timedelta64[D]"))
    late = np.floor(15 * uniform(seed, "report/statement", name, number))
    return Reports(
        quarter_ends=ends,
        reported_on=reported_on,
        expected_on=_session(ends + (lag + off).astype("timedelta64[D]")),
        pre_market=uniform(seed, "report/time", name, number) < 0.1 + 0.8 * (habit < 0.5),
        estimate=estimate,
        reported=reported,
        surprise_pct=np.round(100 * (reported - estimate) / np.abs(estimate), 4),
        statement_on=reported_on + late.astype("timedelta64[D]"),
        equity_per_share=price_usd * _growth(seed, "equity", name, number, 0.03) / (1 + 5 * habit),
    )


def _quarter_ends(seed: int, symbol: str, first: date, last: date) -> Days:
    shift = int(uniform(seed, "report/calendar", key(symbol)).item() < 0.25)
    month = np.datetime64(first, "M").astype(np.int64)
    begin = month - (month - shift) % 3 - 3 * QUARTERS_BEFORE
    months = np.arange(begin, np.datetime64(last, "M").astype(np.int64) + 1, 3)
    ends: Days = months.astype("datetime64[M]").astype("datetime64[D]")
    return ends - 1


def _figures(seed: int, name: int, number: NDArray[np.int64], price: float) -> tuple[Floats, ...]:
    multiple = 12 + 18 * uniform(seed, "report/multiple", name).item()
    loss = uniform(seed, "report/loss", name).item() < 0.06
    eps = price / multiple / 4 * _growth(seed, "eps", name, number, 0.06)
    estimate = np.maximum(np.round(eps, 4), 0.01) * (-1 if loss else 1)
    surprise = np.clip(1.5 + 7 * normal(seed, "report/surprise", name, number), -40, 40)
    return estimate, np.round(estimate + np.abs(estimate) * surprise / 100, 4)


def _growth(seed: int, of: str, name: int, number: NDArray[np.int64], sd: float) -> Floats:
    steps = 0.015 + sd * normal(seed, f"report/{of}", name, number)
    grown: Floats = np.exp(np.cumsum(steps) - steps[0])
    return grown


def _session(days: Days) -> Days:
    found = [sessions.on_or_after(day) for day in days.tolist()]
    return np.array(found, dtype="datetime64[D]")
