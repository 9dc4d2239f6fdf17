"""What is asked for in the moment between a fill and its count means the filled units too."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from executors import signal, usd
from scenes import Scene, papered

from bft.domain.orders import IntentState, Side
from bft.domain.trading import ExitPolicy, SignalKind
from bft.services.executor.closing import ALL, Selection

POLICY = ExitPolicy(stop_frac=0.07, min_hold_days=0)


async def filling(scene: Scene, size: int) -> None:
    """An entry has filled, or a part of it has; no cover has counted that yet."""
    await scene.submit(signal(limit_price_usd=usd("99.50"), exits=POLICY))
    await scene.wait(lambda: scene.entry().state is IntentState.ACKED)
    scene.price("AAPL", "99.40", "99.45", size=size)
    for _ in range(3000):
        if scene.entry().filled_qty:
            break
        await asyncio.sleep(0)
    assert [cover.open_qty for cover in scene.executor.guard.covers.values()] == [0]


@pytest.mark.parametrize(
    "meant", [ALL, Selection(symbols=("AAPL",)), Selection(strategy="bollinger")]
)
def test_close_takes_what_has_just_filled(tmp_path: Path, meant: Selection) -> None:
    """Red: nothing was closed and nothing was noted."""

    async def story(scene: Scene) -> None:
        await filling(scene, 10_000)
        assert [item.what for item in scene.executor.closing.close(meant)] == ["exit"]
        await scene.wait(lambda: scene.qty() == 0, within_s=10)

    papered(tmp_path, story)


def test_exit_takes_what_has_just_filled_and_the_rest_of_its_entry(tmp_path: Path) -> None:
    """Red: the rest was cancelled, the filled units were kept and the exit counted as made."""

    async def story(scene: Scene) -> None:
        await filling(scene, 20)
        kind = {"kind": SignalKind.EXIT, "side": Side.SELL, "qty": 0}
        items = scene.executor.closing.on_signal(replace(signal(), signal_id="x1", **kind))
        assert [item.what for item in items] == ["exit", "cancel entry"]
        await scene.wait(lambda: scene.qty() == 0, within_s=10)
        await scene.sleep(10)
        assert scene.qty() == 0

    papered(tmp_path, story)
