"""What a plan needs to know of the stored tables."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any

import pandas as pd
import pyarrow.compute as pc

from bft.domain import market, sessions
from bft.ports import Store
from bft.steps.pull_night import Night
from bft.steps.pull_plan import OLD_SESSIONS, Plan
from bft.steps.pull_universe import Universe


def plan_of(
    night: Night,
    universe: Universe,
    symbols: Sequence[str],
    *,
    topics: Collection[str],
    full: bool,
    calendar: pd.DataFrame | None,
) -> Plan:
    """The plan of a night over what was stored before it."""
    reports = night.stored(market.EARNINGS)
    told = reports[
        (reports["status"] == "ok") & (reports["reported_on"] <= pd.Timestamp(night.asof))
    ]
    told = told.sort_values("fiscal_date_ending").drop_duplicates("symbol", keep="last")
    held = night.stored(market.STATEMENTS)
    expected = pd.concat([night.stored(market.EARNINGS_CALENDAR), _rows(calendar)])
    dates = expected.dropna(subset=["expected_on"]).groupby("symbol")["expected_on"].unique()
    newest_session = sessions.number(sessions.last_closed(night.instant))
    return Plan(
        asof=night.asof,
        symbols=symbols,
        stocks=[s for s in universe.stocks if s in set(symbols)],
        watched=[s for s in universe.watch if s in set(symbols)],
        ended={m.symbol for m in universe.members if m.to_on and m.to_on <= night.asof},
        topics=topics,
        full=full,
        unreached=newest_session - sessions.number(night.asof) > OLD_SESSIONS,
        newest_bar=newest_bars(night.store, night.base),
        newest_news=_newest(night.store, "news", "published_at", night.base),
        failed=_failed(night),
        earnings=set(reports["symbol"]),
        expected={str(s): [pd.Timestamp(d).date() for d in days] for s, days in dates.items()},
        reported={
            row.symbol: (row.fiscal_date_ending.date(), row.reported_on.date())
            for row in told.itertuples()
        },
        statements=set(zip(held["symbol"], held["fiscal_date_ending"].dt.date, strict=True)),
        chains=_chains(night),
    )


def newest_bars(store: Store, asof: date) -> dict[str, date]:
    """Newest stored bar by symbol."""
    return _newest(store, "bars", "date", asof)


def _newest(store: Store, table: str, column: str, asof: date) -> dict[str, Any]:
    rows = store.read(table, asof=asof, columns=["symbol", column])
    last = rows.group_by("symbol").aggregate([(column, "max")])
    found: dict[str, date | datetime] = dict(
        zip(last["symbol"].to_pylist(), last[f"{column}_max"].to_pylist(), strict=True)
    )
    return found


def _failed(night: Night) -> set[str]:
    """Symbols whose factors disagreed with the vendor's adjusted closes the last time (Q11)."""
    rows = night.store.read("quality", asof=night.base, since=night.base)
    bad = pc.and_(pc.equal(rows["check"], "Q11"), pc.equal(rows["severity"], "quarantine"))
    return set(rows.filter(bad)["symbol"].to_pylist())


def _chains(night: Night) -> set[str]:
    """Symbols whose chain of a past day is stored already."""
    if not night.past:
        return set()
    made = [night.store.manifest(name, asof=night.asof) for name in ("options", "options_summary")]
    if any(f"arrived={night.asof}" in night.store.faults(one) for one in made if one):
        return set()  # what is broken is fetched again
    rows = night.store.read("options_summary", asof=night.asof, since=night.asof)
    return set(rows.filter(pc.equal(rows["date"], night.asof))["symbol"].to_pylist())


def _rows(calendar: pd.DataFrame | None) -> pd.DataFrame:
    return pd.DataFrame() if calendar is None else calendar
