"""Rule 11 counts from the decision: its own instant, a message's date, or, by hand, the receipt."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from api_world import Api, armed, order, signal

ABOUT = {"telegram_secret": "s3cret", "telegram_users": frozenset({"42"})}
SECRET = {"X-Telegram-Bot-Api-Secret-Token": "s3cret"}
TEXT = "[trade] AAPL buy 10 @ 100.02 stop 95 target 110 conf:0.7"


async def message(api: Api, *, minutes_ago: int | None = 0, at: int | None = None) -> Any:
    """What comes of a message that was written, and says it was decided, so long ago."""
    now = api.service.now
    told: dict[str, Any] = {"from": {"id": 42}, "text": TEXT}
    if minutes_ago is not None:
        told["date"] = int((now - timedelta(minutes=minutes_ago)).timestamp())
    if at is not None:
        told["text"] += f" at:{now - timedelta(minutes=at):%Y-%m-%dT%H:%M:%SZ}"
    sent = {"update_id": 1, "message": told}
    made = await api.client.post("/v1/hooks/telegram", json=sent, headers=SECRET)
    assert made.status_code == 200
    return made.json()["order"]


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ({}, None),
        ({"minutes_ago": 4}, None),
        ({"minutes_ago": 6}, "stale_data"),
        ({"minutes_ago": 360}, "stale_data"),
        ({"minutes_ago": None}, "stale_data"),
        ({"at": 55}, "stale_data"),
        ({"minutes_ago": 6, "at": 0}, "stale_data"),
    ],
)
def test_a_message_is_as_old_as_its_date(tmp_path: Path, told: Any, error: str | None) -> None:
    async def then(api: Api) -> None:
        made = await message(api, **told)
        assert made.get("error") == error, made
        assert len(api.world.intents()) == (3 if error is None else 0)

    armed(tmp_path, then, about=ABOUT)


@pytest.mark.parametrize(
    ("path", "minutes", "error"),
    [
        ("/v1/signal", {}, "stale_data"),  # nobody says how old it is
        ("/v1/signal", {"entered_at": 4}, None),
        ("/v1/signal", {"entered_at": 55}, "stale_data"),
        ("/v1/signal", {"decided_at": 0, "entered_at": 55}, None),
        ("/v1/orders", {}, None),
        ("/v1/orders", {"entered_at": 4}, None),
        ("/v1/orders", {"entered_at": 55}, "stale_data"),
    ],
)
def test_a_body_is_as_old_as_it_says(
    tmp_path: Path, path: str, minutes: dict[str, int], error: str | None
) -> None:
    async def then(api: Api) -> None:
        now = api.service.now
        told = {name: (now - timedelta(minutes=ago)).isoformat() for name, ago in minutes.items()}
        made = (await api.ask("POST", path, order(**told))).json()
        assert made.get("error") == error, made

    armed(tmp_path, then)


def test_a_bars_end_tells_the_age_of_a_signal(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        key = f"{api.service.now:%Y%m%dT%H%MZ}"
        made = await api.ask("POST", "/v1/signal", signal(bar_key=key, decided_at=None))
        assert made.status_code == 201, made.text

    armed(tmp_path, then)
