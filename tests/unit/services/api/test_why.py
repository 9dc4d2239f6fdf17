"""What `bft why SYMBOL` tells. Source: executor specification, section 13."""

from pathlib import Path
from typing import Any

from api_world import Api, armed

from bft.domain.orders import Leg
from bft.steps.why_told import brief


def orders(told: Any) -> set[str]:
    return {row["intent_id"] for row in told["intents"]}


def test_why_of_a_symbol_tells_the_newest_order_or_denial(tmp_path: Path) -> None:
    """A denial after an order, though its stop was set anew since; then a further order."""

    async def asked(api: Api) -> Any:
        await api.world.executor.desk.writer.flush()
        return (await api.ask("GET", "/v1/why/aapl")).json()

    async def then(api: Api) -> None:
        denied = (await api.order(confidence=0.1)).json()["decision"]
        told = await asked(api)
        assert (told["denials"][0]["decision_id"], told["older"]) == (denied, None)
        made = (await api.order()).json()
        await api.world.wait(lambda: api.world.qty() > 0)
        told = await asked(api)
        assert made["id"] in orders(told)
        assert told["older"] is None
        await api.world.sleep(1)
        denied = (await api.order(quantity=500)).json()
        (stop,) = api.world.intents(Leg.STOP)
        api.world.broker.cancel(stop.order_id)
        await api.world.wait(lambda: len(api.world.intents(Leg.STOP)) == 2)
        told = await asked(api)
        assert told["denials"][0]["decision_id"] == denied["decision"]
        assert (told["older"]["intent_id"], told["older"]["leg"]) == (made["id"], "entry")
        words = "\n".join(brief(told))
        assert "rule 26 max_position 500 of " in words
        assert f"bft why {made['id']}" in words.replace("\n  ", " ")
        await api.ask("POST", "/v1/close", {"symbols": ["AAPL"]})
        await api.world.wait(lambda: api.world.qty() == 0)
        assert made["id"] in orders(await asked(api))

    armed(tmp_path, then)
