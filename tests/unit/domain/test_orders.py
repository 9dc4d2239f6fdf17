from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from bft.domain.journal import GENESIS, Entry, canonical_json, chained
from bft.domain.orders import (
    Contract,
    Execution,
    Identity,
    IntentState,
    Leg,
    Side,
)

DAY = date(2026, 1, 6)


def _id(**changes: object) -> str:
    values = {
        "signal_id": "s" * 32,
        "account": "DU1",
        "con_id": 265598,
        "side": Side.BUY,
        "leg": Leg.ENTRY,
        "day": DAY,
    }
    return Identity(**{**values, **changes}).intent_id  # type: ignore[arg-type]


def test_intent_id_agrees_with_a_digest_made_by_hand() -> None:
    # printf 'v1|ssss...|DU1|265598|BUY|entry|2026-01-06|0' | sha256sum | xxd -r -p | base32
    assert _id() == "54RR7DSCZOSLGDMMFT3RDJ6JX6"


@pytest.mark.parametrize(
    "change",
    [{"account": "DU2"}, {"side": Side.SELL}, {"leg": Leg.STOP}, {"attempt": 1}, {"con_id": 1}],
)
def test_intent_id_differs_by_every_part(change: dict[str, object]) -> None:
    assert _id(**change) != _id()


def test_only_ended_states_are_terminal() -> None:
    live = {s for s in IntentState if s.possibly_live}
    assert live == {
        IntentState.SENT,
        IntentState.ACKED,
        IntentState.PARTIAL,
        IntentState.CANCEL_PENDING,
        IntentState.UNKNOWN,
    }


def fill(exec_id: str) -> Execution:
    return Execution(
        exec_id=exec_id,
        account="DU1",
        contract=Contract(con_id=1, symbol="A"),
        side=Side.BUY,
        qty=1,
        price_usd=Decimal(1),
        at=ENTRY.at,
    )


def test_ids_that_end_in_no_number_are_executions_of_their_own() -> None:
    one, other = fill("2026.a1"), fill("2026.b2")
    assert (one.base_id, other.base_id) == ("2026.a1", "2026.b2")
    assert (one.revision, fill("plain").base_id, fill(".5").base_id) == (0, "plain", ".5")


def test_execution_correction_shares_its_base() -> None:
    first, second = fill("0000e0d5.6733f4ab.01.01"), fill("0000e0d5.6733f4ab.01.02")
    assert first.base_id == second.base_id
    assert (first.revision, second.revision) == (1, 2)


def _entry(note: str) -> Entry:
    return Entry(kind="event", at=datetime(2026, 1, 6, tzinfo=UTC), body={"note": note})


ENTRY = _entry("a")


def test_journal_hash_covers_the_row_before() -> None:
    one = chained(1, ENTRY, GENESIS, body='{"note":"a"}')
    assert chained(2, ENTRY, one.hash, body='{"note":"a"}').hash != one.hash
    assert chained(1, _entry("b"), GENESIS, body='{"note":"b"}').hash != one.hash


def test_journal_refuses_what_json_cannot_hold() -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"v": float("nan")})
