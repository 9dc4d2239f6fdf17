"""Gold rows from raw tables as known at asof (data specification, 3).

One pass over all symbols. Every row depends on facts known at its close alone, so the rows of an
appended day equal those of a full build bit for bit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from bft.domain import sessions
from bft.domain.gold import MARKET_PROXY, SUSPECTED, SUSPECTED_SPLIT, YEAR_ROWS
from bft.features import (
    context,
    earnings,
    factors,
    fundamentals,
    labels,
    macro,
    options,
    prices,
    suspects,
)
from bft.features.bars import Bars, bars_by_symbol
from bft.features.facts import Floats, Ints, Tables, day_number, days
from bft.features.flags import flags
from bft.features.rows import Rows

TABLES = (
    *("bars", "actions", "refused_actions", "options_summary", "macro", "earnings"),
    *("statements", "fundamentals", "universe", "expected_actions"),
)
"""What `build_gold` reads, as given by `facts.as_known`; refused_actions are those refused.

The expected ones, of days to come, serve provisional rows alone.
"""
BLOCK_SYMBOLS = 32  # whose columns fit into a processor's cache
THURSDAY = 3  # weekday of 1970-01-01
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def build_gold(tables: Tables, *, since: date | None = None) -> pa.Table:
    """Gold rows from `since` on (all by default), sorted by symbol and date, own-day basis.

    Targets (columns 75-77) stay null; they live in gold_targets.
    """
    return gold_rows(tables, since=since).table()


def gold_rows(tables: Tables, *, since: date | None = None) -> Rows:
    """The same rows before they are a table, to be cut into partitions."""
    return rows_of(list(bars_by_symbol(tables["bars"])), Known(tables), since=since)


def rows_of(
    listed: Sequence[Bars],
    known: "Known",
    *,
    since: date | None = None,
    of: frozenset[str] | None = None,
) -> Rows:
    """Rows of bars in symbol order, whose facts are `known`; `of`: of those symbols only.

    The others still make the market's and their sector's return.
    """
    first = day_number(since) if since else 0
    cuts = [
        int(np.searchsorted(bars.day, first)) if of is None or bars.symbol in of else len(bars)
        for bars in listed
    ]
    counts = [len(bars) - cut for bars, cut in zip(listed, cuts, strict=True)]
    at = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    rows = Rows(int(at[-1]))
    if not rows.count:
        return rows
    closes: list[Floats] = []
    for a in range(0, len(listed), BLOCK_SYMBOLS):
        some = slice(a, a + BLOCK_SYMBOLS)
        closes += _block_rows(rows, int(at[a]), listed[some], cuts[some], known)
    _context_rows(rows, at, listed, cuts, closes, known)
    _calendar_rows(rows, known.tables["macro"])
    return rows


@dataclass(frozen=True)
class Known:
    """Facts by symbol, sorted out on first use.

    `called`: tables that tell the labels where `tables` are cut at a past day, for labels are
    today's on every row.
    """

    tables: Tables
    called: Tables | None = None

    @cached_property
    def actions(self) -> Mapping[str, factors.Actions]:
        """Accepted corporate actions."""
        return factors.actions_by_symbol(self.tables["actions"])

    @cached_property
    def refused(self) -> Mapping[str, factors.Actions]:
        """Actions that no price confirmed."""
        return factors.actions_by_symbol(self.tables["refused_actions"])

    @cached_property
    def chains(self) -> Mapping[str, options.Chains]:
        """Option volumes."""
        return options.chains_by_symbol(self.tables["options_summary"])

    @cached_property
    def reports(self) -> Mapping[str, earnings.Reports]:
        """Earnings reports."""
        return earnings.reports_by_symbol(self.tables["earnings"])

    @cached_property
    def statements(self) -> Mapping[str, fundamentals.Events]:
        """Balance sheets."""
        return fundamentals.events_by_symbol(
            self.tables["statements"], "fiscal_date_ending", fundamentals.STATEMENT_FIGURES
        )

    @cached_property
    def snapshots(self) -> Mapping[str, fundamentals.Events]:
        """Company overviews."""
        return fundamentals.events_by_symbol(
            self.tables["fundamentals"], "arrived_on", fundamentals.SNAPSHOT_FIGURES
        )

    @cached_property
    def labels(self) -> Mapping[str, labels.Label]:
        """What symbols are called now."""
        tables = self.called or self.tables
        return labels.labels_by_symbol(tables["fundamentals"], tables["universe"])

    @cached_property
    def first_action(self) -> int | None:
        """Day of the first action of any symbol."""
        found = days(self.tables["actions"]["ex_date"])
        return int(found.min()) if len(found) else None


def _block_rows(
    rows: Rows, a: int, listed: Sequence[Bars], cuts: Sequence[int], known: Known
) -> list[Floats]:
    """Write the rows of some symbols from `cuts` on; returns their forward returns.

    What a row alone decides is computed for all of them at once: numpy is called once per column,
    not once per column and symbol.
    """
    parts: list[Mapping[str, Any]] = []
    returns = []
    for bars, cut in zip(listed, cuts, strict=True):
        actions = known.actions.get(bars.symbol, factors.NO_ACTIONS)
        factor = factors.forward_factors(bars, actions)
        if cut == len(bars):
            returns.append(prices.forward_returns(bars, factor))
            continue
        history = prices.histories(bars, factor)
        place = a + sum(len(part["day"]) for part in parts)
        own = _own_columns(rows, place, bars, cut, _Facts(known, factor))
        parts.append({**{name: values[cut:] for name, values in history.items()}, **own})
        returns.append(history["close_1_roc"])
    if parts:
        _write(rows, a, {name: np.concatenate([p[name] for p in parts]) for name in parts[0]})
    return returns


def _write(rows: Rows, a: int, history: Mapping[str, Any]) -> None:
    """Write the columns that a row alone decides."""
    found = prices.columns(history)
    ttm, close = history["ttm_eps"], history["adjusted_close"]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(ttm == 0, np.nan, close / ttm)
    tested = {**found, "price": close, "pe_ratio": ratio, "pcr": history["pcr"]}
    rows.put_all(a, {**found, **flags(tested), "pe_ratio": ratio, "date": history["day"]})
    rows.put_all(a, {name: history[name] for name in ("ttm_eps", "pcr", "dividend_yield")})
    suspected = SUSPECTED_SPLIT * history["suspected"]
    rows.put("row_flags", a, prices.row_flags(history) | suspected)


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known, and the factors of the symbol at hand."""

    known: Known
    factor: factors.Factors


def _own_columns(rows: Rows, a: int, bars: Bars, cut: int, facts: _Facts) -> dict[str, Any]:
    """Write the columns that only some symbols have; returns those of facts that all have."""
    known, factor = facts.known, facts.factor
    whole = {**_chain_columns(bars, known), **_fact_columns(bars, factor, known)}
    found = {name: values[cut:] for name, values in whole.items()}
    rows.put_all(a, {name: v for name, v in found.items() if name not in _EVERYWHERE})
    _label_rows(rows, a, bars, cut, known.labels.get(bars.symbol, labels.Label()))
    told = fundamentals.told_dividends_since(bars, known.first_action)
    refused = known.refused.get(bars.symbol, factors.NO_ACTIONS)
    suspected = suspects.confidences(bars, factor.actions, refused) >= SUSPECTED
    return {
        **{name: found[name] for name in _EVERYWHERE},
        "dividend_yield": fundamentals.dividend_yield(bars, factor, told_since=told, since_row=cut),
        "suspected": suspected[cut:],
    }


_EVERYWHERE = ("ttm_eps", "pcr")


def _chain_columns(bars: Bars, known: Known) -> dict[str, Floats]:
    if bars.symbol not in known.chains:
        return {"pcr": np.full(len(bars), np.nan)}
    return options.option_columns(known.chains[bars.symbol], bars)


def _fact_columns(bars: Bars, factor: factors.Factors, known: Known) -> dict[str, Any]:
    """Columns 34-39 and 44-58 of reports, statements and snapshots."""
    split, actions = factor.split, factor.actions
    out: dict[str, Any] = {"ttm_eps": np.full(len(bars), np.nan)}
    if bars.symbol in known.reports:
        out = earnings.report_columns(
            known.reports[bars.symbol],
            actions,
            close_at=bars.close_at,
            split=split,
            first_day=int(bars.day[0]),
        )
    shot: Mapping[str, Floats] = {}
    if bars.symbol in known.snapshots:
        shot = fundamentals.snapshot_columns(
            known.snapshots[bars.symbol], actions, bars=bars, split=split
        )
    stated: Mapping[str, Floats] = {}
    if bars.symbol in known.statements:
        stated = fundamentals.statement_columns(
            known.statements[bars.symbol], actions, bars=bars, split=split
        )
    if not (out.keys() - {"ttm_eps"} or stated or shot):
        return out
    return out | fundamentals.valuation(bars.close, out["ttm_eps"], stated, shot)


def _label_rows(rows: Rows, a: int, bars: Bars, cut: int, label: labels.Label) -> None:
    whole = slice(a, a + len(bars) - cut)
    rows.put_word("symbol", whole, bars.symbol)
    for name in labels.LABELS:
        rows.put_word(name, whole, label.words.get(name))
    for part, sector in label.sectors(bars.day[cut:]):
        rows.put_word("sector", slice(a + part.start, a + part.stop), sector)


def _context_rows(
    rows: Rows,
    at: Ints,
    listed: Sequence[Bars],
    cuts: list[int],
    closes: list[Floats],
    known: Known,
) -> None:
    """Write beta, and flag the rows whose market or sector return is a proxy."""
    first, tails = _tails(listed, cuts)
    returns = context.Returns(
        slot=np.concatenate(
            [bars.session[tail:] - first for bars, tail in zip(listed, tails, strict=True)]
        ),
        value=np.concatenate([own[tail:] for own, tail in zip(closes, tails, strict=True)]),
        symbol=np.repeat(
            np.arange(len(listed)),
            [len(bars) - tail for bars, tail in zip(listed, tails, strict=True)],
        ),
        names=tuple(bars.symbol for bars in listed),
    )
    market, by_proxy = context.market_returns(returns)
    for bars, cut, a, own in zip(listed, cuts, at, closes, strict=False):
        slot = bars.session - first
        for start, end in bars.segments:
            begin = max(start, cut - YEAR_ROWS + 1)
            if end > cut:
                found = context.beta(own[begin:end], market[slot[begin:end]])
                rows.put("beta", int(a) + max(start, cut) - cut, found[max(start, cut) - begin :])
    chosen = np.concatenate(
        [
            np.arange(tail, len(bars)) >= cut
            for bars, cut, tail in zip(listed, cuts, tails, strict=True)
        ]
    )
    _, proxy = context.sector_returns(returns, *_sectors(listed, tails, known))
    found = by_proxy[returns.slot[chosen]] | proxy[chosen]
    rows.put("row_flags", 0, rows.get("row_flags") | MARKET_PROXY * found)


def _sectors(
    listed: Sequence[Bars], tails: list[int], known: Known
) -> tuple[Ints, tuple[str, ...]]:
    """Sector of every row of the tails as a place in the names, -1 where unknown.

    Members without a row of their own count too: who stands in for a fund must not depend on whose
    rows are asked for.
    """
    names: dict[str, int] = {}
    codes = []
    for bars, tail in zip(listed, tails, strict=True):
        code = np.full(len(bars) - tail, -1)
        label = known.labels.get(bars.symbol, labels.Label())
        for part, sector in label.sectors(bars.day[tail:]):
            code[part] = -1 if sector is None else names.setdefault(sector, len(names))
        codes.append(code)
    return np.concatenate(codes), tuple(names)


def _tails(listed: Sequence[Bars], cuts: list[int]) -> tuple[int, list[int]]:
    """First session that the context of the rows from `cuts` on needs, and its row by symbol."""
    first = min(
        int(bars.session[max(0, cut - YEAR_ROWS + 1)])
        for bars, cut in zip(listed, cuts, strict=True)
        if cut < len(bars)
    )
    return first, [int(np.searchsorted(bars.session, first)) for bars in listed]


def _calendar_rows(rows: Rows, table: pa.Table) -> None:
    """Write columns that the date alone decides: 25-33 and 70-74."""
    day = rows.get("date").astype("datetime64[D]")
    first, last = day.min().item(), day.max().item()
    grid = np.array(sessions.sessions(first, last), dtype="datetime64[D]")
    slot = np.searchsorted(grid, day)
    for name, level in macro.macro_levels(table, first, last).items():
        rows.put(name, 0, level[slot])
    month, year = grid.astype("datetime64[M]"), grid.astype("datetime64[Y]")
    weekday = (grid.astype(np.int64) + THURSDAY) % 7
    rows.put("day_of_week_num", 0, weekday[slot])
    rows.put("month", 0, (month.astype(np.int64) % 12 + 1)[slot])
    rows.put("day_of_year", 0, ((grid - year).astype(np.int64) + 1)[slot])
    rows.put("year", 0, (year.astype(np.int64) + 1970)[slot])
    rows.put_codes("day_of_week_name", weekday[slot], WEEKDAYS)
