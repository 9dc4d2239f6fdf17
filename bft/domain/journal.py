"""The executor's journal: what happened, in order, each row chained to the one before.

Source: executor specification, section 2.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bft.domain.encoding import encode
from bft.domain.runs import Json

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One fact: `body` is JSON (Decimals and instants as text), never changed afterwards."""

    kind: str
    at: datetime
    body: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRow:
    """An entry as stored; `hash` covers `prev_hash` and the canonical text."""

    seq: int
    entry: Entry
    prev_hash: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """What an entry does to a table: `row` is a frozen record or its columns, None removes it.

    It is encoded when it is written: of a row that changes again within a commit the last word
    alone. `stored`: its values are JSON already.
    """

    table: str
    key: Mapping[str, object]
    row: Any
    stored: bool = False

    @property
    def values(self) -> Json | None:
        """Columns as JSON, or None."""
        values: Json | None = self.row if self.stored else encode(self.row)
        return values


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A filter of rows: a column's value is this or greater."""

    value: object


def lease_name(account: str) -> str:
    """Name of the lease that the one executor of an account holds."""
    return f"executor:{account}"


_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical_json(value: object) -> str:
    """Sorted keys, no spaces, UTF-8; NaN and infinities are refused.

    Raises:
        ValueError: a number that JSON cannot hold.
    """
    return _CANONICAL.encode(value)


def canonical_text(at: str, kind: str, body: str) -> str:
    """Text of an entry that the chain covers, from its parts as stored: `body` is canonical."""
    return f'{{"at":{json.dumps(at)},"body":{body},"kind":{json.dumps(kind)}}}'


def digest(prev_hash: str, text: str) -> str:
    """Hash of a row from the one before and its canonical text."""
    return hashlib.sha256((prev_hash + text).encode()).hexdigest()


def chained(seq: int, entry: Entry, prev_hash: str, *, body: str) -> JournalRow:
    """The entry as row `seq` after `prev_hash`; `body` is the canonical JSON of its body."""
    made = digest(prev_hash, canonical_text(entry.at.isoformat(), entry.kind, body))
    return JournalRow(seq=seq, entry=entry, prev_hash=prev_hash, hash=made)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """Key columns of a table, and the column whose instant `since` filters and order follows."""

    key: tuple[str, ...]
    instant: str


TABLES: Mapping[str, TableSpec] = {
    "signals": TableSpec(key=("signal_id",), instant="at"),
    "decisions": TableSpec(key=("decision_id",), instant="at"),
    "denials": TableSpec(key=("decision_id",), instant="at"),
    "intents": TableSpec(key=("intent_id",), instant="created_at"),
    "orders": TableSpec(key=("epoch", "client_id", "order_id"), instant="at"),
    "executions": TableSpec(key=("exec_id",), instant="at"),
    "fees": TableSpec(key=("exec_id",), instant="at"),
    "adjustments": TableSpec(key=("adjustment_id",), instant="at"),
    "lots": TableSpec(key=("lot_id",), instant="opened_at"),
    "positions": TableSpec(key=("account", "con_id"), instant="opened_at"),
    "brackets": TableSpec(key=("account", "con_id", "entry"), instant="at"),
    "trades": TableSpec(key=("id",), instant="created_at"),
    "limits_state": TableSpec(key=("scope", "key", "trading_day"), instant="at"),
    "halts": TableSpec(key=("halt_id",), instant="set_at"),
    "cooldowns": TableSpec(key=("account", "symbol", "strategy"), instant="until"),
    "kill_switch": TableSpec(key=("name",), instant="at"),
    "overrides": TableSpec(key=("name",), instant="at"),
    "contracts": TableSpec(key=("con_id",), instant="at"),
    "broker_snapshots": TableSpec(key=("snapshot_id",), instant="at"),
    "reconciliations": TableSpec(key=("reconciliation_id",), instant="at"),
    "events": TableSpec(key=("event_id",), instant="at"),
    "counters": TableSpec(key=("name",), instant="at"),
}
"""Tables that the journal's entries give (executor specification, section 2)."""
