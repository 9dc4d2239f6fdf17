"""A vendor's further facts to rows worth storing: snapshots, statements, chains, news, lists."""

from collections.abc import Mapping, Sequence

import pandas as pd
import pyarrow as pa

from bft.domain import market
from bft.domain.market import sector_of
from bft.features import arrivals, chains, known
from bft.steps.pull_night import Night
from bft.steps.pull_tables import take_earnings, take_macro, with_columns

SNAPSHOT = tuple(
    name
    for name in market.FUNDAMENTALS.names
    if name not in {"symbol", "arrived_on", "basis_on"} | {n for n, _ in market.RAW_COLUMNS}
)
OPTION = tuple(
    name
    for name in market.OPTIONS.names
    if name not in {"contract_id", "date"} | {n for n, _ in market.RAW_COLUMNS}
)


def take_found(night: Night, found: Mapping[str, pd.DataFrame]) -> None:
    """Store what was delivered beside bars, lists and chains."""
    takers = {
        "fundamentals": take_fundamentals,
        "earnings": take_earnings,
        "news": take_news,
        "macro": take_macro,
        "options_summary": take_sums,
    }
    for name, take in takers.items():
        if name in found:
            take(night, found[name])
    if "statements" in found:
        reports = [night.stored(market.EARNINGS), found.get("earnings", pd.DataFrame())]
        take_statements(night, found["statements"], pd.concat(reports))


def take_fundamentals(night: Night, rows: pd.DataFrame) -> None:
    """Store snapshots in which something moved, or that are due again."""
    day = night.arrived_on(rows.index)
    rows = with_columns(rows, SNAPSHOT)
    sectors = rows["sector"].map(lambda text: sector_of(text) or text.upper(), na_action="ignore")
    rows = rows.assign(arrived_on=day, basis_on=day, sector=sectors)
    stored = night.stored(market.FUNDAMENTALS)
    rows = rows[arrivals.snapshots(stored, rows, values=SNAPSHOT)].reset_index(drop=True)
    found = arrivals.arrivals(stored, rows, key=market.FUNDAMENTALS.key, values=SNAPSHOT)
    _keep_arrived(night, market.FUNDAMENTALS, found, stored)


def take_statements(night: Night, rows: pd.DataFrame, reports: pd.DataFrame) -> None:
    """Store equity and share counts; `reports` says when a quarter was reported."""
    values = ("total_equity_usd", "shares_outstanding")
    rows = rows.drop_duplicates(["symbol", "fiscal_date_ending"])
    stored = night.stored(market.STATEMENTS)
    found = arrivals.arrivals(stored, rows, key=market.STATEMENTS.key, values=values)
    told = reports.drop_duplicates(["symbol", "fiscal_date_ending"], keep="last")
    told = told[["symbol", "fiscal_date_ending", "reported_on"]]
    when = found.rows.merge(told, on=["symbol", "fiscal_date_ending"], how="left")["reported_on"]
    when.index = found.rows.index
    backfilled = night.first_load(found.rows, stored)
    rule = known.statement_release(found.rows["fiscal_date_ending"], when)
    known_at = known.live(rule, backfilled=backfilled, instant=night.instant)
    arrived = night.arrived_on(found.rows.index)
    found.rows["basis_on"] = arrived.where(backfilled, known.exchange_day(known_at))
    night.keep(market.STATEMENTS, found, known_at=known_at, backfilled=backfilled)


def take_calendar(night: Night, rows: pd.DataFrame, symbols: Sequence[str]) -> None:
    """Store when our symbols are expected to report."""
    rows = rows[rows["symbol"].isin(symbols)].drop_duplicates(["symbol", "fiscal_date_ending"])
    stored = night.stored(market.EARNINGS_CALENDAR)
    values = ("expected_on", "estimate")
    found = arrivals.arrivals(stored, rows, key=market.EARNINGS_CALENDAR.key, values=values)
    _keep_arrived(night, market.EARNINGS_CALENDAR, found, stored)


def take_listings(night: Night, rows: pd.DataFrame) -> None:
    """Store the listing of each of our symbols; an active one wins over a former one's."""
    stored = night.stored(market.LISTINGS)
    values = ("name", "exchange", "asset_type", "ipo_on", "delisted_on", "active")
    found = arrivals.arrivals(stored, rows, key=market.LISTINGS.key, values=values)
    _keep_arrived(night, market.LISTINGS, found, stored)


def select_chain(night: Night, symbol: str, chain: pa.Table, close_usd: float | None) -> pa.Table:
    """The kept contracts of one chain; none without a close of that day."""
    if close_usd is None:
        night.skips.add("no_close", [f"{symbol} options"])
        return chain.slice(0, 0)
    kept = chains.nearest_contracts(chain, close_usd=close_usd, asof=night.asof)
    if not kept.num_rows:
        night.skips.add("empty_chain", [symbol])
    return kept


def take_options(night: Night, rows: pd.DataFrame) -> None:
    """Store kept contracts and their sums."""
    stored = night.stored(market.OPTIONS, since=night.asof)
    found = arrivals.arrivals(stored, rows, key=market.OPTIONS.key, values=OPTION)
    _keep_day(night, market.OPTIONS, found)
    take_sums(night, chains.chain_summary(rows))


def take_sums(night: Night, rows: pd.DataFrame) -> None:
    """Store volumes by type."""
    values = ("call_volume", "put_volume", "total_volume", "contracts")
    rows = with_columns(rows[rows["date"] <= pd.Timestamp(night.asof)], values)
    rows = rows.drop_duplicates(["symbol", "date"])
    since = rows["date"].min().date() if len(rows) else night.asof
    stored = night.stored(market.OPTIONS_SUMMARY, since=since)
    found = arrivals.arrivals(stored, rows, key=market.OPTIONS_SUMMARY.key, values=values)
    _keep_day(night, market.OPTIONS_SUMMARY, found)


def imported_chains(night: Night, rows: pd.DataFrame) -> pa.Table:
    """An old installation's contracts of some symbols, as it chose them."""
    rows = with_columns(rows[rows["date"] <= pd.Timestamp(night.asof)], OPTION)
    rows = rows.drop_duplicates(list(market.OPTIONS.key))
    stored = night.stored(market.OPTIONS, symbols=sorted(rows["symbol"].unique()))
    found = arrivals.arrivals(stored, rows, key=market.OPTIONS.key, values=OPTION)
    backfilled = pd.Series(data=True, index=found.rows.index)
    known_at = known.close_of(found.rows["date"])
    return night.stamped(market.OPTIONS, found, known_at=known_at, backfilled=backfilled)


def take_news(night: Night, rows: pd.DataFrame) -> None:
    """Store new articles, and those whose relevance or sentiment was changed."""
    rows = rows[rows["published_at"] <= pd.Timestamp(night.cutoff)]
    rows = rows.drop_duplicates(["article_id", "symbol"])
    stored = night.stored(market.NEWS, symbols=sorted(rows["symbol"].unique()))
    values = ("title", "relevance", "sentiment")
    rows = rows.astype({"relevance": "float32", "sentiment": "float32"})
    found = arrivals.arrivals(stored, rows, key=market.NEWS.key, values=values)
    backfilled = night.first_load(found.rows, stored)
    rule = found.rows["published_at"]
    known_at = known.live(rule, backfilled=backfilled, instant=night.instant)
    night.keep(market.NEWS, found, known_at=known_at, backfilled=backfilled)


def _keep_arrived(
    night: Night, table: market.Table, found: arrivals.Arrivals, stored: pd.DataFrame
) -> None:
    """Keep facts that are known from the run's instant on."""
    night.keep(
        table,
        found,
        known_at=night.arrived(found.rows.index),
        backfilled=night.first_load(found.rows, stored),
    )


def _keep_day(night: Night, table: market.Table, found: arrivals.Arrivals) -> None:
    # A chain is a fact of its own day: no earlier one comes with it, nothing is backfilled but
    # what a past day's pull fetches.
    backfilled = pd.Series(data=night.past, index=found.rows.index)
    known_at = known.close_of(found.rows["date"])
    night.keep(table, found, known_at=known_at, backfilled=backfilled)
