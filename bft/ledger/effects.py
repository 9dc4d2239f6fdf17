"""What follows from a change: an order's trade row and counters, a line's lots and position."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from bft.domain.encoding import encode
from bft.domain.journal import canonical_json
from bft.domain.orders import Contract, Intent, Leg
from bft.ledger import limits, trades
from bft.ledger.changes import Changes
from bft.ledger.lots import Line, LineEvent, average_cost
from bft.ledger.records import ZERO, BareClose, BookOrder, Lot, Position, Trade
from bft.ledger.state import BookState, LineKey

BARE_CLOSE = "bare_close"
"""Kind of the counters that keep such wishes."""


def put_intent(state: BookState, changes: Changes, intent: Intent, *, at: datetime) -> None:
    """Store an order; its trade row and the counters follow."""
    old, trade = state.intents.get(intent.intent_id), state.trades.get(intent.intent_id)
    state.intents[intent.intent_id] = intent
    if intent.perm_id:
        state.perm_ids[intent.perm_id] = intent.intent_id
    row = {"con_id": intent.contract.con_id, "symbol": intent.contract.symbol}
    changes.put("intents", row | _columns(intent))
    limits.tally(changes, limits.of_intent(old, trade), limits.of_intent(intent, trade))
    if trade is not None:
        refresh_trade(state, changes, trade.id, at=at)


def _columns(row: object) -> dict[str, object]:
    names = type(row).__dataclass_fields__  # type: ignore[attr-defined]
    return {name: getattr(row, name) for name in names}


def put_order(state: BookState, changes: Changes, order: BookOrder) -> None:
    """Store a broker order and remember the highest id of its client."""
    state.orders[order.key] = order
    changes.put("orders", order)
    if order.perm_id:
        state.perm_ids[order.perm_id] = order.intent_id
    highest = state.order_ids.get(order.client_id, 0)
    if order.order_id > highest:
        state.order_ids[order.client_id] = order.order_id
        put_counter(changes, f"order_id:{order.client_id}", order.order_id, at=order.at)


def put_counter(changes: Changes, name: str, value: object, *, at: datetime) -> None:
    """Store a single value by name."""
    changes.put("counters", {"name": name, "value": str(value), "at": at})


def put_bare_close(state: BookState, changes: Changes, wish: BareClose, *, at: datetime) -> None:
    """Remember which units without a bracket have to leave."""
    state.bare_closes[wish.account, wish.con_id] = wish
    put_counter(changes, _bare_name(wish.account, wish.con_id), canonical_json(encode(wish)), at=at)


def drop_bare_close(state: BookState, changes: Changes, key: LineKey) -> None:
    """Nothing of this contract has to leave any more."""
    if state.bare_closes.pop(key, None) is not None:
        changes.remove("counters", {"name": _bare_name(*key)})


def _bare_name(account: str, con_id: int) -> str:
    return f"{BARE_CLOSE}:{account}:{con_id}"


def put_event(
    state: BookState,
    changes: Changes,
    place: tuple[str, Contract],
    event: LineEvent,
    *,
    at: datetime,
) -> None:
    """Insert or replace what happened to a contract, and rebuild what follows from it."""
    account, contract = place
    key = (account, contract.con_id)
    line = state.lines.get(key)
    if line is None:
        line = state.lines[key] = Line(account=account, contract=contract)
    first = line.put(event, contract)
    ids = {known.event_id for known in line.events[first:]} | {event.event_id}
    old = {name: state.lots[name] for name in ids if name in state.lots}
    new = line.rebuild(first)
    touched = _replace_lots(state, changes, old, new)
    _put_position(state, changes, key, line)
    for trade_id in sorted(touched):
        refresh_trade(state, changes, trade_id, at=at)


def _replace_lots(
    state: BookState, changes: Changes, old: dict[str, Lot], new: dict[str, Lot]
) -> set[str]:
    """Lots of a rebuilt stretch; the trades they belong to."""
    touched = set()
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        for lot in filter(None, (before, after)):
            touched.add(lot.trade_id)
        _replace_lot(state, changes, before, after)
    return touched


def _replace_lot(state: BookState, changes: Changes, before: Lot | None, after: Lot | None) -> None:
    taken = limits.of_lot(before, state.trades.get(before.trade_id) if before else None)
    if before is not None:
        drop_lot(state, before)
        if after is None:
            del state.lots[before.lot_id]
            changes.remove("lots", before)
    if after is not None:
        state.lots[after.lot_id] = after
        changes.put("lots", after)
        state.trade_lots.setdefault(after.trade_id, set()).add(after.lot_id)
        _ensure_trade(state, after)
    given = limits.of_lot(after, state.trades.get(after.trade_id) if after else None)
    limits.tally(changes, taken, given)


def drop_lot(state: BookState, lot: Lot) -> None:
    """Take a lot off its trade."""
    kept = state.trade_lots[lot.trade_id]
    kept.discard(lot.lot_id)
    if not kept:
        del state.trade_lots[lot.trade_id]


def _ensure_trade(state: BookState, lot: Lot) -> None:
    if lot.trade_id not in state.trades:
        intent = state.intents.get(lot.trade_id)
        source = "adjustment" if lot.lot_id.startswith("adj") else "manual"
        state.trades[lot.trade_id] = trades.unasked(lot, intent, source=source, mode=state.mode)


def refresh_trade(state: BookState, changes: Changes, trade_id: str, *, at: datetime) -> None:
    """Derive a trade row again; a changed result moves the streaks of its scopes."""
    old = state.trades[trade_id]
    lots = [state.lots[name] for name in sorted(state.trade_lots.get(trade_id, ()))]
    intent = state.intents.get(trade_id)
    base = old
    if intent is None or intent.leg is not Leg.ENTRY:
        if not lots:
            _forget_trade(state, changes, old, at=at)
            return
        first = min(lots, key=lambda lot: (lot.opened_at, lot.lot_id))
        base = trades.unasked(first, intent, source=old.source, mode=old.mode)
    put_trade(state, changes, trades.derived(base, intent, lots), at=at)


def put_trade(state: BookState, changes: Changes, trade: Trade, *, at: datetime) -> None:
    """Store a row of the trade log."""
    old = state.trades.get(trade.id)
    state.trades[trade.id] = trade
    changes.put("trades", trade)
    if limits.keep_closed(state, old, trade):
        _put_streaks(state, changes, trade, at=at)


def _put_streaks(state: BookState, changes: Changes, trade: Trade, *, at: datetime) -> None:
    ends = [place for place in limits.scopes(trade) if place[0] in {"account", "profile"}]
    limits.put_streaks(state, changes, ends, at=at)


def _forget_trade(state: BookState, changes: Changes, trade: Trade, *, at: datetime) -> None:
    """A row whose only fills were taken back, or belong to an earlier order now."""
    place = limits.closed_place(trade)
    if place in state.closed_trades:
        state.closed_trades.remove(place)
        _put_streaks(state, changes, trade, at=at)
    del state.trades[trade.id]
    changes.remove("trades", trade)


def _put_position(state: BookState, changes: Changes, key: LineKey, line: Line) -> None:
    lots = [lot for lot in _open_lots(state, line) if lot.open_qty]
    old = state.positions.get(key)
    if not lots:
        if old is not None:
            del state.positions[key]
            changes.remove("positions", old)
        return
    position = Position(
        account=line.account,
        con_id=line.contract.con_id,
        symbol=line.contract.symbol,
        contract=line.contract,
        qty=sum((lot.direction * lot.open_qty for lot in lots), ZERO),
        average_cost_usd=average_cost(lots) or ZERO,
        cost_usd=sum((lot.direction * lot.cost_left_usd for lot in lots), ZERO),
        multiplier=line.contract.multiplier,
        opened_at=min(event.at for event in line.campaign()),
        mark_usd=old.mark_usd if old else None,
        marked_at=old.marked_at if old else None,
    )
    if position != old:
        state.positions[key] = position
        changes.put("positions", position)


def _open_lots(state: BookState, line: Line) -> Iterable[Lot]:
    if line.flat_now:
        return ()
    names = (event.event_id for event in line.campaign())
    return [state.lots[name] for name in names if name in state.lots]


def rescale_trades(
    state: BookState, changes: Changes, key: LineKey, ratio: Decimal, *, at: datetime
) -> None:
    """Levels and ordered quantities of trades that are open in a split contract."""
    line = state.lines[key]
    for trade_id in sorted({lot.trade_id for lot in _open_lots(state, line) if lot.open_qty}):
        trade = state.trades[trade_id]
        scaled = replace(
            trade,
            ordered_qty=trade.ordered_qty * ratio,
            stop_price=trade.stop_price and trade.stop_price / ratio,
            target_price=trade.target_price and trade.target_price / ratio,
            ref_price=trade.ref_price and trade.ref_price / ratio,
        )
        state.trades[trade_id] = scaled
        refresh_trade(state, changes, trade_id, at=at)


def rescale_bare_close(
    state: BookState, changes: Changes, key: LineKey, ratio: Decimal, *, at: datetime
) -> None:
    """Units that stay of a split contract, rounded down: a fraction is paid in cash."""
    wish = state.bare_closes.get(key)
    if wish is not None:
        kept = int(wish.kept * ratio)
        put_bare_close(state, changes, replace(wish, kept=kept), at=at)


def rescale_mark(state: BookState, key: LineKey, ratio: Decimal) -> None:
    """The mark of a split contract; its row is written with the new quantity."""
    held = state.positions.get(key)
    if held is not None and held.mark_usd is not None:
        state.positions[key] = replace(held, mark_usd=held.mark_usd / ratio)
