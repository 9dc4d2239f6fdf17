"""An option ordered from an executor process, whose chain a child of it reads from the root."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from fakes import make_ports
from market_signals import rows_to
from order_roots import NIGHT, OPEN, Running, night_root, running_executor
from waiting import until

EXPIRY = date(2026, 2, 20)
CALL = "AAPL260220C00100000"


def chain_rows(day: date, level: float) -> list[dict[str, Any]]:
    at = datetime(day.year, day.month, day.day, 22, tzinfo=UTC)
    common = {
        "date": day,
        "symbol": "AAPL",
        "expiration": EXPIRY,
        "strike": 100.0,
        "implied_volatility": level,
        "volume": 400,
        "open_interest": 900,
        "known_at": at,
        "arrived_at": at,
        "source": "sim",
        "revision": 0,
        "status": "ok",
    }
    sides = (("call", 0.5, CALL), ("put", -0.5, CALL.replace("C0", "P0")))
    return [
        {**common, "contract_id": name, "type": kind, "delta": delta} for kind, delta, name in sides
    ]


def store_chains(root: Path) -> None:
    """Two nights: 0.40 at the money, then 0.30."""
    store = make_ports(root).store
    for day, level in ((NIGHT - timedelta(days=1), 0.40), (NIGHT, 0.30)):
        rows = rows_to("options", chain_rows(day, level))
        store.publish("options", asof=day, partitions={f"arrived={day}": rows})


def test_option_is_refused_without_its_chain_and_bought_with_it(tmp_path: Path) -> None:
    root = night_root(tmp_path / "root")
    words = ("--broker", "paper", "--profile", "options")
    store_chains(root)
    with running_executor(root, *words, clock=OPEN + timedelta(minutes=6)) as run:
        token = (run.root.parent / "trader.token").read_text()
        headers = {"authorization": f"Bearer {token}"}
        with httpx.Client(base_url=run.url, headers=headers, timeout=90) as api:
            until(lambda: api.get("/v1/health").json()["session_state"] == "ARMED", seconds=60)
            _story(run, api)


def _story(run: Running, api: httpx.Client) -> None:
    refused = _ordered(api, CALL.replace("AAPL", "MSFT"), price=200)
    assert (refused.status_code, refused.json()["error"]) == (400, "liquidity")
    assert "no chain of MSFT is stored; run: bft pull --asof 2026-01-02" in refused.text
    bought = _ordered(api, CALL, price=100)
    assert bought.status_code == 201, bought.text

    def protected() -> bool:
        held = api.get("/v1/positions").json()["positions"]
        shown = [(p["underlying"], p["protected_quantity"], len(p["exits"])) for p in held]
        return shown == [("AAPL", 2, 1)]

    until(protected, seconds=20)
    (exit_,) = api.get("/v1/positions").json()["positions"][0]["exits"]
    assert (exit_["underlying_stop"], exit_["underlying_target"]) == ("93", "112")
    _, line, _ = run.bft("why", bought.json()["id"], "--root", run.root)
    assert "iv_rank" in str(line)
    assert len(list(run.root.rglob("option-volatilities.json"))) == 1


def _ordered(api: httpx.Client, symbol: str, *, price: float) -> httpx.Response:
    option = {"symbol": symbol, "price": 3.15, "bid": 3.10, "ask": 3.20}
    for told in ({"symbol": "VIX", "price": 17}, {"symbol": symbol[:4], "price": price}, option):
        assert api.post("/v1/tick", json=told).is_success
    body = {
        "symbol": symbol,
        "side": "BUY",
        "quantity": 2,
        "price": 3.20,
        "stop_price": round(price * 0.93, 2),
        "target_price": round(price * 1.12, 2),
        "confidence": 0.8,
    }
    return api.post("/v1/orders", json=body)
