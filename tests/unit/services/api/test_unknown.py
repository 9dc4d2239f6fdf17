"""An order that nobody knows about: its symbol is resumed only once it is settled."""

from pathlib import Path
from typing import Any

from api_world import Api, armed

from bft.domain.orders import Intent, IntentState
from bft.ledger import entries
from bft.services.executor.fencing import fence


def lost(api: Api, order: Intent) -> None:
    """Nothing that is heard says where it stands."""
    desk = api.service.desk
    told = entries.moved(
        desk.now, intent_id=order.intent_id, state=IntentState.UNKNOWN, evidence="test"
    )
    desk.note(told)


async def halted(api: Api) -> tuple[Intent, str]:
    """A resting entry is unknown, its symbol halted for it; the order and the halt's id."""
    await api.order(price=99.5)
    await api.world.sleep(1)
    order = api.world.entry()
    lost(api, order)
    why = {"rule": "unknown_order", "why": "test", "alert": "UnknownOrder"}
    fence(api.world.executor.desk, "AAPL", **why)
    (halt,) = (await api.ask("GET", "/v1/halts")).json()["halts"]
    return order, halt["halt_id"]


def test_halt_of_an_unknown_order_outlasts_a_resume_until_it_is_settled(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        order, halt = await halted(api)
        refused = await api.ask("POST", "/v1/resume", {"confirm": halt})
        assert (refused.status_code, refused.json()["error"]) == (409, "halted")
        told = refused.json()["message"]
        assert f"order {order.intent_id} is still UNKNOWN: entry BUY 10 AAPL" in told
        assert f"an execution of {order.order_ref}, or complete lists after the close of" in told
        assert f"bft resolve {order.intent_id} --state CANCELLED --evidence" in told
        unknown = (await api.ask("GET", "/v1/reconcile/unknown")).json()["orders"]
        assert [(row["id"], row["awaited"]) for row in unknown] == [(order.intent_id, told)]
        body = {"state": "CANCELLED", "evidence": "window", "confirm": order.intent_id}
        settled = await api.ask("POST", f"/v1/orders/{order.intent_id}/resolve", body)
        assert settled.json()["state"] == "CANCELLED", settled.text
        assert (await api.ask("GET", "/v1/reconcile/unknown")).json() == {"orders": []}
        assert (await api.ask("POST", "/v1/resume", {"confirm": halt})).status_code == 200

    armed(tmp_path, then)


def test_halts_of_other_rules_are_resumed_beside_an_unknown_order(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        await halted(api)
        body: Any = {"scope": "symbol", "key": "AAPL", "reason": "rumour"}
        made = (await api.ask("POST", "/v1/halt", body)).json()
        done = await api.ask("POST", "/v1/resume", {"confirm": made["halt_id"]})
        assert done.status_code == 200

    armed(tmp_path, then)
