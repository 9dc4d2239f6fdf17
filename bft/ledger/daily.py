"""Results by day and strategy, from the parts of lots that were closed.

Source: executor specification, sections 1.1 (P&L) and 2.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from bft.domain.trading_days import trading_day
from bft.ledger.lots import with_entry_fees
from bft.ledger.records import ZERO, Lot, Trade


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """USD of one day and strategy: `realised_usd` is net of `fees_usd`; R of closed trades."""

    day: date
    strategy_id: str
    realised_usd: Decimal = ZERO
    fees_usd: Decimal = ZERO
    r_multiple: Decimal = ZERO
    closes: int = 0
    trades: int = 0


def results(lots: Iterable[Lot], trades: Mapping[str, Trade], *, since: date) -> list[Result]:
    """Results of days from `since` on, oldest first; a close's fee holds its share of the entry's.

    Trades count, with their R, on the day of their last exit.
    """
    found: dict[tuple[date, str], Result] = {}
    kinds: dict[str, str] = {}
    for lot in lots:
        trade = trades.get(lot.trade_id)
        name = trade.strategy_id if trade else "manual"
        kinds[lot.trade_id] = lot.sec_type
        for close, entry_fee_usd in with_entry_fees(lot):
            day = trading_day(close.at, sec_type=lot.sec_type)
            if day >= since:
                old = found.get((day, name)) or Result(day=day, strategy_id=name)
                found[day, name] = replace(
                    old,
                    realised_usd=old.realised_usd + close.pnl_usd,
                    fees_usd=old.fees_usd + close.fee_usd + entry_fee_usd,
                    closes=old.closes + 1,
                )
    for trade in trades.values():
        if trade.exited_at is None or trade.is_backfill:
            continue
        day = trading_day(trade.exited_at, sec_type=kinds.get(trade.id, "STK"))
        place = (day, trade.strategy_id)
        if place in found:
            old = found[place]
            r_multiple = old.r_multiple + (trade.r_multiple or ZERO)
            found[place] = replace(old, r_multiple=r_multiple, trades=old.trades + 1)
    return [found[place] for place in sorted(found)]


def by_day(found: Iterable[Result]) -> list[Result]:
    """Results of all strategies together, `strategy_id` empty."""
    total: dict[date, list[Result]] = defaultdict(list)
    for result in found:
        total[result.day].append(result)
    return [summed(rows, day=day) for day, rows in sorted(total.items())]


def summed(rows: Iterable[Result], *, day: date, strategy_id: str = "") -> Result:
    """The sum of results under one day and name."""
    rows = list(rows)
    return Result(
        day=day,
        strategy_id=strategy_id,
        realised_usd=sum((r.realised_usd for r in rows), ZERO),
        fees_usd=sum((r.fees_usd for r in rows), ZERO),
        r_multiple=sum((r.r_multiple for r in rows), ZERO),
        closes=sum(r.closes for r in rows),
        trades=sum(r.trades for r in rows),
    )
