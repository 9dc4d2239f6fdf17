"""F20: a held share has another ticker in the morning; its limits, fences and closes go on."""

from dataclasses import replace
from pathlib import Path

import pytest
from executors import reference, signal
from scenes import WireScene, bought, guarded, wired

from bft.ledger import entries
from bft.services.executor.closing import Selection


async def renamed(scene: WireScene, *, confirmed: bool) -> None:
    """AAPL is bought; the next morning the gateway and the universe call it APPL."""
    await bought(scene)
    await scene.crash()
    scene.fault("rename", symbol="AAPL", to="APPL")
    renames = {"AAPL": "APPL"} if confirmed else {}
    scene.night = replace(reference("APPL", "MSFT", "NVDA"), renames=renames)
    await scene.start()
    await scene.rearmed()
    scene.price("APPL", "100.00")
    await scene.sleep(1)


def halts(scene: WireScene) -> list[tuple[str, str]]:
    held = scene.executor.desk.state.active_halts(scene.clock.now())
    return [(halt.key, halt.rule) for halt in held]


def test_confirmed_change_is_told_and_doubles_no_position(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await renamed(scene, confirmed=True)
        now = scene.clock.now()
        again = await scene.submit(
            signal("APPL", signal_id="s2", created_at=now, decided_at=now, qty=49)
        )
        assert again.decision.reason in {"exposure", "max_position", "size"}
        assert scene.qty() == guarded(scene) == 49
        assert halts(scene) == []
        told = [e.message for e in scene.executor.desk.state.events if e.name == "ticker"]
        assert len(told) == 1
        assert told[0].startswith("AAPL is APPL now")

    wired(tmp_path, story, calm=False)


def test_unconfirmed_change_fences_until_a_person_resumes(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await renamed(scene, confirmed=False)
        assert halts(scene) == [("AAPL", "ticker_change")]
        assert "PositionMismatch" in scene.alerts()
        now = scene.clock.now()
        denied = await scene.submit(signal("APPL", signal_id="s2", created_at=now, decided_at=now))
        assert denied.decision.reason == "halted"
        (halt,) = scene.executor.desk.state.active_halts(scene.clock.now())
        desk = scene.executor.desk
        desk.note(entries.resume(desk.now, halt_id=halt.halt_id, by="ada", note="it is"))
        await scene.sleep(70)
        assert halts(scene) == []  # who resumed has seen it
        assert scene.qty() == guarded(scene) == 49

    wired(tmp_path, story, calm=False)


@pytest.mark.parametrize("name", ["AAPL", "APPL"])
def test_close_takes_it_by_either_name(tmp_path: Path, name: str) -> None:
    async def story(scene: WireScene) -> None:
        await renamed(scene, confirmed=True)
        assert scene.executor.closing.close(Selection(symbols=(name,)))
        await scene.wait(lambda: scene.qty() == 0, within_s=10)

    wired(tmp_path, story, calm=False)
