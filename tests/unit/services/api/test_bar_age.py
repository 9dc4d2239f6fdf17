"""Rule 11 of a signal that was decided on an intraday bar: the bar's end is in its key."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from api_world import Api, armed, signal

from bft.domain.trading import bar_end


@pytest.mark.parametrize(
    ("key", "ended"),
    [
        ("20260105T1436Z", datetime(2026, 1, 5, 14, 36, tzinfo=UTC)),
        ("2026-01-05", None),
        ("20260105T2561Z", None),
        ("key:mine", None),
    ],
)
def test_key_of_a_bar_tells_its_end(key: str, ended: datetime | None) -> None:
    assert bar_end(key) == ended


def test_signal_of_an_old_bar_is_denied(tmp_path: Path) -> None:
    """120 s are allowed; the signal itself may be older than its receipt by 300 s."""

    async def then(api: Api) -> None:
        now = api.service.now

        async def sent(minutes_ago: int, **more: Any) -> dict[str, Any]:
            ended = (now - timedelta(minutes=minutes_ago)).replace(second=0)
            body = signal(bar_key=f"{ended:%Y%m%dT%H%MZ}", decided_at=now.isoformat(), **more)
            found: dict[str, Any] = (await api.ask("POST", "/v1/signal", body)).json()
            return found

        old = await sent(3, strategy_id="old")
        assert (old["error"], "bar is too old" in str(old["message"])) == ("stale_data", True)
        fresh = await sent(1, strategy_id="fresh")
        assert fresh.get("status") in {"SUBMITTED", "FILLED"}, fresh

    armed(tmp_path, then)
