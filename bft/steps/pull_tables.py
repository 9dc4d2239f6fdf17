"""Delivered facts to rows worth storing, one function per table."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

import numpy as np
import pandas as pd

from bft.domain import market
from bft.domain.symbols import NEVER, Rename
from bft.features import arrivals, corporate, intake, known
from bft.features.arrivals import Arrivals
from bft.steps.pull_night import Night

BAR_VALUES = ("open", "high", "low", "close", "volume", "vendor_adjusted_close")
EPS = ("reported_eps", "estimated_eps", "surprise", "surprise_percentage")
REPORT_DAYS_MAX = 400
RECENT = pd.Timedelta(days=200)  # the newest 100 rows begin later


def take_bars(
    night: Night, bars: pd.DataFrame, actions: pd.DataFrame, *, listed: bool = False
) -> None:
    """Store clean bars and their actions; a change too large to believe is kept as refused.

    `listed`: the actions are all there are of these symbols, announced ones too.
    """
    bars = with_columns(bars, BAR_VALUES)
    stored = _stored_bars(night, bars)
    bars["vendor_adjusted_close"] = arrivals.chained(bars, stored)
    accepted = stored[stored["status"] == "ok"].sort_values("revision", ascending=False)
    closes = pd.concat([bars[["symbol", "date", "close"]], accepted[["symbol", "date", "close"]]])
    closes = closes.drop_duplicates(["symbol", "date"], keep="first")
    known_actions = take_actions(night, actions, closes, listed=listed)
    found = arrivals.arrivals(
        stored,
        bars[["symbol", "date", *BAR_VALUES]],
        key=market.BARS.key,
        values=BAR_VALUES,
        judge=arrivals.price_judge(known_actions),
    )
    refused = found.rows[found.change == "refused"]
    night.skips.add("refused_revision", intake.keys_of(refused), count=len(refused))
    flagged = arrivals.volume_flags(found.rows[found.change == "revised"], stored)
    night.skips.add("volume_revised", intake.keys_of(flagged), count=len(flagged))
    _keep_market(night, market.BARS, found, "date", stored)


def _stored_bars(night: Night, bars: pd.DataFrame) -> pd.DataFrame:
    """Stored bars that a delivery overlaps; whole histories only of symbols that came whole."""
    first = bars.groupby("symbol")["date"].min()
    recent = first >= pd.Timestamp(night.asof) - RECENT
    groups = [first[recent], first[~recent]]
    found = [
        night.stored(
            market.BARS,
            columns=("symbol", "date", *BAR_VALUES),
            symbols=sorted(days.index),
            since=days.min().date() - timedelta(days=10),
        )
        for days in groups
        if len(days)
    ]
    return pd.concat(found) if found else night.stored(market.BARS)


def announced(night: Night, most: int = 10) -> str:
    """Stored actions of this day or later ones that no price has judged yet, in words."""
    stored = arrivals.newest(night.stored(market.ACTIONS), market.ACTIONS.key)
    due = stored[stored["status"].eq("expected") & (stored["ex_date"] >= pd.Timestamp(night.asof))]
    words = [f"{r.symbol} {r.ex_date.date()} {r.kind} {r.value:g}" for r in due.itertuples()]
    return "; ".join(words[:most]) + (f"; {len(words) - most} more" if len(words) > most else "")


def take_actions(
    night: Night, actions: pd.DataFrame, closes: pd.DataFrame, *, listed: bool
) -> pd.DataFrame:
    """Store judged actions; return all known ones, stored and new, for judging revisions.

    Announced ones that are not delivered are withdrawn where all are `listed`, else still due.
    """
    stored = night.stored(market.ACTIONS)
    gone = corporate.withdrawn(actions, stored, closes) if listed else stored.iloc[:0]
    if not listed:
        actions = corporate.with_expected(actions, stored, closes)
    judged = corporate.judged(actions, closes, asof=night.asof)
    judged = pd.concat([judged, gone], ignore_index=True) if len(gone) else judged
    for reason, rows in judged.groupby("reason"):
        night.skips.add(str(reason), intake.keys_of(rows, ("symbol", "ex_date")), count=len(rows))
    judged = judged.drop_duplicates(["symbol", "ex_date", "kind"])
    found = arrivals.arrivals(
        stored, judged, key=market.ACTIONS.key, values=("value", "declared_on")
    )
    _keep_market(night, market.ACTIONS, found, "ex_date", stored)
    kept = ["symbol", "ex_date", "kind", "status"]
    return pd.concat([stored[kept].astype({"ex_date": judged["ex_date"].dtype}), judged[kept]])


def take_macro(night: Night, macro: pd.DataFrame) -> None:
    """Store macro values by series and reference day; vintages where known_on is given."""
    if not len(macro):
        return
    parts = [rows.assign(rule=_release(name, rows)) for name, rows in macro.groupby("series")]
    macro = pd.concat(parts).drop_duplicates()
    late = macro["reference_on"] > pd.Timestamp(night.asof)
    if night.past:  # out after asof: not to be known yet
        late |= macro["rule"] > pd.Timestamp(night.cutoff)
    keys = intake.keys_of(macro[late], ("series", "reference_on"))
    night.skips.add("macro_after_asof", keys, count=int(late.sum()))
    macro = macro[~late].sort_values(["series", "reference_on", "rule"], ignore_index=True)
    stored = night.stored(market.MACRO)
    backfilled = night.first_load(macro, stored, "series")
    macro["known_at"] = known.live(macro["rule"], backfilled=backfilled, instant=night.instant)
    macro["backfilled"] = backfilled
    vintages = "known_on" in macro
    key = [*market.MACRO.key, "known_at"] if vintages else market.MACRO.key
    found = arrivals.arrivals(stored, macro, key=key, values=("value",))
    if vintages:
        found = arrivals.with_vintages(found, macro, market.MACRO.key)
        found.rows["revision"] = arrivals.numbered(found.rows, stored, market.MACRO.key)
    rows = found.rows
    night.keep(market.MACRO, found, known_at=rows["known_at"], backfilled=rows["backfilled"])


def take_earnings(night: Night, earnings: pd.DataFrame) -> None:
    """Store reports; a quarter without reported EPS is only expected."""
    values = ("reported_on", "report_time", *EPS)
    earnings = with_columns(earnings, values)
    end = earnings["fiscal_date_ending"]
    lag = (earnings["reported_on"] - end) / pd.Timedelta(days=1)
    bad = (lag < 0) | (lag > REPORT_DAYS_MAX) | end.isna()
    keys = intake.keys_of(earnings[bad], ("symbol", "fiscal_date_ending"))
    night.skips.add("bad_report", keys, count=int(bad.sum()))
    later = ~bad & earnings["reported_eps"].notna()
    later &= earnings["reported_on"] > pd.Timestamp(night.asof)
    keys = intake.keys_of(earnings[later], ("symbol", "fiscal_date_ending"))
    night.skips.add("report_after_asof", keys, count=int(later.sum()))
    earnings = earnings[~bad & ~later].drop_duplicates(["symbol", "fiscal_date_ending"])
    expected = earnings["reported_eps"].isna()
    earnings["status"] = expected.map({True: "expected", False: "ok"})
    stored = night.stored(market.EARNINGS)
    found = arrivals.arrivals(stored, earnings, key=market.EARNINGS.key, values=values)
    rows = found.rows
    backfilled = night.first_load(rows, stored)
    rule = known.report_release(
        rows["fiscal_date_ending"], rows["reported_on"], rows["report_time"]
    )
    known_at = known.live(rule, backfilled=backfilled, instant=night.instant)
    basis = night.arrived_on(rows.index).where(backfilled, known.exchange_day(known_at))
    rows["basis_on"] = basis
    night.keep(market.EARNINGS, found, known_at=known_at, backfilled=backfilled)


def take_universe(night: Night, universe: pd.DataFrame, renames: Sequence[Rename]) -> None:
    """Store members; one that has left the list, or goes by another name, gets its end."""
    values = ("to", "name", "sector", "industry", "renamed_from", "is_etf", "watch")
    stored = night.stored(market.UNIVERSE)
    universe = pd.concat([universe, _ended(night, stored, universe, renames)], ignore_index=True)
    found = arrivals.arrivals(stored, universe, key=market.UNIVERSE.key, values=values)
    since = found.rows["from"]
    known_at = known.close_of(since).where(since.notna(), pd.Timestamp(known.CONFIGURED))
    backfilled = night.first_load(found.rows, stored)
    night.keep(market.UNIVERSE, found, known_at=known_at, backfilled=backfilled)


def _ended(
    night: Night, stored: pd.DataFrame, universe: pd.DataFrame, renames: Sequence[Rename]
) -> pd.DataFrame:
    """Stored entries that end: on the day of a rename, else today, if the whole list lacks them.

    A renamed symbol has an entry without a day besides, from and to the day of the rename: its own
    entries may have ended before. An entry whose symbol the whole list has with other days never
    was: it ends before all sessions. What is told of a rename that is listed no more goes too.
    """
    entry, there, kind = ["symbol", "from"], set(universe["symbol"]), universe["to"].dtype
    last = arrivals.newest(stored, entry)
    last = last[universe.columns].astype(universe.dtypes)
    last = last[~last[entry].apply(tuple, axis=1).isin(universe[entry].apply(tuple, axis=1))]
    known_names = set(stored["symbol"])
    days = {
        r.old: pd.Timestamp(r.on)
        for r in renames
        if r.on <= night.asof and r.new in there and r.old in known_names
    }
    renamed = last["symbol"].map(days).astype(kind)
    is_open, listed, never_on = last["to"].isna(), last["symbol"].isin(there), pd.Timestamp(NEVER)
    ends = renamed.notna() & (is_open | (last["to"] > renamed))
    never = listed & renamed.isna() & (is_open | (last["from"].isna() & (last["to"] > never_on)))
    unmarked, misnamed = _taken_back(last, renames)
    never |= unmarked
    gone = ends if night.partial else ends | never | (is_open & ~listed)
    end = renamed.fillna(pd.Timestamp(night.asof)).mask(never, never_on).astype(kind)
    told = last.assign(to=last["to"].mask(gone, end))
    if not night.partial:
        told["renamed_from"] = told["renamed_from"].mask(misnamed, None)
        gone |= misnamed
    marks = pd.DataFrame({"symbol": list(days), "from": list(days.values())})
    marks = marks.assign(to=marks["from"], is_etf=False).reindex(columns=universe.columns)
    return pd.concat([told[gone], marks.astype(universe.dtypes)])


def _taken_back(entries: pd.DataFrame, renames: Sequence[Rename]) -> tuple[pd.Series, pd.Series]:
    """Which entries mark the day of a rename that is listed no more, or tell its old name."""
    days = {(r.old, pd.Timestamp(r.on)) for r in renames}
    names = {(r.old, r.new) for r in renames}
    marked = [pair in days for pair in zip(entries["symbol"], entries["from"], strict=True)]
    named = [pair in names for pair in zip(entries["renamed_from"], entries["symbol"], strict=True)]
    unmarked = (entries["from"] == entries["to"]) & ~np.array(marked, dtype=bool)
    return unmarked, entries["renamed_from"].notna() & ~np.array(named, dtype=bool)


def _keep_market(
    night: Night, table: market.Table, found: Arrivals, day: str, stored: pd.DataFrame
) -> None:
    night.keep(
        table,
        found,
        known_at=known.close_of(found.rows[day]),
        backfilled=night.first_load(found.rows, stored),
    )


def _release(series: object, rows: pd.DataFrame) -> pd.Series:
    rule = known.macro_release(str(series), rows["reference_on"])
    if "known_on" not in rows:
        return rule
    return known.close_of(rows["known_on"]).where(rows["known_on"].notna(), rule)


def with_columns(rows: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """Rows with all those columns; absent ones are null."""
    kinds: Mapping[str, str] = {
        "reported_on": "datetime64[ms]",
        **dict.fromkeys(("report_time", "name", "asset_type"), "object"),
    }
    absent = {
        name: pd.Series(None, index=rows.index, dtype=kinds.get(name, "float64"))
        for name in names
        if name not in rows
    }
    return rows.assign(**absent)
