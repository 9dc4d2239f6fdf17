"""Book and broker over a wire that takes time: fills are no difference, others' for a moment."""

from pathlib import Path

import pytest
from crossings import LAG
from scenes import WireScene, bought, wired

from bft.services.executor.closing import Selection

AAPL = Selection(symbols=("AAPL",))


@pytest.mark.parametrize("size", [10_000, 7])
def test_fills_of_entries_and_closes_are_no_difference(tmp_path: Path, size: int) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        closing = scene.executor.closing
        for close in (lambda: closing.close_part(AAPL, 12), lambda: closing.close(AAPL)):
            had = scene.qty()
            assert close()
            for turn in range(120):
                await scene.sleep(0.1)
                assert scene.executor.desk.differences() == [], turn
                if turn % 10 == 0:
                    scene.price("AAPL", "100.00", size=size)
            assert scene.qty() < had
        assert scene.qty() == 0

    wired(tmp_path, story, config={"script": LAG})


def test_what_another_client_bought_is_a_difference_until_it_is_booked(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("MSFT", "100.00")
        scene.fault("manual_order", symbol="MSFT", side="BUY", qty=10, kind="MKT")
        await scene.wait(lambda: scene.qty("MSFT") == 10, within_s=5)
        assert scene.executor.desk.differences() == []
        await scene.sleep(35)
        assert scene.executor.desk.differences() == []
        assert (scene.executor.reconciler.last or {})["differences"] == []

    wired(tmp_path, story)
