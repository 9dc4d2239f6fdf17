"""Kill, day loss and day close over restarts: what was decided holds in the next process."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from executors import CLOSE, DAY, OPEN, signal, usd
from scenes import Scene, WireScene, bought, guarded, papered, wired

from bft.domain import sessions
from bft.domain.errors import RefusedError
from bft.domain.orders import IntentState, Leg
from bft.domain.trading import ExitPolicy
from bft.risk.profiles import EQUITIES
from bft.services.executor.reference import DayBar


def test_kill_cancels_openings_and_keeps_protection(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.price("MSFT", "101.00")
        await scene.submit(signal("MSFT", limit_price_usd=usd("100.50")))
        await scene.sleep(0.5)
        scene.executor.killing.latch("api", by="ada")
        refused = await scene.submit(signal("NVDA"))
        assert refused.decision.reason == "kill"
        await scene.sleep(2)
        other = next(i for i in scene.intents(Leg.ENTRY) if i.contract.symbol == "MSFT")
        assert other.state is IntentState.CANCELLED
        assert guarded(scene) == scene.qty() == 49

    wired(tmp_path, story)


def test_kill_in_one_life_cancels_in_the_next(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        await scene.submit(signal(limit_price_usd=usd("100.50")))
        await scene.sleep(0.5)
        scene.fault("drop", when={"msg": "cancelOrder", "times": 1})
        scene.executor.killing.latch("api", by="ada")
        await scene.sleep(0.2)
        await scene.crash()
        await scene.start()
        await scene.wait(lambda: not scene.at_broker(scene.entry()), within_s=6)
        kill = scene.executor.desk.state.kill
        assert kill.latched
        with pytest.raises(RefusedError, match="generation"):
            scene.executor.killing.clear(by="ada", generation=kill.generation + 1)
        scene.executor.killing.clear(by="ada", generation=kill.generation)

    wired(tmp_path, story)


def test_kill_file_latches_at_start_and_blocks_clearing(tmp_path: Path) -> None:
    async def story(scene: Scene) -> None:
        await scene.stop()
        (tmp_path / "KILL").write_text("x")
        await scene.start()
        await scene.sleep(1)
        state = scene.executor.desk.state
        assert state.kill.latched
        with pytest.raises(RefusedError, match="file"):
            scene.executor.killing.clear(by="ada", generation=state.kill.generation)
        (tmp_path / "KILL").unlink()
        scene.executor.killing.clear(by="ada", generation=state.kill.generation)
        assert not scene.executor.desk.killed

    papered(tmp_path, story)


def test_kill_with_flatten_closes_all_even_after_a_crash(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.executor.killing.latch("api", by="ada", flatten=True)
        await scene.executor.desk.writer.flush()
        await scene.crash()
        assert scene.intents(Leg.EXIT) == []
        await scene.start()
        await scene.rearmed()
        await scene.wait(lambda: scene.qty() == 0, within_s=5)
        assert exits(scene) == [("AAPL", "SELL", "MARKET", 49, "risk", "FILLED")]
        scene.executor.killing.clear(by="ada", generation=scene.executor.desk.state.kill.generation)

    wired(tmp_path, story)


def exits(scene: Scene) -> list[tuple[str, str, str, int, str, str]]:
    """Every closing order that was ever made."""
    return [
        (i.contract.symbol, i.side.value, i.order_type.value, i.filled_qty, i.reason, i.state.value)
        for i in scene.intents(Leg.EXIT)
    ]


def test_loss_at_the_flatten_figure_closes_everything(tmp_path: Path) -> None:
    """8 shares each at 100.02, stop 60 % away; at 41.00 944.32 USD are lost, of 500 allowed."""

    async def story(scene: WireScene) -> None:
        policy = ExitPolicy(stop_frac=0.60)
        for symbol in ("AAPL", "MSFT"):
            scene.price(symbol, "100.00")
            await scene.submit(signal(symbol, exits=policy, qty=0))
        scene.price("NVDA", "101.00")
        await scene.submit(signal("NVDA", exits=policy, limit_price_usd=usd("100.50")))
        await scene.sleep(1)
        assert (scene.qty("AAPL"), scene.qty("MSFT"), scene.qty("NVDA")) == (8, 8, 0)
        for symbol in ("AAPL", "MSFT"):
            scene.price(symbol, "41.00")
        await scene.sleep(5)
        assert sorted(exits(scene)) == [
            ("AAPL", "SELL", "MARKET", 8, "risk", "FILLED"),
            ("MSFT", "SELL", "MARKET", 8, "risk", "FILLED"),
        ]
        rest = next(i for i in scene.intents(Leg.ENTRY) if i.contract.symbol == "NVDA")
        assert rest.state is IntentState.CANCELLED
        assert "DayLossHalt" in scene.alerts()
        refused = await scene.submit(signal("NVDA", signal_id="later"))
        assert refused.decision.reason == "halted"

    wired(tmp_path, story, profile=replace(EQUITIES, flatten_loss_frac=usd("0.005")))


@pytest.mark.parametrize("crashes", [False, True])
def test_day_trade_is_gone_five_minutes_before_the_close(tmp_path: Path, crashes: bool) -> None:
    async def story(scene: Scene) -> None:
        order = signal(strategy_type="day_trade", decided_at=scene.clock.now())
        opened = await scene.submit(order)
        assert opened.decision.allowed, opened.decision.detail
        await scene.sleep(1)
        assert scene.qty() > 0
        await scene.at(CLOSE - timedelta(minutes=10, seconds=5))
        if crashes:
            await scene.crash()
            await scene.again()
        for _ in range(8):
            scene.price("AAPL", "100.00")
            await scene.sleep(5)
        assert scene.clock.now() < CLOSE - timedelta(minutes=5)
        assert scene.qty() == 0

    papered(tmp_path, story, at=CLOSE - timedelta(minutes=25))


def test_exit_decided_at_the_close_leaves_at_the_next_open_after_a_crash(tmp_path: Path) -> None:
    """Of gold's bar of the day, read by the next process; the order rests for the auction."""

    async def story(scene: Scene) -> None:
        policy = ExitPolicy(stop_frac=0.07, max_hold_days=1)
        opened = await scene.submit(signal(exits=policy, decided_at=scene.clock.now()))
        assert opened.decision.allowed, opened.decision.detail
        await scene.sleep(1)
        assert scene.qty() == 49
        await scene.crash()
        prices = dict.fromkeys(("open_usd", "high_usd", "low_usd", "close_usd"), usd("101"))
        scene.night = replace(scene.night, bars={"AAPL": (DayBar(session=DAY, **prices),)})
        morning = sessions.open_at(sessions.shift(DAY, 1))
        await scene.at(morning - timedelta(minutes=50))
        await scene.start()
        await scene.rearmed()
        assert scene.intents(Leg.EXIT) == []
        await scene.at(morning - timedelta(minutes=44))
        assert exits(scene) == [("AAPL", "SELL", "MARKET", 0, "time", "ACKED")]
        await scene.at(morning + timedelta(seconds=5))
        scene.price("AAPL", "100.00")
        await scene.sleep(5)
        assert exits(scene) == [("AAPL", "SELL", "MARKET", 49, "time", "FILLED")]
        assert scene.qty() == guarded(scene) == 0

    papered(tmp_path, story, at=OPEN + timedelta(minutes=6))


@pytest.mark.parametrize("built", [True, False])
def test_morning_after_a_close_that_nobody_saw(tmp_path: Path, built: bool) -> None:
    """The night's close stands for the mark; without it people are told what to build."""

    async def story(scene: Scene) -> None:
        await bought(scene)
        await scene.stop()
        following = sessions.open_at(sessions.shift(DAY, 1))
        await scene.at(following + timedelta(minutes=30))
        night = replace(scene.night, gold_asof=DAY)
        bar = DayBar(
            session=DAY,
            open_usd=usd(100),
            high_usd=usd(102),
            low_usd=usd(99),
            close_usd=usd(101),
        )
        scene.night = replace(night, bars={"AAPL": (bar,)} if built else {})
        await scene.start()
        scene.price("AAPL", "101.00")
        scene.price("MSFT", "100.00")
        await scene.until_armed()
        await scene.sleep(2)
        told = [why for why in scene.executor.facts.shut() if "rule 21" in why]
        assert bool(told) is not built
        if told:
            assert f"bft run nightly --asof {DAY}) or close it" in told[0]

    papered(tmp_path, story)
