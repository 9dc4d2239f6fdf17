"""What refusals say: rule, value and limit; requests refused unread stand apart."""

from pathlib import Path
from typing import Any

from api_world import Api, armed, order, signal

JSON = {"content-type": "application/json"}


def test_denial_carries_rule_value_and_limit(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        made = (await api.order(confidence=0.2)).json()
        assert (made["rule"], made["value"], made["limit"]) == (15, "0.2", "0.6")
        assert made["message"] == "confidence below the minimum or above 1 (0.2, limit 0.6)"
        await api.service.stored()
        (why,) = (await api.ask("GET", f"/v1/why/{made['decision']}")).json()["decisions"]
        failed = [rule for rule in why["body"]["rules"] if rule["verdict"] != "pass"]
        told = [{"rule": rule["number"], "name": rule["rule"], **_rest(rule)} for rule in failed]
        assert made["details"] == told
        (row,) = (await api.ask("GET", "/v1/denials")).json()["rows"]
        assert (row["rule"], row["value"], row["limit"]) == (15, "0.2", "0.6")

    armed(tmp_path, then)


def _rest(rule: dict[str, Any]) -> dict[str, Any]:
    return {name: rule[name] for name in ("verdict", "note", "value", "limit")}


def test_rows_of_a_batch_carry_them_too(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        now = api.service.now.isoformat()
        rows = [{"symbol": "AAPL", "side": "BUY", "confidence": "0.2", "stop_price": 95}]
        rows[0]["decided_at"] = now
        (row,) = (await api.ask("POST", "/v1/signals", rows)).json()["rows"]
        assert (row["rule"], row["value"], row["limit"]) == (15, "0.2", "0.6")

    armed(tmp_path, then)


def test_orders_of_who_may_not_send_them_are_on_record(tmp_path: Path) -> None:
    """A viewer's, and one without a token; who floods the server fills no journal."""

    async def then(api: Api) -> None:
        await api.ask("POST", "/v1/halt", {}, role="trader")  # no order: an event alone
        low = await api.ask("POST", "/v1/orders", order(), role="viewer")
        bare = await api.client.post("/v1/signal", json=signal())
        assert (low.status_code, bare.status_code) == (403, 401)
        for _ in range(150):
            await api.client.post("/v1/orders", json=order())
        await api.service.stored()
        apart = (await api.ask("GET", "/v1/denials")).json()["refused_requests"]
        assert apart["count"] == 99
        kept = await api.service.rows("denials")
        found = {row["decision_id"]: (row["http_code"], row["reason"]) for row in kept}
        assert found[low.json()["decision"]] == (403, "auth")
        assert found[bare.json()["decision"]] == (401, "auth")

    armed(tmp_path, then)


def test_missing_role_is_named_with_those_held_and_the_way_to_another(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        for held, told in (("viewer", "viewer"), ("nobody", "none of bft's")):
            made = await api.ask("POST", "/v1/orders", order(), role=held)
            wanted = f"needs role trader; the token of ada has {told}; another: bft token "
            assert made.json()["message"] == wanted + "ada --roles trader"

    armed(tmp_path, then)


def test_requests_refused_unread_crowd_no_denial_out(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        denied = (await api.order(confidence=0.2)).json()["decision"]
        for _ in range(25):
            await api.world.sleep(0.1)
            await api.ask("POST", "/v1/orders", content=b"{", headers=JSON)
        await api.world.sleep(0.1)
        last = (await api.order(surprise=1)).json()["decision"]
        await api.service.stored()
        told = (await api.ask("GET", "/v1/denials", params={"limit": 5})).json()
        assert [row["decision_id"] for row in told["rows"]] == [denied]
        apart = told["refused_requests"]
        assert (apart["count"], len(apart["rows"])) == (26, 20)
        assert apart["rows"][0]["decision_id"] == last
        page = (await api.ask("GET", "/", params={"part": "board"})).text
        assert page.index("confidence below the minimum") < page.index("the newest of 26 in 24 h")
        assert page.count("the body is no JSON") == 0

    armed(tmp_path, then)
