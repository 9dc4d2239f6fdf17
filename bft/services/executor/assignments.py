"""Short shares that an assigned option left behind: closed at once where no call covers them.

An assignment reaches the book as two fills of nobody's order at one instant: the option's at
nothing, the shares' at its strike. Source: executor specification, section 6 and F21.
"""

from collections.abc import Iterator
from decimal import Decimal

from bft.domain.orders import Side
from bft.domain.trading_days import trading_day
from bft.ledger.lots import Line, LineEvent
from bft.ledger.ownership import ASSIGNED, ownership, units
from bft.ledger.records import Position
from bft.ledger.state import BookState
from bft.services.executor.desk import Desk
from bft.services.executor.leaving import Leave


def uncovered(desk: Desk) -> Iterator[Leave]:
    """Closing orders for assigned short shares beyond what long calls cover."""
    for position in desk.state.positions.values():
        if position.qty < 0 and position.contract.sec_type == "STK":
            qty = _uncovered_qty(desk.state, position)
            if qty > 0:
                yield _closing(desk, position, qty)


def _uncovered_qty(state: BookState, position: Position) -> int:
    """Assigned shares not bought back yet, less what long calls of the symbol cover.

    What an entry of ours sold short is no assignment: its bracket holds it. What others bought
    back themselves is not short any more.
    """
    line = state.lines.get((position.account, position.con_id))
    if line is None:
        return 0
    strikes = _assigned_strikes(state, position)
    sold = -units(line, lambda event: _is_assignment(event, strikes))
    whose = ownership(line, state.intents)
    calls = sum(p.qty * p.multiplier for p in state.positions.values() if _covers(p, position))
    short = min(-position.qty, -whose.foreign_qty, sold - whose.bought_back_qty)
    return int(short - calls)


def _assigned_strikes(state: BookState, position: Position) -> set[tuple[object, Decimal]]:
    """Instants and strikes at which options of the symbol ended for nothing."""
    return {
        (event.at, strike_usd)
        for line in state.lines.values()
        if _is_option_of(line, position)
        for event in line.events
        if event.price_usd == 0 and event.qty > 0
        # as of then: a split has moved the strike since
        if (strike_usd := line.contracts[event.event_id].strike_usd) is not None
    }


def _is_option_of(line: Line, position: Position) -> bool:
    contract = line.contract
    same = contract.sec_type == "OPT" and contract.symbol == position.contract.symbol
    return same and line.account == position.account


def _is_assignment(event: LineEvent, strikes: set[tuple[object, Decimal]]) -> bool:
    return event.qty < 0 and (event.at, event.price_usd) in strikes


def _covers(held: Position, short: Position) -> bool:
    contract = held.contract
    call = contract.sec_type == "OPT" and contract.right == "C" and held.qty > 0
    return call and contract.symbol == short.contract.symbol


def _closing(desk: Desk, position: Position, qty: int) -> Leave:
    day = trading_day(desk.now, sec_type=position.contract.sec_type)
    return Leave(
        signal_id=f"assigned:{position.con_id}:{day}",
        contract=position.contract,
        side=Side.BUY,
        qty=qty,
        reason=ASSIGNED,
    )
