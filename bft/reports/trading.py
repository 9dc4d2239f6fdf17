"""What the executor did on a day: orders, fills, result, what was denied or lapsed.

Source: executor specification, sections 3 (LAPSED), 13 and 14 (day report).
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from statistics import median
from typing import Any

from bft.domain.runs import Json
from bft.domain.sessions import NEW_YORK
from bft.reports.shown import UNKNOWN, number, plural, usd

Row = Mapping[str, Any]


def trading(asof: date, book: Json | None, account: Json | None) -> Json:
    """The section on orders of one day; `absent` where no book was exported."""
    if book is None:
        return {"absent": "no book is exported here (bft ledger export)", "rows": [], "facts": []}
    trades = [row for row in book["trades"] if not row["is_backfill"]]
    ours = [row for row in trades if _on(row["created_at"], asof) or _on(row["exited_at"], asof)]
    fills = [row for row in book["executions"] if _on(row["at"], asof) and _counts(row)]
    result = _result(book["lots"], asof)
    ours.sort(key=lambda row: (row["created_at"], row["id"]))
    return {
        "title": _title(fills, result),
        "rows": [_row(row) for row in ours],
        "facts": _facts(asof, book, account, trades, result),
        "simulated": any(row["simulated"] for row in ours),
    }


def _title(fills: Sequence[Row], result: tuple[float, float]) -> str:
    return f"{plural(len(fills), 'fill')}, {number(result[0], 2, sign=True)} USD realised"


def _facts(
    asof: date,
    book: Json,
    account: Json | None,
    trades: Sequence[Row],
    result: tuple[float, float],
) -> list[tuple[str, str]]:
    slips = [
        float(row["slippage_bps"])
        for row in trades
        if row["slippage_bps"] is not None and _on(row["entered_at"], asof)
    ]
    facts = [
        ("Realised, net of fees", f"{number(result[0], 2, sign=True)} USD"),
        ("Fees", usd(result[1])),
        ("Slippage, median", f"{number(median(slips), 1, sign=True)} bps" if slips else UNKNOWN),
        ("Denied", _counted(row["reason"] for row in book["denials"] if _on(row["at"], asof))),
        ("Lapsed, never sent", _counted(_lapses(book, asof))),
    ]
    if account is not None:
        pnl = account["pnl"]
        kind = ", simulated" if account["simulated"] else ""
        facts += [
            ("Account", f"...{account['account']}, {account['mode']}{kind}"),
            ("Unrealised change", f"{number(_float(pnl['unrealised_change_usd']), 2, sign=True)}"),
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


def _result(lots: Iterable[Row], asof: date) -> tuple[float, float]:
    """USD realised, net of fees, and the fees of what was closed on a day."""
    realised = fees = 0.0
    for lot in lots:
        for close in lot["closes"]:
            if _on(close["at"], asof):
                realised += float(close["pnl_usd"])
                fees += float(close["fee_usd"])
    return realised, fees


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
