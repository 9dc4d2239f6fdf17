"""The audit of a day on which people traded beside strategies. Decision record 99."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from api_world import Api, armed, signal
from executors import World

from bft.domain.broker import BrokerPosition, ExecutionReport, PositionReport, Snapshot
from bft.ports import BrokerHooks


class Shared:
    """A paper account on which another client holds `extra` units of each position, too."""

    def __init__(self, paper: Any) -> None:
        self._paper, self.extra = paper, Decimal(0)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._paper, name)

    async def start(self, hooks: BrokerHooks) -> None:
        def report(told: Any) -> None:
            position = isinstance(told, PositionReport)
            hooks.report(replace(told, position=self._more(told.position)) if position else told)

        await self._paper.start(replace(hooks, report=report))

    async def snapshot(self, *, full: bool = False) -> Snapshot:
        told: Snapshot = await self._paper.snapshot(full=full)
        held = [self._more(position) for position in told.positions]
        return replace(told, positions=tuple(held))

    def _more(self, told: BrokerPosition) -> BrokerPosition:
        return replace(told, qty=told.qty + self.extra)


class SharedWorld(World):
    """A world with a shared account."""

    def new_broker(self) -> Any:
        return Shared(super().new_broker())


async def told_book(api: Api) -> tuple[str, float | None]:
    """The audit's check of book and broker, and the gauge beside it."""
    checks = (await api.ask("GET", "/v1/audit/report")).json()["checks"]
    (book,) = (f"{c['level']} {c['text']}" for c in checks if c["name"] == "book")
    values = (await api.ask("GET", "/v1/metrics/debug")).json()["values"]
    return book, values["bft_executor_position_mismatch_qty"]


async def differing(api: Api) -> list[Any]:
    last = (await api.ask("GET", "/v1/reconcile/last")).json()["result"]
    return list(last["differences"])


AGREED = ("OK 0 differences of book and broker", 0.0)


def test_difference_is_told_while_it_is_one(tmp_path: Path) -> None:
    """Another client's fill is told after the position that it made."""

    async def then(api: Api) -> None:
        await api.order()
        await api.world.sleep(2)
        api.world.broker.extra = Decimal("10.0")
        await api.world.executor.reconciler.run(full=False, why="query")
        at = f"{api.world.clock.now():%H:%M:%S} UTC"
        text = f"FAIL 1 differences of book and broker: AAPL book 10, broker 20 at {at}"
        assert await told_book(api) == (text, 10.0)
        stored = [{"symbol": "AAPL", "book": "10", "broker": "20"}]
        assert await differing(api) == stored
        (mine,) = api.world.executor.desk.state.executions.values()
        other = replace(mine.execution, exec_id="other.01", order_ref="", order_id=0, perm_id=9)
        report = ExecutionReport(execution=other, epoch=api.world.broker.epoch)
        api.world.executor.hearing.hear(report)
        assert api.world.qty() == 20
        assert await told_book(api) == AGREED
        await api.world.sleep(35)
        assert await differing(api) == []

    armed(tmp_path, then, kind=SharedWorld)


def test_difference_that_lasts_is_told_over_fills_and_without_the_broker(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        await api.order()
        await api.world.sleep(2)
        api.world.broker.extra = Decimal(7)
        await api.world.sleep(60)
        part = {"symbols": ["AAPL"], "quantity": 4}
        assert (await api.ask("POST", "/v1/close", part)).status_code == 202
        await api.world.sleep(2)
        assert api.world.qty() == 6
        book, gauge = await told_book(api)
        assert (book.split(" at ")[0].split(": ")[1], gauge) == ("AAPL book 6, broker 13", 7.0)
        api.world.executor.desk.reconciled = False  # as when the session is lost
        book, gauge = await told_book(api)
        assert book.endswith(
            "AAPL book 6, broker 13 at 2026-01-05 14:37 UTC, when it was last asked"
        )

    armed(tmp_path, then, kind=SharedWorld)


def test_fills_since_the_last_look_are_no_difference(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        close = {"symbols": ["AAPL"]}
        assert (await api.order()).status_code == 201
        for held, body in ((10, close | {"quantity": 4}), (6, close), (0, None)):
            for _ in range(20):
                await api.world.sleep(0.1)
                assert await told_book(api) == AGREED
            assert api.world.qty() == held
            if body:
                assert (await api.ask("POST", "/v1/close", body)).status_code == 202

    armed(tmp_path, then)


async def failed(api: Api) -> list[str]:
    """Names of failed checks, and every other text about targets."""
    told = (await api.ask("GET", "/v1/audit/report")).json()["checks"]
    rr = next(check for check in told if check["name"] == "rr")
    return [f"{rr['level']} {rr['text']}", *(c["name"] for c in told if c["level"] == "FAIL")]


def test_orders_of_people_without_target_warn_and_a_signal_fails(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        plain = (await api.order(target_price=None)).json()["id"]
        named = (await api.order(target_price=None, strategy_id="mine")).json()["id"]
        await api.world.sleep(2)
        mine = ", ".join(sorted([plain, named]))
        assert await failed(api) == [f"WARN 0 rows without target; 2 by hand: {mine}"]
        api.world.price("MSFT", "100.00")
        sent = signal(symbol="MSFT", target_price=None)
        bare = (await api.ask("POST", "/v1/signal", sent)).json()["id"]
        await api.world.sleep(2)
        text = f"FAIL 1 rows without target: {bare}; 2 by hand: {mine}"
        assert await failed(api) == [text, "rr"]

    armed(tmp_path, then)


def test_trade_of_the_past_without_levels_fails_no_day(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        past = {"entered_at": "2026-01-02T15:00:00Z", "stop_price": None, "target_price": None}
        made = await api.order(**past)
        assert (made.status_code, made.json()["is_backfill"]) == (201, True)
        (line,) = await failed(api)
        assert line == f"WARN 0 rows without target; 1 by hand: {made.json()['id']}"

    armed(tmp_path, then)
