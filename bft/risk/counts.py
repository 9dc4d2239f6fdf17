"""Rules 17 to 24: how often, how soon, how much was lost, how many positions.

Source: executor specification, section 4; cooldowns: strategies specification, section 3.3.
"""

from datetime import UTC, date, datetime

from bft.domain import sessions
from bft.risk import today
from bft.risk.case import Case
from bft.risk.context import Cooldown
from bft.risk.finding import PASSED, Finding, blocked, judged, missing


def ticker_limit(case: Case) -> Finding:
    """17: entries in this symbol today at the limit."""
    count, limit = case.context.book.entries_today_symbol, case.profile.max_entries_per_symbol
    if count is None:
        return missing("entries in the symbol", limit)
    return judged(count < limit, count, limit, "entries in the symbol at the limit")


def cooldown(case: Case) -> Finding:
    """18: a cooldown of the symbol runs, for this strategy or for all."""
    rows = case.context.book.cooldowns
    if rows is None:
        return missing("cooldowns")
    order = case.order
    names = {order.symbol, case.context.symbol.underlying}
    asof = order.asof
    for row in rows:
        if row.symbol not in names or row.strategy_id not in {None, order.strategy_id}:
            continue
        if asof is None:
            asof = sessions.last_closed(case.context.at)
        until = _runs_until(row, case, asof)
        if until is not None:
            note = f"cooldown of {row.symbol} until {_told(until)}"
            return blocked(note, None, until.isoformat())
    return PASSED


def rate(case: Case) -> Finding:
    """19: more than so many new orders in a second or a minute, this one included."""
    book, profile = case.context.book, case.profile
    counts = (
        ("1 s", book.orders_1s, profile.max_orders_1s),
        ("60 s", book.orders_60s, profile.max_orders_60s),
    )
    for name, count, limit in counts:
        if count is None:
            return missing(f"orders of the last {name}", limit)
        if count >= limit:
            return blocked(f"orders of the last {name} at the limit", count, limit)
    return PASSED


def daily_trades(case: Case) -> Finding:
    """20: entries or opening orders today at the limit."""
    return today.trades(case.context.book, case.profile)


def daily_loss(case: Case) -> Finding:
    """21: the day's loss reached its cap."""
    return today.loss(case.context.book, case.profile)


def drawdown(case: Case) -> Finding:
    """22: equity lies below its 20-session peak by the cap."""
    return today.below_peak(case.context.book, case.profile, case.equity_usd)


def loss_streak(case: Case) -> Finding:
    """23: losing trades in a row at the halt number."""
    return today.losses_in_row(case.context.book, case.profile)


def max_positions(case: Case) -> Finding:
    """24: open and pending positions at the limit."""
    return today.positions(case.context.book, case.profile)


def _runs_until(row: Cooldown, case: Case, asof: date) -> date | datetime | None:
    if row.until_asof is not None and asof < row.until_asof:
        return row.until_asof
    return row.until_at if row.until_at is not None and case.context.at < row.until_at else None


def _told(until: date | datetime) -> str:
    """An instant in UTC; a day of decisions begins with its close."""
    if isinstance(until, datetime):
        return f"{until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return f"the close of {until}"
