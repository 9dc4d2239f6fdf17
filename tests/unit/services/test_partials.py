"""Partials: part of a position leaves at its level, the rest stays with a tighter stop."""

import asyncio
from pathlib import Path

import pytest
from scenes import Scene, bought, papered

from bft.domain.orders import Leg
from bft.domain.trading import ExitPolicy
from bft.services.executor.closing import Selection
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


async def rising(scene: Scene) -> None:
    for price in ("105.60", "105.70", "105.80"):
        await asyncio.sleep(4)
        scene.price("AAPL", price)
    await asyncio.sleep(3)


def partials(scene: Scene) -> int:
    """Units that partials are still to take."""
    (cover,) = scene.executor.guard.covers.values()
    return int(sum(each.qty for each in cover.state.partials)) if cover.state else 0


@pytest.mark.parametrize("by_hand_first", [True, False])
def test_part_asked_for_beside_a_partial_leaves_besides(
    tmp_path: Path, *, by_hand_first: bool
) -> None:
    """49 held, 24 by the level and 5 by hand leave. Red: 48 or 24, as the newest one's."""

    async def story(scene: Scene) -> None:
        await bought(scene, exits=HALF_AT_5)
        held = scene.qty("AAPL")
        closing, covers = scene.executor.closing, scene.executor.guard.covers
        if by_hand_first:
            closing.close_part(Selection(symbols=("AAPL",)), 5)
        scene.price("AAPL", "105.50")
        if not by_hand_first:
            for _ in range(2000):  # until the partial is due, and its order has not left yet
                if any(cover.part_qty for cover in covers.values()):
                    break
                await asyncio.sleep(0.001)
            assert not scene.intents(Leg.EXIT)
            closing.close_part(Selection(symbols=("AAPL",)), 5)
        await rising(scene)
        assert scene.qty("AAPL") == held - held // 2 - 5
        assert partials(scene) == 0

    papered(tmp_path, story)


def test_partial_that_fills_in_pieces_takes_its_part_alone(tmp_path: Path) -> None:
    """Red: the first piece was booked as the close by hand before it, and more was sold."""

    async def story(scene: Scene) -> None:
        await bought(scene, exits=HALF_AT_5)
        held = scene.qty("AAPL")
        scene.executor.closing.close_part(Selection(symbols=("AAPL",)), 5)
        await scene.wait(lambda: scene.qty("AAPL") == held - 5, within_s=8)
        await asyncio.sleep(3)
        scene.price("AAPL", "105.50", size=10)
        await asyncio.sleep(3)
        assert partials(scene) == held // 2 - 10
        await rising(scene)
        assert scene.qty("AAPL") == held - held // 2 - 5

    papered(tmp_path, story)
