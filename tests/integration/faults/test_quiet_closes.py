"""Closes by hand over a wire that takes time: no error comes back, nothing is ever oversold."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from crossings import LAG, never_oversold
from executors import signal, usd
from scenes import WireScene, bought, guarded, wired

from bft import exits
from bft.domain.orders import IntentState, Leg
from bft.services.executor.closing import ALL, Selection

AAPL = Selection(symbols=("AAPL",))
SYMBOLS = ("AAPL", "MSFT", "NVDA")
Ask = Callable[[WireScene], Awaitable[None]]


def codes(scene: WireScene) -> list[str]:
    """What the broker complained of; 202 only tells that a cancel was done."""
    told = [e.message for e in scene.executor.desk.state.events if e.name == "broker_code"]
    return [text for text in told if not text.startswith("202")]


async def whole(scene: WireScene) -> None:
    scene.executor.closing.close(AAPL)


async def part(scene: WireScene) -> None:
    scene.executor.closing.close_part(AAPL, 10)


async def all_of_three(scene: WireScene) -> None:
    scene.executor.closing.close(ALL)


async def all_with_an_entry_that_rests(scene: WireScene) -> None:
    scene.price("MSFT", "101.00")
    resting = await scene.submit(signal("MSFT", limit_price_usd=usd("100.50")))
    entry = scene.executor.desk.state.intents
    await scene.wait(lambda: entry[resting.intent_id or ""].state is IntentState.ACKED)
    scene.executor.closing.close(ALL)


async def flatten(scene: WireScene) -> None:
    scene.executor.closing.flatten(exits.Reason.FLATTEN)


async def two_parts(scene: WireScene) -> None:
    await part(scene)
    await quoted(scene, 4)
    await part(scene)


async def parts_at_once(scene: WireScene) -> None:
    await part(scene)
    await scene.sleep(0.05)
    await part(scene)


async def part_then_whole(scene: WireScene) -> None:
    await part(scene)
    await scene.sleep(0.3)
    await whole(scene)


LEFT = {whole: 0, all_of_three: 0, all_with_an_entry_that_rests: 0, flatten: 0, part_then_whole: 0}
LEFT |= {part: 39, two_parts: 29, parts_at_once: 29}


async def quoted(scene: WireScene, turns: int, size: int = 7) -> None:
    for _ in range(turns):
        await scene.sleep(1)
        for symbol in SYMBOLS:
            scene.price(symbol, "100.00", size=size)


@pytest.mark.parametrize("size", [10_000, 7])
@pytest.mark.parametrize("ask", list(LEFT), ids=lambda ask: ask.__name__)
def test_close_by_hand_raises_no_error(tmp_path: Path, ask: Ask, size: int) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("MSFT", "100.00")
        scene.price("NVDA", "100.00")
        for symbol in SYMBOLS if ask in {all_of_three, flatten} else SYMBOLS[:1]:
            await bought(scene, symbol=symbol, signal_id=symbol)
        await scene.sleep(2)
        scene.price("AAPL", "100.00", size=size)
        async with never_oversold(scene, *map(scene.sim.contract, SYMBOLS)):
            await ask(scene)
            await quoted(scene, 11, size)
        assert scene.qty() == guarded(scene) == LEFT[ask]
        assert codes(scene) == []
        assert scene.alerts() <= {"session", "broker_code", "fill"}

    wired(tmp_path, story, config={"script": LAG})


def test_part_leaves_in_the_group_where_its_stop_makes_no_room(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        await scene.sleep(2)
        refused = {"msg": "placeOrder", "leg": "stop", "times": 3}
        scene.fault("reject", code=201, when=refused)
        async with never_oversold(scene, scene.sim.contract("AAPL")):
            await part(scene)
            await quoted(scene, 4, 10_000)
            assert (scene.qty(), scene.intents(Leg.EXIT)) == (49, [])
            await quoted(scene, 8, 10_000)
        assert scene.qty() == guarded(scene) == 39
        assert scene.intents(Leg.EXIT)[0].oca_group

    wired(tmp_path, story)
