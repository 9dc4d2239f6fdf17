"""A source that hands over everything at once: files, or an old database."""

import argparse
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa

from bft.domain import market, sessions
from bft.domain.delivery import Answer, Skips, Want
from bft.domain.errors import DataError
from bft.domain.runs import Json
from bft.domain.symbols import Member, member_of
from bft.features import corporate, gaps, intake
from bft.features.gaps import gaps_in
from bft.ports import Source, Tick
from bft.steps import pull_again, pull_facts, pull_rebased, pull_tables
from bft.steps.pull_night import Coverage, Night, frame
from bft.steps.pull_universe import Universe, chosen, universe_frame, universe_of

ACTIVE_SESSIONS = 20
"""A symbol whose newest bar is older trades no more (data specification, section 5)."""
_ACTED = {"vendor_adjusted_close", "dividend_amount", "split_coefficient"}
_DAY = {"bars": "date", "actions": "ex_date", "earnings": "fiscal_date_ending"}


def collect(
    night: Night, source: Source, args: argparse.Namespace, tick: Tick, notes: list[str]
) -> Coverage | None:
    """Take every topic of the source into the night's tables; no bars, no coverage."""
    asked = args.topics or source.topics
    topics = [t for t in source.topics if t.removesuffix("_summary") in asked and t != "indicators"]
    answers: dict[str, Answer] = {}
    wants = [Want(topic=topic) for topic in topics if topic != "options"]
    for answer in source.fetch(wants, asof=night.asof, fresh=args.fresh, tick=tick):
        night.skips.take(answer.refused)
        notes += answer.notes
        answers[answer.want.topic] = answer
    universe = _universe(night, args, answers)
    facts = {
        topic: _mine(night, frame(a.tables[topic]), topic, universe) for topic, a in answers.items()
    }
    only = chosen(args.symbols)
    if only:
        night.asked = dict.fromkeys((t.name for t in market.RAW_TABLES), only)
    only = only or (universe.symbols if args.universe else None)
    facts = {topic: _only(night, rows, topic, only) for topic, rows in facts.items()}
    pull_facts.take_found(night, facts)
    if "bars" not in facts:
        return None
    file = answers["bars"].file
    bars = intake.clean_bars(
        facts["bars"], asof=night.asof, bulk=True, skips=night.skips, file=file
    )
    _between_bars(night, args, facts["bars"], bars)
    if lacking := gaps_in(bars).words:
        notes.append(f"gaps: {lacking}")
    entered = facts.get("actions")
    bars = pull_rebased.unadjusted(night, bars, entered, renames=universe.renames, notes=notes)
    pull_again.count_replaced(night, bars)
    actions = _actions(night, bars, entered)
    if entered is None and (still := pull_tables.announced(night)):
        notes.append(f"no list of actions is there, so these stay due: {still}")
    pull_tables.take_bars(night, bars, actions, listed=entered is not None)
    if "options" in topics:
        _options(night, source, args, tick, sorted(bars["symbol"].unique()))
    if not (set(facts["bars"].columns) & _ACTED or "actions" in facts):
        night.absent.append("actions")
        notes.append("no adjusted_close or actions: prices are taken as adjusted, factors are 1")
    return _traded(night, universe, bars, only, notes)


def _options(
    night: Night, source: Source, args: argparse.Namespace, tick: Tick, symbols: Sequence[str]
) -> None:
    """Put off chains, too many for memory, until they are published: a symbol a partition."""

    def chains_of(symbol: str) -> pa.Table:
        wants = [Want(topic="options", name=symbol)]
        (answer,) = source.fetch(wants, asof=night.asof, fresh=args.fresh, tick=tick)
        return pull_facts.imported_chains(night, frame(answer.tables["options"]))

    parts = {f"arrived={night.asof}.{symbol}": symbol for symbol in symbols}
    night.later["options"] = Later(parts, chains_of)


class Later(Mapping[str, pa.Table]):
    """Partitions that are made when they are looked at."""

    def __init__(self, parts: Mapping[str, str], make: Callable[[str], pa.Table]) -> None:
        self._parts, self._make = parts, make

    def __getitem__(self, name: str) -> pa.Table:
        """Make one partition."""
        return self._make(self._parts[name])

    def __iter__(self) -> Iterator[str]:
        """Names in order."""
        return iter(self._parts)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._parts)


def _actions(night: Night, bars: pd.DataFrame, entered: pd.DataFrame | None) -> pd.DataFrame:
    """Delivered actions, or those that adjusted closes imply; entered ones win."""
    found = corporate.delivered_actions(bars)
    if not {"dividend_amount", "split_coefficient"} & set(bars.columns):
        told = _adjusted(bars)
        found = corporate.inferred_actions(told)
        found = corporate.settled(found, night.stored(market.ACTIONS), told)
        if night.source == "mysql":
            found, odd = corporate.ordinary(found, bars)
            keys = intake.keys_of(odd, ("symbol", "ex_date"))
            night.skips.add("import_adj_step", keys, count=len(odd))
    return found if entered is None else corporate.preferred(entered, found)


def _adjusted(bars: pd.DataFrame) -> pd.DataFrame:
    absent = "vendor_adjusted_close" not in bars
    return bars.assign(vendor_adjusted_close=float("nan")) if absent else bars


def _universe(night: Night, args: argparse.Namespace, answers: Mapping[str, Answer]) -> Universe:
    listed = answers.get("universe")
    rows = listed.tables["universe"].to_pylist() if listed else []
    return universe_listed(rows, args.universe, args.watchlist, asof=night.asof, skips=night.skips)


def universe_listed(
    rows: Sequence[Json],
    listed: str | None = None,
    watched: str | None = None,
    *,
    asof: date,
    skips: Skips,
) -> Universe:
    """The universe of a source's own list, unless a file is named; see `universe_of`."""
    own = [member for member in map(member_of, rows) if member]
    return universe_of(listed=listed, watched=watched, own=own, asof=asof, skips=skips)


def _traded(
    night: Night,
    universe: Universe,
    bars: pd.DataFrame,
    only: Sequence[str] | None,
    notes: list[str],
) -> Coverage:
    """Store the members that have bars; count the others.

    Of symbols that no list names, the bars say who trades: the others get an end.
    """
    newest = {str(s): day.date() for s, day in bars.groupby("symbol")["date"].max().items()}
    known = set(universe.symbols)
    universe = _with_unlisted(universe, newest, night.asof)
    silent = [s for s in universe.symbols if s not in newest and s in (only or known)]
    night.skips.add("no_bars", silent)
    rows = universe_frame(universe, newest, notes=notes)
    pull_tables.take_universe(night, rows, universe.renames)
    return covered(universe, newest, night.asof)


def covered(universe: Universe, newest: Mapping[str, date], asof: date) -> Coverage:
    """Who trades at asof, by lists and the newest bars, and who of them has a bar of that day."""
    recent = sessions.shift(asof, 1 - ACTIVE_SESSIONS)
    whole = _with_unlisted(universe, newest, asof)
    active = [s for s in whole.active(asof) if s in newest and newest[s] >= recent]
    with_bar = [s for s in active if newest[s] == asof]
    return Coverage(symbols=sorted(newest), active=active, with_bar=with_bar, newest=newest)


def end_told(coverage: Coverage, files: Collection[str]) -> str:
    """How the first symbol without a bar is said to have ended, among files beside the prices."""
    kinds = ("constituents", "sectors")
    lists = (name for kind in kinds for name in sorted(files) if Path(name).stem == kind)
    first = coverage.lacking[0]
    line = f"{first},{sessions.shift(coverage.newest[first], 1)}"
    return (
        f"mend the source; one that ended needs a `to`, the first day without it, in "
        f"{next(lists, 'sectors.csv')} beside the prices: columns symbol,to and the line {line}"
    )


def _with_unlisted(universe: Universe, newest: Mapping[str, date], asof: date) -> Universe:
    """The universe with the symbols that no list names: they end if they trade no more."""
    recent, known = sessions.shift(asof, 1 - ACTIVE_SESSIONS), set(universe.symbols)
    extra = tuple(
        Member(symbol=s, to_on=None if day >= recent else sessions.shift(day, 1))
        for s, day in newest.items()
        if s not in known
    )
    return replace(universe, members=(*universe.members, *extra))


def _mine(night: Night, rows: pd.DataFrame, topic: str, universe: Universe) -> pd.DataFrame:
    """Rows under the names symbols bear now: history goes on under the new name."""
    if "symbol" not in rows or topic not in _DAY:
        return rows
    for rename in (r for r in universe.renames if r.on <= night.asof):
        old = (rows["symbol"] == rename.old) & (rows[_DAY[topic]] < pd.Timestamp(rename.on))
        if old.any():
            rows = rows.assign(symbol=rows["symbol"].mask(old, rename.new))
    return rows


def _only(night: Night, rows: pd.DataFrame, topic: str, only: Sequence[str] | None) -> pd.DataFrame:
    if only is None or "symbol" not in rows:
        return rows
    mine = rows["symbol"].isin(only)
    if topic == "bars":
        night.skips.add("not_in_universe", sorted(rows.loc[~mine, "symbol"].unique()))
    return rows[mine]


def _between_bars(
    night: Night, args: argparse.Namespace, delivered: pd.DataFrame, bars: pd.DataFrame
) -> None:
    """Refuse a day before the first bar or after the last one of all.

    What was delivered of the day and refused is told by its rows (`pull._outcome`).
    """
    if not len(bars):
        first: date | None = delivered["date"].min().date() if len(delivered) else None
        raise DataError(
            f"no bar at or before {night.asof}; the first is of {first}; run: {night.again(first)}"
        )
    last = bars["date"].max().date()
    there = (delivered["date"] == pd.Timestamp(night.asof)).any()
    if last < night.asof and not there and not args.symbols:
        beyond = delivered.loc[delivered["date"] > pd.Timestamp(night.asof), "date"]
        after = beyond.min().date() if len(beyond) else None
        told = gaps.end_told(args.source, night.asof, last=last, after=after)
        load = "load that day" if after else "load newer prices"
        raise DataError(f"{told}; {load}, or run: {night.again(last)}")
