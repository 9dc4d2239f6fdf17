"""What a new process makes of orders that the one before left in the middle."""

from types import SimpleNamespace
from typing import Any

import pytest
from books import AT, acked, bracket_orders
from desk_cases import FakeMarker, case

from bft.domain.journal import Entry
from bft.domain.orders import IntentState
from bft.ledger import entries
from bft.services.executor.recovery import recovered, restored, restored_halt

ENTRY, TARGET, STOP = bracket_orders()
IDS = [leg.intent_id for leg in (ENTRY, TARGET, STOP)]


def committed() -> Entry:
    return entries.intents(AT, intents=(ENTRY, TARGET, STOP), facts=None)


NO_ROWS: Any = SimpleNamespace(rows=lambda *_, **__: [])  # a book whose tables are empty


@pytest.mark.parametrize(
    ("unsent", "told"),
    [
        (IDS, ["LAPSED", "LAPSED", "LAPSED"]),
        ([], ["UNKNOWN", "UNKNOWN", "UNKNOWN"]),
        (IDS[1:], ["UNKNOWN", "LAPSED", "LAPSED"]),
    ],
)
def test_reserved_lapses_only_where_the_marker_proves_it(
    unsent: list[str], told: list[str]
) -> None:
    held = case(committed(), marker=FakeMarker(unsent=frozenset(unsent)))
    held.desk.note(*recovered(held.desk))
    assert [held.desk.state.intents[name].state for name in IDS] == told


def test_sent_and_cancelled_are_doubted_and_acknowledged_is_not() -> None:
    held = case(
        committed(),
        entries.sent(AT, intent_ids=IDS),
        acked(ENTRY, perm_id=1),
        acked(STOP, perm_id=2),
        entries.moved(
            AT, intent_id=STOP.intent_id, state=IntentState.CANCEL_PENDING, evidence="test"
        ),
    )
    held.desk.note(*recovered(held.desk))
    states = [held.desk.state.intents[name].state for name in IDS]
    assert states == [IntentState.ACKED, IntentState.UNKNOWN, IntentState.UNKNOWN]
    assert recovered(held.desk) == []


def test_marked_order_that_state_does_not_hold_halts_the_account() -> None:
    assert restored(case().desk, NO_ROWS) is None
    held = case(marker=FakeMarker(unknown=("X",)))
    halt = restored(held.desk, NO_ROWS)
    assert halt is not None
    assert (halt.scope, halt.rule, halt.until) == ("account", "state_restored", None)
    assert halt == restored_halt(held.desk, "1 marked orders")
