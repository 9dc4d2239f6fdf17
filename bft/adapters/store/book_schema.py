"""Columns of the executor's tables; the migrations make them, a test compares the two."""

import json
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from bft.domain.journal import TABLES, canonical_json


class JsonText(sa.types.TypeDecorator[Any]):
    """Canonical JSON in a text column: the same bytes in SQLite and PostgreSQL."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, _dialect: sa.Dialect) -> str | None:
        """A value as it is stored."""
        return None if value is None else canonical_json(value)

    def process_result_value(self, value: str | None, _dialect: sa.Dialect) -> Any:
        """A value as it was given."""
        return None if value is None else json.loads(value)


_TYPES: dict[str, Any] = {"": sa.Text, "int": sa.BigInteger, "bool": sa.Boolean, "json": JsonText}

COLUMNS: Mapping[str, str] = {
    "signals": "signal_id symbol side kind strategy_id source expires_at hash body:json at",
    "decisions": "decision_id signal_id symbol side source qty:int qty_requested:int allowed:bool "
    "body:json context:json at",
    "denials": "decision_id signal_id symbol side source reason transient:bool detail "
    "http_code:int at",
    "intents": "intent_id signal_id account con_id:int symbol contract:json side leg trading_day "
    "attempt:int qty:int order_type limit_price_usd stop_price_usd time_in_force parent_id "
    "oca_group mode strategy_id reason state filled_qty:int perm_id:int order_id:int "
    "client_id:int epoch:int broker_status why_held created_at sent_at acked_at ended_at",
    "orders": "epoch:int client_id:int order_id:int intent_id at perm_id:int qty:int "
    "limit_price_usd stop_price_usd broker_status why_held revision:int",
    "executions": "exec_id base_id revision:int superseded_by intent_id account con_id:int symbol "
    "contract:json side qty:int price_usd fee_usd at order_ref perm_id:int order_id:int "
    "client_id:int source",
    "fees": "exec_id fee_usd at",
    "adjustments": "adjustment_id at account con_id:int symbol contract:json by note qty "
    "price_usd ratio",
    "lots": "lot_id account con_id:int symbol sec_type trade_id direction:int multiplier opened_at "
    "qty open_qty price_usd fee_usd cost_left_usd fee_left_usd closes:json closed_at",
    "positions": "account con_id:int symbol contract:json qty average_cost_usd cost_usd multiplier "
    "opened_at mark_usd marked_at",
    "brackets": "account con_id:int entry at opened_at exit_state:json closed_at scheduled:json",
    "trades": "id order_id symbol side qty entry_price stop_price target_price created_at "
    "submitted_at entered_at exited_at exit_price pnl_usd r_multiple outcome features:json notes "
    "model_score model_version strategy_id profile mode simulated:bool is_backfill:bool source "
    "fees_usd slippage_bps exit_reason signal_id account con_id:int ordered_qty ref_price "
    "closed_qty",
    "limits_state": "scope key trading_day at entries:int orders:int notional_usd realised_usd "
    "fees_usd streak:int day_start_equity_usd peak_equity_usd",
    "halts": "halt_id scope key rule reason set_by set_at until cleared_by cleared_at note",
    "cooldowns": "account symbol strategy until reason",
    "kill_switch": "name latched:bool generation:int sources:json by reason at flatten:bool",
    "overrides": "name value:json by at",
    "contracts": "con_id:int symbol contract:json at",
    "broker_snapshots": "snapshot_id body:json at",
    "reconciliations": "reconciliation_id body:json at",
    "events": "event_id:int at type severity name message details:json",
    "counters": "name value at",
}
"""Text unless told; money and instants are text. In the order in which rows are written."""

METADATA = sa.MetaData()


def _table(name: str, columns: str, key: tuple[str, ...]) -> sa.Table:
    parts = [column.partition(":") for column in columns.split()]
    made = [sa.Column(n, _TYPES[kind], primary_key=n in key) for n, _, kind in parts]
    return sa.Table(name, METADATA, *made)


DERIVED = {name: _table(name, columns, TABLES[name].key) for name, columns in COLUMNS.items()}
JOURNAL = _table("journal", "seq:int at kind body prev_hash hash", ("seq",))
ASIDE = _table(
    "journal_aside", "seq:int at kind body prev_hash hash aside_at reason", ("seq", "hash")
)
IDEMPOTENCY = _table(
    "idempotency", "key subject request_hash at intent_id status:int body:json", ("key",)
)
OUTBOX = _table("outbox", "id:int at body:json delivered_at", ("id",))
LEASES = _table("executor_lease", "name holder token:int expires_at", ("name",))
"""`lease`, in the same database, is that of the night's steps (decision record 22)."""
PROBE = _table("book_probe", "id:int writes:int", ("id",))
MIGRATIONS = _table("book_migration", "number:int name checksum applied_at", ("number",))
