"""Signals of a strategy that enters by limit or stop, as the executor and its broker take them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from order_roots import BEFORE_OPEN, NIGHT, night_root, running_executor
from panels import gold_rows, table
from waiting import until

from bft.domain.trading import Direction
from bft.strategies import enabled
from bft.strategies.ranking import shown
from bft.strategies.signals import Held, signals_at
from bft.strategies.tables import signal_rows
from bft.strategies.view import view_of

LOW = {"adjusted_close": 100.0, "bbands_lower_20": 100.0, "rsi_14": 25.0}
HIGH = {"adjusted_close": 100.0, "bbands_middle_20": 100.0, "rsi_14": 75.0}


def rows(entry_order: str, last: dict[str, float], *held: Held) -> list[dict[str, Any]]:
    """What a night's scan stores of AAPL, which closed at 100 below a high of 101."""
    word, _, drift = entry_order.partition(" ")
    terms = [f"entry_order={word}", f"max_drift_frac={drift or 0.02}"]
    (strategy,) = enabled("bollinger", [f"bollinger.{term}" for term in terms])
    gold = table("gold", gold_rows("AAPL", asof=NIGHT, **last))
    view = view_of(gold, table("forecasts", []), asof=NIGHT, lookback=2, quarantined=())
    at = datetime(2026, 1, 2, 22, tzinfo=UTC)
    found = signals_at(view, [strategy], decided_at=at, cost_frac={}, held=held)
    ranked = [shown(signal, "execute", "") for signal in found.signals]
    made = signal_rows(ranked, slot="close", simulated=True).to_dict("records")
    return [{name: value for name, value in row.items() if value == value} for row in made]


@pytest.mark.parametrize(
    ("entry_order", "order_type", "price", "stop"),
    [
        ("limit", "LIMIT", "100", "93"),
        ("stop", "STOP", "101.01", "93.94"),
        ("collar", "LIMIT", "102", "93"),
        ("collar 0.005", "LIMIT", "100.5", "93"),
        ("collar 0.05", "LIMIT", "102", "93"),
    ],
)
def test_entry_reaches_the_broker_at_its_price(
    tmp_path: Path, entry_order: str, order_type: str, price: str, stop: str
) -> None:
    """A limit is the close; a stop the high plus a tick; 7 % below either lies the bracket's.

    A collar is the account's 2 %, or the drift that its strategy allows where that is less.
    """
    root = night_root(tmp_path / "root", rows(entry_order, LOW))
    with running_executor(root, "--broker", "paper", clock=BEFORE_OPEN) as run:
        token = (tmp_path / "admin.token").read_text()
        headers = {"authorization": f"Bearer {token}"}
        with httpx.Client(base_url=run.url, headers=headers) as api:
            until(lambda: api.get("/v1/health").json()["session_state"] == "ARMED")
            code, line, err = run.bft("execute", "--asof", NIGHT, "--root", root, "--json")
            assert (code, line["sent"], line["denied"]) == (0, 1, {}), (line, err)
            (order,) = api.get("/v1/orders").json()["orders"]
            assert (order["order_type"], order["price"]) == (order_type, price), order
            assert order["bracket"]["stop"] == stop
            again = run.bft("execute", "--asof", NIGHT, "--root", root, "--json")[1]
            assert (again["sent"], again["replayed"]) == (0, 1)


def test_exit_is_no_stop_order_of_its_strategy() -> None:
    held = Held(
        symbol="AAPL",
        direction=Direction.LONG,
        strategy_id="bollinger",
        held_days=3,
    )
    (row,) = rows("stop", HIGH, held)
    assert (row["kind"], row["entry_order"]) == ("exit", "market")
