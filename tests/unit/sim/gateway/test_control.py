"""The control port: prices, clock, manual orders, faults, tape and state over HTTP."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from gateways import MORNING, Client, IdleLoop, settle, stock
from ib_async import LimitOrder

from bft.domain.errors import UnavailableError
from bft.sim.gateway.config import GatewayConfig
from bft.sim.gateway.gateway import GatewaySim


async def call(sim: GatewaySim, method: str, path: str, **body: Any) -> tuple[int, Any]:
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.control_port)
    data = json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(data)}\r\n\r\n"
    writer.write(head.encode() + data)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    top, _, rest = answer.partition(b"\r\n\r\n")
    assert b"X-Simulated: bft" in top
    return int(top.split(b" ")[1]), json.loads(rest)


def run(body: Callable[[GatewaySim], Awaitable[None]]) -> None:
    async def play() -> None:
        sim = GatewaySim(GatewayConfig(at=MORNING, prices="control", control_port=0))
        await sim.start()
        try:
            await body(sim)
        finally:
            await sim.stop()

    with asyncio.Runner(loop_factory=IdleLoop) as runner:
        runner.run(play())


def test_prices_orders_and_state_over_http() -> None:
    async def body(sim: GatewaySim) -> None:
        ib = Client()
        await ib.connectAsync("127.0.0.1", sim.port, clientId=10)
        status, said = await call(sim, "POST", "/tick", symbol="AAPL", bid=100, ask=100.02)
        assert (status, said) == (
            200,
            {"simulated": True, "bid": "100", "ask": "100.02", "last": "100.01"},
        )
        ib.placeOrder(stock("AAPL"), LimitOrder("BUY", 10, 100.05))
        await settle()
        _, made = await call(sim, "POST", "/order", symbol="AAPL", side="BUY", qty=5)
        assert made["filled"] == "5"
        _, state = await call(sim, "GET", "/state")
        (held,) = state["positions"]
        assert (held["symbol"], held["qty"]) == ("AAPL", "15")
        assert [e["qty"] for e in state["executions"]] == ["10", "5"]
        assert state["clients"] == [10]
        _, closed = await call(sim, "POST", "/close", symbol="AAPL")
        assert closed["perm_id"]
        await settle()
        assert ib.positions() == []
        _, tape = await call(sim, "GET", "/tape")
        assert [line["what"] for line in tape["tape"]].count("fill") == 3
        ib.disconnect()
        await settle()

    run(body)


def test_long_advance_keeps_nobody_waiting_and_two_add_up() -> None:
    async def body(sim: GatewaySim) -> None:
        done = list[str]()
        for second in range(1000):
            sim.agenda.at(MORNING + timedelta(seconds=second), lambda: None)

        async def ask(method: str, path: str, **body: Any) -> None:
            await call(sim, method, path, **body)
            done.append(path)

        await asyncio.gather(
            ask("POST", "/advance", seconds=600),
            ask("POST", "/advance", seconds=600),
            ask("GET", "/state"),
        )
        assert done == ["/state", "/advance", "/advance"]
        assert sim.now() == MORNING + timedelta(seconds=1200)

    run(body)


def test_clock_and_faults_over_http() -> None:
    async def body(sim: GatewaySim) -> None:
        assert (await call(sim, "POST", "/advance", seconds=90))[1]["now"].startswith(
            "2026-11-20T15:01:30"
        )
        assert (await call(sim, "POST", "/advance", to="2026-11-20T16:00:00Z"))[0] == 200
        assert (await call(sim, "POST", "/fault", do="clock_skew", s=60))[0] == 200
        ib = Client()
        await ib.connectAsync("127.0.0.1", sim.port, clientId=10)
        told = await ib.reqCurrentTimeAsync()
        assert (told - MORNING).total_seconds() == 3660
        ib.disconnect()
        await settle()

    run(body)


def test_bad_requests_say_what_is_wrong() -> None:
    cases = [
        ("POST", "/tick", {"symbol": "NOPE", "bid": 1, "ask": 2}, 400, "no contract 'NOPE'"),
        ("POST", "/tick", {"symbol": "AAPL", "bid": 1}, 400, "needs bid and ask"),
        ("POST", "/tick", {"symbol": "AAPL", "bid": "x", "ask": 2}, 400, "no number"),
        ("POST", "/tick", {"symbol": "AAPL", "bid": 1, "ask": 2, "b": 3}, 400, "unknown 'b'"),
        ("POST", "/advance", {"to": "2026-11-20T15:00:00"}, 400, "no zone"),
        ("POST", "/advance", {"to": "2020-01-01T00:00:00Z"}, 400, "already"),
        ("POST", "/order", {"symbol": "AAPL", "side": "HOLD", "qty": 1}, 400, "HOLD"),
        ("POST", "/order", {"symbol": "AAPL", "side": "BUY", "qty": 0}, 400, "434"),
        ("POST", "/fault", {"do": "dorp"}, 400, "did you mean drop"),
        ("GET", "/nowhere", {}, 404, "GET /state"),
    ]

    async def body(sim: GatewaySim) -> None:
        for method, path, given, status, says in cases:
            found, answer = await call(sim, method, path, **given)
            assert (found, says in answer["error"]) == (status, True), answer

    run(body)


def test_numbers_that_are_none_change_nothing() -> None:
    order = {"symbol": "AAPL", "side": "BUY"}
    bad: list[tuple[str, dict[str, Any]]] = [
        ("/tick", {"symbol": "AAPL", "bid": "NaN", "ask": 101}),
        ("/tick", {"symbol": "AAPL", "bid": float("nan"), "ask": 101}),
        ("/tick", {"symbol": "AAPL", "bid": -5, "ask": 101}),
        ("/tick", {"symbol": "AAPL", "bid": 100, "ask": float("inf")}),
        ("/order", {**order, "qty": "NaN"}),
        ("/order", {**order, "qty": 5, "kind": "LMT", "limit": "Infinity"}),
        ("/advance", {"seconds": float("inf")}),
    ]

    async def body(sim: GatewaySim) -> None:
        await call(sim, "POST", "/tick", symbol="AAPL", bid=100, ask=100.02)
        for path, given in bad:
            status, said = await call(sim, "POST", path, **given)
            assert (status, "error" in said, given) == (400, True, given)
        _, state = await call(sim, "GET", "/state")
        assert (state["positions"], state["open_orders"]) == ([], [])
        assert (await call(sim, "POST", "/order", **order, qty=5))[1]["filled"] == "5"

    run(body)


def test_what_is_no_http_is_hung_up_on() -> None:
    async def body(sim: GatewaySim) -> None:
        for sent in (b"\r\n\r\n", b"POST /tick HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", sim.control_port)
            writer.write(sent)
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()
        assert (await call(sim, "GET", "/state"))[0] == 200

    run(body)


def test_taken_port_names_one_that_the_executor_finds() -> None:
    async def main() -> None:
        first = GatewaySim(GatewayConfig(at=MORNING, prices="control"))
        await first.start()
        second = GatewaySim(GatewayConfig(at=MORNING, prices="control", port=first.port))
        with pytest.raises(UnavailableError, match=r"--port 7497 .* BFT_IB_PORT=7497"):
            await second.start()
        await first.stop()

    asyncio.run(main())
