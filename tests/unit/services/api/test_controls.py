"""Kill, halts, configuration, closing, ticks, health. Source: executor specification, 1.1, 9."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from api_world import Api, armed, signal
from executors import CLOSE

from bft.services.executor.api.telegram import parsed


def test_kill_latches_and_is_cleared_by_its_generation(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        made = await api.ask("POST", "/v1/kill", {"reason": "smoke"}, role="trader")
        assert made.json()["latched"] is True
        denied = await api.order()
        assert (denied.status_code, denied.json()["error"]) == (423, "kill")
        assert (await api.ask("DELETE", "/v1/kill", {"confirm": 7})).status_code == 409
        file = tmp_path / "KILL"
        file.write_text("x")
        still = await api.ask("DELETE", "/v1/kill", {"confirm": 1})
        assert still.status_code == 409
        assert f"still says kill; remove {file} first" in still.json()["message"]
        file.unlink()
        gone = await api.ask("DELETE", "/v1/kill", params={"confirm": 1})
        assert (gone.status_code, gone.json()["latched"]) == (200, False)
        assert (await api.order(quantity=9)).status_code == 201

    armed(tmp_path, then)


def test_halt_stops_entries_until_an_admin_resumes(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        body = {"scope": "symbol", "key": "aapl", "reason": "rumour"}
        made = await api.ask("POST", "/v1/halt", body)
        assert made.status_code == 201
        denied = await api.order()
        assert (denied.status_code, denied.json()["error"]) == (423, "halted")
        name = made.json()["halt_id"]
        assert [h["halt_id"] for h in (await api.ask("GET", "/v1/halts")).json()["halts"]] == [name]
        assert (await api.ask("POST", "/v1/resume", {"confirm": "other"})).status_code == 404
        assert (await api.ask("POST", "/v1/resume", {"confirm": name})).status_code == 200
        assert (await api.ask("POST", "/v1/resume", {"confirm": name})).status_code == 409
        assert (await api.order(quantity=9)).status_code == 201

    armed(tmp_path, then)


@pytest.mark.parametrize(
    ("shut", "opened", "reason"),
    [
        (
            ("POST", "/v1/halt", {"scope": "account", "reason": "lunch"}),
            ("POST", "/v1/resume"),
            "halted",
        ),
        (("POST", "/v1/kill", {}), ("DELETE", "/v1/kill"), "kill"),
    ],
)
def test_signal_denied_while_shut_is_sent_once_it_is_open(
    tmp_path: Path, shut: tuple[str, str, Any], opened: tuple[str, str], reason: str
) -> None:
    """Its key is not spent on a denial that ends with what holds it."""

    async def then(api: Api) -> None:
        body = {"signals": [signal(signal_id="s1")]}
        made = (await api.ask(*shut)).json()
        (row,) = (await api.ask("POST", "/v1/signals", body)).json()["rows"]
        assert row["error"] == reason
        await api.service.desk.writer.flush()
        (told,) = (await api.ask("GET", "/v1/denials")).json()["rows"]
        assert (told["reason"], told["transient"]) == (reason, True)
        confirm = made.get("halt_id") or made["generation"]
        assert (await api.ask(*opened, {"confirm": confirm})).status_code == 200
        (row,) = (await api.ask("POST", "/v1/signals", body)).json()["rows"]
        assert row["outcome"] == "accepted"

    armed(tmp_path, then)


def test_config_holds_over_a_restart_and_is_taken_back(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        made = await api.ask("PUT", "/v1/config", {"max_trades_per_day": 0})
        assert made.json()["effective"]["max_trades_per_day"] == 0
        assert made.json()["configured"]["max_trades_per_day"] == 5
        assert (await api.order()).json()["error"] == "daily_trades"
        await api.world.stop()
        await api.up()
        told = (await api.ask("GET", "/v1/config")).json()
        assert told["runtime_override"] == {"max_trades_per_day": 0}
        back = await api.ask("PUT", "/v1/config", {"max_trades_per_day": None})
        assert back.json()["runtime_override"] == {}

    armed(tmp_path, then)


UNUSABLE: list[dict[str, Any]] = [
    {"session_windows": "25:00-26:00"},
    {"session_windows": "08:00"},
    {"session_windows": []},
    {"max_trades_per_day": -1},
    {"max_trades_per_day": 1.5},
    {"daily_loss_cap_usd": 0},
    {"unknown": 1},
]


def test_config_that_cannot_be_is_refused(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        for body in UNUSABLE:
            made = await api.ask("PUT", "/v1/config", body)
            assert (made.status_code, body) == (422, body)
        assert (await api.ask("GET", "/v1/config")).json()["runtime_override"] == {}

    armed(tmp_path, then)


def test_windows_are_told_as_they_are_written(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        body = {"session_windows": [{"start": "09:35", "end": "11:00"}, "13:00-15:50"]}
        made = await api.ask("PUT", "/v1/config", body)
        assert made.json()["effective"]["session_windows"] == ["09:35-11:00", "13:00-15:50"]

    armed(tmp_path, then)


def test_part_that_is_named_leaves_and_the_rest_stays_protected(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        for _ in range(2):  # a part of nothing does nothing: no twin
            none = await api.ask("POST", "/v1/close", {"quantity": 3, "symbols": ["AAPL"]})
            assert none.status_code == 404
            assert none.json()["message"] == "AAPL: no position; held: nothing"
        await api.order()
        await api.world.wait(lambda: api.world.protected() == api.world.qty() == 10)
        for body in ({"quantity": 3}, {"quantity": 0, "symbols": ["AAPL"]}):
            assert (await api.ask("POST", "/v1/close", body)).status_code == 422
        two = {"quantity": 3, "symbols": ["AAPL", "MSFT"]}
        assert (await api.ask("POST", "/v1/close", two)).status_code == 422
        part = {"quantity": 3, "symbols": ["AAPL"]}
        done = await api.ask("POST", "/v1/close", part)
        assert [c["quantity"] for c in done.json()["closing"]] == [3]
        twin = await api.ask("POST", "/v1/close", part)
        assert (twin.status_code, twin.json()["error"]) == (409, "duplicate")
        await api.world.wait(lambda: api.world.protected() == api.world.qty() == 7)
        await api.world.stop()
        await api.up()
        await api.world.until_armed()
        await api.world.sleep(5)
        assert api.world.protected() == api.world.qty() == 7

    armed(tmp_path, then)


def test_close_empties_what_is_named(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        await api.order()
        await api.world.wait(lambda: api.world.qty() == 10)
        held = (await api.ask("GET", "/v1/positions")).json()["positions"]
        assert (held[0]["quantity"], held[0]["protected_quantity"]) == ("10", 10)
        assert (await api.ask("POST", "/v1/close", {})).status_code == 422
        assert (await api.ask("POST", "/v1/close", {"all": True})).status_code == 409
        for wrong, told in ({}, "none was given"), ({"confirm": "DU1"}, "'DU1' is not it"):
            refused = await api.ask("POST", "/v1/close", {"all": True, **wrong})
            assert (refused.status_code, refused.json()["message"].endswith(told)) == (409, True)
        done = await api.ask("POST", "/v1/close", {"all": True, "confirm": "PAPER"})
        assert done.status_code == 202
        assert done.json()["closing"][0]["symbol"] == "AAPL"
        await api.world.wait(lambda: api.world.qty() == 0)
        await api.world.sleep(1)
        daily = (await api.ask("GET", "/v1/pnl/daily")).json()
        assert float(daily["realised_usd"]) < 0
        assert daily["strategies"][0]["strategy_id"] == "manual"
        total = (await api.ask("GET", "/v1/pnl/summary")).json()
        assert total["realised_usd"] == daily["realised_usd"]
        history = (await api.ask("GET", "/v1/pnl/history", params={"days": 5})).json()
        assert history["days"][0]["realised_usd"] == daily["realised_usd"]
        text = (await api.ask("GET", "/v1/export/trades.csv")).text
        assert text.splitlines()[0].startswith("created_at,symbol,side,qty,entry_price")
        assert len(text.splitlines()) == 2

    armed(tmp_path, then)


def test_tick_for_a_symbol_that_nobody_trades_is_taken_with_a_warning(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        told = (await api.ask("POST", "/v1/tick", {"symbol": "ZZZZ", "price": 10})).json()
        assert told["status"] == "taken"
        assert told["warning"].startswith("ZZZZ is not held, has no pending entry and is not in")
        for known in ("AAPL", "VIX", "NQZ5"):
            sent = {"symbol": known, "price": 20, "confirm": True}
            assert (await api.ask("POST", "/v1/tick", sent)).json().get("warning", 1) is None

    armed(tmp_path, then)


def test_tick_moves_the_paper_market(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        await api.order(price=99, stop_price=94)
        tick = {"symbol": "aapl", "price": 98.5}
        assert (await api.ask("POST", "/v1/tick", tick)).json()["symbol"] == "AAPL"
        await api.world.wait(lambda: api.world.qty() == 10)
        assert (await api.ask("POST", "/v1/tick", tick | {"price": 0})).status_code == 400

    armed(tmp_path, then)


def test_why_tells_the_whole_story(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        made = (await api.ask("POST", "/v1/signal", signal(signal_id="s-9"))).json()
        await api.world.wait(lambda: api.world.qty() > 0)
        await api.world.sleep(1)
        for name in ("s-9", made["id"], made["decision"]):
            told = (await api.ask("GET", f"/v1/why/{name}")).json()
            assert told["signal"]["signal_id"] == "s-9"
            assert len(told["decisions"][0]["body"]["rules"]) == 32
            assert {row["leg"] for row in told["intents"]} == {"entry", "stop", "target"}
            kinds = [row["kind"] for row in told["history"]]
            assert kinds[0] == "intents"
            assert {"sent", "order", "execution"} <= set(kinds)
        exec_id = told["executions"][0]["exec_id"]
        again = (await api.ask("GET", f"/v1/why/{exec_id}")).json()
        assert again["signal"]["signal_id"] == "s-9"
        assert (await api.ask("GET", "/v1/why/nothing")).status_code == 404

    armed(tmp_path, then)


def test_audit_report_checks_everything(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        empty = (await api.ask("GET", "/v1/audit/report")).json()
        assert empty["worst"] == "FAIL"
        await api.order()
        await api.world.sleep(2)
        told = (await api.ask("GET", "/v1/audit/report")).json()
        failed = [c["name"] for c in told["checks"] if c["level"] == "FAIL"]
        assert failed == []
        assert "## Outcomes" in told["markdown"]

    armed(tmp_path, then)


def test_health_tells_hours_apart_from_readiness(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        ready = (await api.client.get("/v1/health/ready")).json()
        assert ready["status"] == "ready"
        assert ready["may_open"] is True
        assert set(ready["checks"]) == set(
            "database lease broker queue calendar monitor clock".split()
        )
        await api.ask("POST", "/v1/kill")
        shut = await api.client.get("/v1/health/ready")
        assert (shut.status_code, shut.json()["may_open"]) == (200, False)
        assert (await api.client.get("/v1/health")).json()["status"] == "degraded"
        await api.world.broker.stop()
        away = await api.client.get("/v1/health/ready")
        assert (away.status_code, away.json()["checks"]["broker"]) == (503, False)

    armed(tmp_path, then)


def test_entries_close_with_the_session(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        await api.world.at(CLOSE - timedelta(minutes=9))
        api.service.probed = (api.service.desk.timer(), 0.0)
        shut = (await api.client.get("/v1/health/ready")).json()
        assert shut["reasons"] == ["outside the entry windows, next Tue 08:45 New York"]

    armed(tmp_path, then, starts=CLOSE - timedelta(minutes=20))


def test_model_routes(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        told = (await api.ask("GET", "/v1/model/status")).json()
        assert (told["set_digests"], told["threshold"]) == (["d"], "0.55")
        made = await api.ask("PUT", "/v1/model/threshold", {"threshold": 0.7})
        assert made.json()["threshold"] == "0.7"
        gate = await api.ask("PUT", "/v1/config", {"require_model_gate": True})
        assert gate.json()["effective"]["require_model_gate"] is True
        denied = await api.order(model_score=0.6)
        assert (denied.status_code, denied.json()["error"]) == (409, "model_gate")
        assert (await api.ask("POST", "/v1/model/promote", {"set": "ab" * 8})).status_code == 200
        assert api.commands == [["promote", "--as", "ada", "--set", "ab" * 8]]
        api.command_answer = (77, {"error": "conflict"})
        assert (await api.ask("POST", "/v1/model/promote")).status_code == 409

    armed(tmp_path, then)


def test_brokers_not_in_use_are_disabled(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        assert (await api.ask("GET", "/v1/broker/health")).json()["status"] == "healthy"
        assert (await api.ask("GET", "/v1/ibkr/health")).json()["status"] == "disabled"

    armed(tmp_path, then)


def test_metrics_have_closed_labels(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        await api.order()
        await api.order(symbol="ZZZZ")
        text = (await api.client.get("/v1/metrics/prom")).text
        assert 'trading_orders_ok_total{side="BUY",symbol="AAPL"} 1.0' in text
        blocked = 'trading_orders_blocked_total{reason="symbol",side="BUY",symbol="other"} 1.0'
        assert blocked in text
        assert "bft_executor_may_open 1.0" in text
        await api.world.sleep(1)
        await api.ask("POST", "/v1/halt", {"scope": "account", "reason": "test"})
        text = (await api.client.get("/v1/metrics/prom")).text
        for line in (
            'trading_halts_total{reason="manual"} 1.0',
            "bft_executor_send_seconds_count 1.0",
            "bft_executor_ack_seconds_count 3.0",
            "bft_executor_slippage_bps_count 1.0",
            "bft_executor_positions 1.0",
            "bft_executor_protection_gap_qty 0.0",
        ):
            assert line in text, line

    armed(tmp_path, then)


@pytest.mark.parametrize(
    ("text", "made"),
    [
        (
            "[trade] aapl buy 10 @ 100.02 stop 95 target 110 strat:mine conf:0.7",
            {
                "symbol": "aapl",
                "side": "buy",
                "quantity": 10,
                "price": "100.02",
                "stop_price": "95",
                "target_price": "110",
                "strategy_id": "mine",
                "confidence": "0.7",
            },
        ),
        ("AAPL sell 5", {"symbol": "AAPL", "side": "sell", "quantity": 5}),
        (
            "AAPL buy 5 at entry 99 stop 90",
            {"symbol": "AAPL", "side": "buy", "quantity": 5, "price": "99", "stop_price": "90"},
        ),
        ("good morning", None),
        ("AAPL buy many", None),
        ("AAPL buy 5 moon", None),
    ],
)
def test_telegram_text_is_read(text: str, made: dict[str, Any] | None) -> None:
    assert parsed(text) == made


def test_telegram_places_one_order_per_update(tmp_path: Path) -> None:
    secret = {"X-Telegram-Bot-Api-Secret-Token": "s3cret"}
    text = "[trade] AAPL buy 10 @ 100.02 stop 95 target 110 conf:0.7"
    message = {"from": {"id": 42}, "text": text}
    update = {"update_id": 5, "message": message}

    async def then(api: Api) -> None:
        message["date"] = int(api.service.now.timestamp())
        hook = "/v1/hooks/telegram"
        assert (await api.client.post(hook, json=update)).status_code == 401
        made = await api.client.post(hook, json=update, headers=secret)
        assert made.json()["order"]["quantity"] == 10
        await api.client.post(hook, json=update, headers=secret)
        assert len([i for i in api.world.intents() if i.leg.value == "entry"]) == 1
        other = {"update_id": 6, "message": {"from": {"id": 43}, "text": text}}
        assert (await api.client.post(hook, json=other, headers=secret)).status_code == 403
        chat = {"update_id": 7, "message": {"from": {"id": 42}, "text": "hello"}}
        assert (await api.client.post(hook, json=chat, headers=secret)).json()["ok"] is True

    about = {"telegram_secret": "s3cret", "telegram_users": frozenset({"42"})}
    armed(tmp_path, then, about=about)


def test_telegram_is_not_there_unless_configured(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        assert (await api.client.post("/v1/hooks/telegram", json={})).status_code == 404

    armed(tmp_path, then)


def test_bug_is_answered_without_its_trace(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        async def broken(_words: list[str]) -> tuple[int, dict[str, Any]]:
            raise RuntimeError("secret detail")

        api.service.command = broken
        made = await api.ask("POST", "/v1/model/promote")
        assert made.status_code == 500
        assert "secret detail" not in made.text
        assert made.json()["request_id"] == made.headers["x-request-id"]

    armed(tmp_path, then)


def test_routes_and_settings_are_told_to_admins(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        routes = (await api.ask("GET", "/v1/debug/routes")).json()["routes"]
        assert {"POST /v1/orders", "DELETE /v1/orders/{id}", "GET /v1/why/{id}"} <= set(routes)
        told = (await api.ask("GET", "/v1/debug/config")).json()["values"]
        assert told["broker"] == {"value": "ib", "source": "command line"}
        assert told["ib_port"]["source"] == "default"

    armed(tmp_path, then, about={"settings": {"broker": "ib", "ib_port": 0}})
