"""Orders over HTTP: bodies, codes, answers. Source: executor specification, sections 1.1, 1.2."""

from pathlib import Path
from typing import Any

import pytest
from api_world import Api, armed, signal

from bft.domain.orders import Leg


def test_order_is_placed_once_and_shown(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        made = await api.order()
        assert made.status_code == 201, made.text
        body = made.json()
        assert body["status"] in {"SUBMITTED", "FILLED"}
        assert body["quantity"] == 10
        assert body["bracket"] == {"stop": "95", "target": "110"}
        assert (body["mode"], body["simulated"], body["is_backfill"]) == ("paper", True, False)
        assert body["request_id"] == made.headers["x-request-id"]
        assert len(api.world.intents(Leg.ENTRY)) == 1
        shown = (await api.ask("GET", f"/v1/orders/{body['id']}/")).json()
        assert shown["id"] == body["id"]
        await api.world.sleep(1)
        status = (await api.ask("GET", f"/v1/orders/{body['id']}/status")).json()
        assert status["status"] == "FILLED"
        shown = (await api.ask("GET", f"/v1/orders/{body['id']}")).json()
        assert shown["avg_fill_price"] == "100.02"
        listed = (await api.ask("GET", "/v1/orders", params={"status": "filled"})).json()
        assert [row["id"] for row in listed["orders"]] == [body["id"]]
        none = (await api.ask("GET", "/v1/orders", params={"symbol": "MSFT"})).json()
        assert none == {"orders": []}

    armed(tmp_path, then)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = {"a": value}
    return value


BAD_ORDERS: list[tuple[dict[str, Any], int]] = [
    ({"quantity": 1.5}, 422),
    ({"quantity": -1}, 422),
    ({"quantity": 0}, 422),
    ({"quantity": 1_000_000_000}, 422),
    ({"quantity": "10"}, 422),
    ({"quantity": True}, 422),
    ({"stop_frac": 7}, 422),
    ({"stop_loss_pct": 0.07}, 422),
    ({"surprise": 1}, 422),
    ({"qty": 11}, 422),
    ({"action": "SELL"}, 422),
    ({"side": "HOLD"}, 422),
    ({"strategy_type": "scalp"}, 422),
    ({"confidence": 1.2}, 422),
    ({"symbol": "AAPL; DROP"}, 422),
    ({"symbol": "A" * 40}, 422),
    ({"notes": "x" * 2001}, 422),
    ({"client_order_id": "x" * 65}, 422),
    ({"features": {"x": "y" * 17_000}}, 422),
    ({"features": nested(400)}, 422),
    ({"notes": "\x00"}, 422),
    ({"instrument": "call"}, 422),
    ({"entered_at": "2026-01-06T15:00:00"}, 400),
    ({"price": 0}, 400),
    ({"price": -5}, 400),
    ({"stop_price": 101}, 400),
    ({"stop_price": 100.02}, 400),
    ({"symbol": "ZZZZ"}, 400),
    ({"paper": False}, 403),
]


def test_bad_order_is_refused(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        for changes, code in BAD_ORDERS:
            made = await api.order(**changes)
            assert (made.status_code, changes) == (code, changes), made.text
            told = made.json()
            assert {"error", "message", "rule", "details", "request_id", "decision"} <= told.keys()
        assert api.world.intents() == []

    armed(tmp_path, then)


BAD_BODIES = [
    (b'{"symbol": "AAPL", "symbol": "MSFT"}', "application/json", 422),
    (b'{"symbol": NaN}', "application/json", 422),
    (b"not json", "application/json", 400),
    (b"\xff\xfe", "application/json", 400),
    (b"[" * 100_000, "application/json", 422),
    (b'{"symbol": "\\ud800"}', "application/json", 422),
    (b"{}", "text/plain", 415),
    (b'{"notes": "' + b"x" * 300_000 + b'"}', "application/json", 413),
    (b"[]", "application/json", 422),
]


def test_bad_body_is_refused(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        for raw, kind, code in BAD_BODIES:
            made = await api.ask("POST", "/v1/orders", content=raw, headers={"content-type": kind})
            assert (made.status_code, raw[:40]) == (code, raw[:40]), made.text

    armed(tmp_path, then)


SENTENCES = [
    (b"", "the body is no JSON: it is empty"),
    (b"[" * 100_000, "objects and lists nested deeper than 32"),
    (b"[" * 40 + b"]" * 40, "objects and lists nested deeper than 32"),
    (b'{"price": NaN}', "price: NaN is no number of JSON"),
    (b'{"features": {"a": [1, -Infinity]}}', "features.a.1: -Infinity is no number of JSON"),
    (b"1" * 5000, "the body is no JSON: a whole number of more than 4300 digits"),
    (b"NaN", "body: NaN is no number of JSON"),
    (
        b'{"symbol": "AAPL",\n side: 1}',
        "the body is no JSON: Expecting property name enclosed in double quotes at line 2, "
        "column 2; names and text stand in double quotes",
    ),
    (b'{"symbol": "\xff"}', "the body is no JSON: it is not UTF-8"),
    (b"[]", "body: a JSON object, as {...}"),
    (b'{"symbol": "AAPL", "side": "BUY", "count": 1}', "count: no such field; docs/api.md"),
    (b'{"side": "BUY"}', "symbol: must be there"),
    (b'{"symbol": "../etc", "side": "BUY"}', "body: symbol '../etc': no symbol; write AAPL, BRK"),
]


def test_bad_body_is_told_what_is_wrong_with_it(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        json_kind = {"content-type": "application/json"}
        for raw, text in SENTENCES:
            made = await api.ask("POST", "/v1/orders", content=raw, headers=json_kind)
            assert made.json()["message"].startswith(text), made.text

    armed(tmp_path, then)


def test_what_is_refused_unread_is_on_record(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        made = [
            await api.ask(
                "POST", "/v1/orders", content=b"{", headers={"content-type": "application/json"}
            ),
            await api.order(surprise=1),
            await api.order(headers={"idempotency-key": "k" * 300}),
            await api.ask("POST", "/v1/signals", [signal(quantity=1.5)]),
            await api.order(headers={"x-bft-mode": "live"}),
        ]
        await api.ask("POST", "/v1/signal", signal(symbol="ZZZZ", signal_id="twice"))
        other = [signal(symbol="ZZZY", signal_id="twice")]
        batch = (await api.ask("POST", "/v1/signals", other)).json()["rows"]
        codes = [answer.status_code for answer in made] + [batch[0]["code"]]
        assert codes == [400, 422, 422, 422, 403, 409]
        made.append(await api.ask("POST", "/v1/orders", signal(), role="viewer"))
        codes.insert(-1, 403)
        await api.world.executor.desk.writer.flush()
        apart = (await api.ask("GET", "/v1/denials")).json()["refused_requests"]
        kept = {row["decision_id"]: row for row in apart["rows"]}
        assert apart["count"] == len(kept)
        named = [answer.json()["decision"] for answer in made] + [batch[0]["decision"]]
        assert [kept[name]["http_code"] for name in named] == codes
        assert len(kept) == len(codes)
        why = (await api.ask("GET", f"/v1/why/{named[1]}")).json()
        assert why["denials"][0]["detail"] == made[1].json()["message"]
        text = (await api.order(quantity=0)).json()["message"]
        assert text == "quantity 0: at least 1"
        assert (await api.order(shares=-10)).json()["message"] == "shares -10: at least 1"
        assert api.world.intents(Leg.ENTRY) == []

    armed(tmp_path, then)


def test_an_order_below_the_minimum_is_told_both_figures(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        made = await api.order(quantity=1, price=99)
        assert (made.status_code, made.json()["error"]) == (400, "size")
        assert made.json()["message"] == "below the minimum order: 99.00 USD, at least 100"

    armed(tmp_path, then)


def test_names_and_forms_of_fields_mean_the_same(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        body = {
            "symbol": " aapl",
            "action": "buy",
            "shares": 10,
            "entry": "100.02",
            "stop_loss_pct": -5,
            "take_profit_pct": 10,
            "confidence": 0.7,
        }
        made = await api.ask("POST", "/v1/orders", body)
        assert made.status_code == 201, made.text
        assert made.json()["bracket"] == {"stop": "95.01", "target": "110.01"}

    armed(tmp_path, then)


def test_order_above_what_risk_allows_is_denied_not_cut(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        made = await api.order(quantity=5000)
        assert made.status_code == 400
        assert made.json()["error"] == "max_position"

    armed(tmp_path, then)


def test_signal_is_cut_and_sized(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        made = await api.ask("POST", "/v1/signal", signal(quantity=None))
        assert made.status_code == 201, made.text
        # 5 % of 100,000 USD at 100.02: 49 shares; risk 0.5 % / 5.02: 99
        assert made.json()["quantity"] == 49

    armed(tmp_path, then)


def test_batch_with_a_malformed_row_sends_nothing(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        rows = [signal(signal_id="a"), signal(signal_id="b", quantity=1.5)]
        made = await api.ask("POST", "/v1/signals", {"signals": rows})
        assert made.status_code == 422
        assert api.world.intents() == []
        twice = [signal(signal_id="a"), signal(signal_id="a", price=99)]
        assert (await api.ask("POST", "/v1/signals", twice)).status_code == 422

    armed(tmp_path, then)


def test_orders_are_told_with_the_decision_that_let_them_pass(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        made = (await api.order()).json()
        await api.service.stored()
        (row,) = (await api.ask("GET", "/v1/orders")).json()["orders"]
        one = (await api.ask("GET", f"/v1/orders/{made['id']}")).json()
        assert made["decision"] == row["decision"] == one["decision"]
        assert made["decision"] is not None

    armed(tmp_path, then)


def test_batch_gives_one_decision_per_row(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        rows = [signal(signal_id="a"), signal(signal_id="b", symbol="ZZZZ")]
        made = await api.ask("POST", "/v1/signals", rows)
        assert made.status_code == 200
        assert made.json()["counts"] == {"accepted": 1, "symbol": 1}
        again = await api.ask("POST", "/v1/signals", rows)
        assert again.json()["counts"] == {"replayed": 2}

    armed(tmp_path, then)


def test_backfill_is_a_row_of_the_log_alone(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        made = await api.order(entered_at="2025-09-12 13:45:00", notes="old")
        assert made.status_code == 201
        assert made.json()["is_backfill"] is True
        assert api.world.intents() == []
        log = (await api.ask("GET", "/v1/logs/trades")).json()["trades"]
        assert log[0]["entered_at"] == "2025-09-12T13:45:00.000000+00:00"
        assert log[0]["is_backfill"] is True

    armed(tmp_path, then)


def test_order_of_the_other_mode_is_refused(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        made = await api.order(headers={"X-BFT-Mode": "live"})
        assert (made.status_code, made.json()["error"]) == (403, "mode")
        assert (await api.order(headers={"X-BFT-Mode": "paper"})).status_code == 201

    armed(tmp_path, then)


def test_working_order_is_cancelled_then_finished(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        made = await api.order(price=99, stop_price=94, client_order_id="mine-1")
        assert made.status_code == 201, made.text
        gone = await api.ask("DELETE", "/v1/orders/mine-1")
        assert (gone.status_code, gone.json()["state"]) == (200, "CANCELLED")
        assert (await api.ask("DELETE", "/v1/orders/mine-1")).status_code == 409
        assert (await api.ask("DELETE", "/v1/orders/other")).status_code == 404

    armed(tmp_path, then)


def test_sale_of_a_part_leaves_the_rest_protected(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        await api.order()
        await api.world.wait(lambda: api.world.protected() == api.world.qty() == 10)
        part = await api.order(side="SELL", quantity=4, price=None)
        assert (part.status_code, part.json()["closing"][0]["quantity"]) == (202, 4)
        again = await api.order(side="SELL", quantity=4, price=None)
        assert (again.status_code, again.json()["error"]) == (409, "duplicate")
        await api.world.wait(lambda: api.world.protected() == api.world.qty() == 6)
        assert len(api.world.intents(Leg.TARGET)) == 1
        await api.world.wait(lambda: target_left(api) == 6)
        assert api.world.intents(Leg.EXIT)[0].oca_group is None  # a fill in it would end the stop
        assert len(api.world.intents(Leg.STOP)) == 1
        made = await api.order(side="SELL", quantity=60, price=None)
        assert made.json()["closing"][0]["quantity"] == 6
        await api.world.wait(lambda: api.world.qty() == 0)
        (trade,) = (await api.ask("GET", "/v1/logs/trades")).json()["trades"]
        assert (trade["qty"], trade["outcome"]) == ("10", "manual_exit")

    armed(tmp_path, then)


def target_left(api: Api) -> int:
    return sum(i.remaining_qty for i in api.world.intents(Leg.TARGET) if not i.state.terminal)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"price": 100.02}, 400),  # the bid is 100.00: the market would break the promise
        ({"price": 100.00}, 202),
        ({"price": 95, "order_type": "STOP"}, 400),
        ({"price": 95, "trigger_price": 96, "order_type": "STOP_LIMIT"}, 400),
        ({"price": 150, "order_type": "MARKET"}, 202),
    ],
)
def test_sale_at_a_price_is_never_made_below_it(
    tmp_path: Path, changes: dict[str, Any], code: int
) -> None:
    async def then(api: Api) -> None:
        await api.order()
        await api.world.wait(lambda: api.world.qty() == 10)
        told = await api.order(side="SELL", **changes)
        assert told.status_code == code, told.text
        await api.world.sleep(3)
        assert api.world.qty() == (10 if code == 400 else 0)

    armed(tmp_path, then)


def test_exit_signal_for_fewer_shares_closes_so_many(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        await api.ask("POST", "/v1/signal", signal(quantity=10))
        await api.world.wait(lambda: api.world.protected() == api.world.qty() == 10)
        leave = {"kind": "exit", "side": "SELL", "shares": 3, "quantity": None}
        made = await api.ask("POST", "/v1/signal", signal(**leave, strategy_id="manual"))
        assert made.json()["closing"][0]["quantity"] == 3, made.text
        await api.world.wait(lambda: api.world.protected() == api.world.qty() == 7)

    armed(tmp_path, then)


def test_source_follows_the_user_agent(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        await api.order(entered_at="2025-09-12 13:45:00")
        log = (await api.ask("GET", "/v1/logs/trades")).json()["trades"]
        assert log[0]["source"] == "test"

    armed(tmp_path, then)


def test_what_is_kept_of_a_refusal_is_short(tmp_path: Path) -> None:
    """A name of 200 KiB is told back to its sender, and not journaled with each try."""

    async def then(api: Api) -> None:
        made = await api.order(**{"x" * 200_000: 1})
        assert made.status_code == 422
        await api.service.stored()
        (row,) = (await api.ask("GET", "/v1/denials")).json()["refused_requests"]["rows"]
        assert len(row["detail"]) <= 500

    armed(tmp_path, then)
