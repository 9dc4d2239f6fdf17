"""Amounts of USD in answers: worked out of exact costs, told to the micro-USD."""

from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from api_world import Api, armed, signal
from books import ACCOUNT, AT, booked, fill
from desk_cases import case

from bft.services.executor.api.app import build
from bft.services.executor.api.reading import gain_of
from bft.services.executor.api.views import amount

CENT = Decimal("0.01")


@pytest.mark.parametrize(
    ("side", "fills", "price", "gain"),
    [
        # 3,238 x 14.62 + 100 x 14.621 = 48,801.66, 14.6200299... a unit; worth 48,801.56
        ("BUY", [(3238, "14.62"), (100, "14.621")], "14.62", "-0.1"),
        ("SELL", [(3238, "14.62"), (100, "14.621")], "14.62", "0.1"),
        # 2 x 7.01 + 7.00 = 21.02, 7.00666... a unit; worth 21.03
        ("BUY", [(2, "7.01"), (1, "7.00")], "7.01", "0.01"),
    ],
)
def test_gain_counts_from_the_whole_cost_not_from_the_rounded_average(
    side: str, fills: list[tuple[int, str]], price: str, gain: str
) -> None:
    told = [
        booked(fill(None, qty, paid, id=f"m{n}.01", at=AT, side=side))
        for n, (qty, paid) in enumerate(fills)
    ]
    (held,) = case(*told).desk.state.positions.values()
    assert held.account == ACCOUNT
    assert gain_of(held, Decimal(price)) == Decimal(gain)
    assert gain_of(held, None) is None


@pytest.mark.parametrize(
    ("exact", "told"),
    [
        ("1.789992499924249992499249925", "1.789992"),
        ("-8.4750000000005", "-8.475"),
        ("0.0000005", "0"),  # half to even, as the ledger does
        ("0.0000015", "0.000002"),
        ("-0.0000001", "0"),
        ("100000.00", "100000"),
        ("NaN", "NaN"),
        (None, None),
    ],
)
def test_amount_has_six_places_at_most(exact: str | None, told: str | None) -> None:
    assert amount(None if exact is None else Decimal(exact)) == told


def test_every_answer_tells_the_same_gain(tmp_path: Path) -> None:
    """1 at 100.00 and 2 at 100.01 cost 300.02; at a price with the noise of a float, 300.03."""

    async def story(api: Api) -> None:
        api.world.price("AAPL", "99.99", "100.00", size=1)
        await api.order(quantity=3)
        await api.world.wait(lambda: api.world.qty() == 1)
        api.world.price("AAPL", "99.99", "100.01", size=2)
        await api.world.wait(lambda: api.world.qty() == 3)
        api.world.price("AAPL", "100.0099999999998", "100.0100000000001")
        await api.world.sleep(2)

        async def asked(path: str) -> Any:
            return (await api.ask("GET", path)).json()

        (held,) = (await asked("/v1/positions"))["positions"]
        daily, total = await asked("/v1/pnl/daily"), await asked("/v1/pnl/summary")
        assert held["average_cost"] == "100.006667"
        found = (held["unrealised_usd"], daily["unrealised_usd"], total["unrealised_usd"])
        assert (*found, daily["unrealised_change_usd"]) == ("0.01",) * 4

    armed(tmp_path, story)


def test_paper_equity_is_the_sum_of_the_parts_beside_it(tmp_path: Path) -> None:
    """The last trade is at the bid; bought at 100.02, 10 are worth 100.50 each."""

    async def story(api: Api) -> None:
        await api.order()
        await api.world.wait(lambda: api.world.qty() == 10)
        api.world.price("AAPL", "100.00", "101.00")
        await api.world.sleep(2)
        told = (await api.ask("GET", "/v1/pnl/daily")).json()
        assert told["unrealised_usd"] == told["unrealised_change_usd"] == "4.8"
        parts = Decimal(told["unrealised_change_usd"]) - Decimal(told["open_fees_usd"])
        parts += Decimal(told["day_start_equity_usd"]) + Decimal(told["realised_usd"])
        assert abs(parts - Decimal(told["equity_usd"])) <= Decimal("0.005")  # told in cents
        assert datetime.fromisoformat(told["equity_at"]) == api.service.now

    armed(tmp_path, story)


def test_levels_of_the_trade_log_are_the_plan_and_those_of_the_order_live(tmp_path: Path) -> None:
    """5 % below the limit of 100.02, and below the fill."""

    async def then(api: Api) -> None:
        sent = {"stop_price": None, "stop_loss_pct": 5, "quantity": 10}
        made = await api.ask("POST", "/v1/signal", signal(**sent))
        assert made.status_code == 201, made.text
        await api.world.wait(lambda: api.world.protected() == api.world.qty() > 0)
        await api.service.stored()
        (row,) = (await api.ask("GET", "/v1/logs/trades")).json()["trades"]
        live = (await api.ask("GET", f"/v1/orders/{made.json()['id']}")).json()["bracket"]
        entry = Decimal(row["entry_price"])
        assert (Decimal(row["stop_price"]), row["outcome"]) == (Decimal("95.01"), "fill")
        assert Decimal(live["stop"]) == (entry * Decimal("0.95")).quantize(CENT)
        schemas = build(api.service).openapi()["components"]["schemas"]
        assert "before the fill" in schemas["TradeLog"]["properties"]["trades"]["description"]

    armed(tmp_path, then)
