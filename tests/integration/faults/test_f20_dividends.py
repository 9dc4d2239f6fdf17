"""A special dividend overnight moves stop and target before its ex-date opens, once."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from executors import CLOSE, DAY, usd
from scenes import Scene, WireScene, bought, guarded, wired

from bft.domain import sessions
from bft.domain.orders import Leg
from bft.services.executor.reference import DayBar, Dividend

EX_DATE = sessions.shift(DAY, 1)
OPENS = sessions.open_at(EX_DATE)
BAR = DayBar(
    session=DAY,
    open_usd=usd(100),
    high_usd=usd(101),
    low_usd=usd(99),
    close_usd=usd(100),
)


async def morning(scene: WireScene, amount: str, *, bar: bool = True) -> None:
    """49 AAPL were bought at 100.02 late on Monday; Tuesday opens in five minutes."""
    now = scene.clock.now()
    await bought(scene, created_at=now, decided_at=now)
    (stop,) = scene.intents(Leg.STOP)
    assert stop.stop_price_usd == usd("93.02")
    paid = Dividend(symbol="AAPL", ex_date=EX_DATE, amount_usd=usd(amount))
    scene.night = replace(scene.night, dividends=(paid,), bars={"AAPL": (BAR,)} if bar else {})
    await scene.crash()
    await scene.at(OPENS - timedelta(minutes=5))
    await scene.start()
    await scene.rearmed()
    await scene.sleep(40)


def stops(scene: Scene) -> list[object]:
    return [s.stop_price_usd for s in scene.intents(Leg.STOP) if not s.state.terminal]


def test_special_dividend_stops_nothing_out(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await morning(scene, "15")
        assert stops(scene) == [usd("79.07")]  # 93.02 x (100 - 15) / 100, up to the cent
        assert guarded(scene) == scene.qty() == 49
        await scene.at(OPENS + timedelta(seconds=5))
        scene.price("AAPL", "85.00")
        await scene.sleep(10)
        assert (scene.qty(), stops(scene)) == (49, [usd("79.07")])
        await scene.crash()
        await scene.start()
        await scene.rearmed()
        await scene.sleep(40)
        assert stops(scene) == [usd("79.07")]  # not twice
        scene.price("AAPL", "79.00")
        await scene.wait(lambda: scene.qty() == 0, within_s=10)

    wired(tmp_path, story, at=CLOSE - timedelta(minutes=20), calm=False)


@pytest.mark.parametrize(("amount", "stop"), [("9.99", "93.02"), ("10", "83.72")])
def test_dividend_below_a_tenth_moves_nothing(tmp_path: Path, amount: str, stop: str) -> None:
    async def story(scene: WireScene) -> None:
        await morning(scene, amount)
        assert stops(scene) == [usd(stop)]
        assert guarded(scene) == scene.qty() == 49

    wired(tmp_path, story, at=CLOSE - timedelta(minutes=20), calm=False)


def test_levels_wait_for_the_close_they_are_reckoned_from(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await morning(scene, "15", bar=False)
        assert stops(scene) == [usd("93.02")]
        scene.night = replace(scene.night, bars={"AAPL": (BAR,)})
        await scene.sleep(40)
        assert stops(scene) == [usd("79.07")]

    wired(tmp_path, story, at=CLOSE - timedelta(minutes=20), calm=False)
