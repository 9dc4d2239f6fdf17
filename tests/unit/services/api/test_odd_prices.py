"""Absurd prices at the paper broker, and what is held before the first price."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from api_world import Api, armed

SELLS = ("10000", "141", "59", "0.01")  # target and stop of an entry at 100 would fill
BIDS: list[dict[str, Any]] = [{"bid": 1}, {"ask": 190}]


async def tick(api: Api, price: object, **more: Any) -> Any:
    return await api.ask("POST", "/v1/tick", {"symbol": "AAPL", "price": price, **more})


async def held(api: Api) -> str:
    made = await api.order()
    await api.world.wait(lambda: api.world.qty() == api.world.protected() == 10)
    return str(made.json()["id"])


def test_price_far_from_all_that_is_known_fills_nothing_and_says_so(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        entry = await held(api)
        for price in SELLS:
            told = await tick(api, price)
            assert told.status_code == 400
            assert f"AAPL: price {price} lies " in told.json()["message"]
            assert "nothing was filled. Confirm it where it is real" in told.json()["message"]
            await api.world.sleep(1)
        assert (api.world.qty(), api.world.protected()) == (10, 10)
        mark = (await api.ask("GET", "/v1/positions")).json()["positions"][0]["mark"]
        assert Decimal(mark) < 101
        await api.service.stored()
        why = (await api.ask("GET", f"/v1/why/{entry}")).text
        assert why.count("price refused, nothing filled: AAPL: price 10000 lies 9,899 %") >= 1
        metrics = (await api.client.get("/v1/metrics/prom")).text
        assert 'bft_executor_broker_errors_total{code="163"} 2.0' in metrics  # stop and target

    armed(tmp_path, then)


@pytest.mark.parametrize("more", BIDS)
def test_each_side_is_judged(tmp_path: Path, more: dict[str, Any]) -> None:
    async def then(api: Api) -> None:
        told = await tick(api, 100, **more)
        assert told.status_code == 400
        assert f"AAPL: {next(iter(more))} " in told.json()["message"]

    armed(tmp_path, then)


def test_price_that_is_confirmed_fills(tmp_path: Path) -> None:
    """A share does halve in a night: its stop has to fill there."""

    async def then(api: Api) -> None:
        await held(api)
        assert (await tick(api, 50)).status_code == 400
        assert (await tick(api, 50, confirm=True)).status_code == 200
        await api.world.wait(lambda: api.world.qty() == 0)
        assert (await tick(api, 45)).status_code == 200  # near the newest

    armed(tmp_path, then)


def test_market_may_walk_as_far_as_it_likes(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        for price in ("130", "170", "230", "170", "105"):
            assert (await tick(api, price)).status_code == 200

    armed(tmp_path, then)


def test_after_a_restart_the_last_close_counts_until_a_price_comes(tmp_path: Path) -> None:
    async def then(api: Api) -> None:
        await held(api)
        api.world.price("AAPL", "108.00")
        await api.world.stop()
        await api.up()
        await api.world.until_armed()
        close = api.world.night.symbols["AAPL"].bar
        assert close is not None
        row = (await api.ask("GET", "/v1/positions")).json()["positions"][0]
        assert (row["mark"], row["mark_from"]) == (f"{close.close_usd.normalize():f}", "close")
        values = api.world.broker.account_values()
        assert values.equity_usd == values.cash_usd + 10 * close.close_usd
        page = (await api.ask("GET", "/", params={"part": "board"})).text
        assert " last close" in page
        api.world.price("AAPL", "108.00")
        row = (await api.ask("GET", "/v1/positions")).json()["positions"][0]
        assert (row["mark"], row["mark_from"]) == ("108.01", "quote")
        told = api.world.broker.account_values()
        assert told.equity_usd == told.cash_usd + 10 * Decimal("108.01")

    armed(tmp_path, then)
