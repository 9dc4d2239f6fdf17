"""Stop, target and partial levels, their rounding, and what has to rest at the broker."""

from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal

from bft.domain.errors import DataError
from bft.domain.stops import floored_atr_usd, stop_distance_usd
from bft.domain.ticks import MICRO, SUB_PENNY, micro, rounded
from bft.domain.trading import Direction, ExitPolicy
from bft.exits.state import ExitState, Partial, Reason, tighter


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """Levels in USD of a position at entry; `partials` are (level, fraction), nearest first."""

    stop_usd: Decimal
    target_usd: Decimal | None
    partials: tuple[tuple[Decimal, Decimal], ...]
    atr_usd: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Protective:
    """What has to rest at the broker: a stop for `qty`, limits for `target_qty` and each partial.

    The limits together never exceed `qty`; without a target `target_qty` is 0.
    """

    qty: Decimal
    stop_usd: Decimal
    stop_reason: Reason
    target_usd: Decimal | None
    target_qty: Decimal
    partials: tuple[Partial, ...]


def decimal(value: float) -> Decimal:
    """A parameter as the decimal number a person wrote."""
    return Decimal(str(value))


def initial_levels(
    entry_usd: Decimal,
    policy: ExitPolicy,
    *,
    direction: Direction,
    atr_usd: Decimal | None,
    tick_usd: Decimal | None = None,
    stop_usd: Decimal | None = None,
) -> Levels:
    """Levels of a position entered at `entry_usd`; `stop_usd` is a stop that the order named.

    Several distances for one level: the nearest. A level that rounding puts on the entry moves one
    tick away from it, and none is below one tick.

    Raises:
        DataError: no stop distance or an ATR that is needed and unknown (`no_stop`), a negative
            number, a stop not in (0, 1), a trail that arms at or beyond the target.

    Source: strategies specification, 3.1.
    """
    _check(policy)
    sign = 1 if direction is Direction.LONG else -1
    inward = sign < 0  # targets round towards the entry
    atr = _atr(entry_usd, policy, atr_usd)
    risk = stop_distance_usd(entry_usd, policy, atr_usd)
    stop = stop_usd
    if stop is None:
        if risk is None:
            raise DataError("no_stop: name a stop price, or set stop_frac in (0, 1) or stop_atr")
        stop = _beyond(entry_usd, -sign * risk, up=sign > 0, tick_usd=tick_usd)
    gain = _nearest(
        _away(entry_usd, policy.target_frac),
        _away(atr, policy.target_atr),
        _away(abs(entry_usd - stop), policy.target_risk),
    )
    target = gain and _beyond(entry_usd, sign * gain, up=inward, tick_usd=tick_usd)
    partials = [
        (_beyond(entry_usd, sign * entry_usd * decimal(at), up=inward, tick_usd=tick_usd), part)
        for at, part in sorted(policy.partials)
    ]
    return Levels(
        stop_usd=stop,
        target_usd=target,
        partials=tuple((level, decimal(part)) for level, part in partials),
        atr_usd=atr,
    )


def protective_level(state: ExitState) -> tuple[Decimal, Reason]:
    """The tighter of stop and trail, and its name; a tie is the stop's."""
    stop, trail = state.stop_usd, state.trail_usd
    if trail is None or tighter(stop, trail, sign=state.sign) == stop:
        return stop, Reason.STOP
    return trail, Reason.TRAIL


def resting_partials(state: ExitState) -> tuple[Partial, ...]:
    """Partials still to fill, cut so that one step of the position is always kept."""
    if not state.partials:
        return ()
    left, found = state.open_qty - state.entry.qty_step, []
    for partial in state.partials:
        qty = min(partial.qty, left)
        if qty > 0:
            found.append(Partial(level_usd=partial.level_usd, qty=qty))
            left -= qty
    return tuple(found)


def protective(state: ExitState) -> Protective:
    """Stop, target and partial orders that protect what is open; quantities are 0 when closed."""
    level, reason = protective_level(state)
    partials = resting_partials(state)
    rest = state.open_qty - sum(partial.qty for partial in partials)
    return Protective(
        qty=state.open_qty,
        stop_usd=level,
        stop_reason=reason,
        target_usd=state.target_usd,
        target_qty=rest if state.target_usd is not None else Decimal(0),
        partials=partials,
    )


def whole(qty: Decimal, *, step: Decimal) -> Decimal:
    """A quantity in whole steps, rounded down; noise below a micro-share is none."""
    return (micro(qty) / step).to_integral_value(ROUND_FLOOR) * step


def _check(policy: ExitPolicy) -> None:
    names = "stop_atr target_frac target_atr target_risk trail_frac trail_atr activation_frac"
    wrong = [name for name in names.split() if (getattr(policy, name) or 0) < 0]
    wrong += ["partials" for at, part in policy.partials if at <= 0 or not 0 < part <= 1]
    if policy.stop_frac is not None and not 0 < policy.stop_frac < 1:
        wrong.append("stop_frac")
    if policy.target_frac and policy.activation_frac >= policy.target_frac:
        wrong.append("activation_frac")
    if wrong:
        values = ", ".join(f"{name} {getattr(policy, name)}" for name in dict.fromkeys(wrong))
        raise DataError(
            f"exit policy: {values}; stop_frac lies in (0, 1), activation_frac below target_frac, "
            "nothing is negative"
        )


def _atr(entry_usd: Decimal, policy: ExitPolicy, atr_usd: Decimal | None) -> Decimal | None:
    atr = floored_atr_usd(entry_usd, policy, atr_usd)
    needed = policy.stop_atr or policy.target_atr or policy.trail_atr
    if needed and atr is None:
        raise DataError(f"no_stop: the policy needs an ATR and it is {atr_usd}; do not enter")
    return atr


def _away(unit_usd: Decimal | None, multiple: float | None) -> Decimal | None:
    return None if unit_usd is None or not multiple else unit_usd * decimal(multiple)


def _nearest(*distances_usd: Decimal | None) -> Decimal | None:
    return min((d for d in distances_usd if d is not None), default=None)


def _beyond(
    entry_usd: Decimal, distance_usd: Decimal, *, up: bool, tick_usd: Decimal | None
) -> Decimal:
    """`entry + distance` on its tick, at least a tick from the entry and from zero."""
    raw = entry_usd + distance_usd
    smallest = MICRO if tick_usd == 0 else tick_usd or SUB_PENNY
    if raw < smallest:
        return smallest
    level = rounded(raw, up=up, tick_usd=tick_usd)
    if (level - entry_usd) * distance_usd > 0:
        return level
    return rounded(raw, up=not up, tick_usd=tick_usd)
