"""What should not be there: orphaned orders, units no order asked for, units others closed.

Source: executor specification, section 6 (overfill, orphan, order or fill of others).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal

from bft.domain.orders import Contract, Intent, IntentState, Leg, Side
from bft.domain.trading_days import trading_day
from bft.ledger.lots import Line, LineEvent
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
        extra = int(own_qty(desk.state, account, con_id)) - held.get(con_id, 0)
        if extra:
            extra -= _absorbed(desk.state, account, con_id)
        left = int(position.qty)
        if extra * left > 0:
            yield _closing(desk, position.contract, min(extra, left, key=abs))


def surplus(state: BookState, account: str, covers: Iterable[Cover]) -> Iterator[tuple[Cover, int]]:
    """Covers, oldest first, with the units of theirs that somebody else closed."""
    by_con_id: dict[int, list[Cover]] = {}
    for cover in covers:
        by_con_id.setdefault(cover.contract.con_id, []).append(cover)
    for con_id, mine in by_con_id.items():
        missing = sum(c.sign * c.open_qty for c in mine) - int(state.position_qty(account, con_id))
        foreign = foreign_qty(state, account, con_id)
        for cover in sorted(mine, key=lambda c: (c.opened_at, c.entry)):
            less = min(cover.open_qty, missing * cover.sign)
            if less > 0 and (foreign * cover.sign < 0 or not foreign):
                missing -= less * cover.sign
                yield cover, less


def foreign_qty(state: BookState, account: str, con_id: int) -> Decimal:
    """Signed units that others bought and sold since nothing was held."""
    line, total = state.lines.get((account, con_id)), Decimal(0)
    for event in campaign(line) if line else ():
        if event.ratio is not None:
            total *= event.ratio
        elif event.trade_id not in state.intents:
            total += event.qty
    return total


def own_qty(state: BookState, account: str, con_id: int) -> Decimal:
    """Signed units of our own doing since nothing was held.

    An exit of no bracket that closed what others held took theirs: it made no units of ours.
    """
    line, own, foreign = state.lines.get((account, con_id)), Decimal(0), Decimal(0)
    for event in campaign(line) if line else ():
        if event.ratio is not None:
            own, foreign = own * event.ratio, foreign * event.ratio
        elif (intent := state.intents.get(event.trade_id)) is None:
            foreign += event.qty
        else:
            bare = intent.leg is Leg.EXIT and intent.parent_id is None
            beyond = event.qty + _closable(own, event.qty)
            theirs = -_closable(foreign, beyond) if bare else Decimal(0)
            own, foreign = own + event.qty - theirs, foreign + theirs
    return own


def _closable(held: Decimal, qty: Decimal) -> Decimal:
    """What of signed units held an order of signed `qty` closes, with the sign of what is held."""
    return min(held, -qty, key=abs) if held * qty < 0 else Decimal(0)


def campaign(line: Line) -> list[LineEvent]:
    """Events since the last moment at which nothing was held."""
    start = max((n for n, flat in enumerate(line.flat) if flat), default=0)
    return line.events[start:]


def _absorbed(state: BookState, account: str, con_id: int) -> int:
    """Signed units of covers that ended since nothing was held, which others had closed."""
    line = state.lines.get((account, con_id))
    entries = {event.trade_id for event in campaign(line)} if line else set()
    ended = (b for b in state.brackets.values() if b.closed_at is not None and b.entry in entries)
    covers = [from_bracket(bracket) for bracket in ended]
    return sum(cover.sign * cover.cut_qty for cover in covers)


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
        reason="overfill",
    )
