"""A held share that does not move denies no entry while its line lives; a dead line does."""

from pathlib import Path

import pytest
from executors import signal, usd
from scenes import WireScene, bought, wired

from bft.domain.broker import SessionState
from bft.services.executor.opening import Opened

QUIET_S = 300


async def asked(scene: WireScene) -> Opened:
    """An entry in another symbol, whose quotes have come until now."""
    scene.price("MSFT", "100.00")
    now = scene.clock.now()
    await scene.submit(signal("MSFT", signal_id="look", decided_at=now, confidence=usd("0.1")))
    scene.price("MSFT", "100.01")
    await scene.sleep(1)
    return await scene.submit(signal("MSFT", decided_at=scene.clock.now()))


def day_loss(opened: Opened) -> tuple[str, str]:
    """Verdict and note of rule 21."""
    rule = opened.decision.rules[20]
    return str(rule.verdict), rule.note


def test_held_share_that_does_not_move_denies_no_entry_in_another(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        await scene.sleep(QUIET_S)
        opened = await asked(scene)
        assert opened.decision.allowed, opened.decision.detail

    wired(tmp_path, story)


def test_living_line_makes_no_quote_young_enough_for_an_order_of_its_own(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        await scene.sleep(QUIET_S)
        again = signal(signal_id="again", decided_at=scene.clock.now())
        refused = await scene.submit(again)
        assert refused.decision.reason == "stale_data", refused.decision.detail
        assert day_loss(refused)[0] == "pass"

    wired(tmp_path, story)


def test_broken_farm_denies_and_is_named_until_it_is_back(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.fault("code", code=2103)
        await scene.sleep(QUIET_S)
        refused = await asked(scene)
        assert refused.decision.reason == "not_armed"
        verdict, note = day_loss(refused)
        assert (verdict, note.partition("at most 60")[2]) == (
            "missing",
            ": market data simulated is broken",
        )
        scene.fault("code", code=2104)
        await scene.sleep(5)  # its line is asked for anew, and tells that nothing has moved
        opened = await asked(scene)
        assert opened.decision.allowed, opened.decision.detail

    wired(tmp_path, story)


def test_halted_share_denies_as_long_as_it_is_halted(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.fault("halted", symbol="AAPL", s=2 * QUIET_S)
        await scene.sleep(QUIET_S)
        refused = await asked(scene)
        assert refused.decision.reason == "daily_loss"
        assert day_loss(refused)[1].endswith("at most 60: halted")
        await scene.sleep(QUIET_S)
        scene.price("AAPL", "100.01")
        await scene.sleep(QUIET_S)
        opened = await asked(scene)
        assert opened.decision.allowed, opened.decision.detail

    wired(tmp_path, story)


@pytest.mark.parametrize(("code", "named"), [(354, "delayed"), (10186, "code 10186")])
def test_error_about_a_line_denies_and_is_named(tmp_path: Path, code: int, named: str) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        ((session, number),) = scene.sim.board.data.tickers
        session.error(number, code, "no market data")
        await scene.sleep(QUIET_S)
        refused = await asked(scene)
        assert refused.decision.reason == "daily_loss"
        assert named in day_loss(refused)[1]

    wired(tmp_path, story)


def test_lost_session_opens_nothing_and_the_next_one_has_lines_of_its_own(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.fault("half_open", s=30)
        await scene.wait(lambda: scene.broker.state is not SessionState.ARMED, within_s=60)
        refused = await scene.submit(signal("MSFT", signal_id="b", decided_at=scene.clock.now()))
        assert refused.decision.reason == "not_armed"
        await scene.rearmed()
        await scene.sleep(QUIET_S)
        opened = await asked(scene)
        assert opened.decision.allowed, opened.decision.detail

    wired(tmp_path, story)
