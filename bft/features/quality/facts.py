"""Checks of macro, snapshots, reports, chains and the universe: Q17 to Q19, Q24."""

from datetime import timedelta

import numpy as np
import pyarrow as pa

from bft.domain import sessions
from bft.domain.market import EXCLUDED, MACRO_SERIES
from bft.features.context import CONTEXT_FUNDS, MARKET_FUND, MARKET_MEMBERS
from bft.features.facts import days, seconds, spans
from bft.features.known import MACRO_RELEASE_DAYS
from bft.features.quality.evidence import RECENT_SESSIONS, Evidence
from bft.features.quality.findings import Finding, Severity, fail, one, share, warn

DAY_S = 86_400
DAILY_AGE, MONTHLY_AGE, ANNUAL_AGE = (7, 21), (75, 120), (1000, 1400)  # days: warn, fail
DURABLES_DAYS = 15  # published later than the other monthly series
SNAPSHOT_AGE_DAYS, REPORT_AGE_DAYS = 10, 120


def macro_age(ev: Evidence) -> list[Finding]:
    """Q17: age of the newest known value of each series; series that are wholly absent."""
    table = ev.tables["macro"]
    held = spans(table["series"])
    at = int(sessions.close_at(ev.asof).timestamp())
    found = []
    for name in MACRO_SERIES:
        rows = table.slice(held[name][0], held[name][1] - held[name][0]) if name in held else None
        if rows is None:
            severity = Severity.FAIL if ev.strict_source else Severity.INFO
            found += one("Q17", severity, f"absent: {name}")
            continue
        reference = days(rows["reference_on"])
        known = reference[seconds(rows["known_at"]) <= at]
        newest = int(known.max()) if len(known) else None
        found += _aged(ev, name, newest, limits=_limits(name, rows))
    return found


def snapshot_age(ev: Evidence) -> list[Finding]:
    """Q18: age of snapshots, and stocks without a new report for long."""
    at = int(sessions.evening(ev.asof).timestamp())
    found = []
    for table, limit, what in (
        ("fundamentals", SNAPSHOT_AGE_DAYS, "snapshots older than 10 days"),
        ("earnings", REPORT_AGE_DAYS, "stocks without a report for 120 days"),
    ):
        rows = ev.tables[table]
        if not rows.num_rows:
            found += one("Q18", Severity.INFO, f"absent: {table}")
            continue
        newest = _newest_known(rows, at)
        stocks = [s for s in ev.active if s not in EXCLUDED and not ev.members.get(s, False)]
        old = [s for s in stocks if at - newest.get(s, 0) > limit * DAY_S]
        found += share("Q18", old, len(stocks), fail(0.20), warn(0.0), what=what)
    return found


def chains_now(ev: Evidence) -> list[Finding]:
    """Q19: chains missing now among the symbols that had one in the last 20 sessions."""
    if not ev.tables["options_summary"].num_rows:
        return one("Q19", Severity.INFO, "absent: options")
    held = ~np.isnan(ev.column("total_volume"))
    had = ev.names(held & (ev.day >= ev.since(RECENT_SESSIONS)))
    have = set(ev.names(held & ev.now))
    lacking = [symbol for symbol in had if symbol not in have]
    return share("Q19", lacking, len(had), fail(0.60), warn(0.20), what="symbols without a chain")


def universe(ev: Evidence) -> list[Finding]:
    """Q24: a universe without from and to holds survivors only; a small one is no market."""
    return [*_survivors_only(ev), *_no_market(ev)]


def _no_market(ev: Evidence) -> list[Finding]:
    names = [symbol for symbol in ev.active if symbol not in CONTEXT_FUNDS]
    if len(names) >= MARKET_MEMBERS or MARKET_FUND in ev.active:
        return []
    message = (
        f"no market: neither {MARKET_FUND} nor {MARKET_MEMBERS} symbols to stand in for it, but "
        f"{len(names)}; beta and the three market inputs are unknown"
    )
    return one("Q24", Severity.INFO, message, value=len(names), at=MARKET_MEMBERS)


def _survivors_only(ev: Evidence) -> list[Finding]:
    universe = ev.tables["universe"]
    if universe["from"].null_count < len(universe) or universe["to"].null_count < len(universe):
        return []
    return one("Q24", Severity.WARN, "survivors only: the universe has no from/to dates")


def _limits(name: str, rows: pa.Table) -> tuple[int, int]:
    if name == "inflation":
        return ANNUAL_AGE
    first_of_month = all(day.day == 1 for day in rows["reference_on"].to_pylist())
    if name not in MACRO_RELEASE_DAYS and not first_of_month:
        return DAILY_AGE
    extra = DURABLES_DAYS if name == "durables" else 0
    return MONTHLY_AGE[0] + extra, MONTHLY_AGE[1] + extra


def _aged(ev: Evidence, name: str, newest: int | None, *, limits: tuple[int, int]) -> list[Finding]:
    if newest is None:
        return one("Q17", Severity.WARN, f"{name}: nothing is known yet")
    day = np.datetime64(newest, "D").item()
    age = (ev.asof - day) // timedelta(days=1)
    for severity, limit in ((Severity.FAIL, limits[1]), (Severity.WARN, limits[0])):
        if age > limit:
            message = f"{name}: newest value of {day}, {age} days old (limit {limit})"
            return one("Q17", severity, message, value=age, at=limit)
    return []


def _newest_known(rows: pa.Table, at: int) -> dict[str, int]:
    known_at = seconds(rows["known_at"])
    return {
        symbol: int(max((k for k in known_at[a:b] if k <= at), default=0))
        for symbol, (a, b) in spans(rows["symbol"]).items()
    }
