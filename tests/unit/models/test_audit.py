import hashlib
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from bft.models import audit

START = datetime(2025, 1, 1, tzinfo=UTC)


def chain(*moves: tuple[str, str]) -> list[dict[str, Any]]:
    """Rows built by the written rule: hash = sha256(prev_hash + canonical JSON of the rest)."""
    rows: list[dict[str, Any]] = []
    before, prev_hash = None, "0" * 64
    for seq, (action, to) in enumerate(moves, start=1):
        rest = {
            "seq": seq, "ts_utc": (START + timedelta(days=seq)).isoformat(), "actor": "bft",
            "action": action, "from": before, "to": to, "revision": seq, "reason": "süß",
        }  # fmt: skip
        body = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        row_hash = hashlib.sha256(f"{prev_hash}{body}".encode()).hexdigest()
        rows.append({**rest, "prev_hash": prev_hash, "hash": row_hash})
        before, prev_hash = to, row_hash
    return rows


ROWS = chain(("promote", "A"), ("promote", "B"), ("rollback", "A"), ("promote", "C"))


def test_intact_chain_has_no_fault() -> None:
    assert audit.fault(ROWS) is None
    assert audit.fault([]) is None


@pytest.mark.parametrize("key", ["actor", "reason", "to", "revision", "ts_utc", "prev_hash", "seq"])
def test_any_change_is_found(key: str) -> None:
    rows = [dict(row) for row in ROWS]
    rows[1][key] = 7 if isinstance(rows[1][key], int) else "x" + str(rows[1][key])
    assert audit.fault(rows)


def test_removed_or_swapped_row_is_found() -> None:
    assert audit.fault([ROWS[0], *ROWS[2:]])
    assert audit.fault([ROWS[1], ROWS[0], *ROWS[2:]])
    assert audit.fault(ROWS[1:])


def test_production_at_an_instant() -> None:
    row = audit.in_production(ROWS, at=START + timedelta(days=2, hours=5))
    assert row
    assert row["to"] == "B"
    assert audit.in_production(ROWS, at=START) is None


def test_set_before() -> None:
    assert audit.before(ROWS, "B") == "A"
    assert audit.before(ROWS, "C") == "A"
    assert audit.before(ROWS, "A") is None


@pytest.mark.parametrize(
    ("more", "demoted"),
    [
        ([], "B2"),
        ([("promote", "C")], "B2"),
        ([("promote", "B")], ""),
        ([("promote", "2")], ""),  # the same models in another set
        ([("promote", "2"), ("rollback", "A")], "B2"),
        ([("promote", "C"), ("rollback", "A")], "B2C"),
    ],
)
def test_models_are_demoted_in_whatever_set_they_come(
    more: list[tuple[str, str]], demoted: str
) -> None:
    """B and 2 are sets of the same models."""
    rows = chain(("promote", "A"), ("promote", "B"), ("rollback", "A"), *more)

    def alike(one: str, other: str) -> bool:
        return one == other or {one, other} == {"B", "2"}

    found = [one for one in "AB2C" if audit.demoted(rows, partial(alike, one))]
    assert "".join(found) == demoted


def test_without_a_rollback_no_set_is_looked_at() -> None:
    def read(_digest: str) -> bool:
        raise AssertionError

    assert not audit.demoted(chain(("promote", "A"), ("promote", "B")), read)
