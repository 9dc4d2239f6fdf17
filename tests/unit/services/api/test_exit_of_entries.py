"""An exit signal of a strategy whose entry still works."""

from pathlib import Path
from typing import Any

from api_world import Api, armed, signal

from bft.domain.orders import Leg
from bft.steps.why_told import brief

AT_ONCE = {"strategy_id": "y", "signal_id": "s2", "quantity": 4, "exits": {"min_hold_days": 0}}
LEAVE = {"symbol": "AAPL", "side": "SELL", "kind": "exit", "signal_id": "e2"}


async def waiting(api: Api, **changes: Any) -> str:
    """The id of an entry of 10 that rests a dollar below the market."""
    made = await api.ask("POST", "/v1/signal", signal(price=99, strategy_id="y", **changes))
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def leaves(api: Api, strategy: str, **changes: Any) -> dict[str, Any]:
    sent = LEAVE | {"strategy_id": strategy} | changes
    told = await api.ask("POST", "/v1/signal", sent)
    assert told.status_code == 202, told.text
    body: dict[str, Any] = told.json()
    return body


async def story(api: Api, name: str) -> tuple[dict[str, Any], str]:
    await api.world.executor.desk.writer.flush()
    told = (await api.ask("GET", f"/v1/why/{name}")).json()
    return told, " ".join(" ".join(brief(told)).split())


def test_exit_cancels_the_entry_that_waits(tmp_path: Path) -> None:
    """What the caller and `bft why` are told; a later price that the entry wanted opens nothing."""

    async def then(api: Api) -> None:
        entry = await waiting(api)
        told = await leaves(api, "y")
        assert (told["status"], told["state"]) == ("SUBMITTED", "CLOSING")
        row = {"symbol": "AAPL", "quantity": 10, "entry": entry, "what": "cancel entry"}
        assert told["closing"] == [row]
        await api.world.sleep(2)
        api.world.price("AAPL", "98.00")
        await api.world.sleep(3)
        states = [intent.state for intent in api.world.intents(Leg.ENTRY)]
        assert (states, api.world.qty()) == (["CANCELLED"], 0)
        found, words = await story(api, "e2")
        assert found["signal"]["body"]["closing"] == [row]
        assert f"exit: cancels the entry of 10: bft why {entry}" in words

    armed(tmp_path, then)


def test_exit_of_another_strategy_or_of_a_part_leaves_the_entry_waiting(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        await waiting(api)
        assert (await leaves(api, "z"))["state"] == "NOTHING_HELD"
        assert "exit: nothing was held" in (await story(api, "e2"))[1]
        made = await api.ask("POST", "/v1/signal", signal(**AT_ONCE))
        assert made.status_code == 201, made.text
        await api.world.wait(lambda: api.world.qty() == 4)
        part = await leaves(api, "y", signal_id="e3", quantity=1)
        assert [(row["what"], row["quantity"]) for row in part["closing"]] == [("exit", 1)]
        await api.world.wait(lambda: api.world.qty() == 3)
        assert "exit: 1 unit leaves: bft why " in (await story(api, "e3"))[1]
        rest = await leaves(api, "y", signal_id="e4", quantity=3)
        assert [row["what"] for row in rest["closing"]] == ["exit", "cancel entry"]

    armed(tmp_path, then)


def test_order_to_sell_keeps_its_hands_off_a_buy_that_waits(tmp_path: Path) -> None:
    """A person who sells what is held may still want to buy it lower."""

    async def then(api: Api) -> None:
        await api.order(price=99)
        sale = {"symbol": "AAPL", "side": "SELL", "quantity": 10}
        told = await api.ask("POST", "/v1/orders", sale)
        assert (told.status_code, told.json()["rule"]) == (400, 8), "selling to open"
        await api.world.sleep(2)
        assert [intent.state for intent in api.world.intents(Leg.ENTRY)] == ["ACKED"]

    armed(tmp_path, then)
