"""What is said of a field that is wrong: what came, what is wanted, no word of the library."""

from pathlib import Path
from typing import Any

import pytest
from api_world import Api, armed, order

ORDERS: list[tuple[dict[str, Any], str]] = [
    ({"quantity": 1.5}, "quantity 1.5: a whole number"),
    ({"quantity": "7"}, 'quantity "7": a whole number'),
    ({"quantity": -1}, "quantity -1: at least 1"),
    ({"quantity": 10**9}, "quantity 1000000000: at most 99999999"),
    ({"side": "HOLD"}, 'side "HOLD": BUY or SELL'),
    ({"symbol": ""}, 'symbol "": must not be empty'),
    ({"symbol": 7}, "symbol 7: text in double quotes"),
    ({"symbol": "X" * 33}, f'symbol "{"X" * 33}": at most 32 characters'),
    ({"paper": "no"}, 'paper "no": true or false'),
    ({"notes": ["x"]}, "notes (a list): text in double quotes"),
    ({"confidence": "x"}, 'confidence "x": a number such as 12.5'),
    ({"stop_loss_pct": 0.07}, "stop_loss_pct 0.07: percent from 1 to 99, or 0; 7 means 7 %"),
    ({"entered_at": "now"}, 'entered_at "now": an instant such as 2026-01-05T14:30:00Z'),
    ({"client_order_id": "a b"}, 'client_order_id "a b": printable ASCII without spaces'),
    ({"source": "X Y"}, 'source "X Y": 1 to 32 of a-z, 0-9, _ . -'),
    ({"strategy_type": None, "max_hold_days": -1}, "max_hold_days -1: at least 0"),
    ({"features": 3}, "features 3: an object"),
    ({"foo": 1}, "foo: no such field; docs/api.md lists those there are"),
    ({"notes": "y" * 2001}, f'notes "{"y" * 39}...: at most 2000 characters'),
]

OTHERS: list[tuple[str, str, Any, str]] = [
    ("POST", "/v1/orders", [], "body: a JSON object, as {...}"),
    ("POST", "/v1/signals", [7], "signals.0 7: a JSON object, as {...}"),
    ("POST", "/v1/signals", {"signals": []}, "signals: at least 1 of them"),
    ("POST", "/v1/close", {"symbols": "AAPL"}, 'symbols "AAPL": a list, as [...]'),
    ("POST", "/v1/close", {"symbols": [3]}, "symbols.0 3: text in double quotes"),
    ("POST", "/v1/close", {"all": 1}, "all 1: true or false"),
    (
        "POST",
        "/v1/halt",
        {"scope": "sym", "reason": "x"},
        'scope "sym": account, profile, strategy or symbol',
    ),
    ("POST", "/v1/halt", {"scope": "symbol", "key": "AAPL"}, "reason: must be there"),
    (
        "PUT",
        "/v1/config",
        {"session_windows": 7},
        'session_windows 7: as "09:35-11:00", a list of such, or '
        '{"start": "09:35", "end": "11:00"}',
    ),
    ("PUT", "/v1/config", {"max_trades_per_day": True}, "max_trades_per_day true: a whole number"),
    (
        "POST",
        "/v1/orders/x/resolve",
        {"state": "BAD", "evidence": "e", "confirm": "x"},
        'state "BAD": ACKED, CANCELLED, REJECTED or EXPIRED',
    ),
    ("POST", "/v1/tick", {"symbol": "AAPL", "price": 1, "size": 0}, "size 0: at least 1"),
    ("GET", "/v1/orders?limit=0", None, 'limit "0": at least 1'),
    ("GET", "/v1/orders?limit=x", None, 'limit "x": a whole number'),
    ("GET", "/v1/orders?since=x", None, 'since "x": an instant such as 2026-01-05T14:30:00Z'),
    ("GET", "/v1/events?severity=x", None, 'severity "x": INFO, WARNING, ERROR or CRITICAL'),
    ("DELETE", "/v1/kill?confirm=x", None, 'confirm "x": a whole number'),
]
LIBRARY = ("Input should", "String should", "List should", "Value error", "valid", "constrained")


def test_field_is_told_with_what_came_and_what_is_wanted(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        for changes, text in ORDERS:
            made = await api.ask("POST", "/v1/orders", order(**changes))
            assert (made.status_code, made.json()["message"]) == (422, text)
        for method, path, body, text in OTHERS:
            made = await api.ask(method, path, body)
            assert (made.status_code, made.json()["message"]) == (422, text)
            assert not [word for word in LIBRARY if word in made.text.replace("validation", "")]

    armed(tmp_path, then)


def test_every_field_that_is_wrong_is_in_the_details(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        made = await api.order(quantity=1.5, side="HOLD")
        assert made.json()["details"] == [
            {"field": "side", "message": "BUY or SELL", "given": '"HOLD"'},
            {"field": "quantity", "message": "a whole number", "given": "1.5"},
        ]

    armed(tmp_path, then)


@pytest.mark.parametrize("token", ["", 7, "t" * 9000])
def test_token_is_never_told_back(tmp_path: Path, token: Any) -> None:
    async def then(api: Api) -> None:
        made = await api.ask("POST", "/session", {"token": token})
        assert made.status_code in {401, 422}
        assert "ttt" not in made.text
        assert "7" not in made.json()["message"]

    armed(tmp_path, then)
