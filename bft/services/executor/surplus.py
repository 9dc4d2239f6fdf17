"""What should not be there: orphaned orders, units no order asked for, units others closed.

Source: executor specification, section 6 (overfill, orphan, order or fill of others).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal

from bft.domain.orders import Contract, Intent, IntentState, Leg, Side
from bft.domain.trading_days import trading_day
from bft.ledger.ownership import OVERFILL, ownership, ratio_since
from bft.ledger.state import BookState
from bft.services.executor.covers import Cover, from_bracket
from bft.services.executor.desk import Desk
from bft.services.executor.leaving import Leave

_WORKING = frozenset({IntentState.ACKED, IntentState.PARTIAL})


def orphans(state: BookState, covers: Mapping[str, Cover]) -> Iterator[Intent]:
    """Live stops and targets whose position and entry are gone."""
    for leg in state.live_intents():
        if leg.leg is Leg.ENTRY or leg.parent_id is None or leg.parent_id in covers:
            continue
        entry = state.intents.get(leg.parent_id)
        if entry is None or entry.state.terminal:
            yield leg


def overshoot(state: BookState) -> Iterator[Intent]:
    """Working exits beyond what is held, newest first: they would open the other side."""
    exits = defaultdict[tuple[str, int, Side], list[Intent]](list)
    for leg in state.live_intents():
        if leg.leg is Leg.EXIT and leg.state in _WORKING:
            exits[leg.account, leg.contract.con_id, leg.side].append(leg)
    for (account, con_id, side), mine in exits.items():
        held = max(0, -side.sign * int(state.position_qty(account, con_id)))
        over = sum(leg.remaining_qty for leg in mine) - held
        for leg in sorted(mine, key=lambda leg: leg.order_id or 0, reverse=True):
            if over > 0:
                yield leg
            over -= leg.remaining_qty


def excess(
    desk: Desk, covers: Iterable[Cover], only: Collection[int] | None = None
) -> Iterator[Leave]:
    """Closing orders for units of our own doing that no cover holds; they only ever reduce.

    `covers` are all of the contracts `only`, by con id, or of all contracts.
    """
    held = _held(covers)
    for position in desk.state.positions.values():
        account, con_id = position.account, position.con_id
        if only is not None and con_id not in only:
            continue
        own = ownership(desk.state.lines.get((account, con_id)), desk.state.intents).own_qty
        extra = int(own) - held.get(con_id, 0)
        if extra:
            extra -= _absorbed(desk.state, account, con_id)
        left = int(position.qty)
        if extra * left > 0:
            yield _closing(desk, position.contract, min(extra, left, key=abs))


def surplus(state: BookState, account: str, covers: Iterable[Cover]) -> Iterator[tuple[Cover, int]]:
    """Covers, oldest first, with the units of theirs that are not held any more.

    Whoever closed them, and whatever others held or bought beside: no stop may sell them.
    """
    by_con_id: dict[int, list[Cover]] = {}
    for cover in covers:
        by_con_id.setdefault(cover.contract.con_id, []).append(cover)
    for con_id, mine in by_con_id.items():
        missing = sum(c.sign * c.open_qty for c in mine) - int(state.position_qty(account, con_id))
        for cover in sorted(mine, key=lambda c: (c.opened_at, c.entry)):
            less = min(cover.open_qty, missing * cover.sign)
            if less > 0:
                missing -= less * cover.sign
                yield cover, less


def _absorbed(state: BookState, account: str, con_id: int) -> int:
    """Signed units of covers that ended since nothing was held, which others had closed."""
    line, total = state.lines.get((account, con_id)), Decimal(0)
    if line is None:
        return 0
    entries = {event.trade_id for event in line.campaign()}
    for bracket in state.brackets.values():
        if bracket.closed_at is not None and bracket.entry in entries:
            cover = from_bracket(bracket)
            total += cover.sign * cover.cut_qty * ratio_since(line, bracket.closed_at)
    return int(total)


def _held(covers: Iterable[Cover]) -> dict[int, int]:
    held: dict[int, int] = {}
    for cover in covers:
        con_id = cover.contract.con_id
        held[con_id] = held.get(con_id, 0) + cover.sign * (cover.open_qty + cover.cut_qty)
    return held


def _closing(desk: Desk, contract: Contract, extra: int) -> Leave:
    day = trading_day(desk.now, sec_type=contract.sec_type)
    return Leave(
        signal_id=f"overfill:{contract.con_id}:{day}",
        contract=contract,
        side=Side.SELL if extra > 0 else Side.BUY,
        qty=abs(extra),
        reason=OVERFILL,
    )
