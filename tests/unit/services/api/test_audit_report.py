"""The audit of a day on which people traded beside strategies. Decision record 99."""

from pathlib import Path

from api_world import Api, armed, signal


async def failed(api: Api) -> list[str]:
    """Names of failed checks, and every other text about targets."""
    told = (await api.ask("GET", "/v1/audit/report")).json()["checks"]
    rr = next(check for check in told if check["name"] == "rr")
    return [f"{rr['level']} {rr['text']}", *(c["name"] for c in told if c["level"] == "FAIL")]


def test_orders_of_people_without_target_warn_and_a_signal_fails(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        plain = (await api.order(target_price=None)).json()["id"]
        named = (await api.order(target_price=None, strategy_id="mine")).json()["id"]
        await api.world.sleep(2)
        mine = ", ".join(sorted([plain, named]))
        assert await failed(api) == [f"WARN 0 rows without target; 2 by hand: {mine}"]
        api.world.price("MSFT", "100.00")
        sent = signal(symbol="MSFT", target_price=None)
        bare = (await api.ask("POST", "/v1/signal", sent)).json()["id"]
        await api.world.sleep(2)
        text = f"FAIL 1 rows without target: {bare}; 2 by hand: {mine}"
        assert await failed(api) == [text, "rr"]

    armed(tmp_path, then)


def test_trade_of_the_past_without_levels_fails_no_day(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        past = {"entered_at": "2026-01-02T15:00:00Z", "stop_price": None, "target_price": None}
        made = await api.order(**past)
        assert (made.status_code, made.json()["is_backfill"]) == (201, True)
        (line,) = await failed(api)
        assert line == f"WARN 0 rows without target; 1 by hand: {made.json()['id']}"

    armed(tmp_path, then)
