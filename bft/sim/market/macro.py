"""Nine macro series: released inside the lags of the data specification (1.5), revised once."""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np

from bft.domain import sessions
from bft.sim.market.call import Answer, Call, Function, invalid, table
from bft.sim.market.draws import Floats, key, normal, uniform
from bft.sim.market.reports import Days

YEARS_BEFORE = 3  # history at the first session: a year's change and the last annual value
EVENING_MINUTES, MORNING_MINUTES = 17 * 60, 8 * 60 + 30
REVISED_AFTER_DAYS = {"daily": 7, "monthly": 30, "annual": 365}


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One series; with `growth` (per step) a level, without a rate that returns to `start`.

    `day`: of the month after the reference month by which it is out.
    """

    name: str
    unit: str
    start: float
    sd: float
    growth: float | None = None
    interval: str = "monthly"
    day: int = 0
    decimals: int = 1


def _rate(name: str, start: float) -> Series:
    return Series(name=name, unit="percent", start=start, sd=0.03, interval="daily", decimals=2)


YIELDS = {
    "2year": _rate("2-Year Treasury Constant Maturity Rate", 2.1),
    "10year": _rate("10-Year Treasury Constant Maturity Rate", 2.9),
}
SERIES = {
    "FEDERAL_FUNDS_RATE": _rate("Effective Federal Funds Rate", 1.9),
    "CPI": Series(
        name="Consumer Price Index for all Urban Consumers",
        unit="index 1982-1984=100",
        start=230,
        sd=0.002,
        growth=0.0021,
        day=16,
        decimals=3,
    ),
    "INFLATION": Series(
        name="Inflation - US Consumer Prices",
        unit="percent",
        start=2.2,
        sd=0.8,
        interval="annual",
        decimals=6,
    ),
    "RETAIL_SALES": Series(
        name="Advance Retail Sales: Retail Trade",
        unit="millions of dollars",
        start=380_000,
        sd=0.008,
        growth=0.003,
        day=18,
        decimals=0,
    ),
    "DURABLES": Series(
        name="Manufacturer New Orders: Durable Goods",
        unit="millions of dollars",
        start=230_000,
        sd=0.02,
        growth=0.002,
        day=28,
        decimals=0,
    ),
    "UNEMPLOYMENT": Series(name="Unemployment Rate", unit="percent", start=5.0, sd=0.12, day=10),
    "NONFARM_PAYROLL": Series(
        name="Total Nonfarm Payroll",
        unit="thousands of persons",
        start=140_000,
        sd=0.001,
        growth=0.0012,
        day=10,
        decimals=0,
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Vintages:
    """Values by reference date: as first released, and as revised; instants in New York."""

    reference: Days
    first: Floats
    final: Floats
    released_at: Days
    revised_at: Days


def answer(series: Series) -> Function:
    """The function that answers for a series."""

    def macro(call: Call) -> Answer:
        if call.params.get("interval", series.interval) != series.interval:
            return invalid(call)
        return _answer(call, series)

    return macro


def treasury_yield(call: Call) -> Answer:
    """TREASURY_YIELD of a maturity, daily."""
    series = YIELDS.get(call.params.get("maturity", "10year"))
    if series is None or call.params.get("interval") != "daily":
        return invalid(call)
    return _answer(call, series)


def vintages(seed: int, series: Series, first: date, last: date) -> Vintages:
    """All values whose reference date lies between three years before `first` and `last`."""
    reference = _references(series, first, last)
    number = reference.astype(np.int64)
    name = key(series.name)
    final = _path(series, normal(seed, "macro", name, number))
    error = normal(seed, "macro/first", name, number)
    if series.interval == "daily":
        early = 0.01 * np.sign(error) * (np.abs(error) > 2)
    else:
        early = 0.3 * series.sd * error * (final if series.growth is not None else 1)
    released = _released(series, reference, seed)
    wait = np.timedelta64(REVISED_AFTER_DAYS[series.interval], "D")
    return Vintages(
        reference=reference,
        first=np.round(final + early, series.decimals),
        final=np.round(final, series.decimals),
        released_at=released,
        revised_at=released + wait,
    )


_vintages = lru_cache(maxsize=32)(vintages)


def _answer(call: Call, series: Series) -> Answer:
    made = _vintages(call.world.plan.seed, series, call.world.days[0], call.world.last)
    out = made.released_at <= call.moment.local
    value = np.where(made.revised_at <= call.moment.local, made.final, made.first)[out]
    days = made.reference[out].astype(str).tolist()
    texts = [f"{v:.{series.decimals}f}" for v in value.tolist()]
    if series.interval == "daily":  # the vendor writes a point where the market was closed
        opens = [sessions.is_session(day) for day in made.reference[out].tolist()]
        texts = [text if there else "." for text, there in zip(texts, opens, strict=True)]
    rows = [{"date": d, "value": t} for d, t in zip(days, texts, strict=True)][::-1]
    head = {"name": series.name, "interval": series.interval, "unit": series.unit}
    return table(call, head, rows)


def _references(series: Series, first: date, last: date) -> Days:
    begin, end = np.datetime64(date(first.year - YEARS_BEFORE, 1, 1)), np.datetime64(last)
    if series.interval == "daily":
        daily = np.arange(begin, end + 1)
        return daily[np.is_busday(daily)]
    unit = "M" if series.interval == "monthly" else "Y"
    steps = np.arange(begin.astype(f"datetime64[{unit}]"), end.astype(f"datetime64[{unit}]") + 1)
    days: Days = steps.astype("datetime64[D]")
    return days


def _path(series: Series, chance: Floats) -> Floats:
    if series.growth is not None:
        return series.start * np.exp(np.cumsum(series.growth + series.sd * chance))
    keep = 0.999 if series.interval == "daily" else 0.96
    away, path = 0.0, np.empty_like(chance)
    for n, step in enumerate((series.sd * chance).tolist()):
        away = keep * away + step
        path[n] = max(series.start + away, 0.05)
    return path


def _released(series: Series, reference: Days, seed: int) -> Days:
    if series.interval == "daily":  # published the same evening
        evening: Days = reference.astype("datetime64[m]")
        return evening + EVENING_MINUTES
    early = np.floor(4 * uniform(seed, "macro/early", key(series.name), reference.astype(np.int64)))
    if series.interval == "monthly":
        months = reference.astype("datetime64[M]") + 1
        limit: Days = months.astype("datetime64[D]") + (series.day - 1)
    else:  # 1 July of the next year
        years = (reference.astype("datetime64[Y]") + 1).astype("datetime64[M]") + 6
        limit = years.astype("datetime64[D]")
    morning: Days = (limit - early.astype(np.int64)).astype("datetime64[m]")
    return morning + MORNING_MINUTES
