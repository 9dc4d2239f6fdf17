"""Corporate actions, applied before the bar of their session."""

from dataclasses import replace
from decimal import Decimal

from bft.domain.errors import DataError
from bft.domain.ticks import micro, rounded
from bft.exits.levels import whole
from bft.exits.state import EntryFill, ExitState, Partial

SPECIAL_FRAC = Decimal("0.10")  # strategies specification, 3.1: dividends from here on move levels


def split(state: ExitState, ratio: Decimal, *, key: str) -> ExitState:
    """The state after a split of `ratio` new shares per old one; `key` names it and acts once.

    Quantities times the ratio, whole steps down (the rest is paid in cash, by the ledger); prices
    over the ratio, levels on their tick again. Source: strategies specification, 3.1.

    Raises:
        DataError: a ratio that is not positive.
    """
    if not ratio > 0:
        raise DataError(f"{key}: split ratio {ratio} is not positive; correct the actions table")
    if key in state.actions:
        return state
    step = state.entry.qty_step
    scaled = _scaled(state, 1 / ratio, key)
    parts = [(p, whole(p.qty * ratio, step=step)) for p in scaled.partials]
    return replace(
        scaled,
        entry=_split_entry(state, ratio),
        initial_stop_usd=_level(state, state.initial_stop_usd / ratio),
        open_qty=whole(state.open_qty * ratio, step=step),
        partials=tuple(replace(p, qty=qty) for p, qty in parts if qty > 0),
    )


def dividend(
    state: ExitState, amount_usd: Decimal, prior_close_usd: Decimal, *, key: str
) -> ExitState:
    """The state after a cash dividend; below a tenth of the prior close nothing moves.

    Levels, best price, reference and ATR then times (C' - amount)/C'; entry price and initial stop
    stay, as P&L counts the cash. `key` names it and acts once. Source: strategies specification,
    3.1.

    Raises:
        DataError: an amount that is negative or reaches the prior close.
    """
    if not 0 <= amount_usd < prior_close_usd:
        raise DataError(
            f"{key}: dividend {amount_usd} with a prior close of {prior_close_usd}; "
            "correct the actions table"
        )
    if key in state.actions or amount_usd < SPECIAL_FRAC * prior_close_usd:
        return state
    return _scaled(state, (prior_close_usd - amount_usd) / prior_close_usd, key)


def _split_entry(state: ExitState, ratio: Decimal) -> EntryFill:
    entry = state.entry
    stop, target = entry.stop_usd, entry.target_usd
    return replace(
        entry,
        qty=whole(entry.qty * ratio, step=entry.qty_step),
        price_usd=micro(entry.price_usd / ratio),
        stop_usd=None if stop is None else _level(state, stop / ratio),
        target_usd=None if target is None else _target(state, target / ratio),
    )


def _scaled(state: ExitState, factor: Decimal, key: str) -> ExitState:
    target, trail, atr = state.target_usd, state.trail_usd, state.atr_usd
    return replace(
        state,
        atr_usd=None if atr is None else micro(atr * factor),
        reference_usd=micro(state.reference_usd * factor),
        best_usd=micro(state.best_usd * factor),
        stop_usd=_level(state, state.stop_usd * factor),
        target_usd=None if target is None else _target(state, target * factor),
        trail_usd=None if trail is None else _level(state, trail * factor),
        partials=tuple(
            Partial(level_usd=_target(state, p.level_usd * factor), qty=p.qty)
            for p in state.partials
        ),
        actions=(*state.actions, key),
    )


def _level(state: ExitState, price_usd: Decimal) -> Decimal:
    return rounded(price_usd, up=state.sign > 0, tick_usd=state.entry.tick_usd)


def _target(state: ExitState, price_usd: Decimal) -> Decimal:
    return rounded(price_usd, up=state.sign < 0, tick_usd=state.entry.tick_usd)
