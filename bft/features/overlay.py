"""Provisional rows: the running session's quotes as its bars (data specification, 7).

A quote is appended to the bars as stored, and every column is computed by the code that builds
gold; nothing is copied from yesterday. Fed the final bar, the columns of bars and actions equal
the evening's bit for bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from typing import Any

import numpy as np
import pyarrow as pa

from bft.domain import sessions
from bft.domain.gold import PROVISIONAL
from bft.features import quotes
from bft.features.bars import Bars, bars_by_symbol
from bft.features.build import Known, rows_of
from bft.features.factors import NO_ACTIONS, Actions
from bft.features.facts import Bools, Floats, Tables, day_number
from bft.features.quotes import Quotes
from bft.features.rows import Rows

STALE_HISTORY = "stale_history"
FACTS = (
    *("actions", "refused", "chains", "reports", "statements", "snapshots", "labels"),
    "first_action",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """Bars of every symbol and what else is known at `asof`, sorted out before quotes arrive.

    `symbols` have a bar at asof, so a quote can continue them: their arrays end in one place more,
    for that quote.
    """

    asof: date
    bars: tuple[Bars, ...]
    known: Known
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """One provisional gold row per symbol in symbol order, and why other symbols have none."""

    rows: pa.Table
    without_row: Mapping[str, str]


def history_of(tables: Tables, *, asof: date) -> History:
    """Sort out the tables known at `asof`, as `build_gold` takes them.

    An action announced for the session after counts, though no price has confirmed it.
    """
    actions = pa.concat_tables([tables["actions"], tables["expected_actions"]])
    known = Known({**tables, "actions": actions})
    for name in FACTS:
        getattr(known, name)  # sorted out on first use
    listed, last = list(bars_by_symbol(tables["bars"])), day_number(asof)
    return History(
        asof=asof,
        bars=tuple(_with_room(bars) if bars.day[-1] == last else bars for bars in listed),
        known=known,
        symbols=tuple(bars.symbol for bars in listed if bars.day[-1] == last),
    )


def overlay(history: History, table: pa.Table, *, at: datetime, active: Sequence[str]) -> Overlay:
    """Gold rows of the session after asof, from `table` (rows of quotes) at the instant `at`.

    `active` are the symbols that should have one. Only volume_pct is projected, to the whole
    session; chains are unknown before the evening.
    """
    session = sessions.shift(history.asof, 1)
    symbols = history.symbols
    told = quotes.newest(table, symbols)
    previous, acted = _previous(history, session)
    why = quotes.reasons(told, previous=previous, acted=acted, session=session, at=at)
    without = dict.fromkeys(set(active) - set(symbols), STALE_HISTORY)
    without |= {s: str(word) for s, word in zip(symbols, why, strict=True) if word}
    place = {s: n for n, s in enumerate(symbols) if s not in without}
    continued = set(symbols)
    bars = [
        _continued(each, told, place.get(each.symbol), session)
        if each.symbol in continued
        else each
        for each in history.bars
    ]
    made = rows_of(bars, history.known, since=history.asof, of=frozenset(place))
    share = quotes.elapsed_share(told, session)[list(place.values())]
    rows = _provisional(made, share) if place else made.table()
    return Overlay(rows=rows, without_row=dict(sorted(without.items())))


def _previous(history: History, session: date) -> tuple[Floats, Bools]:
    """Close at asof on the basis of `session`, and where an action is due that day."""
    last, today, can = day_number(history.asof), day_number(session), set(history.symbols)
    close = [bars.close[-2] for bars in history.bars if bars.symbol in can]
    actions = history.known.actions
    found = [_due(actions.get(symbol, NO_ACTIONS), last, today) for symbol in history.symbols]
    due = [_on_new_basis(float(price), each) for price, each in zip(close, found, strict=True)]
    return np.array(due), np.array([len(each.kind) > 0 for each in found], dtype=bool)


def _due(actions: Actions, last: int, today: int) -> Actions:
    return actions.where((actions.ex_day > last) & (actions.ex_day <= today))


def _on_new_basis(price: float, due: Actions) -> float:
    """Price over C(t)/C(t-1) of the actions due at t (`factors.forward_factors`)."""
    split, other = (float(np.prod(due.value[due.is_kind(kind)])) for kind in ("split", "other"))
    paid = split * float(due.value[due.is_kind("dividend")].sum())
    return (price - paid if price > paid else price) / (split * other)


def _arrays(bars: Bars) -> dict[str, Any]:
    names = [field.name for field in fields(bars) if field.name != "symbol"]
    return {name: getattr(bars, name) for name in names}


def _with_room(bars: Bars) -> Bars:
    """Bars whose arrays have one place more; to append when quotes are there would take longer."""
    room: dict[str, Any] = {n: np.append(v, v[-1]) for n, v in _arrays(bars).items()}
    return replace(bars, **room)


def _continued(bars: Bars, told: Quotes, n: int | None, session: date) -> Bars:
    """Bars with the quote in their free place; without it where there is none (`n` is None)."""
    arrays = _arrays(bars)
    if n is None:
        return replace(bars, **{name: values[:-1] for name, values in arrays.items()})
    last = told.last[n]
    prices = {name: getattr(told, name)[n] for name in ("open", "high", "low")}
    added = {
        "day": day_number(session),
        "session": sessions.number(session),
        "close_at": int(sessions.close_at(session).timestamp()),
        **{name: last if np.isnan(price) else price for name, price in prices.items()},
        "close": last,
        "volume": told.volume[n],
        "vendor_close": np.nan,
        "revised": False,
        "simulated": told.simulated[n],
    }
    for name, value in added.items():
        arrays[name][-1] = value
    return bars


def _provisional(made: Rows, share: Floats) -> pa.Table:
    """The last row of each symbol, marked, its volume_pct that of the projected volume.

    `made` holds two rows per symbol: asof and the running session.
    """
    now = np.arange(1, made.count, 2)
    split, volume = made.get("split_factor"), made.get("volume")
    with np.errstate(invalid="ignore", divide="ignore"):
        traded = np.where(volume > 0, volume, np.nan) / split
        projected = traded[now] / share
        change = (projected / traded[now - 1] - 1) * 100  # as TA-Lib's ROC has it
    pct, marks = made.get("volume_pct").copy(), made.get("row_flags").copy()
    pct[now], marks[now] = change, marks[now] | PROVISIONAL
    made.put("volume_pct", 0, pct)
    made.put("row_flags", 0, marks)
    return made.table(now)
