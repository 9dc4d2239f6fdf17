"""State outlives the gateway, and equal inputs give an equal tape."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from gateways import AAPL, MORNING, Client, IdleLoop, Stage, play, settle
from ib_async import LimitOrder, MarketOrder, Option, StopOrder

from bft.domain.errors import ConfigError, DataError, UnavailableError, UsageError
from bft.sim.gateway.config import GatewayConfig
from bft.sim.gateway.gateway import GatewaySim
from bft.sim.gateway.store import FileStore, parse, render


def test_everything_comes_back_after_the_gateway_is_gone(tmp_path: Path) -> None:
    held: dict[str, object] = {}

    async def before(stage: Stage) -> None:
        stage.tick(100, 100.02, previous=100)
        ib = await stage.client()
        await stage.place(ib, *ib.bracketOrder("BUY", 10, 100.05, 110, 95))
        await stage.place(ib, LimitOrder("BUY", 1, 90, tif="GTC", orderRef="bft1.K"))
        call = Option("AAPL", "20261218", 105, "C", "SMART")
        await ib.qualifyContractsAsync(call)
        await stage.place(ib, MarketOrder("BUY", 2), contract=call)
        held["orders"] = [
            (o.perm_id, o.status, o.why_held) for o in stage.sim.exchange.books.live()
        ]
        held["executions"] = dict(stage.sim.exchange.books.executions)
        held["accounts"] = stage.sim.exchange.books.accounts
        held["next"] = stage.sim.next_id(10)

    async def after(stage: Stage) -> None:
        books = stage.sim.exchange.books
        assert [(o.perm_id, o.status, o.why_held) for o in books.live()] == held["orders"]
        assert books.executions == held["executions"]
        assert books.accounts == held["accounts"]
        assert stage.sim.next_id(10) == held["next"]
        ib = await stage.client()
        assert {p.contract.secType: p.position for p in ib.positions()} == {"STK": 10, "OPT": 2}
        assert len(await ib.reqCompletedOrdersAsync(apiOnly=False)) == 2
        stage.tick(110, 110.02)  # the target of the bracket still works, and its group
        await settle()
        assert [t.orderStatus.status for t in ib.openTrades()] == ["Submitted"]
        assert {p.contract.secType for p in ib.positions()} == {"OPT"}
        (trade,) = await stage.place(ib, MarketOrder("BUY", 1))
        assert trade.fills[0].execution.execId not in held["executions"]  # type: ignore[operator]

    play(before, state=tmp_path)
    play(after, MORNING + timedelta(minutes=5), state=tmp_path)


def test_what_a_client_was_told_is_stored_already(tmp_path: Path) -> None:
    """Copy the file at the moment of each message, as a kill would leave it."""

    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        seen: list[tuple[str, str]] = []

        def stored(kind: str) -> set[str]:
            rows = stage.sim.store.load()
            return {
                str(getattr(v, "perm_id", "")) + v.__class__.__name__
                for k, _, v in rows
                if k == kind
            }

        def check(number: int, fields: list[str]) -> None:
            if number == 11:
                assert f"{fields[21]}Execution" in stored("execution")
                seen.append(("execution", fields[21]))
            if number == 5:
                assert f"{fields[25]}Order" in stored("order")
                seen.append(("order", fields[25]))

        ib.heard.on_message = check
        await stage.place(ib, *ib.bracketOrder("BUY", 10, 100.05, 110, 95))
        assert {kind for kind, _ in seen} == {"order", "execution"}

    play(body, state=tmp_path)


def test_orders_that_ended_while_the_gateway_was_away_end_when_it_is_back(tmp_path: Path) -> None:
    async def before(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        await stage.place(ib, LimitOrder("BUY", 1, 90), LimitOrder("BUY", 2, 90, tif="GTC"))

    async def after(stage: Stage) -> None:
        await settle()
        ib = await stage.client()
        assert [t.order.totalQuantity for t in ib.openTrades()] == [2]

    play(before, state=tmp_path)
    play(after, MORNING + timedelta(days=3), state=tmp_path)


def test_a_state_in_use_or_unreadable_is_refused(tmp_path: Path) -> None:
    config = GatewayConfig(state=tmp_path, at=MORNING)
    first = GatewaySim(config)
    with pytest.raises(UnavailableError, match="another gateway"):
        GatewaySim(config)
    first.store.close()
    store = FileStore(tmp_path)
    store.save([("order", "1", {"old": True})])
    assert [value for _, _, value in store.load()] == [{"old": True}]
    store.close()
    with pytest.raises(DataError, match="new --state"):
        parse('{"$":"Order","v":{"gone":1}}')
    assert parse(render((MORNING, "x", None, 3))) == (MORNING, "x", None, 3)


def run_day(seed: int = 7) -> list[str]:
    """A scripted morning on a virtual clock; returns the tape."""
    text = 'seed = 3\n[[fault]]\nwhen = {p = 0.3}\ndo = "partial_fill"\nfractions = [0.5]'
    config = GatewayConfig(
        at=datetime(2026, 11, 20, 14, 25, tzinfo=UTC), seed=seed, script=text, messages_per_s=0
    )

    async def body() -> list[str]:
        sim = GatewaySim(config)
        await sim.start()
        ib = Client()
        await ib.connectAsync("127.0.0.1", sim.port, clientId=10)
        ib.placeOrder(AAPL, MarketOrder("BUY", 700))
        await settle()
        for n in range(8):
            sim.advance(sim.now() + timedelta(minutes=1))
            ib.placeOrder(AAPL, StopOrder("SELL", 10, 1 + n))
            ib.placeOrder(AAPL, MarketOrder("BUY", 10 + n))
            await settle()
        ib.disconnect()
        await settle()
        await sim.stop()
        return sim.tape

    with asyncio.Runner(loop_factory=IdleLoop) as runner:
        return runner.run(body())


def test_same_seed_inputs_and_script_give_the_same_tape() -> None:
    first = run_day()
    assert first == run_day()
    assert first != run_day(seed=8)
    assert sum('"what": "fill"' in line for line in first) > 8


def test_virtual_clock_moves_only_by_hand_and_never_back() -> None:
    async def body() -> None:
        sim = GatewaySim(GatewayConfig(at=MORNING))
        await sim.start()
        await asyncio.sleep(3600)
        assert sim.now() == MORNING
        sim.advance(MORNING + timedelta(hours=1))
        assert sim.now() == MORNING + timedelta(hours=1)
        with pytest.raises(UsageError, match="already"):
            sim.advance(MORNING)
        await sim.stop()

    with asyncio.Runner(loop_factory=IdleLoop) as runner:
        runner.run(body())


def test_a_gateway_needs_one_clock_and_simulated_accounts() -> None:
    with pytest.raises(ConfigError, match="clock"):
        GatewaySim(GatewayConfig())
    for accounts in ((), ("U1234567",), ("DU12 4",)):
        with pytest.raises(ConfigError, match="--accounts"):
            GatewaySim(GatewayConfig(at=MORNING, accounts=accounts))
