"""What is told without being asked."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from executors import World, armed
from virtual_time import run

from bft.adapters.broker.paper import Paper, PaperLog, PaperSettings, Prices, ib_fixed
from bft.domain.broker import ErrorKind, ErrorReport, SessionNote, SessionReport, SessionState


def report(code: int, kind: ErrorKind) -> ErrorReport:
    return ErrorReport(code=code, text="", kind=kind, epoch=1)


def test_five_errors_within_a_minute_are_told(tmp_path: Path) -> None:
    async def then(world: World) -> None:
        hear = world.executor.hearing.hear
        for _ in range(5):
            hear(report(2104, ErrorKind.FARM_OK))
            hear(report(399, ErrorKind.MESSAGE))
        for code in (10999, 10148, 135, 10999):
            hear(report(code, ErrorKind.UNLISTED))
            await world.sleep(20)  # four in a minute and a half
        assert "BrokerErrors" not in world.alerts()
        hear(report(135, ErrorKind.UNCHANGED))
        assert "BrokerErrors" not in world.alerts()  # the fifth came after 80 s
        for _ in range(2):
            hear(report(135, ErrorKind.UNCHANGED))
        assert "BrokerErrors" in world.alerts()

    run(armed(tmp_path, then))


class Kind(Paper):
    """A broker whose account is of a kind."""

    kind = ""

    def account_values(self) -> Any:
        values = super().account_values()
        return replace(values, account_type=self.kind) if values else None


@pytest.mark.parametrize(("kind", "told"), [("INDIVIDUAL", True), ("SIMULATED", False)])
def test_weekly_login_is_told_of_peers_that_have_one(tmp_path: Path, kind: str, told: bool) -> None:
    def broker(world: World) -> Paper:
        settings = PaperSettings(seed=1, latency_s=(0.0, 0.0))
        log = PaperLog(world.folder / "paper.jsonl", sync=lambda _: None)
        return Kind(log, clock=world.clock, prices=Prices(), fee=ib_fixed, settings=settings)

    async def then(world: World) -> None:
        due = SessionReport(
            state=SessionState.ARMED, reason="due", epoch=1, note=SessionNote.LOGIN_TOMORROW
        )
        world.executor.hearing.hear(due)
        await world.sleep(2)
        assert "LoginTomorrow" not in world.alerts()  # its kind is not known yet
        world.broker.kind = kind
        await world.sleep(2)
        assert ("LoginTomorrow" in world.alerts()) is told

    run(armed(tmp_path, then, make_broker=broker))
