"""Partials: part of a position leaves at its level, the rest stays with a tighter stop."""

import asyncio
from pathlib import Path

from scenes import Scene, bought, papered

from bft.domain.orders import Leg
from bft.domain.trading import ExitPolicy
from bft.services.executor.protection import is_live

HALF_AT_5 = ExitPolicy(stop_frac=0.07, partials=((0.05, 0.5),))


def test_half_leaves_at_its_level_and_the_rest_stays(tmp_path: Path) -> None:
    """Worked by hand: strategies specification, 3.3. Red: all of it left after ten seconds."""

    async def story(scene: Scene) -> None:
        entry = await bought(scene, exits=HALF_AT_5)
        held = scene.qty("AAPL")
        paid = scene.executor.guard.covers[entry.intent_id].state
        assert paid is not None
        scene.price("AAPL", "104.00")
        await asyncio.sleep(12)
        assert scene.qty("AAPL") == held
        scene.price("AAPL", "105.50")
        await scene.wait(lambda: scene.qty("AAPL") == held - held // 2, within_s=5)
        for price in ("105.60", "105.70", "105.80"):
            scene.price("AAPL", price)
            await asyncio.sleep(6)
        assert scene.qty("AAPL") == held - held // 2
        (stop,) = [leg for leg in scene.intents(Leg.STOP) if is_live(leg)]
        assert stop.remaining_qty == held - held // 2
        assert stop.stop_price_usd is not None
        assert stop.stop_price_usd >= paid.reference_usd
        (left,) = [leg for leg in scene.intents() if leg.reason == "partial"]
        assert left.filled_qty == held // 2

    papered(tmp_path, story)
