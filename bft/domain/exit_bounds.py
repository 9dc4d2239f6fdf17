"""How large the fields of an exit policy may be: what lies beyond is a mistake, or worse.

Source: executor specification, section 4 (rule 8); strategies specification, section 2.3, whose
sweeps lie well inside; decision record 0160.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from bft.domain.trading import ExitPolicy

MOST_COOLDOWN_DAYS = 252  # sessions: a year
MOST_COOLDOWN_S = 366 * 86_400
MOST_HOLD_DAYS = 10_000  # as bodies of orders have it
MOST_HOLD_S = 366 * 86_400
MOST_PARTIALS = 20
_ABOVE_0 = {
    "stop_atr": 100.0,
    "target_frac": 10.0,
    "target_atr": 100.0,
    "target_risk": 100.0,
    "trail_atr": 100.0,
}
_BELOW_1 = ("stop_frac", "trail_frac", "atr_floor_frac")
_WHOLE = {
    "max_hold_days": MOST_HOLD_DAYS,
    "min_hold_days": MOST_HOLD_DAYS,
    "cooldown_days": MOST_COOLDOWN_DAYS,
    "max_hold_s": MOST_HOLD_S,
    "cooldown_s": MOST_COOLDOWN_S,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beyond:
    """A field that holds what no exit can have, and in words what it may hold."""

    name: str
    value: str
    limit: str


def beyond(policy: ExitPolicy) -> Beyond | None:
    """The first field that lies outside its bounds; no number (NaN, infinite) lies in any."""
    return next(_beyond(policy), None)


def _beyond(policy: ExitPolicy) -> Iterator[Beyond]:
    for name, most in _ABOVE_0.items():
        value = getattr(policy, name)
        if value is not None and not 0 < value <= most:
            yield _told(name, value, f"above 0, at most {most:g}")
    for name in _BELOW_1:
        value = getattr(policy, name)
        if value is not None and not 0 < value < 1:
            yield _told(name, value, "above 0, below 1")
    for name, whole in _WHOLE.items():
        value = getattr(policy, name)
        if value is not None and not 0 <= value <= whole:
            yield _told(name, value, f"0 to {whole}")
    yield from _of_activation(policy)
    yield from _of_partials(policy)


def _told(name: str, value: object, limit: str) -> Beyond:
    return Beyond(name=name, value=str(value)[:40], limit=limit)


def _of_activation(policy: ExitPolicy) -> Iterator[Beyond]:
    value, target = policy.activation_frac, policy.target_frac
    if not 0 <= value <= _ABOVE_0["target_frac"]:
        limit = f"0 to {_ABOVE_0['target_frac']:g}"
        yield _told("activation_frac", value, limit)
    elif target is not None and value >= target:
        limit = f"below target_frac {target}"
        yield _told("activation_frac", value, limit)


def _of_partials(policy: ExitPolicy) -> Iterator[Beyond]:
    made, most = policy.partials, _ABOVE_0["target_frac"]
    if len(made) > MOST_PARTIALS:
        yield _told("partials", len(made), f"at most {MOST_PARTIALS}")
    for gain, part in made:
        if not (0 < gain <= most and 0 < part <= 1):
            limit = f"a gain above 0, at most {most:g}, and a fraction above 0, at most 1"
            yield _told("partials", f"{gain}, {part}", limit)
            return
    total = sum((Decimal(str(part)) for _, part in made), Decimal(0))
    if total > 1:
        yield _told("partials", float(total), "fractions of 1 in all")
