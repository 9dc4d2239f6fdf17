"""Why a position was left: one name in the trade log, the cooldown, the API and `bft why`.

Source: strategies specification, section 3.3; executor specification, section 13.
"""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from api_world import Api, armed
from executors import CLOSE, OPEN, signal

from bft.domain.orders import Leg
from bft.domain.trading import ExitPolicy
from bft.steps.why_told import brief

PLAIN = ExitPolicy(stop_frac=0.07, target_frac=0.12, min_hold_days=0)
TRAILING = ExitPolicy(stop_frac=0.07, target_frac=None, trail_frac=0.02, same_session=True)
Way = Callable[[Api], Awaitable[None]]


async def falls(api: Api) -> None:
    api.world.price("AAPL", "92.00")


async def rises(api: Api) -> None:
    api.world.price("AAPL", "113.00")


async def turns(api: Api) -> None:
    """Up by 5 %, whose minute moves the trail to 102.9, and down through it."""
    for bid in ("105.00", "105.00", "105.00"):
        api.world.price("AAPL", bid)
        await api.world.sleep(61)
    (stop,) = [leg for leg in api.world.intents(Leg.STOP) if not leg.state.terminal]
    assert stop.stop_price_usd is not None
    assert stop.stop_price_usd > 102
    api.world.price("AAPL", "102.00")


async def waits(api: Api) -> None:
    for _ in range(7):
        await api.world.sleep(10)
        api.world.price("AAPL", "100.00")


async def closes(api: Api) -> None:
    await api.ask("POST", "/v1/close", {"symbols": ["AAPL"]})


async def says_leave(api: Api) -> None:
    body = {"symbol": "AAPL", "side": "SELL", "kind": "exit", "strategy_id": "bollinger"}
    await api.ask("POST", "/v1/signal", body | {"signal_id": "leave"})


async def is_killed(api: Api) -> None:
    await api.ask("POST", "/v1/kill", {"flatten": True})


@pytest.mark.parametrize(
    ("policy", "way", "reason", "outcome"),
    [
        (PLAIN, falls, "stop", "stop"),
        (TRAILING, turns, "trail", "stop"),
        (PLAIN, rises, "target", "target"),
        (ExitPolicy(stop_frac=0.07, max_hold_s=60), waits, "time", "timeout"),
        (PLAIN, closes, "manual", "manual_exit"),
        (PLAIN, says_leave, "rule", "manual_exit"),
        (PLAIN, is_killed, "risk", "manual_exit"),
        (ExitPolicy(stop_frac=0.07, same_session=True), waits, "flatten", "timeout"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_exit_has_one_name_everywhere(
    tmp_path: Path, policy: ExitPolicy, way: Way, reason: str, outcome: str
) -> None:
    late = reason == "flatten"  # of a same-session policy: ten minutes before the close

    async def then(api: Api) -> None:
        world = api.world
        at = world.clock.now()
        opened = await world.submit(signal(exits=policy, created_at=at, decided_at=at))
        assert opened.decision.allowed, opened.decision.detail
        await world.wait(lambda: world.protected() == world.qty() > 0)
        await way(api)
        await world.wait(lambda: world.qty() == 0)
        await world.sleep(2)
        (cooldown,) = world.executor.desk.state.cooldowns.values()
        assert cooldown.reason == reason
        (row,) = (await api.ask("GET", "/v1/logs/trades")).json()["trades"]
        assert (row["exit_reason"], row["outcome"]) == (reason, outcome)
        story = (await api.ask("GET", f"/v1/why/{opened.intent_id}")).json()
        (told,) = [line for line in brief(story) if line.startswith("trade:")]
        named = f"trade: {outcome}" + (f" ({reason})" if reason != outcome else "")
        assert told.startswith(f"{named}, ")

    starts = CLOSE - timedelta(minutes=11) if late else OPEN + timedelta(minutes=6)
    armed(tmp_path, then, starts=starts)
