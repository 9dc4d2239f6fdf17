"""What people read of a denial: numbers, names and what would pass, by hand."""

from datetime import date, timedelta
from typing import Any

import pytest
from risk_cases import (
    AT,
    D,
    context,
    future_context,
    future_order,
    holding,
    option_context,
    option_order,
    order,
    with_,
)

from bft.risk.context import Cooldown
from bft.risk.decide import evaluate

DAY_TRADE = {"close_decided": False, "strategy_type": "day_trade"}
MANUAL = {"is_signal": False, "qty": 10}
HELD = {"book__positions": (holding("AAPL", qty=90, notional_usd=D(4501)),)}
MANY = {"book__positions": (holding("AAPL", qty=9_999, notional_usd=D(1)),)}
LATER = AT + timedelta(seconds=1)


def cooling(**until: Any) -> dict[str, Any]:
    return {"book__cooldowns": (Cooldown(symbol="AAPL", **until),)}


TOLD: list[tuple[int, dict[str, Any], dict[str, Any], str]] = [
    (25, MANUAL | {"qty": 1}, {}, "below the minimum order: 50.00 USD, at least 100"),
    (26, MANUAL | {"qty": 101}, {}, "101 is more than sizing admits: 100 (max_weight)"),
    # 499 of 5,000 are left, nine shares of 50
    (26, MANUAL, HELD, "10 is more than sizing admits: 9 (max_weight)"),
    (
        26,
        {},
        {"book__positions": (holding("AAPL", qty=99, notional_usd=D(4951)),)},
        "position of 5051.00 USD, at most 5000.00: none more would fit",
    ),
    (26, {}, MANY, "10001 units with what is held and pending, at most 10000"),
    (
        18,
        {},
        cooling(until_asof=date(2025, 6, 4)),
        "cooldown of AAPL until the close of 2025-06-04",
    ),
    (18, {}, cooling(until_at=LATER), "cooldown of AAPL until 2025-06-04 14:00:01 UTC"),
    (
        18,
        {},
        cooling(until_asof=date(2025, 6, 4), until_at=AT),
        "cooldown of AAPL until the close of 2025-06-04",
    ),
    (
        7,
        {},
        {"symbol__in_universe": False},
        "AAPL is not in the night's universe, which profile equities trades",
    ),
    (7, {}, {"symbol__restricted": True}, "AAPL is restricted by the settings"),
    (7, {}, {"symbol__contract_matches": 0}, "no contract fits AAPL: one has to"),
    (7, {}, {"symbol__contract_matches": 2}, "2 contracts fit AAPL: one has to"),
    (7, {}, {"symbol__halted": True}, "trading in AAPL is halted"),
    (7, {}, {"quote__halted": True}, "trading in AAPL is halted"),
    (
        9,
        DAY_TRADE,
        {"at": AT - timedelta(minutes=29)},
        "before the entry window, from 09:35 New York",
    ),
    (11, DAY_TRADE | {"asof": date(2025, 6, 2)}, {}, "asof is too old"),
]


@pytest.mark.parametrize(("number", "orders", "contexts", "words"), TOLD)
def test_denial_says_what_would_pass(
    number: int, orders: dict[str, Any], contexts: dict[str, Any], words: str
) -> None:
    rule = evaluate(order(**orders), with_(context(), **contexts)).rules[number - 1]
    assert rule.note == words


def test_age_of_a_signals_day_is_held_against_one_limit() -> None:
    """On Wednesday 4 June a day trade decides on Tuesday's data at the oldest."""
    late = evaluate(order(**DAY_TRADE, asof=date(2025, 6, 2)), context()).rules[10]
    assert (late.value, late.limit) == ("2025-06-02", "2025-06-03")
    early = evaluate(order(**DAY_TRADE, asof=date(2025, 6, 5)), context()).rules[10]
    assert (early.value, early.limit) == ("2025-06-05", "2025-06-04")


def test_denial_of_futures_and_options_names_them() -> None:
    told = evaluate(future_order(), future_context(symbol__underlying="ES")).detail
    assert told == "ES is not what profile futures_nq trades: MNQ, NQ"
    seen = option_context(symbol__contract_matches=0)
    assert evaluate(option_order(), seen).detail.startswith("no contract fits AAPL  250718C")
