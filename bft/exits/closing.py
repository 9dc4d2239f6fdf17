"""Check 8: what the close of a bar decides, and exits scheduled for the next open."""

from dataclasses import dataclass, replace
from datetime import datetime

from bft.domain.errors import DataError
from bft.exits.position import peak
from bft.exits.state import Bar, ExitState, Reason
from bft.exits.trailing import trailed

# executor specification, section 6: with several reasons, flatten comes first
_RANK = (Reason.FLATTEN, Reason.RISK, Reason.MANUAL, Reason.TIME, Reason.FLIP, Reason.RULE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Close:
    """A finished bar of the size its strategy decides on, and the strategy's verdict at its close.

    `ends_session` is true for daily bars and for the last intraday bar of a session.
    """

    bar: Bar
    ends_session: bool = True
    flip: bool = False
    rule: bool = False


def at_close(state: ExitState, row: Close) -> tuple[ExitState, Reason | None]:
    """Move best price and trail, count the session, and schedule a time, flip or rule exit.

    Returns the state and what is scheduled for the next open, if anything. A close seen before,
    an older one and one before the entry change nothing. Source: strategies specification, 3.3.
    """
    bar = row.bar
    old = state.closed_at is not None and bar.ends_at <= state.closed_at
    if not state.is_open or old or bar.ends_at < state.entry.at:
        return state, state.scheduled
    closed = replace(
        state,
        best_usd=peak(state, bar, close_only=_holds_entry(state, bar)),
        held_days=state.held_days + row.ends_session,
        closed_at=bar.ends_at,
    )
    closed, _ = on_clock(trailed(closed), bar.ends_at)
    limit = closed.policy.max_hold_days
    matured = closed.held_days >= closed.policy.min_hold_days
    if limit and closed.held_days >= limit:
        closed = schedule(closed, Reason.TIME)
    if row.flip and matured:
        closed = schedule(closed, Reason.FLIP)
    if row.rule and matured:
        closed = schedule(closed, Reason.RULE)
    return closed, closed.scheduled


def on_clock(state: ExitState, at: datetime) -> tuple[ExitState, Reason | None]:
    """Schedule what the clock alone demands: end of the session, or of a hold in seconds.

    For a monitor whose bars may stop coming; `at_close` calls it with the end of its bar.
    """
    longest = state.policy.max_hold_s
    if state.is_open and state.flatten_at is not None and at >= state.flatten_at:
        state = schedule(state, Reason.FLATTEN)
    if state.is_open and longest and (at - state.entry.at).total_seconds() >= longest:
        state = schedule(state, Reason.TIME)
    return state, state.scheduled


def schedule(state: ExitState, reason: Reason) -> ExitState:
    """The state with an exit of all that is open at the next open; of two reasons the first stays.

    Order: flatten, risk, manual, time, flip, rule.

    Raises:
        DataError: a reason that is a level's.
    """
    if reason not in _RANK:
        raise DataError(f"an exit for {reason} is not scheduled; use one of {', '.join(_RANK)}")
    if not state.is_open:
        return state
    first = min((r for r in (state.scheduled, reason) if r is not None), key=_RANK.index)
    return replace(state, scheduled=first)


def _holds_entry(state: ExitState, bar: Bar) -> bool:
    """Whether the entry filled inside this bar, or inside the session this daily bar covers."""
    keys = {state.entry.bar_key, state.entry.session.isoformat()}
    return not state.entry.at_open and bar.bar_key in keys
