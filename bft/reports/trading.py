"""What the executor did on a day: orders, fills, result, what was denied or lapsed.

Source: executor specification, sections 3 (LAPSED), 13 and 14 (day report).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from statistics import median
from typing import Any

from bft.domain.runs import Json
from bft.domain.sessions import NEW_YORK
from bft.domain.trading_days import trading_day
from bft.reports.shown import UNKNOWN, number, plural, usd

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """USD of a trading day, as the executor's `/v1/pnl/daily` counts them (docs/executor.md)."""

    realised: float
    fees: float
    open_fees: float


def trading(asof: date, book: Json | None, account: Json | None) -> Json:
    """The section on orders of one day; `absent` where no book was exported."""
    if book is None:
        return {"absent": "no book is exported here (bft ledger export)", "rows": [], "facts": []}
    kinds = {lot["trade_id"]: lot["sec_type"] for lot in book["lots"]}
    trades = [
        row | {"sec_type": kinds.get(row["id"], "STK")}
        for row in book["trades"]
        if not row["is_backfill"]
    ]
    ours = [
        row for row in trades if asof in {_day(row[at], row) for at in ("created_at", "exited_at")}
    ]
    fills = [r for r in book["executions"] if _day(r["at"], r["contract"]) == asof and _counts(r)]
    result = _result(book["lots"], asof)
    ours.sort(key=lambda row: (row["created_at"], row["id"]))
    return {
        "title": _title(fills, result),
        "rows": [_row(row) for row in ours],
        "facts": _facts(asof, book, account, trades, result),
        "simulated": any(row["simulated"] for row in ours),
    }


def _title(fills: Sequence[Row], result: _Result) -> str:
    return f"{plural(len(fills), 'fill')}, {_signed_usd(result.realised)} realised"


def _facts(
    asof: date,
    book: Json,
    account: Json | None,
    trades: Sequence[Row],
    result: _Result,
) -> list[tuple[str, str]]:
    slips = [
        float(row["slippage_bps"])
        for row in trades
        if row["slippage_bps"] is not None and _day(row["entered_at"], row) == asof
    ]
    facts = [
        ("Realised, net of fees", _signed_usd(result.realised)),
        ("Fees of it", usd(result.fees)),
        ("Open fees", f"{usd(result.open_fees)}, paid on the day for what stays open"),
        ("Slippage, median", f"{number(median(slips), 1, sign=True)} bps" if slips else UNKNOWN),
        ("Denied", _counted(row["reason"] for row in book["denials"] if _on(row["at"], asof))),
        ("Lapsed, never sent", _counted(_lapses(book, asof))),
    ]
    if account is not None:
        pnl = account["pnl"]
        kind = ", simulated" if account["simulated"] else ""
        facts += [
            ("Account", f"...{account['account']}, {account['mode']}{kind}"),
            ("Unrealised change", _signed_usd(_float(pnl["unrealised_change_usd"]))),
            ("Account before", usd(_float(pnl["day_start_equity_usd"]))),
            ("Account after", usd(_float(pnl["equity_usd"]))),
            ("Book against broker", _differences(account)),
        ]
    return facts


def _lapses(book: Json, asof: date) -> Iterable[str]:
    """Why entries lapsed; a bracket's other legs lapse with it and are not counted."""
    entries = {row["order_id"] for row in book["trades"]}
    return (
        row["reason"]
        for row in book["lapsed"]
        if row["intent_id"] in entries and _on(row["at"], asof)
    )


def _differences(account: Json) -> str:
    found = account["reconciliation"].get("differences") or []
    return plural(len(found), "difference")


def _result(lots: Iterable[Row], asof: date) -> _Result:
    """What the closes of a day made, net of their fees and their part of the entry's."""
    realised = fees = open_fees = 0.0
    for lot in lots:
        units, entry_fee = float(lot["qty"]), float(lot["fee_usd"])
        part = entry_fee / units if units else 0.0
        closes = [row for row in lot["closes"] if _day(row["at"], lot) == asof]
        realised += sum(float(row["pnl_usd"]) for row in closes)
        fees += sum(float(row["fee_usd"]) + part * float(row["qty"]) for row in closes)
        if _day(lot["opened_at"], lot) == asof:
            open_fees += entry_fee - part * sum(float(row["qty"]) for row in closes)
    return _Result(realised=realised, fees=fees, open_fees=open_fees)


def _day(at: str | None, of: Row) -> date | None:
    """The trading day an instant counts to: of a future the one that begins the evening before."""
    if at is None:
        return None
    return trading_day(datetime.fromisoformat(at), sec_type=of["sec_type"])


def _row(row: Row) -> Json:
    return {
        "symbol": row["symbol"],
        "strategy": row["strategy_id"],
        "side": row["side"],
        "quantity": number(_float(row["qty"]), 0),
        "entry": usd(_float(row["entry_price"])),
        "exit": usd(_float(row["exit_price"])),
        "stop": usd(_float(row["stop_price"])),
        "target": usd(_float(row["target_price"])),
        "pnl": number(_float(row["pnl_usd"]), 2, sign=True),
        "r": number(_float(row["r_multiple"]), 2, sign=True),
        "slippage": number(_float(row["slippage_bps"]), 1, sign=True),
        "outcome": row["outcome"] or "working",
        "why": row["exit_reason"],
    }


def _signed_usd(amount: float | None) -> str:
    return UNKNOWN if amount is None else f"{number(amount, 2, sign=True)} USD"


def _counted(reasons: Iterable[str]) -> str:
    found = sorted(Counter(reasons).items())
    told = ", ".join(f"{reason} {count}" for reason, count in found)
    return f"{sum(count for _, count in found)}: {told}" if found else "none"


def _counts(execution: Row) -> bool:
    return execution["superseded_by"] is None


def _on(at: str | None, day: date) -> bool:
    """Whether an instant fell on a day of New York."""
    return at is not None and datetime.fromisoformat(at).astimezone(NEW_YORK).date() == day


def _float(text: str | None) -> float | None:
    return None if text is None else float(text)
