"""Which state an order may leave to which. Source: executor specification, section 3."""

from collections.abc import Mapping

from bft.domain.errors import DataError
from bft.domain.orders import Intent, IntentState

_S = IntentState
_ENDED_BY_BROKER = frozenset({_S.CANCELLED, _S.EXPIRED})
_ON_FILL = frozenset({_S.PARTIAL, _S.FILLED})
_WORKING = _ON_FILL | _ENDED_BY_BROKER | {_S.CANCEL_PENDING, _S.UNKNOWN}

MOVES: Mapping[IntentState, frozenset[IntentState]] = {
    _S.RESERVED: frozenset({_S.SENT, _S.LAPSED, _S.UNKNOWN}),
    _S.SENT: _ON_FILL | {_S.ACKED, _S.REJECTED, _S.UNKNOWN},
    _S.ACKED: _WORKING,
    _S.PARTIAL: _WORKING,
    _S.CANCEL_PENDING: _ON_FILL | {_S.CANCELLED, _S.UNKNOWN},
    _S.UNKNOWN: _WORKING - {_S.UNKNOWN} | {_S.ACKED, _S.REJECTED},
    _S.FILLED: frozenset(),
    _S.CANCELLED: frozenset(),
    _S.REJECTED: frozenset(),
    _S.EXPIRED: frozenset(),
    _S.LAPSED: frozenset(),
}
"""Moves by anything but an execution; terminal states have none."""


def may_move(old: IntentState, new: IntentState) -> bool:
    """Whether the table holds this move; staying is allowed."""
    return new is old or new in MOVES[old]


def check_move(intent: Intent, new: IntentState) -> None:
    """Refuse a move that the table does not hold.

    Raises:
        DataError: names the order, both states and what is allowed.
    """
    if not may_move(intent.state, new):
        allowed = ", ".join(sorted(MOVES[intent.state])) or "nothing: it is terminal"
        raise DataError(
            f"order {intent.intent_id} is {intent.state} and cannot become {new}; "
            f"allowed: {allowed}"
        )


def after_fill(state: IntentState, *, filled_qty: int, qty: int) -> IntentState:
    """State once executions add up to `filled_qty`; an execution is booked in any state.

    A late one ends as FILLED, or as PARTIAL then CANCELLED; what expired with a part filled stays
    EXPIRED. A correction that takes units back reopens a FILLED order as PARTIAL: only the broker
    knows what became of the rest.
    """
    if filled_qty >= qty:
        return _S.FILLED
    if filled_qty <= 0:
        return _S.ACKED if state in _ON_FILL else state
    if state in {_S.CANCELLED, _S.REJECTED, _S.LAPSED}:
        return _S.CANCELLED
    return state if state is _S.EXPIRED else _S.PARTIAL
