"""F7: market data lines that died, at an executor that holds a share."""

from decimal import Decimal
from pathlib import Path

from scenes import WireScene, bought, guarded, wired

from bft.services.executor.marks import worth_now_usd


def test_f07_loss_behind_a_line_that_died_is_known_within_a_minute(tmp_path: Path) -> None:
    """It was believed for a quarter of an hour, and hid what was lost since."""

    async def story(scene: WireScene) -> None:
        await bought(scene)
        (held,) = scene.executor.desk.state.positions.values()
        scene.fault("dead_line", symbol="AAPL")
        scene.price("AAPL", "97.00")  # its stop is below
        await scene.sleep(30)
        assert worth_now_usd(scene.executor.desk, held.contract) == Decimal("100.01")
        await scene.sleep(25)
        assert worth_now_usd(scene.executor.desk, held.contract) == Decimal("97.01")
        assert guarded(scene) == scene.qty() == 49

    wired(tmp_path, story)
