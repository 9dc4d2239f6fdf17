"""Short options left without cover by a combination partly filled, or by an expiry beside them.

A person's own short option is theirs; the short leg of a combination is meant to be covered, and is
closed at once where it is not. Source: executor specification, section 6 and F21; decision record
0049.
"""

import asyncio
from collections.abc import Iterator
from decimal import Decimal

from bft.domain.orders import Contract, Side
from bft.domain.trading_days import trading_day
from bft.ledger.lots import Line, LineEvent
from bft.ledger.ownership import SHORT_LEG, ownership, ratio_since, units
from bft.ledger.records import Position
from bft.ledger.state import BookState
from bft.services.executor.desk import Desk
from bft.services.executor.leaving import Leave

TURN_S = 0.01  # a timer set for a limit fires a little after it
GRACE_S = 0.9  # the fills of a combination's legs arrive one after the other


class ShortLegs:
    """Looks for uncovered short legs each turn; acts on those that stay so."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._since: dict[int, float] = {}

    def uncovered(self) -> Iterator[Leave]:
        """Closing orders for short options of combinations beyond what long ones cover."""
        now, found = self._desk.timer(), dict(_uncovered(self._desk))
        if found.keys() - self._since.keys():
            asyncio.get_running_loop().call_later(GRACE_S + TURN_S, self._desk.poke)
        self._since = {con_id: self._since.get(con_id, now) for con_id in found}
        for con_id, (position, qty) in found.items():
            if now - self._since[con_id] >= GRACE_S:
                yield _closing(self._desk, position, qty)


def _uncovered(desk: Desk) -> Iterator[tuple[int, tuple[Position, int]]]:
    """By con id, each short leg and its units without cover; nearest expiry is covered first."""
    state = desk.state
    legs = [p for p in state.positions.values() if p.qty < 0 and p.contract.sec_type == "OPT"]
    used: dict[tuple[str, str | None], Decimal] = {}
    for position in sorted(legs, key=lambda p: (str(p.contract.expiry), p.con_id)):
        meant = min(-position.qty, _meant_covered(desk, position))
        if meant <= 0:
            continue
        place = (position.contract.symbol, position.contract.right)
        free = _cover(state, position) - used.get(place, Decimal(0))
        covered = max(Decimal(0), min(meant, free))
        used[place] = used.get(place, Decimal(0)) + covered
        if meant > covered:
            yield position.con_id, (position, int(meant - covered))


def _meant_covered(desk: Desk, position: Position) -> Decimal:
    """Units sold in combinations, or beside a long option that expired, not bought back by us.

    Where we sold more than we bought it was of what others held: no short option is opened by us.
    """
    state = desk.state
    line = state.lines.get((position.account, position.con_id))
    if line is None:
        return Decimal(0)
    combined = {f"manual:{perm_id}" for perm_id in desk.combos} | _shared(state, position)
    sold = [event for event in line.campaign() if event.qty < 0]
    of_combos = -units(line, lambda e: e.qty < 0 and e.trade_id in combined)
    lost = _expired_beside(state, position, sold[0], line) if sold else Decimal(0)
    whose = ownership(line, state.intents)
    return of_combos + lost - whose.bought_back_qty - max(Decimal(0), whose.own_qty)


def _beside(state: BookState, position: Position) -> Iterator[Line]:
    """Lines of other contracts on the same underlying."""
    for line in state.lines.values():
        same = line.contract.symbol == position.contract.symbol
        other = line.contract.con_id != position.con_id  # each may tell the same one otherwise
        if same and other and line.account == position.account:
            yield line


def _shared(state: BookState, position: Position) -> set[str]:
    """Orders that filled in more than this contract."""
    return {event.trade_id for line in _beside(state, position) for event in line.events}


def _expired_beside(state: BookState, position: Position, first: LineEvent, short: Line) -> Decimal:
    """Long options of the same right that ended for nothing since the short one was sold.

    In today's units of the short one.
    """
    return sum(
        (
            -event.qty * ratio_since(short, event.at)
            for line in _beside(state, position)
            if _same_right(line.contract, position.contract)
            for event in line.events
            if event.qty < 0 and event.price_usd == 0 and event.at >= first.at
        ),
        Decimal(0),
    )


def _cover(state: BookState, short: Position) -> Decimal:
    """Long options of the same right that live as long, and for calls shares by the hundred."""
    total = Decimal(0)
    for held in state.positions.values():
        same = held.contract.symbol == short.contract.symbol and held.account == short.account
        if not same or held.qty <= 0:
            continue
        if _same_right(held.contract, short.contract):
            outlives = (held.contract.expiry or 0) >= (short.contract.expiry or 0)  # type: ignore[operator]
            total += held.qty if outlives else 0
        elif held.contract.sec_type == "STK" and short.contract.right == "C":
            total += held.qty // short.multiplier
    return total


def _same_right(one: Contract, other: Contract) -> bool:
    return one.sec_type == other.sec_type == "OPT" and one.right == other.right


def _closing(desk: Desk, position: Position, qty: int) -> Leave:
    day = trading_day(desk.now, sec_type=position.contract.sec_type)
    return Leave(
        signal_id=f"short-leg:{position.con_id}:{day}",
        contract=position.contract,
        side=Side.BUY,
        qty=qty,
        reason=SHORT_LEG,
        pressing=True,
    )
