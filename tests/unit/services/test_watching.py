"""What is told without being asked."""

from pathlib import Path

from executors import World, armed
from virtual_time import run

from bft.domain.broker import ErrorKind, ErrorReport


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
