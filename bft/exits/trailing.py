"""The trailing stop: a ratchet that arms once and never loosens."""

from dataclasses import replace
from decimal import Decimal

from bft.domain.ticks import rounded
from bft.exits.levels import decimal
from bft.exits.state import ExitState, tighter

_HALF = Decimal("0.5")


def trailed(state: ExitState) -> ExitState:
    """The state with its trail moved to where `best_usd` puts it; acts from the next bar.

    A trail in fractions and one in ATR together: the tighter candidate.
    Source: strategies specification, 3.2.
    """
    policy = state.policy
    if not (policy.trail_frac or policy.trail_atr):
        return state
    gain = state.sign * (state.best_usd / state.reference_usd - 1)
    if not state.armed and gain < decimal(policy.activation_frac):
        return state
    level = state.trail_usd
    for distance in (_fraction_usd(state, gain), _atr_usd(state)):
        if distance is not None:
            candidate = rounded(
                state.best_usd - state.sign * distance,
                up=state.sign > 0,
                tick_usd=state.entry.tick_usd,
            )
            level = candidate if level is None else tighter(level, candidate, sign=state.sign)
    return replace(state, armed=True, trail_usd=level)


def _fraction_usd(state: ExitState, gain: Decimal) -> Decimal | None:
    policy = state.policy
    if not policy.trail_frac:
        return None
    progress = Decimal(0)
    if policy.target_frac:
        activation = decimal(policy.activation_frac)
        span = decimal(policy.target_frac) - activation
        progress = min(Decimal(1), max(Decimal(0), (gain - activation) / span))
    return state.best_usd * decimal(policy.trail_frac) * (1 - _HALF * progress)


def _atr_usd(state: ExitState) -> Decimal | None:
    if not state.policy.trail_atr or state.atr_usd is None:
        return None
    return state.atr_usd * decimal(state.policy.trail_atr)
