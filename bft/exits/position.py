"""A position from its entry fill to its last exit fill."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from bft.domain import sessions
from bft.domain.errors import DataError
from bft.domain.ticks import micro, rounded
from bft.domain.trading import Direction, ExitPolicy
from bft.exits.levels import Levels, initial_levels, whole
from bft.exits.state import Bar, EntryFill, ExitFill, ExitState, Partial, Reason, tighter

# executor specification, section 6: same-session positions leave from 15:50, are gone by 15:55
FLATTEN_BEFORE_CLOSE = timedelta(minutes=10)
FLATTEN_TAKES = timedelta(minutes=5)


def opened(fill: EntryFill, policy: ExitPolicy, atr_usd: Decimal | None) -> ExitState:
    """State of a position just entered; `atr_usd` is the ATR of the decision.

    Raises:
        DataError: as `initial_levels`, which tells before an order is sent.
    """
    levels = initial_levels(
        fill.price_usd,
        policy,
        direction=fill.direction,
        atr_usd=atr_usd,
        tick_usd=fill.tick_usd,
        stop_usd=fill.stop_usd,
    )
    target = levels.target_usd if fill.target_usd is None else fill.target_usd
    return ExitState(
        entry=fill,
        policy=policy,
        atr_usd=levels.atr_usd,
        reference_usd=fill.price_usd,
        initial_stop_usd=levels.stop_usd,
        stop_usd=levels.stop_usd,
        target_usd=target,
        trail_usd=None,
        best_usd=fill.price_usd,
        armed=False,
        open_qty=fill.qty,
        partials=_partials(levels, fill, target),
        held_days=0,
        scheduled=None,
        flatten_at=_flatten_at(fill, policy),
        seen_key=None,
        seen_at=fill.at,
        closed_at=None,
        actions=(),
    )


def added(state: ExitState, *, qty: Decimal, price_usd: Decimal) -> ExitState:
    """More of the same entry order: levels become those of the average entry price.

    A stop already tightened and the trail never loosen; partials start again from the new
    quantity unless one has filled.
    """
    entry = state.entry
    total = entry.qty + qty
    average = micro((entry.price_usd * entry.qty + price_usd * qty) / total)
    before = opened(entry, state.policy, state.atr_usd)
    after = opened(replace(entry, qty=total, price_usd=average), state.policy, state.atr_usd)
    stop = after.stop_usd
    if state.stop_usd != state.initial_stop_usd:
        stop = tighter(state.stop_usd, stop, sign=state.sign)
    return replace(
        state,
        entry=after.entry,
        reference_usd=average,
        initial_stop_usd=after.initial_stop_usd,
        stop_usd=stop,
        target_usd=after.target_usd,
        best_usd=tighter(state.best_usd, average, sign=state.sign),
        open_qty=state.open_qty + qty,
        partials=after.partials if state.partials == before.partials else state.partials,
    )


def filled(state: ExitState, fill: ExitFill) -> ExitState:
    """The state after an exit fill, simulated or executed by a broker.

    A `partial` uses up the partial orders, nearest first, and lifts the stop to the entry.

    Raises:
        DataError: more than is open; the excess is an overfill, which the ledger books.
    """
    if not 0 < fill.qty <= state.open_qty:
        raise DataError(
            f"exit fill of {fill.qty} {fill.reason}, open {state.open_qty}: "
            "book what is open here and the excess as an overfill"
        )
    left = state.open_qty - fill.qty
    waiting = state.scheduled if left else None
    if fill.reason is not Reason.PARTIAL:
        return replace(state, open_qty=left, scheduled=waiting)
    stop = state.stop_usd
    if state.policy.breakeven_after_partial:
        even = rounded(state.reference_usd, up=state.sign > 0, tick_usd=state.entry.tick_usd)
        stop = tighter(stop, even, sign=state.sign)
    partials = _used(state.partials, fill.qty)
    return replace(state, open_qty=left, scheduled=waiting, stop_usd=stop, partials=partials)


def observed(state: ExitState, bar: Bar) -> ExitState:
    """The state after a bar was seen: its best price counts, its key never acts again.

    Of a bar that the entry filled inside only the close is known to lie after the fill.
    """
    return marked(state, bar) if state.is_open and not seen(state, bar) else state


def marked(state: ExitState, bar: Bar) -> ExitState:
    """What `observed` does with a bar that is new."""
    inside = bar.bar_key == state.entry.bar_key and not state.entry.at_open
    best = peak(state, bar, close_only=inside)
    return replace(state, best_usd=best, seen_key=bar.bar_key, seen_at=bar.ends_at)


def tightened(state: ExitState, stop_usd: Decimal) -> ExitState:
    """The state with a nearer stop, as moved by hand or by a portfolio rule; never a looser one."""
    return replace(state, stop_usd=tighter(state.stop_usd, stop_usd, sign=state.sign))


def seen(state: ExitState, bar: Bar) -> bool:
    """Whether the bar was checked before, or ended before the position was there."""
    return bar.bar_key == state.seen_key or bar.ends_at < state.seen_at


def peak(state: ExitState, bar: Bar, *, close_only: bool) -> Decimal:
    """The most favourable price, the bar included."""
    price = bar.high_usd if state.sign > 0 else bar.low_usd
    return tighter(state.best_usd, bar.close_usd if close_only else price, sign=state.sign)


def _partials(levels: Levels, fill: EntryFill, target_usd: Decimal | None) -> tuple[Partial, ...]:
    """Partial orders short of the target; one step is kept for stop and target."""
    sign = 1 if fill.direction is Direction.LONG else -1
    left, found = fill.qty - fill.qty_step, []
    for level, part in levels.partials:
        if target_usd is not None and sign * (target_usd - level) <= 0:
            break
        qty = min(whole(fill.qty * part, step=fill.qty_step), left)
        if qty > 0:
            found.append(Partial(level_usd=level, qty=qty))
            left -= qty
    return tuple(found)


def _used(partials: tuple[Partial, ...], qty: Decimal) -> tuple[Partial, ...]:
    left = []
    for partial in partials:
        used = min(partial.qty, qty)
        qty -= used
        if used < partial.qty:
            left.append(replace(partial, qty=partial.qty - used))
    return tuple(left)


def _flatten_at(fill: EntryFill, policy: ExitPolicy) -> datetime | None:
    if not policy.same_session:
        return None
    return sessions.close_at(fill.session) - FLATTEN_BEFORE_CLOSE
