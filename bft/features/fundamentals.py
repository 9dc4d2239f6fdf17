"""Statements, snapshots and dividends as known: columns 44-58 but beta and 52-week levels."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bft.domain.gold import SNAPSHOT_DAYS
from bft.features.bars import Bars
from bft.features.factors import Actions, Factors, split_on
from bft.features.facts import Floats, Ints, days, latest, numbers, picked, seconds, spans, unfold

SNAPSHOT_FIGURES = (
    "book_value",
    "eps",
    "shares_outstanding",
    "forward_pe",
    "analyst_rating_strong_buy",
    "analyst_rating_buy",
    "analyst_rating_hold",
    "analyst_rating_sell",
    "analyst_rating_strong_sell",
)
STATEMENT_FIGURES = ("total_equity_usd", "shares_outstanding")
YEAR_DAYS, DAY_S = 365, 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """One symbol's facts in the order in which they were known; shape (E,) each."""

    known_at: Ints
    basis_day: Ints
    reference: Ints
    revision: Ints
    figures: Mapping[str, Floats]


def events_by_symbol(rows: pa.Table, reference: str, figures: tuple[str, ...]) -> dict[str, Events]:
    """Facts of every symbol that has any; `rows` as given by `facts.as_known`."""
    known_at, basis = seconds(rows["known_at"]), days(rows["basis_on"])
    basis = np.where(basis < -(10**6), known_at // DAY_S, basis)
    ref, revision = days(rows[reference]), numbers(rows["revision"]).astype(np.int64)
    values = {name: numbers(rows[name]) for name in figures}
    return {
        symbol: Events(
            known_at=known_at[a:b],
            basis_day=basis[a:b],
            reference=ref[a:b],
            revision=revision[a:b],
            figures={name: column[a:b] for name, column in values.items()},
        )
        for symbol, (a, b) in spans(rows["symbol"]).items()
    }


def snapshot_columns(
    events: Events, actions: Actions, *, bars: Bars, split: Floats
) -> dict[str, Floats]:
    """Snapshot figures on each row: null before the first and when the newest is too old.

    Book value and EPS are per share of the row's own day, share counts are inversely scaled.
    """
    basis = split_on(actions, events.basis_day, since=int(bars.day[0]))
    place = latest(events.known_at, bars.close_at)
    age = bars.close_at - events.known_at[place]
    fresh = np.where((place >= 0) & (age <= SNAPSHOT_DAYS * DAY_S), place, -1)
    out = {name: picked(column, fresh) for name, column in events.figures.items()}
    scale = picked(basis, fresh) / split
    out |= {"book_value": out["book_value"] * scale, "eps": out["eps"] * scale}
    out["shares_outstanding"] = out["shares_outstanding"] / scale
    out["before_first"] = (place < 0).astype(float)
    return out


def statement_columns(
    events: Events, actions: Actions, *, bars: Bars, split: Floats
) -> dict[str, Floats]:
    """Book value per share and shares outstanding from the newest known statement, basis t."""
    newest = np.array(
        [rows[quarter] for quarter, rows in unfold(events.reference, events.revision)],
        dtype=np.int64,
    )
    place = latest(events.known_at, bars.close_at)
    row = np.where(place >= 0, newest[place], -1)
    basis = split_on(actions, events.basis_day, since=int(bars.day[0]))
    shares = picked(events.figures["shares_outstanding"] / basis, row) * split
    equity = picked(events.figures["total_equity_usd"], row)
    with np.errstate(divide="ignore", invalid="ignore"):
        book = equity / shares
    return {"book_value": np.where(shares > 0, book, np.nan), "shares_outstanding": shares}


def valuation(
    close: Floats, ttm_eps: Floats, stated: Mapping[str, Floats], snapshot: Mapping[str, Floats]
) -> dict[str, Floats]:
    """Columns 44, 45, 47, 48, 50, 53-58 from statement and snapshot columns (either may be empty).

    A figure of the statement wins; EPS before the first snapshot is that of the last four quarters.
    """
    none = np.full(len(close), np.nan)
    out = {name: snapshot.get(name, none) for name in SNAPSHOT_FIGURES}
    for name in ("book_value", "shares_outstanding"):
        figure = stated.get(name, none)
        out[name] = np.where(np.isnan(figure), out[name], figure)
    early = snapshot.get("before_first", np.ones(len(close))) > 0
    out["eps"] = np.where(early, ttm_eps, out["eps"])
    book = out["book_value"]
    with np.errstate(divide="ignore", invalid="ignore"):
        out["price_to_book_ratio"] = np.where(book > 0, close / book, np.nan)
    return out | {"market_capitalization": close * out["shares_outstanding"]}


def dividend_yield(
    bars: Bars, factors: Factors, *, told_since: int | None, since_row: int = 0
) -> Floats:
    """Dividends of the last 365 days on the row's share basis, over its close; a fraction.

    Of rows from `since_row` on.

    0 only after a full year of bars without any, and only from the day `told_since` on, when the
    source was first seen to deliver dividends; unknown before.
    """
    dividends = factors.actions.where(factors.actions.is_kind("dividend"))
    ex_day = dividends.ex_day
    forward = dividends.value * split_on(factors.actions, ex_day, since=int(bars.day[0]))
    running = np.r_[0.0, np.cumsum(forward)]
    day = bars.day[since_row:]
    first = np.searchsorted(ex_day, day - YEAR_DAYS, side="right")
    last = np.searchsorted(ex_day, day, side="right")
    year = np.where(last > first, running[last] - running[first], 0.0)
    a_year = day - YEAR_DAYS >= bars.day[0]
    told = day >= (np.iinfo(np.int64).max if told_since is None else told_since)
    known = (last > first) | (a_year & told)
    return np.where(known, year / factors.split[since_row:] / bars.close[since_row:], np.nan)


def told_dividends_since(bars: Bars, first_action: int | None) -> int | None:
    """First day on which the source showed that it delivers dividends, or None.

    A vendor-adjusted close shows it for its symbol, an action of any symbol for all of them.
    """
    adjusted = np.flatnonzero(~np.isnan(bars.vendor_close))
    found = [] if first_action is None else [first_action]
    return min([*found, *bars.day[adjusted[:1]].tolist()], default=None)
