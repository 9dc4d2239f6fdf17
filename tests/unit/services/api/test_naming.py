"""Names nobody knows: of what is to be closed, and of what is to be halted."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from api_world import Api, armed, order, signal
from executors import reference

from bft.risk.overrides import tightest
from bft.risk.profiles import profile_named
from bft.steps.close_foreseen import meant

UNHELD = [
    ({"symbols": ["ZZZZ"]}, "ZZZZ: no position and no pending entry; held: AAPL"),
    ({"symbols": ["ZZZZ", "YYYY"]}, "ZZZZ, YYYY: no position and no pending entry; held: AAPL"),
    ({"strategy": "nonesuch"}, "strategy nonesuch: no position and no pending entry; held: AAPL"),
    ({"instrument": "option"}, "instrument option: no position and no pending entry; held: AAPL"),
    (
        {"symbols": ["AAPL"], "strategy": "nonesuch"},
        "AAPL of strategy nonesuch: no position and no pending entry; held: AAPL",
    ),
    ({"symbols": ["ZZZZ"], "quantity": 3}, "ZZZZ: no position; held: AAPL"),
]


def test_nothing_of_what_is_named_is_told_and_what_is_held(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        await api.order()
        await api.world.wait(lambda: api.world.qty() == 10)
        for body, text in UNHELD:
            told = await api.ask("POST", "/v1/close", body)
            assert (told.status_code, told.json()["message"]) == (404, text)
        await api.world.sleep(2)
        assert api.world.qty() == 10

    armed(tmp_path, then)


def test_of_several_symbols_those_that_are_there_leave(tmp_path: Path) -> None:
    """A slip in one name must not keep another position in a falling market."""

    async def then(api: Api) -> None:
        await api.order()
        await api.world.wait(lambda: api.world.qty() == 10)
        told = await api.ask("POST", "/v1/close", {"symbols": ["AAPL", "ZZZZ"]})
        assert (told.status_code, told.json()["not_held"]) == (202, ["ZZZZ"])
        assert [row["symbol"] for row in told.json()["closing"]] == ["AAPL"]
        await api.world.wait(lambda: api.world.qty() == 0)
        gone = await api.ask("POST", "/v1/close", {"symbols": ["AAPL"]})
        assert gone.status_code == 404

    armed(tmp_path, then)


@pytest.mark.parametrize("name", ["AAPL", "APPL"])
def test_every_name_of_what_is_held_is_there_for_server_and_caller(
    tmp_path: Path, name: str
) -> None:
    """AAPL is APPL since tonight: the close took 10, and called APPL not held."""

    async def then(api: Api) -> None:
        await api.order()
        await api.world.wait(lambda: api.world.qty() == 10)
        night = reference("APPL", "MSFT", "NVDA")
        api.world.executor.desk.reference = replace(night, renames={"AAPL": "APPL"})
        held = (await api.ask("GET", "/v1/positions")).json()["positions"]
        assert sorted(held[0]["names"]) == ["AAPL", "APPL"]
        assert list(meant([{"symbols": [name]}], held).values()) == [10]
        part = await api.ask("POST", "/v1/close", {"symbols": [name], "quantity": 3})
        assert (part.status_code, part.json()["not_held"]) == (202, [])
        told = await api.ask("POST", "/v1/close", {"symbols": [name, "ZZZZ"]})
        assert (told.status_code, told.json()["not_held"]) == (202, ["ZZZZ"])
        assert [row["quantity"] for row in told.json()["closing"]] == [10]

    armed(tmp_path, then)


@pytest.mark.parametrize("changes", [{}, {"strategy_id": "bollinger"}])
def test_pending_entry_is_something_to_close(tmp_path: Path, changes: dict[str, Any]) -> None:
    async def then(api: Api) -> None:
        made = await api.order(price=99, stop_price=94, **changes)
        strategy = changes.get("strategy_id", "manual")
        body = {"symbols": ["AAPL"], "strategy": strategy}
        part = await api.ask("POST", "/v1/close", body | {"quantity": 2})
        assert part.status_code == 404
        told = await api.ask("POST", "/v1/close", body)
        assert told.json()["closing"][0]["entry"] == made.json()["id"]

    armed(tmp_path, then)


def test_all_of_nothing_is_no_slip(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        told = await api.ask("POST", "/v1/close", {"all": True, "confirm": "PAPER"})
        assert (told.status_code, told.json()) == (202, {"closing": [], "not_held": []})

    armed(tmp_path, then)


async def halted(api: Api, scope: str, key: str) -> dict[str, Any]:
    made = await api.ask("POST", "/v1/halt", {"scope": scope, "key": key, "reason": "odd"})
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()
    return found


def test_symbol_nobody_has_met_is_halted_and_told(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        assert (await halted(api, "symbol", "AAPL"))["warning"] is None
        odd = await halted(api, "symbol", "zzzz")
        assert odd["warning"].startswith("ZZZZ is not held, has no pending entry and is not in the")
        denied = await api.order(symbol="ZZZZ")
        assert (denied.status_code, denied.json()["error"]) == (423, "halted")
        held = (await api.ask("GET", "/v1/halts")).json()["halts"]
        assert {row["key"] for row in held} == {"AAPL", "ZZZZ"}

    armed(tmp_path, then)


def test_strategy_that_sent_nothing_yet_is_halted_and_told(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        await api.ask("POST", "/v1/signal", signal(signal_id="s1"))
        assert (await halted(api, "strategy", "bollinger"))["warning"] is None
        slip = (await halted(api, "strategy", "bolinger"))["warning"]
        assert slip.startswith("no order of strategy bolinger so far, of bollinger; the halt is")
        denied = await api.ask("POST", "/v1/signal", signal(strategy_id="bolinger", quantity=9))
        assert denied.json()["error"] == "halted"

    armed(tmp_path, then)


def test_key_that_cannot_be_meant_is_refused_by_name(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        for scope, key, told in (
            ("profile", "zz", "key 'zz': profile of this server is equities; give that, or leave"),
            ("account", "DU9", "key 'DU9': account of this server is ...PER; give that, or leave"),
            ("symbol", "A;DROP", "'A;DROP': no symbol; write AAPL"),
        ):
            body = {"scope": scope, "key": key, "reason": "odd"}
            made = await api.ask("POST", "/v1/halt", body)
            assert made.status_code == 422
            assert made.json()["message"].startswith(told)
        assert (await api.ask("POST", "/v1/orders", order())).status_code == 201

    armed(tmp_path, then)


def test_profile_made_of_several_is_halted_by_its_own_name_and_by_each(tmp_path: Path) -> None:
    """Rule 4 knew the parts of `a+b` alone, so that a halt of the whole denied by its fence."""
    both = tightest([profile_named("equities"), profile_named("paper-small")])

    async def then(api: Api) -> None:
        for number, key in enumerate(("equities+paper-small", "equities")):
            made = await halted(api, "profile", key)
            assert (made["key"], made["warning"]) == (key, None)
            denied = (await api.order(quantity=number + 1)).json()
            assert (denied["error"], denied["rule"]) == ("halted", 4)
            ended = await api.ask("POST", "/v1/resume", {"confirm": made["halt_id"]})
            assert ended.status_code == 200

    armed(tmp_path, then, profile=both)
