"""A cover: the exits of one entry, from its commitment to the last unit; pure.

What was filled is counted from the orders of the bracket, so that a repeated, reordered or
corrected report changes nothing twice. Source: executor specification, section 6.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from bft import exits
from bft.domain import sessions
from bft.domain.encoding import decode, encode
from bft.domain.errors import DataError
from bft.domain.orders import Contract, Execution, Intent, Leg
from bft.domain.trading import Direction, ExitPolicy
from bft.domain.trading_days import trading_day
from bft.ledger.records import Bracket

AT_OPEN = timedelta(minutes=1)  # a fill so soon after the open is the auction's
_LEVELS = {Leg.TARGET: exits.Reason.TARGET}


@dataclass(frozen=True, slots=True, kw_only=True)
class Under:
    """The underlying of an option and the exits on it; `reached` is why the option has to go."""

    contract: Contract
    state: exits.ExitState
    reached: exits.Reason | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A part of a cover that has to leave: until so many of its units were closed in all.

    `partial_qty` of what is left of it is for partials of the policy, whatever the orders say.
    """

    until_qty: int
    reason: exits.Reason
    partial_qty: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """`stop_usd`, `target_usd`: levels that the order named, in place of the policy's.

    `planned_stop_usd` went out with the entry, reckoned from the price expected then; the fill
    settles the level, and only a stop still at the planned one may loosen to it. `under` holds
    the exits of an option that are judged on its underlying.

    `state` is None before the first fill. `entry_qty`, `entry_cost_usd` and `exit_qty` are what
    was counted so far, `left_qty` of the last by orders to leave (neither stop nor target);
    `cut_qty` was sold or bought back by others. `part` leaves, the rest stays.
    `unwanted`: somebody closed it while its entry worked; what still fills leaves for that.
    Orders made before `rebased_at` stand at levels of before a dividend.
    """

    entry: str
    account: str
    contract: Contract
    direction: Direction
    policy: ExitPolicy
    strategy_id: str
    opened_at: datetime
    atr_usd: Decimal | None = None
    stop_usd: Decimal | None = None
    target_usd: Decimal | None = None
    planned_stop_usd: Decimal | None = None
    under: Under | None = None
    state: exits.ExitState | None = None
    entry_qty: int = 0
    entry_cost_usd: Decimal = Decimal(0)
    exit_qty: int = 0
    left_qty: int = 0
    cut_qty: int = 0
    part: Part | None = None
    unwanted: exits.Reason | None = None
    rebased_at: datetime | None = None

    @property
    def part_qty(self) -> int:
        """Units of the part that still have to leave."""
        left = self.part.until_qty - self.exit_qty if self.part else 0
        return max(0, min(self.open_qty, left))

    @property
    def partial_qty(self) -> int:
        """Units of the part that a partial of the policy takes."""
        return min(self.part_qty, self.part.partial_qty) if self.part else 0

    @property
    def open_qty(self) -> int:
        """Units still to protect."""
        return int(self.state.open_qty) if self.state else 0

    @property
    def sign(self) -> int:
        """+1 for a long position."""
        return 1 if self.direction is Direction.LONG else -1

    def planned_stop(self, price_usd: Decimal) -> Decimal:
        """Stop level if the entry filled at this price."""
        return exits.initial_levels(
            price_usd,
            self.policy,
            direction=self.direction,
            atr_usd=self.atr_usd,
            tick_usd=self.contract.tick_usd,
            stop_usd=self.stop_usd,
        ).stop_usd

    @property
    def oca_group(self) -> str:
        """The group of all its closing orders at the broker."""
        return f"bft1.{self.entry}"


def counted(
    cover: Cover, entry: Intent, legs: Sequence[Intent], fills: Iterable[Execution]
) -> Cover:
    """The cover after what its orders have filled by now.

    `legs` are its closing orders; `fills` the executions of the entry that count.
    """
    cover = _entered(cover, entry, list(fills))
    total = sum(leg.filled_qty for leg in legs)
    gone = sum(leg.filled_qty for leg in legs if leg.leg is Leg.EXIT)
    left, newly = total - cover.exit_qty, gone - cover.left_qty
    partial = max(0, min(newly, left, cover.partial_qty))
    cover = replace(cover, exit_qty=total, left_qty=gone)
    if left > 0 and cover.open_qty:
        return _exited(_partially(cover, legs, partial), legs, left - partial)
    if left < 0 and cover.state is not None:
        state = replace(cover.state, open_qty=cover.state.open_qty - left)
        return replace(cover, state=state)
    return cover


def cut(cover: Cover, qty: int, *, at: datetime) -> Cover:
    """The cover after `qty` of its units were closed by somebody else."""
    qty = min(qty, cover.open_qty)
    if cover.state is None or qty <= 0:
        return cover
    fill = _exit_fill(cover.state, qty, exits.Reason.MANUAL, at)
    state = exits.filled(cover.state, fill)
    return replace(cover, state=state, cut_qty=cover.cut_qty + qty)


def parted(cover: Cover, qty: int, reason: exits.Reason) -> Cover:
    """The cover once `qty` more of its units have to leave, beyond what leaves already."""
    until = cover.exit_qty + min(cover.open_qty, cover.part_qty + qty)
    partial = cover.partial_qty + (qty if reason is exits.Reason.PARTIAL else 0)
    return replace(cover, part=Part(until_qty=until, reason=reason, partial_qty=partial))


def rescaled(cover: Cover, ratio: Decimal, *, key: str) -> Cover:
    """The cover after a split of `ratio` new units per old one; `key` acts once."""
    if cover.state is None:
        return cover
    return replace(
        cover,
        state=exits.split(cover.state, ratio, key=key),
        cut_qty=int(cover.cut_qty * ratio),
        part=cover.part
        and replace(
            cover.part,
            until_qty=cover.exit_qty + int(cover.part_qty * ratio),
            partial_qty=int(cover.partial_qty * ratio),
        ),
    )


def _entered(cover: Cover, entry: Intent, fills: list[Execution]) -> Cover:
    """Count the entry's fills up to what was ordered; the excess is an overfill."""
    qty = min(entry.filled_qty, entry.qty)
    filled = sum(told.qty for told in fills)
    paid = sum((told.price_usd * told.qty for told in fills), Decimal(0))
    if qty == cover.entry_qty or filled <= 0 < qty:  # fills that memory let go stay counted
        return cover
    if qty == 0:  # every fill was busted: the next one is the first
        return replace(cover, state=None, entry_qty=0, entry_cost_usd=Decimal(0))
    cost = paid * qty / filled
    more = qty - cover.entry_qty
    state = cover.state
    if state is None:
        state = exits.opened(_fill(cover, qty, cost / qty, fills[0]), cover.policy, cover.atr_usd)
    elif more > 0:
        price = (cost - cover.entry_cost_usd) / more
        state = exits.added(state, qty=Decimal(more), price_usd=max(price, Decimal("0.000001")))
    else:
        state = replace(state, open_qty=max(Decimal(0), state.open_qty + more))
    if more > 0 and cover.unwanted is not None:  # also after an earlier piece has left
        state = exits.schedule(state, cover.unwanted)
    return replace(cover, state=state, entry_qty=qty, entry_cost_usd=cost)


def _fill(cover: Cover, qty: int, price_usd: Decimal, first: Execution) -> exits.EntryFill:
    session = trading_day(first.at, sec_type=cover.contract.sec_type)
    return exits.EntryFill(
        direction=cover.direction,
        price_usd=price_usd,
        qty=Decimal(qty),
        bar_key=session.isoformat(),
        session=session,
        at=first.at,
        at_open=first.at <= sessions.open_at(session) + AT_OPEN,
        tick_usd=cover.contract.tick_usd,
        stop_usd=cover.stop_usd,
        target_usd=cover.target_usd,
    )


def _partially(cover: Cover, legs: Sequence[Intent], qty: int) -> Cover:
    """Book newly filled units of partials first, whichever order of the part brought them."""
    if not qty or cover.state is None or cover.part is None:
        return cover
    at = _latest(cover, legs).sent_at or cover.opened_at
    fill = _exit_fill(cover.state, min(qty, cover.open_qty), exits.Reason.PARTIAL, at)
    part = replace(cover.part, partial_qty=cover.part.partial_qty - qty)
    return replace(cover, part=part, state=exits.filled(cover.state, fill))


def _exited(cover: Cover, legs: Sequence[Intent], left: int) -> Cover:
    """Book newly filled exits; what exceeds the position is an overfill of the account's."""
    qty = min(left, cover.open_qty)
    if cover.state is None or not qty:
        return cover
    last = _latest(cover, legs)
    reason = reason_of(last, cover.state)
    if reason is exits.Reason.PARTIAL:  # those of partials are booked already
        reason = exits.Reason.MANUAL
    at = last.ended_at or last.sent_at or cover.opened_at
    return replace(cover, state=exits.filled(cover.state, _exit_fill(cover.state, qty, reason, at)))


def _latest(cover: Cover, legs: Sequence[Intent]) -> Intent:
    """The order that filled last: one that still works before those that have ended."""
    return max(
        legs,
        key=lambda leg: (
            leg.filled_qty > 0,
            leg.ended_at is None,
            leg.ended_at or leg.sent_at or cover.opened_at,
        ),
    )


def stop_reason(cover: Cover) -> str:
    """What its resting stop stands for: the level of the stop or of the trail."""
    state = cover.state
    return str(exits.protective(state).stop_reason if state else exits.Reason.STOP)


def reason_of(leg: Intent, state: exits.ExitState) -> exits.Reason:
    """Why a closing order closed; a stop's name is that of the level it stood for."""
    if leg.leg is Leg.STOP:
        return exits.protective(state).stop_reason
    if leg.leg in _LEVELS:
        return _LEVELS[leg.leg]
    known = {reason.value: reason for reason in exits.Reason}
    return known.get(leg.reason, exits.Reason.MANUAL)


def _exit_fill(
    state: exits.ExitState, qty: int, reason: exits.Reason, at: datetime
) -> exits.ExitFill:
    session = sessions.on_or_before(at.astimezone(sessions.NEW_YORK).date())
    partial = reason is exits.Reason.PARTIAL
    return exits.ExitFill(
        qty=Decimal(qty),
        price_usd=state.reference_usd,
        reason=reason if not partial or state.partials else exits.Reason.TARGET,
        moment=exits.Moment.INSIDE,
        bar_key=at.isoformat(),
        session=session,
        at=at,
    )


def left_because(cover: Cover, legs: Iterable[Intent]) -> exits.Reason:
    """Why the last closing order that filled did so."""
    filled = [leg for leg in legs if leg.filled_qty]
    if not filled or cover.state is None:
        return exits.Reason.MANUAL
    return reason_of(max(filled, key=lambda leg: leg.ended_at or cover.opened_at), cover.state)


def to_bracket(cover: Cover, *, at: datetime, closed: bool) -> Bracket:
    """The ledger's row of a cover."""
    return Bracket(
        account=cover.account,
        con_id=cover.contract.con_id,
        entry=cover.entry,
        at=at,
        opened_at=cover.opened_at,
        exit_state=encode(cover),
        closed_at=at if closed else None,
    )


def from_bracket(bracket: Bracket) -> Cover:
    """The cover of `to_bracket`.

    Raises:
        DataError: the stored state is not one; names the entry.
    """
    try:
        return decode(Cover, bracket.exit_state)
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise DataError(
            f"exits of {bracket.entry} are unreadable ({type(error).__name__}: {error}); "
            "run: bft ledger verify"
        ) from error
