"""What must change at the broker so that a position is protected: pure, one bracket at a time.

The remaining quantity of live stops must equal the open quantity.
Source: executor specification, section 6.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from bft.domain.orders import Intent, IntentState, Leg

REPLACE_S, FLATTEN_S = 5.0, 7.0  # a gap that old: another stop; a closing order at the market
YOUNG_S = 2.0  # a leg gets so long to answer before it counts as silent
AMEND_EVERY_S = 5.0
TARGET_ATTEMPTS = 3  # a target that is refused again and again is left out: the stop protects


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What `exits.protective` says: open units, stop and target level, tick.

    `sign` is +1 for a long position. `working` tells whether the entry may still fill, `filled`
    whether it has, as far as is known for sure. A stop at `planned_stop_usd` was placed before the
    fill was known and takes any level.
    """

    qty: int
    sign: int
    stop_price_usd: Decimal
    target_price_usd: Decimal | None
    tick_usd: Decimal
    working: bool
    filled: bool = False
    planned_stop_usd: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Send a new leg of so many units."""

    leg: Leg
    qty: int
    price_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Amend:
    """Change a live leg: `remaining` units still to fill, at a price."""

    intent: Intent
    remaining: int
    price_usd: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Cancel a leg."""

    intent: Intent
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Flatten:
    """No stop can be made live: close at the market."""

    qty: int
    why: str


Action = Place | Amend | Cancel | Flatten
Age = Callable[[Intent], float]
"""Seconds since a leg last changed its state or was amended."""


def is_live(leg: Intent) -> bool:
    """A leg that works at the broker now: acknowledged and not held as somebody's child."""
    acknowledged = leg.state in {IntentState.ACKED, IntentState.PARTIAL}
    held = leg.broker_status == "PreSubmitted" and "child" in leg.why_held
    return acknowledged and leg.broker_status in {"PreSubmitted", "Submitted"} and not held


def may_fill(leg: Intent) -> bool:
    """A leg that works at the broker or may come to: not ended, nobody's held child."""
    held = leg.broker_status == "PreSubmitted" and "child" in leg.why_held
    return not leg.state.terminal and not held


def protected_qty(legs: Sequence[Intent]) -> int:
    """Units that live stops would close, or exits beside a group, for which stops made room."""
    return sum(leg.remaining_qty for leg in legs if is_live(leg) and _closes(leg))


def stopped_qty(legs: Iterable[Intent]) -> int:
    """Units that live stops would close."""
    return sum(leg.remaining_qty for leg in legs if leg.leg is Leg.STOP and is_live(leg))


def _closes(leg: Intent) -> bool:
    return leg.leg is Leg.STOP or (leg.leg is Leg.EXIT and not leg.oca_group)


def unprotected_qty(held: Mapping[int, int], legs: Sequence[Intent]) -> int:
    """Units that nothing live closes; `held` is by contract, as one's excess protects no other."""
    stops = Counter[int]()
    for leg in legs:
        stops[leg.contract.con_id] += protected_qty([leg])
    return sum(max(0, abs(qty) - stops[con_id]) for con_id, qty in held.items())


def plan(desired: Desired, legs: Sequence[Intent], *, gap_s: float, age_s: Age) -> list[Action]:
    """Actions that bring the legs of one bracket to what is desired; none when they agree.

    `legs` are all stop and target legs of the bracket that ever were, oldest first. `gap_s` is how
    long live stops have covered less than the open quantity.
    """
    if desired.qty == 0:
        if not desired.working:
            return _cancel_all(legs)
        return _cancel_live(legs, age_s) if desired.filled else []
    stops = [leg for leg in legs if leg.leg is Leg.STOP]
    targets = [leg for leg in legs if leg.leg is Leg.TARGET]
    actions = _stops(desired, stops, gap_s, age_s)
    if desired.target_price_usd is not None and not any(isinstance(a, Flatten) for a in actions):
        actions += _targets(desired, targets, age_s)
    return actions


def _cancel_all(legs: Sequence[Intent]) -> list[Action]:
    ends = (IntentState.CANCEL_PENDING, IntentState.RESERVED)
    return [
        Cancel(intent=leg, why="position closed")
        for leg in legs
        if not leg.state.terminal and leg.state not in ends
    ]


def _cancel_live(legs: Sequence[Intent], age_s: Age) -> list[Action]:
    """Others closed what the entry has filled so far: what works would open the other way.

    Children still held wait for the next fill; a leg that has just come to life may be ahead of
    the report of the fill that freed it.
    """
    return [
        Cancel(intent=leg, why="position closed")
        for leg in legs
        if is_live(leg) and age_s(leg) >= YOUNG_S
    ]


def _stops(desired: Desired, stops: Sequence[Intent], gap_s: float, age_s: Age) -> list[Action]:
    live = [leg for leg in stops if is_live(leg)]
    covered = sum(leg.remaining_qty for leg in live)
    if covered >= desired.qty:
        return _trim(desired, live, covered, age_s)
    if gap_s >= FLATTEN_S and not live:
        return [Flatten(qty=desired.qty, why="no stop came to life in 7 s")]
    silent = [leg for leg in stops if _silent(leg, working=desired.working)]
    if any(age_s(leg) < YOUNG_S or gap_s < REPLACE_S for leg in silent):
        return []
    if live and gap_s < REPLACE_S:
        newest = live[-1]
        more = newest.remaining_qty + desired.qty - covered
        return [Amend(intent=newest, remaining=more, price_usd=_tighter(desired, newest))]
    # where changes are refused, a stop of its own covers what is missing
    return [*_give_up(silent), *_new_stop(desired, stops, desired.qty - covered)]


def _give_up(silent: Sequence[Intent]) -> list[Action]:
    return [
        Cancel(intent=leg, why="silent for 5 s")
        for leg in silent
        if leg.state is not IntentState.CANCEL_PENDING
    ]


def _new_stop(desired: Desired, stops: Sequence[Intent], qty: int) -> list[Action]:
    """A new stop; the market where the last two were refused."""
    if [leg.state for leg in stops[-2:]] == [IntentState.REJECTED] * 2:
        return [Flatten(qty=desired.qty, why="two stops in a row were refused")]
    return [Place(leg=Leg.STOP, qty=qty, price_usd=desired.stop_price_usd)]


def _trim(desired: Desired, live: list[Intent], covered: int, age_s: Age) -> list[Action]:
    """Take away what is too much, newest first; then move the price of what stays."""
    excess, actions, kept = covered - desired.qty, list[Action](), list[Intent]()
    for leg in reversed(live):
        if excess >= leg.remaining_qty > 0:
            excess -= leg.remaining_qty
            actions.append(Cancel(intent=leg, why="more protection than position"))
        elif excess > 0:
            actions.append(
                Amend(
                    intent=leg,
                    remaining=leg.remaining_qty - excess,
                    price_usd=_tighter(desired, leg),
                )
            )
            excess = 0
        else:
            kept.append(leg)
    return actions + [
        Amend(intent=leg, remaining=leg.remaining_qty, price_usd=desired.stop_price_usd)
        for leg in kept
        if _moves(desired, leg) and (_as_planned(desired, leg) or age_s(leg) >= AMEND_EVERY_S)
    ]


def _targets(desired: Desired, targets: Sequence[Intent], age_s: Age) -> list[Action]:
    price = desired.target_price_usd
    if price is None:
        return []
    live = [leg for leg in targets if is_live(leg)]
    if any(_silent(leg, working=False) for leg in targets):
        return []
    if not live:
        tried = sum(1 for leg in targets if leg.state is IntentState.REJECTED)
        new = Place(leg=Leg.TARGET, qty=desired.qty, price_usd=price)
        return [new] if tried < TARGET_ATTEMPTS else []
    extra: list[Action] = [Cancel(intent=leg, why="second target") for leg in live[1:]]
    first = live[0]
    differs = first.remaining_qty != desired.qty or first.limit_price_usd != price
    if differs and (first.remaining_qty > desired.qty or age_s(first) >= AMEND_EVERY_S):
        extra.append(Amend(intent=first, remaining=desired.qty, price_usd=price))
    return extra


def _silent(leg: Intent, *, working: bool) -> bool:
    """Neither live nor ended: on its way, doubtful, or held although its parent is done.

    A child held while its entry still works is no answer: the filled part needs its own stop.
    """
    if leg.state.terminal or is_live(leg):
        return False
    acknowledged = leg.state in {IntentState.ACKED, IntentState.PARTIAL}
    return not (acknowledged and working)


def _moves(desired: Desired, leg: Intent) -> bool:
    """The desired stop is at least a tick tighter; the resting one never loosens by itself."""
    if leg.stop_price_usd is None:
        return True
    tighter_by = desired.sign * (desired.stop_price_usd - leg.stop_price_usd)
    if _as_planned(desired, leg):
        return abs(tighter_by) >= desired.tick_usd
    return tighter_by >= desired.tick_usd


def _as_planned(desired: Desired, leg: Intent) -> bool:
    """The stop is where it was put before the fill was known."""
    planned = desired.planned_stop_usd
    return planned is not None and leg.stop_price_usd == planned


def _tighter(desired: Desired, leg: Intent) -> Decimal:
    if leg.stop_price_usd is None or _as_planned(desired, leg):
        return desired.stop_price_usd
    tighter = max if desired.sign > 0 else min
    return tighter(desired.stop_price_usd, leg.stop_price_usd)
