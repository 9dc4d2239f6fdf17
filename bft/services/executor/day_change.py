"""What open positions have gained or lost since the prior close.

Units of earlier days count from their mark at the newest close, units of today from their cost.
Source: executor specification, sections 2 (positions) and 4 (day loss).
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from functools import partial

from bft.domain import sessions
from bft.domain.orders import Contract
from bft.domain.trading_days import trading_day
from bft.ledger.records import Lot, Position
from bft.ledger.state import BookState
from bft.services.executor.contracts import is_foreign, name_of
from bft.services.executor.desk import Desk
from bft.services.executor.marks import stale

Price = Callable[[Contract], Decimal | None]


def unrealised_change_usd(
    desk: Desk, price_of: Price, *, last_seen: Price | None = None
) -> Decimal | None:
    """Change of all open positions; None where a price, a mark or a split is not settled.

    `last_seen` tells prices that may be old: a gain they tell counts, a loss is none. What is not
    in dollars is none either then: it keeps no loss of ours from being told.
    """
    total = Decimal(0)
    for position in desk.state.positions.values():
        if last_seen is not None and is_foreign(position.contract):
            continue
        change = None if unsettled(desk, position) else _change(desk, position, price_of)
        if change is None and last_seen is not None and not unsettled(desk, position):
            seen = _change(desk, position, last_seen)
            change = None if seen is None else max(seen, Decimal(0))
        if change is None:
            return None
        total += change
    return total


def unknown(desk: Desk, price_of: Price) -> Iterator[str]:
    """Of each position whose change is None, why, and what helps, in words."""
    for position in desk.state.positions.values():
        contract, name = position.contract, name_of(position.contract)
        if contract.symbol in desk.disputed:
            yield f"{name} is held in other numbers at the broker than in the book"
        elif unsettled(desk, position):
            yield f"{name} splits today and the book does not have it yet"
        elif price_of(contract) is None:
            yield stale(desk, contract) or f"no quote of {name}"
        elif _change(desk, position, price_of) is None:
            yield _unmarked(desk, contract)


def _unmarked(desk: Desk, contract: Contract) -> str:
    """Nobody was there at the close, and gold does not have it."""
    name, today = name_of(contract), trading_day(desk.now, sec_type=contract.sec_type)
    prior = sessions.shift(today, -1)
    leave = f"or close it (bft close --symbol {name})"
    told = f"no price of {name} at the close of {prior} was kept"
    if contract.sec_type == "STK" and contract.symbol in desk.reference.universe:
        return f"{told}: build that night (bft run nightly --asof {prior}) {leave}"
    return f"{told}: it counts again from the next close, {leave}"


def open_entry_fees_usd(desk: Desk) -> Decimal:
    """Fees paid today to open what is still open: spent, though no close has booked them yet."""
    total = Decimal(0)
    for position in desk.state.positions.values():
        sec_type = position.contract.sec_type
        today = trading_day(desk.now, sec_type=sec_type)
        for lot in _open_lots(desk.state, position):
            if trading_day(lot.opened_at, sec_type=sec_type) >= today:
                total += lot.fee_left_usd
    return total


def foreign_realised_usd(desk: Desk) -> Decimal:
    """What the counters of the trading day hold of closes that were never in dollars."""
    total = Decimal(0)
    for line in desk.state.lines.values():
        if line.account != desk.account or not is_foreign(line.contract):
            continue
        lots = (desk.state.lots.get(event.event_id) for event in line.events)
        closes = (close for lot in lots if lot is not None for close in lot.closes)
        today, day_of = desk.trading_day, partial(trading_day, sec_type=line.contract.sec_type)
        total += sum((c.pnl_usd for c in closes if day_of(c.at) == today), Decimal(0))
    return total


def unsettled(desk: Desk, position: Position) -> bool:
    """Book and market may count in different units: a dispute, or a split not yet in the book.

    Only on its ex-date: from then on what differs is in dispute.
    """
    contract, today = position.contract, trading_day(desk.now)
    if contract.symbol in desk.disputed:
        return True
    splits = any(s.ex_date == today for s in desk.reference.splits_of(contract.symbol))
    return splits and trading_day(position.opened_at) < today and not _adjusted(desk, contract)


def _adjusted(desk: Desk, contract: Contract) -> bool:
    """Whether the book took the split over, or a person changed it, since the last close."""
    since = sessions.close_at(sessions.shift(trading_day(desk.now), -1))
    made = desk.state.adjustments.values()
    return any(a.contract.con_id == contract.con_id and a.at >= since for a in made)


def marked_for(position: Position, now: datetime) -> Decimal | None:
    """The position's price at the close before the trading day of `now`, where it is known."""
    today = trading_day(now, sec_type=position.contract.sec_type)
    prior = sessions.close_at(sessions.shift(today, -1))
    at = position.marked_at
    return position.mark_usd if at is not None and at >= prior else None


def _change(desk: Desk, position: Position, price_of: Price) -> Decimal | None:
    price, mark = price_of(position.contract), marked_for(position, desk.now)
    if price is None:
        return None
    sec_type, total = position.contract.sec_type, Decimal(0)
    today = trading_day(desk.now, sec_type=sec_type)
    for lot in _open_lots(desk.state, position):
        units = lot.open_qty * lot.multiplier
        if trading_day(lot.opened_at, sec_type=sec_type) >= today:
            total += lot.direction * (price * units - lot.cost_left_usd)
        elif mark is None:
            return None
        else:
            total += lot.direction * (price - mark) * units
    return total


def _open_lots(state: BookState, position: Position) -> Iterable[Lot]:
    line = state.lines[position.account, position.con_id]
    found = (state.lots.get(event.event_id) for event in line.campaign())
    return (lot for lot in found if lot is not None and lot.open_qty)
