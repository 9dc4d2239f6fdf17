"""Exits of a position over HTTP: where they rest, what the policy wants, what is due."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from api_world import Api, armed
from executors import DAY, OPEN, usd
from fakes import make_ports
from option_scenes import EXPIRY, Chained, occ, volatilities

from bft.domain import sessions
from bft.domain.orders import Contract
from bft.domain.trading import Direction, ExitPolicy
from bft.ports import Reply
from bft.risk.profiles import OPTIONS
from bft.services.executor.api.holding import flat_by_close
from bft.services.executor.chains import ChainRow
from bft.services.executor.covers import Cover
from bft.steps.standing import Standing
from bft.steps.standing_executor import LIVE, told

CALL = occ().replace(" ", "")
STORED = ChainRow(
    expiry=EXPIRY,
    right="C",
    strike_usd=usd(100),
    delta=usd("0.52"),
    implied_volatility=usd("0.3"),
    volume=400,
    open_interest=900,
)


async def held(api: Api, **changes: Any) -> dict[str, Any]:
    made = await api.order(**changes)
    assert made.status_code == 201, made.text
    held_qty = changes.get("quantity", 10)
    await api.world.wait(lambda: api.world.protected() == held_qty)
    found = (await api.ask("GET", "/v1/positions")).json()["positions"]
    assert len(found) == 1
    row: dict[str, Any] = found[0]
    return row


def test_position_names_its_exits_and_what_protects_it(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        row = await held(api)
        (exit_,) = row["exits"]
        assert (row["underlying"], row["protected_quantity"]) == ("AAPL", 10)
        assert (exit_["stop"], exit_["target"], exit_["quantity"]) == ("95", "110", 10)
        assert (exit_["stop_level"], exit_["target_level"]) == ("95", "110")
        assert (exit_["protected_quantity"], exit_["trail"]) == (10, None)
        assert exit_["flat_by_close"] is False

    armed(tmp_path, story)


def test_day_trade_is_due_by_the_close(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        row = await held(api, strategy_type="day_trade")
        assert [exit_["flat_by_close"] for exit_ in row["exits"]] == [True]

    armed(tmp_path, story)


def test_stop_rests_where_the_fill_puts_it(tmp_path: Path) -> None:
    """The limit is 101, the fill 100.02: the policy's 5 % are of the fill."""

    async def story(api: Api) -> None:
        terms = {"price": 101, "stop_price": None, "stop_frac": 0.05, "target_price": None}
        row = await held(api, **terms)
        (exit_,) = row["exits"]
        assert (exit_["stop"], exit_["stop_level"]) == ("95.02", "95.02")
        (order,) = (await api.ask("GET", "/v1/orders")).json()["orders"]
        assert order["bracket"]["stop"] == "95.02"

    armed(tmp_path, story)


@pytest.mark.parametrize(
    ("expiry", "due"),
    [
        (DAY, True),
        (sessions.shift(DAY, 1), True),
        (sessions.shift(DAY, 2), False),
        (None, False),
    ],
)
def test_option_is_due_one_session_before_it_expires(expiry: date | None, due: bool) -> None:
    contract = Contract(symbol="AAPL", sec_type="OPT", con_id=1, tick_usd=usd("0.01"))
    cover = Cover(
        entry="e",
        account="a",
        contract=replace(contract, expiry=expiry),
        direction=Direction.LONG,
        policy=ExitPolicy(),
        strategy_id="s",
        opened_at=OPEN,
    )
    assert flat_by_close(cover, OPEN) is due
    shares = replace(cover, contract=replace(contract, sec_type="STK", expiry=expiry))
    assert flat_by_close(shares, OPEN) is False


def test_an_option_ordered_over_http_shows_its_levels_on_the_underlying(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        api.world.price("VIX", "17")
        api.world.price(CALL, "3.10", "3.20")
        row = await held(api, symbol=CALL, quantity=2, price=3.20, stop_price=93, target_price=112)
        (exit_,) = row["exits"]
        assert (row["sec_type"], row["quantity"], row["underlying"]) == ("OPT", "2", "AAPL")
        assert (exit_["underlying_stop"], exit_["underlying_target"]) == ("93", "112")
        levels = (exit_["stop_level"], exit_["target_level"])
        assert levels == ("1.28", "5.76")  # 40 and 180 % of the premium of 3.20
        assert (exit_["underlying_trail"], exit_["underlying_reached"]) == (None, None)

    chain = replace(volatilities(), rows=(STORED,))
    armed(tmp_path, story, kind=Chained, chain=chain, profile=OPTIONS)


def test_an_option_without_a_chain_is_refused_over_http_by_name(tmp_path: Path) -> None:
    async def story(api: Api) -> None:
        api.world.price("VIX", "17")
        api.world.price(CALL, "3.10", "3.20")
        made = await api.order(symbol=CALL, quantity=2, price=3.20, stop_price=93, target_price=112)
        assert made.status_code == 400
        assert made.json()["error"] == "liquidity"
        assert "is not in the chain of 2026-01-02" in made.text

    armed(tmp_path, story, kind=Chained, profile=OPTIONS)


def test_scan_reads_positions_pending_entries_and_cooldowns(tmp_path: Path) -> None:
    """Through the same reader as `bft scan --positions executor`."""

    async def story(api: Api) -> None:
        await held(api, strategy_id="bollinger")
        made = (await api.order(price=99.5, strategy_id="low_bounce", quantity=5)).json()
        found = await _scanned(api)
        (position,) = found.held
        assert (position.symbol, position.strategy_id) == ("AAPL", "bollinger")
        assert (position.held_days, position.value_usd) == (0, 1000.1)  # mid of 100.00 and 100.02
        order = (await api.ask("GET", f"/v1/orders/{made['id']}")).json()
        (waiting,) = found.pending or ()
        assert (waiting.signal_id, waiting.symbol) == (order["signal_id"], "AAPL")
        assert (waiting.units, waiting.price_usd) == (5.0, 99.5)
        daily = (await api.ask("GET", "/v1/pnl/daily")).json()
        assert found.equity_usd == float(daily["equity_usd"]) > 0
        assert not found.cooling

        await api.ask("POST", "/v1/close", {"symbols": ["AAPL"]})
        await api.world.wait(lambda: not api.world.qty())
        await api.world.sleep(1)
        assert (await _scanned(api)).cooling == {("AAPL", "bollinger")}

    armed(tmp_path, story)


async def _scanned(api: Api) -> Standing:
    """The real answers of the API, read as the scan reads them."""
    working = (f"/v1/orders?status={word}" for word in LIVE)
    asked = ("/v1/health", "/v1/positions?cooldowns=true", "/v1/pnl/daily", *working)
    told_by = {path: (await api.ask("GET", path)).json() for path in asked}

    class Recorded:
        url = "http://executor"

        def ask(self, method: str, path: str, *, params: Any = None, **_: Any) -> Reply:
            name, value = next(iter(params.items())) if params else ("", "")
            return Reply(status=200, body=told_by[f"{path}?{name}={value}" if name else path])

    return told(make_ports(api.world.folder, api=Recorded()), "", mode="paper")
