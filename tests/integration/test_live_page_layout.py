"""The live page on its worst day: latched, halted, unprotected, with sums of six figures."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import Browser, chromium
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from layout import faults

from bft.services.executor.page.page import TEMPLATES

AT = "01-05 09:36:04"
TILES = {
    "Equity": "$1,099,999.00",
    "Realised today": "\N{MINUS SIGN}12,345.10",
    "Open fees": "\N{MINUS SIGN}1.00",
    "Unrealised change": "+100.00",
    "Available": "\N{EN DASH}",
}
LIMITS = ("Entries today", "Day loss", "Open risk", "Gross exposure", "Positions and pending")


def exit_of(strategy: str) -> dict[str, Any]:
    levels = {"stop": "$1,093.00 (policy $1,094.00)", "target": "$1,112.00", "trail": "$1,000.00"}
    kept = {"quantity": 1149, "protected_quantity": 49, "protected": False}
    ends = {"hold": "3 of 20 sessions", "scheduled": "next open", "flat_by_close": True}
    return {"strategy_id": strategy, **levels, **kept, **ends}


def position(symbol: str, *exits: dict[str, Any], gap: int = 0) -> dict[str, Any]:
    about = {"symbol": symbol, "underlying": symbol.split()[0], "kind": "stock", "gap": gap}
    sums = {"average_cost": "$1,100.00", "mark": "$1,100.50", "gain": "+1,234,567.50"}
    return {**about, **sums, "quantity": "+1,149", "exits": exits}


def order(place: int) -> dict[str, Any]:
    about = {"at": AT, "side": "BUY", "symbol": "AAPL", "strategy_id": "regression_momentum"}
    levels = {"price": "$1,102.00", "stop": "$1,093.00", "target": "$1,112.00"}
    state = {"state": "UNKNOWN", "odd": place == 0, "word": "at work", "working": True}
    filled = {"filled": "0 of 1149", "fill_price": "\N{EN DASH}", "order_type": "STOP_LIMIT"}
    return {**about, **levels, **state, **filled, "id": str(place)}


def worst() -> dict[str, Any]:
    """What the board is made of, as `page.board` gives it."""
    rule = "rule 21 stale data: 62 against 15 (the line is silent since a while)"
    denial = {"at": AT, "symbol": "MSFT", "side": "BUY", "reason": "stale data", "again": True}
    halt = {"where": "symbol AAPL", "reason": "unknown order 77", "by": "monitor", "id": "h1"}
    event = {"at": AT, "severity": "critical", "name": "KillLatched", "message": "x" * 90}
    health = {"mode": "live", "simulated": False, "account": "123", "may_open": False, "note": ""}
    kill = {"latched": True, "by": "ada", "pulled_now": "", "sources": ["api"], "reason": "page"}
    exits = [exit_of("regression_momentum"), exit_of("bollinger")]
    bars = [{"name": name, "on": "$99,999.00", "limit": "$99,999.00"} for name in LIMITS]
    return {
        "health": health | {"session_state": "DEGRADED", "reasons": ["no quote for 62 s"] * 2},
        "profile": "equities",
        "now": "2026-01-05 09:36 New York",
        "broker": "ib",
        "may": {"trade": True, "admin": True},
        "user": "ada",
        "tiles": [{"name": n, "value": v, "note": "since the day began"} for n, v in TILES.items()],
        "limits": [bar | {"percent": 95, "level": "near", "note": "of the day"} for bar in bars],
        "positions": [
            position("AAPL", *exits),
            position("MSFT", gap=1149),
            position("AAPL  260116C00100000"),
        ],
        "orders": [order(place) for place in range(3)],
        "closing": [order(place) | {"leg": "target"} for place in range(3)],
        "denials": [denial | {"rules": [rule, rule], "detail": "", "unknown": 2}],
        "halts": [halt | {"until": "a person resumes"}],
        "kill": kill | {"generation": 3},
        "events": [event],
    }


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.mark.parametrize("width", [1280, 1110, 950, 820, 390])
def test_worst_page_fits_every_width(browser: Browser, tmp_path: Path, width: int) -> None:
    """Red: between a telephone and a desk, `Close` lay beyond the window."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined
    )
    made.globals |= {"style": "", "script": "", "refresh_ms": 3000}
    shown = made.get_template("page.html.j2").render(worst())
    style = (TEMPLATES / "page.css").read_text(encoding="utf-8")
    file = tmp_path / "page.html"
    file.write_text(shown.replace("<style></style>", f"<style>{style}</style>"), encoding="utf-8")
    with browser.tab() as tab:
        tab.size(width, 900)
        tab.go(file.as_uri())
        assert tab.value("document.documentElement.scrollWidth") == width
        assert faults(tab) == []
        reached = "[...document.querySelectorAll('[data-act=close]')]"
        assert tab.value(f"{reached}.every(e => e.getBoundingClientRect().right <= {width})")
