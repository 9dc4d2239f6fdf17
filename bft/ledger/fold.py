"""The journal's fold: an entry changes the state and says which rows change with it.

Deterministic: no clock, no I/O, nothing but state and entry. An entry that does not fit raises
before anything has changed. Source: executor specification, section 2; decision record 23.
"""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from bft.domain.errors import DataError
from bft.domain.journal import Entry, RowChange
from bft.ledger import fold_control, fold_fills, fold_orders
from bft.ledger.changes import Changes
from bft.ledger.limits import settle
from bft.ledger.state import BookState
from bft.ledger.trim import trim

_Handler = Callable[[BookState, Changes, Mapping[str, Any], datetime], None]

HANDLERS: Mapping[str, _Handler] = {
    "boot": fold_control.boot,
    "epoch": fold_control.epoch,
    "signal": fold_orders.signal,
    "decision": fold_orders.decision,
    "refusal": fold_orders.refusal,
    "intents": fold_orders.intents,
    "sent": fold_orders.sent,
    "lapsed": fold_orders.lapsed,
    "state": fold_orders.moved,
    "order": fold_orders.order,
    "execution": fold_fills.execution,
    "fee": fold_fills.fee,
    "adjustment": fold_fills.adjustment,
    "split": fold_fills.adjustment,
    "bracket": fold_control.bracket,
    "exit_scheduled": fold_control.exit_scheduled,
    "bare_close": fold_control.bare_close,
    "bare_closed": fold_control.bare_closed,
    "mark": fold_control.mark,
    "halt": fold_control.halt,
    "resume": fold_control.resume,
    "kill": fold_control.kill,
    "unkill": fold_control.unkill,
    "cooldown": fold_control.cooldown,
    "override": fold_control.override,
    "limits": fold_control.equity,
    "snapshot": fold_control.snapshot,
    "reconciliation": fold_control.reconciliation,
    "contract": fold_control.contract,
    "trade": fold_control.trade,
    "event": fold_control.event,
    "alert": fold_control.event,
    "claim": fold_control.claim,
    "auth_failure": fold_control.auth_failure,
}


def apply(state: BookState, entry: Entry) -> tuple[RowChange, ...]:
    """Change the state; the rows that change with it, whole, the last value of each.

    Raises:
        DataError: an unknown kind, an order that does not exist, a move that the table of states
            does not hold. The state is as before.
    """
    handler = HANDLERS.get(entry.kind)
    if handler is None:
        raise DataError(f"journal entry of unknown kind {entry.kind!r}; it needs a newer bft")
    trim(state, at=entry.at)
    changes = Changes()
    handler(state, changes, entry.body, entry.at)
    settle(state, changes, at=entry.at)
    return changes.result()


def replay(entries: Iterable[Entry], state: BookState | None = None) -> BookState:
    """The state after all entries."""
    state = BookState() if state is None else state
    for entry in entries:
        apply(state, entry)
    return state
