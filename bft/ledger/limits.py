"""Counters of the limits: what an order or a lot adds to which scope and day.

An order's or lot's old contribution is taken out when its new one goes in, so corrections and late
fees move the counters of the day they belong to. Source: executor specification, sections 2, 4.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime

from bft.domain.orders import Intent, Leg
from bft.domain.trading_days import trading_day
from bft.ledger.changes import Changes
from bft.ledger.records import ZERO, Counts, Limits, Lot, Trade
from bft.ledger.state import KEPT, BookState, LimitKey

LOSS_STREAK = "loss_streak"
"""The rule whose halt starts the count of losing trades anew."""
_FIRST = datetime.min.replace(tzinfo=UTC)


Contribution = Mapping[LimitKey, Counts]
_NOTHING = Counts()


def scopes(trade: Trade) -> list[tuple[str, str]]:
    """Scopes a trade counts in; all but account are keyed account/name, so paper stays apart."""
    named = (("profile", trade.profile), ("strategy", trade.strategy_id), ("symbol", trade.symbol))
    inner = [(scope, f"{trade.account}/{name}") for scope, name in named if name]
    return [("account", trade.account), *inner]


def of_intent(intent: Intent | None, trade: Trade | None) -> Contribution:
    """Orders, entries and notional of an opening order; nothing for other legs.

    Notional is at the limit, else the trigger, else the reference price.
    """
    if intent is None or trade is None or intent.leg is not Leg.ENTRY:
        return {}
    ended = intent.state.terminal
    units = intent.filled_qty if ended else max(intent.qty, intent.filled_qty)
    price = intent.limit_price_usd or intent.stop_price_usd or trade.ref_price or ZERO
    counts = Counts(
        entries=int(not ended or intent.filled_qty > 0),
        orders=1,
        notional_usd=units * price * intent.contract.multiplier,
    )
    return {(scope, key, intent.trading_day): counts for scope, key in scopes(trade)}


def of_lot(lot: Lot | None, trade: Trade | None) -> Contribution:
    """Fees by the day they arose, realised P&L by the day of each close."""
    if lot is None or trade is None:
        return {}
    day = trading_day(lot.opened_at, sec_type=lot.sec_type)
    days = {day: Counts(fees_usd=lot.fee_usd)}
    for close in lot.closes:
        day = trading_day(close.at, sec_type=lot.sec_type)
        more = Counts(realised_usd=close.pnl_usd, fees_usd=close.fee_usd)
        days[day] = days.get(day, _NOTHING).plus(more)
    return {(s, k, day): counts for day, counts in days.items() for s, k in scopes(trade)}


def tally(changes: Changes, old: Contribution, new: Contribution) -> None:
    """Note that the old contribution goes out and the new one comes in."""
    for place in old.keys() | new.keys():
        moved = new.get(place, _NOTHING).plus(old.get(place, _NOTHING), sign=-1)
        if moved != _NOTHING:
            changes.counts[place] = changes.counts.get(place, _NOTHING).plus(moved)


def settle(state: BookState, changes: Changes, *, at: datetime) -> None:
    """Add what an entry moved to the rows, once.

    A day that memory has let go stays as it was: its row is not at hand, and no rule asks for it.
    """
    first = day_kept(state)
    for place in sorted(changes.counts):
        moved = changes.counts[place]
        if place[2] >= first and moved != _NOTHING:
            _add(state, changes, place, moved, at=at)


def day_kept(state: BookState) -> date:
    """First trading day whose counters memory holds."""
    return (state.day or date.min + KEPT) - KEPT


def _add(
    state: BookState, changes: Changes, place: LimitKey, moved: Counts, *, at: datetime
) -> None:
    row = state.limits_of(*place, at=at)
    more = replace(
        row,
        at=at,
        entries=row.entries + moved.entries,
        orders=row.orders + moved.orders,
        notional_usd=row.notional_usd + moved.notional_usd,
        realised_usd=row.realised_usd + moved.realised_usd,
        fees_usd=row.fees_usd + moved.fees_usd,
    )
    put_limits(state, changes, more)


def put_limits(state: BookState, changes: Changes, row: Limits) -> None:
    """Store a row of counters."""
    state.limits[row.scope, row.key, row.trading_day] = row
    changes.put("limits_state", row)


def loss_streak(state: BookState, scope: str, key: str) -> int:
    """Losing trades in a row up to now, since the last halt for such a row."""
    return len(losing_run(state, scope, key))


def losing_run(state: BookState, scope: str, key: str) -> list[datetime]:
    """When each trade of `loss_streak` was left, newest first."""
    since = state.streaks_from.get((scope, key), _FIRST)
    found = []
    for exited_at, name in reversed(state.closed_trades):
        trade = state.trades[name]
        if (scope, key) not in scopes(trade):
            continue
        if exited_at <= since or (trade.pnl_usd or ZERO) >= 0:
            break
        found.append(exited_at)
    return found


def keep_closed(state: BookState, old: Trade | None, new: Trade) -> bool:
    """Keep the order of closed trades; whether it, or a result in it, changed."""
    before, after = closed_place(old), closed_place(new)
    if before == after and (old is None or old.pnl_usd == new.pnl_usd):
        return False
    if before is not None:
        at = bisect_left(state.closed_trades, before)
        del state.closed_trades[at : bisect_right(state.closed_trades, before)]
    if after is not None:
        state.closed_trades.insert(bisect_left(state.closed_trades, after), after)
    return before is not None or after is not None


def closed_place(trade: Trade | None) -> tuple[datetime, str] | None:
    """Where a closed trade stands among the closed ones; None while it is open, or backfilled."""
    if trade is None or trade.exited_at is None or trade.is_backfill:
        return None
    return (trade.exited_at, trade.id) if trade.outcome and trade.outcome.closed else None


def put_streaks(
    state: BookState, changes: Changes, wanted: Iterable[tuple[str, str]], *, at: datetime
) -> None:
    """Write the streak of each scope into the row of the current day."""
    for scope, key in wanted:
        row = state.limits_of(scope, key, trading_day(at), at=at)
        streak = loss_streak(state, scope, key)
        if streak != row.streak:
            put_limits(state, changes, replace(row, at=at, streak=streak))
