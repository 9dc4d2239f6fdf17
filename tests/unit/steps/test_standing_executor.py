"""What the scan takes from an executor: positions, pending entries, cooldowns; never a guess."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fakes import make_ports

from bft.adapters.executor.http import HttpExecutor
from bft.domain.errors import DataError, RefusedError, UnavailableError
from bft.domain.trading import Direction, Instrument
from bft.ports import Reply
from bft.steps.standing import Standing
from bft.steps.standing_executor import told


@dataclass
class Answers:
    """An ExecutorApi that answers each path from a table; orders by status."""

    positions: list[dict[str, Any]] = field(default_factory=list)
    cooldowns: list[dict[str, Any]] = field(default_factory=list)
    orders: Mapping[str, list[str]] = field(default_factory=dict)
    mode: str = "paper"
    url: str = "http://executor"

    def ask(self, method: str, path: str, *, params: Any = None, **_: Any) -> Reply:
        assert method == "GET"
        body: dict[str, Any] = {"mode": self.mode}
        if path == "/v1/positions":
            body = {"positions": self.positions, "cooldowns": self.cooldowns}
        if path == "/v1/orders":
            names = self.orders.get(params["status"], [])
            body = {"orders": [working(name) for name in names]}
        return Reply(status=200, body=body)


def working(signal_id: str, **changes: Any) -> dict[str, Any]:
    """An entry that works, as the API tells it."""
    return {
        "signal_id": signal_id,
        "symbol": "AAPL",
        "underlying": "AAPL",
        "sec_type": "STK",
        "strategy_id": "bollinger",
        "quantity": 40,
        "filled_quantity": 15,
        "price": "101.5",
        **changes,
    }


def row(*exits: tuple[str, int, int], **changes: Any) -> dict[str, Any]:
    """A position as the API tells it; `exits` are (strategy, quantity, sessions held)."""
    names = ("strategy_id", "quantity", "held_days")
    return {
        "symbol": "AAPL",
        "underlying": "AAPL",
        "quantity": "49",
        "average_cost": "100",
        "mark": "102.5",
        "multiplier": "1",
        "sec_type": "STK",
        "right": None,
        "exits": [dict(zip(names, each, strict=True)) for each in exits],
        **changes,
    }


def standing(tmp_path: Path, api: Any, mode: str = "paper") -> Standing:
    return told(make_ports(tmp_path, api=api), "http://executor", mode=mode)


def test_each_entry_of_a_position_is_held_by_its_strategy(tmp_path: Path) -> None:
    two = row(("bollinger", 40, 3), ("low_bounce", 4, 1))
    first, second, bare = standing(tmp_path, Answers(positions=[two])).held
    assert (first.strategy_id, first.held_days, first.value_usd) == ("bollinger", 3, 4100.0)
    assert (second.strategy_id, second.held_days, second.value_usd) == ("low_bounce", 1, 410.0)
    # 49 are held, brackets hold 44: five were bought by somebody
    assert (bare.strategy_id, bare.held_days, bare.value_usd) == ("manual", 0, 512.5)
    assert {held.direction for held in (first, second, bare)} == {Direction.LONG}


def test_short_stock_is_short_and_a_held_put_too(tmp_path: Path) -> None:
    rows = [
        row(("bollinger", 10, 0), quantity="-10", mark=None),
        row(("bollinger", 2, 0), quantity="2", sec_type="OPT", right="P", multiplier="100"),
        row(("bollinger", 2, 0), quantity="2", sec_type="OPT", right="C", multiplier="100"),
    ]
    stock, put, call = standing(tmp_path, Answers(positions=rows)).held
    assert (stock.direction, stock.instrument, stock.value_usd) == ("short", "STOCK", 1000.0)
    assert (put.direction, put.instrument) == (Direction.SHORT, Instrument.PUT)
    assert (call.direction, call.instrument) == (Direction.LONG, Instrument.CALL)
    assert put.value_usd == 2 * 102.5 * 100


def test_entries_that_still_work_are_pending_and_cooldowns_hold(tmp_path: Path) -> None:
    orders = {"PENDING": ["a"], "SUBMITTED": ["b"], "PARTIALLY_FILLED": ["c"], "FILLED": ["d"]}
    cooling = [{"symbol": "MSFT", "strategy_id": ""}, {"symbol": "NVDA", "strategy_id": "x"}]
    found = standing(tmp_path, Answers(orders=orders, cooldowns=cooling))
    assert found.pending is not None
    assert [each.signal_id for each in found.pending] == ["a", "b", "c"]
    assert found.cooling == {("MSFT", ""), ("NVDA", "x")}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ("AAPL", "bollinger", 25.0, 101.5)),  # 15 of 40 are held by now
        ({"price": None}, ("AAPL", "bollinger", 25.0, None)),
        (
            {"sec_type": "OPT", "symbol": "AAPL260116C00100000", "price": "3.2"},
            ("AAPL", "bollinger", 2500.0, 3.2),
        ),
    ],
)
def test_pending_entry_has_the_size_that_is_not_filled(
    tmp_path: Path, changes: dict[str, Any], told: tuple[Any, ...]
) -> None:
    class One(Answers):
        def ask(self, method: str, path: str, *, params: Any = None, **_: Any) -> Reply:
            asked = params and params.get("status") == "SUBMITTED"
            if path != "/v1/orders" or not asked:
                return super().ask(method, path, params=params)
            return Reply(status=200, body={"orders": [working("a", **changes)]})

    (found,) = standing(tmp_path, One()).pending or ()
    assert (found.symbol, found.strategy_id, found.units, found.price_usd) == told


def test_executor_that_is_away_is_no_flat_book(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="is it running"):
        standing(tmp_path, HttpExecutor("http://127.0.0.1:9"))


def test_another_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="trades live, asked for paper"):
        standing(tmp_path, Answers(mode="live"))


@pytest.mark.parametrize("wrong", [{"mark": "dear"}, {"exits": None}, {"sec_type": "OPT"}])
def test_answer_that_is_not_understood_is_said(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(DataError, match="positions are not understood"):
        standing(tmp_path, Answers(positions=[row(("bollinger", 49, 1)) | wrong]))
