"""How far from an entry its protective stop lies: one answer for who sizes and who protects.

Source: strategies specification, section 3.1; executor specification, section 5.
"""

from dataclasses import replace
from decimal import Decimal

from bft.domain.trading import ExitPolicy

ATR_STOP = 2.0
"""Multiples of the ATR where nothing names a stop."""


def policy_with_stop(policy: ExitPolicy | None, *, named: bool) -> ExitPolicy:
    """The policy, its stop 2 x ATR where neither it nor (`named`) the order tells one."""
    made = policy or ExitPolicy()
    if named or (policy is not None and (made.stop_frac or made.stop_atr)):
        return made
    return replace(made, stop_frac=None, stop_atr=ATR_STOP)


def floored_atr_usd(
    entry_usd: Decimal, policy: ExitPolicy, atr_usd: Decimal | None
) -> Decimal | None:
    """The ATR that levels are reckoned with, never below the policy's floor; None: unknown."""
    if atr_usd is None or not atr_usd.is_finite() or atr_usd <= 0:
        return None
    floor = policy.atr_floor_frac
    return atr_usd if floor is None else max(atr_usd, entry_usd * _decimal(floor))


def stop_distance_usd(
    entry_usd: Decimal, policy: ExitPolicy, atr_usd: Decimal | None
) -> Decimal | None:
    """From entry to stop, in USD a unit, of two distances the nearer.

    None: the policy names no stop, or one in ATR that is unknown. Its numbers are finite.
    """
    found = []
    if policy.stop_frac:
        found.append(entry_usd * _decimal(policy.stop_frac))
    if policy.stop_atr:
        atr = floored_atr_usd(entry_usd, policy, atr_usd)
        if atr is None:
            return None
        found.append(atr * _decimal(policy.stop_atr))
    return min(found, default=None)


def _decimal(value: float) -> Decimal:
    return Decimal(str(value))
