"""An exit signal that cancels an entry which fills before the cancel arrives."""

from dataclasses import replace
from pathlib import Path

from executors import signal, usd
from scenes import WireScene, wired

from bft.domain.orders import IntentState, Leg, Side
from bft.domain.trading import SignalKind


def test_what_fills_before_the_cancel_of_an_exit_signal_leaves(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        entry = signal(limit_price_usd=usd("100.50"))
        await scene.submit(entry)
        await scene.wait(lambda: scene.entry().state is IntentState.ACKED, within_s=2)
        scene.fault("cancel_race", when={"msg": "cancelOrder"})
        leave = replace(entry, signal_id="e2", kind=SignalKind.EXIT, side=Side.SELL, qty=0)
        (asked,) = scene.executor.closing.on_signal(leave)
        assert (asked.what, asked.entry) == ("cancel entry", scene.entry().intent_id)
        await scene.wait(lambda: scene.entry().state is IntentState.FILLED, within_s=3)
        await scene.wait(lambda: scene.qty() == 0, within_s=5)
        (exit_,) = scene.intents(Leg.EXIT)
        assert (exit_.filled_qty, exit_.side) == (scene.entry().qty, Side.SELL)

    wired(tmp_path, story)
