"""Orders, fills and a small trading life for tests of the ledger and its tables."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from bft.domain.encoding import instant_text
from bft.domain.journal import TABLES, AtLeast, Entry
from bft.domain.orders import Contract, Execution, Identity, Intent, Leg, OrderType, Side
from bft.ledger import entries
from bft.ledger.records import BookOrder, TradeFacts
from bft.ledger.verify import rows_of

AT = datetime(2026, 1, 5, 15, 0, tzinfo=UTC)  # Monday, 10:00 New York
DAY = date(2026, 1, 5)
ACCOUNT = "DU0000001"
AAPL = Contract(con_id=265598, symbol="AAPL")
CALL = Contract(con_id=77, symbol="AAPL 260116C00200000", sec_type="OPT", multiplier=Decimal(100))
MNQ = Contract(con_id=99, symbol="MNQH6", sec_type="FUT", multiplier=Decimal(2))
FACTS = TradeFacts(
    stop_price_usd=Decimal("95"),
    target_price_usd=Decimal("115"),
    ref_price_usd=Decimal("100"),
    profile="equities",
    source="test",
)


def after(seconds: float) -> datetime:
    return AT + timedelta(seconds=seconds)


def intent(leg: Leg = Leg.ENTRY, *, signal: str = "s1", **given: Any) -> Intent:
    """An order; `parent` is the entry a leg belongs to. Sides and types follow the leg."""
    contract: Contract = given.pop("contract", AAPL)
    side: Side = given.pop("side", Side.BUY if leg is Leg.ENTRY else Side.SELL)
    attempt: int = given.pop("attempt", 0)
    identity = Identity(
        signal_id=signal,
        account=given.get("account", ACCOUNT),
        con_id=contract.con_id,
        side=side,
        leg=leg,
        day=DAY,
        attempt=attempt,
    )
    values: dict[str, Any] = {"qty": 100, "order_type": OrderType.LIMIT, "strategy_id": "S1"}
    if leg is Leg.ENTRY:
        values["limit_price_usd"] = Decimal(100)
    return Intent(
        intent_id=identity.intent_id,
        signal_id=signal,
        account=identity.account,
        contract=contract,
        side=side,
        leg=leg,
        trading_day=DAY,
        attempt=attempt,
        **{**values, **{k: v for k, v in given.items() if k != "account"}},
    )


def fill(
    of: Intent | None, qty: int, price: str, *, id: str, at: datetime = AT, **given: Any
) -> Execution:
    """An execution of an order, or by hand where there is none."""
    base = {
        "account": of.account if of else ACCOUNT,
        "contract": of.contract if of else AAPL,
        "side": of.side if of else Side.BUY,
        "order_ref": of.order_ref if of else "",
    }
    return Execution(exec_id=id, qty=qty, price_usd=Decimal(price), at=at, **{**base, **given})


def booked(execution: Execution) -> Entry:
    return entries.execution(execution.at, execution=execution)


def bracket_orders(signal: str = "s1", **given: Any) -> tuple[Intent, Intent, Intent]:
    """An entry at 100 with its stop at 95 and target at 115, with order ids."""
    entry = intent(Leg.ENTRY, signal=signal, **given)
    common = {**given, "parent_id": entry.intent_id, "oca_group": entry.order_ref}
    stop = intent(Leg.STOP, signal=signal, stop_price_usd=Decimal(95), **common)
    target = intent(Leg.TARGET, signal=signal, limit_price_usd=Decimal(115), **common)
    legs = (entry, target, replace(stop, order_type=OrderType.STOP))
    first = given.get("order_id", 1)
    numbered = [
        replace(leg, order_id=first + n, client_id=10, epoch=1) for n, leg in enumerate(legs)
    ]
    return numbered[0], numbered[1], numbered[2]


def acked(order: Intent, *, perm_id: int, at: datetime = AT, **given: Any) -> Entry:
    return entries.order(
        BookOrder(
            epoch=order.epoch or 1,
            client_id=order.client_id or 10,
            order_id=1 if order.order_id is None else order.order_id,
            intent_id=order.intent_id,
            at=at,
            perm_id=perm_id,
            **{"broker_status": "Submitted", **given},
        )
    )


def round_trip(
    signal: str = "s1", *, start: datetime = AT, exit_price: str = "95", order_id: int = 1
) -> list[Entry]:
    """An entry of 100 at 100 in two fills, then its stop; fees of 1 and 2 USD, the last late."""
    entry, target, stop = bracket_orders(signal, order_id=order_id)
    t = [start + timedelta(seconds=n) for n in range(10)]
    ids = [leg.intent_id for leg in (entry, target, stop)]
    return [
        entries.intents(t[0], intents=(entry, target, stop), facts=FACTS),
        entries.sent(t[1], intent_ids=ids),
        acked(entry, perm_id=order_id * 10, at=t[2]),
        acked(stop, perm_id=order_id * 10 + 1, at=t[2]),
        booked(fill(entry, 60, "100", id=f"{signal}.e1.01", at=t[3], fee_usd=Decimal(1))),
        booked(fill(entry, 40, "100", id=f"{signal}.e2.01", at=t[4])),
        booked(fill(stop, 100, exit_price, id=f"{signal}.x1.01", at=t[6])),
        entries.fee(t[7], exec_id=f"{signal}.x1.01", fee_usd=Decimal(2)),
    ]


class MemoryTables:
    """Tables as the entries give them, asked as the Book is."""

    def __init__(self, told: list[Entry]) -> None:
        self.tables = rows_of(told)

    def rows(
        self,
        table: str,
        *,
        where: Mapping[str, object] | None = None,
        since: datetime | None = None,
        limit: int | None = None,
        newest_first: bool = False,
    ) -> list[dict[str, Any]]:
        instant = TABLES[table].instant
        found = [dict(row) for row in self.tables[table].values() if _fits(row, where or {})]
        if since is not None:
            found = [row for row in found if row[instant] >= instant_text(since)]
        if newest_first:
            found.sort(key=lambda row: str(row[instant]), reverse=True)
        return found[:limit]

    def distinct(
        self, table: str, column: str, *, where: Mapping[str, object] | None = None
    ) -> list[Any]:
        return sorted({row[column] for row in self.rows(table, where=where)})


def _fits(row: Mapping[str, Any], where: Mapping[str, object]) -> bool:
    for name, wanted in where.items():
        value = row[name]
        if isinstance(wanted, AtLeast):
            if value is None or value < wanted.value:
                return False
        elif isinstance(wanted, list):
            if value not in wanted:
                return False
        elif value != wanted:
            return False
    return True
