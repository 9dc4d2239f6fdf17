"""A small raw market with every kind of fact, for tests of gold as a whole."""

from datetime import date
from typing import Any

import pyarrow as pa
from markets import raw, walk

from bft.domain import sessions

ROWS = 330


def market() -> dict[str, pa.Table]:
    """25 stocks of two sectors, a fund, SPY for a while, actions, reports, chains, macro."""
    stocks = [f"S{n:02d}" for n in range(25)]
    bars = [row for symbol in [*stocks, "XLK"] for row in walk(symbol, ROWS)]
    bars += walk("SPY", ROWS)[:200]  # then the proxy stands in
    days = [row["date"] for row in walk("S00", ROWS)]
    spring = (date(2017, 3, 31), date(2017, 6, 30), date(2017, 9, 30), date(2017, 12, 31))
    return {
        "bars": raw("bars", bars),
        "actions": raw("actions", _actions(days)),
        "earnings": raw("earnings", [_report(s, q) for s in stocks[:5] for q in spring]),
        "statements": raw("statements", [_statement(s) for s in stocks[:3]]),
        "fundamentals": raw(
            "fundamentals", [_snapshot(s, d) for s in stocks[:4] for d in days[::60]]
        ),
        "options_summary": raw("options_summary", [_chain(d, n) for n, d in enumerate(days[-90:])]),
        "macro": raw("macro", [row for n in range(24) for row in _payroll(n)]),
        "universe": raw(
            "universe",
            [
                {"symbol": s, "sector": "TECHNOLOGY" if n % 2 else "ENERGY", "is_etf": False}
                for n, s in enumerate(stocks)
            ],
        ),
    }


def _actions(days: list[date]) -> list[dict[str, Any]]:
    return [
        {"symbol": "S01", "ex_date": days[150], "kind": "split", "value": 2.0},
        {"symbol": "S02", "ex_date": days[160], "kind": "dividend", "value": 0.4},
        {"symbol": "S02", "ex_date": days[250], "kind": "dividend", "value": 0.5},
        {"symbol": "XLK", "ex_date": days[200], "kind": "dividend", "value": 0.2},
        {"symbol": "S02", "ex_date": days[-10], "kind": "dividend", "value": 0.6},
        {"symbol": "S03", "ex_date": days[-5], "kind": "split", "value": 3.0},
    ]


def _report(symbol: str, quarter: date) -> dict[str, Any]:
    day = sessions.on_or_after(date.fromordinal(quarter.toordinal() + 30))
    eps = 1.0 + quarter.month / 10
    return {
        "symbol": symbol,
        "fiscal_date_ending": quarter,
        "reported_eps": eps,
        "estimated_eps": eps - 0.1,
        "known_at": sessions.close_at(day),
        "basis_on": day,
    }


def _statement(symbol: str) -> dict[str, Any]:
    day = date(2017, 11, 29)
    return {
        "symbol": symbol,
        "fiscal_date_ending": date(2017, 9, 30),
        "total_equity_usd": 1e6,
        "shares_outstanding": 1e5,
        "basis_on": day,
        "known_at": sessions.close_at(day),
    }


def _snapshot(symbol: str, day: date) -> dict[str, Any]:
    known_at = sessions.evening(day)
    figures = {"forward_pe": 10.0 + day.month, "eps": 2.0, "analyst_rating_buy": float(day.day)}
    return {"symbol": symbol, "arrived_on": day, "basis_on": day, "known_at": known_at, **figures}


def _chain(day: date, n: int) -> dict[str, Any]:
    calls, puts = 100 + 7 * n, 90 + 11 * (n % 9)
    volumes = {"call_volume": calls, "put_volume": puts, "total_volume": calls + puts}
    return {"symbol": "S00", "date": day, **volumes}


def _payroll(month: int) -> list[dict[str, Any]]:
    reference = date(2016 + month // 12, month % 12 + 1, 1)
    out = sessions.on_or_after(date.fromordinal(reference.toordinal() + 40))
    first = {"series": "nonfarm_payroll", "reference_on": reference, "value": 1000.0 + month**1.5}
    again = sessions.shift(out, 20)
    return [
        {**first, "known_at": sessions.close_at(out)},
        {**first, "value": 1002.0 + month, "known_at": sessions.close_at(again), "revision": 1},
    ]
