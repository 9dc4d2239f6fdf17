"""Halts of a profile where a server runs several, or others after a restart.

Source: executor specification, sections 4 (rule 4) and 12 (F19).
"""

from pathlib import Path

import pytest
from api_world import Api, armed, signal

from bft.risk.overrides import tightest
from bft.risk.profiles import Profile, profile_named

BOTH = ("equities", "paper-small")


def made_of(*names: str) -> Profile:
    return tightest([profile_named(name) for name in names])


async def restarted(api: Api, *names: str) -> None:
    """The server again, under these profiles, on the same state."""
    await api.world.stop()
    api.world.profile = made_of(*names)
    await api.up(profile=api.world.profile)
    await api.world.wait(lambda: api.world.executor.desk.may_open() is None)
    api.world.price("AAPL", "100.00")


def test_halt_of_several_profiles_denies_and_burns_no_signal(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        halt = (await api.ask("POST", "/v1/halt", {"scope": "profile", "reason": "stop"})).json()
        assert halt["key"] == "equities+paper-small"
        denied = await api.ask("POST", "/v1/signal", signal(signal_id="s1"))
        assert (denied.status_code, denied.json()["error"]) == (423, "halted")
        assert api.service.desk.state.intents == {}
        confirm = {"confirm": halt["halt_id"]}
        assert (await api.ask("POST", "/v1/resume", confirm)).status_code == 200
        sent = await api.ask("POST", "/v1/signal", signal(signal_id="s1"))
        assert sent.status_code == 201

    armed(tmp_path, then, profile=made_of(*BOTH))


@pytest.mark.parametrize("names", [BOTH[::-1], BOTH[:1], BOTH[1:], ("equities",) * 2])
def test_halt_of_a_profile_holds_under_every_combination_with_it(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    async def then(api: Api) -> None:
        await api.ask("POST", "/v1/halt", {"scope": "profile", "reason": "stop"})
        await restarted(api, *names)
        denied = await api.ask("POST", "/v1/signal", signal(signal_id="s1"))
        assert (denied.status_code, denied.json()["error"]) == (423, "halted")
        ready = (await api.ask("GET", "/v1/health/ready")).json()
        assert any("stop" in reason for reason in ready["reasons"])

    armed(tmp_path, then, profile=made_of(*BOTH))


def test_one_of_several_profiles_may_be_halted_alone(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        body = {"scope": "profile", "key": "paper-small", "reason": "stop"}
        assert (await api.ask("POST", "/v1/halt", body)).json()["key"] == "paper-small"
        assert (await api.order()).json()["error"] == "halted"
        other = await api.ask("POST", "/v1/halt", body | {"key": "options"})
        assert other.status_code == 422
        await restarted(api, "equities")
        assert (await api.order()).status_code == 201

    armed(tmp_path, then, profile=made_of(*BOTH))
