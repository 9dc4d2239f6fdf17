"""A vendor that is asked symbol by symbol: lists, bars, what they give cause for, the rest."""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import pandas as pd
import pyarrow as pa

from bft.domain import sessions
from bft.domain.delivery import TOPICS, Answer, Want
from bft.domain.market import ACTIONS, LISTINGS, RAW_TABLES
from bft.domain.symbols import Member
from bft.features import corporate, intake
from bft.ports import Source, Tick
from bft.steps import pull_facts, pull_plan, pull_tables
from bft.steps.pull_night import Coverage, Night, frame
from bft.steps.pull_stored import newest_bars, plan_of
from bft.steps.pull_universe import Universe, chosen, universe_frame, universe_of

SUSPECT = (0.7, 1.4)
"""close(t-1)/close(t) outside may be a split nobody told of (data specification, Q09)."""
REMOTE = frozenset(["stale_day", "sample_data", "bad_form", "empty"])
"""Reasons to lack a bar that are the vendor's; `missing` is the universe's."""


@dataclass(kw_only=True)
class Asking:
    """A source, how it is asked, and why it gave no bars for some symbols."""

    night: Night
    source: Source
    args: argparse.Namespace
    tick: Tick
    notes: list[str]
    lacking: dict[str, str] = field(default_factory=dict)

    def ask(self, wants: Sequence[Want]) -> Iterator[Answer]:
        """Answers that hold tables; the others are counted by reason."""
        night, fresh = self.night, bool(self.args.fresh)
        for answer in self.source.fetch(wants, asof=night.asof, fresh=fresh, tick=self.tick):
            want = answer.want
            night.source = "sim" if answer.source == "sim" else night.source
            night.skips.take(answer.refused)
            self.notes += answer.notes
            if answer.skipped:
                night.skips.add(answer.skipped, [f"{want.name} {want.topic}".strip()])
            if answer.skipped and want.topic == "bars":
                self.lacking[want.name] = answer.skipped
            if answer.tables:
                yield answer


def collect(
    night: Night, source: Source, args: argparse.Namespace, tick: Tick, notes: list[str]
) -> Coverage | None:
    """Ask for a night's facts and take them into its tables."""
    asking = Asking(night=night, source=source, args=args, tick=tick, notes=notes)
    topics = set(args.topics or TOPICS) & set(source.topics)
    if source.live and night.past:
        topics.discard("fundamentals")  # today's snapshot says nothing of a past day
    listed, calendar = _lists(asking, topics)
    universe = _universe(night, source, args, listed)
    symbols = _symbols(night, universe, args, listed, notes)
    universe = replace(universe, members=_with_extra(universe, symbols))
    plan = plan_of(night, universe, symbols, topics=topics, full=args.full, calendar=calendar)
    bars = _bars(asking, plan)
    _facts(asking, plan, bars)
    listed_now = universe_frame(universe, universe.symbols, notes=notes)
    pull_tables.take_universe(night, listed_now, universe.renames)
    if listed is not None and "listings" in topics:
        pull_facts.take_listings(night, listed[listed["symbol"].isin(universe.symbols)])
    if calendar is not None:
        pull_facts.take_calendar(night, calendar, universe.symbols)
    return _coverage(asking, universe, symbols, bars) if "bars" in topics else None


def _lists(asking: Asking, topics: set[str]) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Listings (one row per symbol, an active one wins) and the earnings calendar."""
    args = asking.args
    own = asking.source.replayed and not args.universe  # the simulator's list is its universe
    wants = pull_plan.list_wants(
        topics | {"listings"} if own or args.only_stale else topics,
        asof=asking.night.asof,
        delisted=own or args.only_stale,
    )
    found = _by_table(asking.ask(wants))
    listed = found.get("listings")
    if listed is not None:
        listed = listed.sort_values(["symbol", "active"], ascending=[True, False])
        listed = listed.drop_duplicates("symbol", ignore_index=True)
    return listed, found.get("earnings_calendar")


def _universe(
    night: Night, source: Source, args: argparse.Namespace, listed: pd.DataFrame | None
) -> Universe:
    held = night.stored(LISTINGS).sort_values("revision")
    both = [held, listed] if listed is not None and len(listed) else [held]
    listed = pd.concat(both).drop_duplicates("symbol", keep="last")
    found = universe_of(
        listed=args.universe,
        watched=args.watchlist or ("all" if source.replayed and not args.universe else None),
        own=_members(listed) if source.replayed else None,
        asof=night.asof,
        skips=night.skips,
    )
    gone = listed[~listed["active"].fillna(value=True).astype(bool) & listed["delisted_on"].notna()]
    ends = dict(zip(gone["symbol"], gone["delisted_on"].dt.date, strict=True))
    members = tuple(replace(m, to_on=m.to_on or ends.get(m.symbol)) for m in found.members)
    return replace(found, members=members)


def _members(listed: pd.DataFrame) -> list[Member]:
    """Members of a market that is all listed: each from its first day on."""
    rows = listed.to_dict("records")  # a list of symbols, not of days
    return [
        Member(
            symbol=row["symbol"],
            name=row["name"],
            is_etf=str(row["asset_type"]).upper() == "ETF",
            from_on=None if pd.isna(row["ipo_on"]) else row["ipo_on"].date(),
        )
        for row in rows
    ]


def _wanted(universe: Universe, args: argparse.Namespace) -> tuple[str, ...]:
    symbols = chosen(args.symbols) or universe.symbols
    return symbols[: args.max_symbols] if args.max_symbols else symbols


def _symbols(
    night: Night,
    universe: Universe,
    args: argparse.Namespace,
    listed: pd.DataFrame | None,
    notes: list[str],
) -> tuple[str, ...]:
    """Whom this pull asks about: chosen, first by rank, stale; not before they are listed."""
    symbols = _wanted(universe, args)
    if args.only_stale:
        ages = _ages(night, symbols)
        symbols = tuple(s for s in symbols if ages[s] > 0)
        notes += _looked_up(listed, [s for s in symbols if ages[s] > pull_plan.VERY_STALE])
    if args.symbols or args.max_symbols or args.only_stale:
        night.asked = dict.fromkeys((table.name for table in RAW_TABLES), symbols)
    future = {m.symbol for m in universe.members if m.from_on and m.from_on > night.asof}
    ended = {m.symbol for m in universe.members if m.to_on and m.to_on <= night.asof}
    stored = newest_bars(night.store, night.base)
    current = set(universe.active(night.asof))
    # An ended symbol is asked for once, in the first load: its history stays as it is.
    out = (future | (ended if stored and not args.full else set())) - current
    return tuple(s for s in symbols if s not in out)


def _ages(night: Night, symbols: Iterable[str]) -> dict[str, int]:
    """Sessions since the newest bar that is stored, tonight's included."""
    newest, now = newest_bars(night.store, night.asof), sessions.number(night.asof)
    days = {s: newest.get(s, sessions.EPOCH) for s in symbols}
    return {s: now - sessions.number(sessions.on_or_before(day)) for s, day in days.items()}


def _looked_up(listed: pd.DataFrame | None, symbols: Sequence[str]) -> list[str]:
    """What the listings say of very stale symbols."""
    known = {} if listed is None else listed.set_index("symbol")["delisted_on"].to_dict()
    return [
        f"{s}: very stale, "
        + (
            "in no listing"
            if s not in known
            else "listed"
            if pd.isna(known[s])
            else f"delisted {known[s].date()}"
        )
        for s in symbols
    ]


def _with_extra(universe: Universe, symbols: Iterable[str]) -> tuple[Member, ...]:
    known = set(universe.symbols)
    extra = tuple(Member(symbol=s) for s in symbols if s not in known)
    return (*universe.members, *extra)


def _bars(asking: Asking, plan: pull_plan.Plan) -> pd.DataFrame:
    """Ask for bars, then for what they give cause for; store them; return the clean ones."""
    night, wants = asking.night, pull_plan.bar_wants(plan)
    held: dict[str, pa.Table] = {}
    _hold(asking, plan, wants, held)
    whole = {want.name for want in wants if want.full}
    acted, split = _causes(night, plan, held)
    splits: list[pa.Table] = []
    second = pull_plan.second_wants(plan, acted=acted - whole, split=split)
    _hold(asking, plan, second, held, splits)
    if not held:
        return pd.DataFrame({"symbol": [], "date": pd.to_datetime([]), "close": []})
    bars = frame(pa.concat_tables(held.values(), promote_options="default"))
    bars = intake.clean_bars(bars, asof=night.asof, bulk=False, skips=night.skips)
    found = [corporate.delivered_actions(bars), *map(frame, splits)]
    actions = pd.concat([rows for rows in found if len(rows)] or found[:1])
    pull_tables.take_bars(night, bars, actions.reindex(columns=corporate.COLUMNS))
    return bars


def _hold(
    asking: Asking,
    plan: pull_plan.Plan,
    wants: Sequence[Want],
    held: dict[str, pa.Table],
    splits: list[pa.Table] | None = None,
) -> None:
    """Keep what answers hold; bars that end before asof only of symbols that have ended."""
    for answer in asking.ask(wants):
        name = answer.want.name
        if answer.want.topic == "splits" and splits is not None:
            splits.append(answer.tables["actions"])
        elif answer.skipped is None or name in plan.ended:
            held[name] = answer.tables["bars"]


def _causes(
    night: Night, plan: pull_plan.Plan, held: dict[str, pa.Table]
) -> tuple[set[str], set[str]]:
    """Symbols with an action that is not stored yet; those with a new or suspected split."""
    if not held:
        return set(), set()
    bars = frame(pa.concat_tables(held.values(), promote_options="default"))
    bars = bars.sort_values(["symbol", "date"], ignore_index=True)
    found = corporate.delivered_actions(bars)
    known = night.stored(ACTIONS)
    known = known[known["status"] != "expected"]
    stored = pd.MultiIndex.from_frame(known[["symbol", "ex_date", "kind"]])
    new = found[~pd.MultiIndex.from_frame(found[["symbol", "ex_date", "kind"]]).isin(stored)]
    new = new[new["ex_date"] <= pd.Timestamp(night.asof)]
    q = (bars["close"].shift() / bars["close"]).where(bars["symbol"].eq(bars["symbol"].shift()))
    newest = bars["symbol"].map(plan.newest_bar).astype("datetime64[ms]")
    fresh = newest.notna() & (bars["date"] > newest) & (bars["split_coefficient"] == 1)
    odd = bars[fresh & ((q <= SUSPECT[0]) | (q >= SUSPECT[1]))]
    return set(new["symbol"]), set(new.loc[new["kind"] == "split", "symbol"]) | set(odd["symbol"])


def _facts(asking: Asking, plan: pull_plan.Plan, bars: pd.DataFrame) -> None:
    """Ask for everything else; chains are cut to what is kept as they come."""
    night = asking.night
    if not len(bars):  # not asked for: an earlier pull of this day may have brought them
        bars = frame(night.store.read("bars", asof=night.asof, since=night.asof))
    today = bars[bars["date"] == pd.Timestamp(night.asof)]
    closes = dict(zip(today["symbol"], today["close"], strict=True))
    wants = pull_plan.fact_wants(plan)
    if plan.chains:
        asked = tuple(want.name for want in wants if want.topic == "options")
        night.asked |= {"options": asked, "options_summary": asked}
    kept: list[pa.Table] = []

    def others() -> Iterator[Answer]:
        for answer in asking.ask(wants):
            if answer.want.topic != "options":
                yield answer
            elif answer.skipped is None:
                name, chain = answer.want.name, answer.tables["options"]
                kept.append(pull_facts.select_chain(night, name, chain, closes.get(name)))

    pull_facts.take_found(night, _by_table(others()))
    if any(rows.num_rows for rows in kept):
        pull_facts.take_options(night, frame(pa.concat_tables(kept)))


def _by_table(answers: Iterable[Answer]) -> dict[str, pd.DataFrame]:
    """Rows of all answers by table."""
    parts: dict[str, list[pa.Table]] = {}
    for answer in answers:
        for name, rows in answer.tables.items():
            parts.setdefault(name, []).append(rows)
    return {
        name: frame(pa.concat_tables(tables, promote_options="default"))
        for name, tables in parts.items()
    }


def _coverage(
    asking: Asking, universe: Universe, symbols: Sequence[str], bars: pd.DataFrame
) -> Coverage:
    asof = asking.night.asof
    there = set(bars.loc[bars["date"] == pd.Timestamp(asof), "symbol"])
    active = [s for s in universe.active(asof) if s in set(symbols)]
    late = [s for s in active if s not in there and asking.lacking.get(s) in REMOTE]
    with_bar = [s for s in active if s in there]
    rest = set(_wanted(universe, asking.args)) - set(symbols) if asking.args.only_stale else ()
    current = [s for s in universe.active(asof) if s in rest]
    return Coverage(symbols=symbols, active=active, with_bar=with_bar, late=late, current=current)
