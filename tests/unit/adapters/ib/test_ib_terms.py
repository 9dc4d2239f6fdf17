"""Who may trade what: client ids, contracts of all kinds, orders that are only tried."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import ib_async
import pytest
from brokers import CLOSE, usd
from executors import signal
from ib_gateways import LIMIT, Desk, play

from bft.adapters.broker.ib import IbSettings, contracts, orders
from bft.adapters.broker.ib.settings import check
from bft.domain.broker import OrderReport
from bft.domain.errors import ConfigError, DataError, RefusedError
from bft.domain.orders import Contract, FillSource, Side
from bft.domain.trading import Instrument
from bft.services.executor.contracts import wanted_contract


def live(desk: Desk) -> list[str]:
    return [o.terms.order_ref for o in desk.venue.sim.exchange.books.live()]


def test_read_only_ids_refuse_to_place(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        (order,) = await desk.legs([{"side": Side.BUY, "qty": 1, **LIMIT}])
        with pytest.raises(RefusedError, match="only reads"):
            desk.broker.place([order])
        with pytest.raises(RefusedError):
            desk.broker.amend(order)
        with pytest.raises(RefusedError):
            desk.broker.cancel(1)
        with pytest.raises(RefusedError):
            await desk.broker.what_if(order)
        assert (await desk.broker.snapshot()).open_orders == ()

    play(story, tmp_path, settings={"client_id": 50})


@pytest.mark.parametrize("client_id", [0, 1, 9, 11, 19, 35, 41, 60, 89])
def test_client_ids_outside_the_table_are_refused(client_id: int) -> None:
    with pytest.raises(ConfigError, match="client id"):
        check(IbSettings(host="127.0.0.1", port=4002, account="DU1", client_id=client_id))


def test_an_account_must_be_named() -> None:
    with pytest.raises(ConfigError, match="BFT_ACCOUNT"):
        check(IbSettings(host="127.0.0.1", port=4002, account=""))


def test_what_if_tells_margins_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        (order,) = await desk.legs([{"side": Side.BUY, "qty": 10, **LIMIT}])
        told = await desk.broker.what_if(order)
        assert told.initial_margin_after_usd is not None
        assert told.initial_margin_after_usd > 0
        assert told.equity_with_loan_after_usd is not None
        assert told.commission_usd == 1
        assert live(desk) == []
        assert desk.of(OrderReport) == []
        off_tick = replace(order, order_id=order.order_id + 1, limit_price_usd=usd("99.001"))
        with pytest.raises(DataError, match="gateway 110"):
            await desk.broker.what_if(off_tick)

    play(story, tmp_path)


def test_share_classes_options_and_futures_resolve_and_trade(tmp_path: Path) -> None:
    async def story(desk: Desk) -> None:
        sim = desk.venue.sim
        sim.tick("BRK B", bid=Decimal(400), ask=Decimal("400.1"))
        share = await desk.broker.contract(Contract(con_id=0, symbol="BRK-B"))
        assert (share.symbol, share.local_symbol) == ("BRK-B", "BRK B")
        wanted = Contract(con_id=0, symbol="NQ", sec_type="FUT", local_symbol="NQH6")
        future = await desk.broker.contract(wanted)
        assert (future.symbol, future.multiplier, future.tick_usd) == ("NQ", 20, usd("0.25"))
        coded = Contract(con_id=0, symbol="NQH6", sec_type="FUT")
        assert await desk.broker.contract(coded) == future
        chain = Contract(con_id=0, symbol="AAPL", sec_type="OPT", strike_usd=usd(100), right="C")
        with pytest.raises(DataError, match="contracts fit"):
            await desk.broker.contract(chain)
        friday = CLOSE.date().replace(day=9)
        option = await desk.broker.contract(replace(chain, expiry=friday))
        assert (option.multiplier, option.right, option.strike_usd) == (100, "C", 100)
        for contract in (share, option):
            order = await desk.order(Side.BUY, 1, contract=contract)
            (fill,) = await desk.filled(order, 1)
            assert fill.contract == contract

    play(story, tmp_path)


@pytest.mark.parametrize(
    ("symbol", "instrument", "told"),
    [
        ("BRK-B", Instrument.STOCK, "BRK B"),
        ("NQH6", Instrument.FUTURE, "NQH6"),
        ("AAPL260109C00100000", Instrument.CALL, "AAPL  260109C00100000"),
    ],
)
def test_what_the_executor_asks_for_exists(
    tmp_path: Path, symbol: str, instrument: Instrument, told: str
) -> None:
    async def story(desk: Desk) -> None:
        wanted = wanted_contract(signal(symbol, instrument=instrument))
        assert (await desk.broker.contract(wanted)).local_symbol == told

    play(story, tmp_path)


@pytest.mark.parametrize(
    ("exec_id", "shares", "qty"),
    [
        ("0000e0d5.5f1c.01.01", 10, 10),
        ("0000e0d5.5f1c.01.02", 0, 0),  # busted: the fill it corrects is taken back
        ("0000e0d5.5f1c.01.01", 0, None),
        ("0000e0d5.5f1c.01.02", -1, None),
        ("0000e0d5.5f1c.01.02", float("nan"), None),
        ("0000e0d5.5f1c.01.02", 1.5, None),
    ],
)
def test_execution_that_is_no_whole_fill_is_none(exec_id: str, shares: float, qty: object) -> None:
    fill = ib_async.Execution(
        execId=exec_id, acctNumber="DU1", side="BOT", shares=shares, price=100.0, time=CLOSE
    )
    made = orders.execution(Contract(con_id=1, symbol="AAPL"), fill, FillSource.LIVE)
    assert (made and made.qty) == qty


@pytest.mark.parametrize(
    ("kind", "smallest", "tick"),
    [
        ("STK", 0.0001, "0.01"),  # below 1 USD alone: Regulation NMS, rule 612
        ("STK", 0.01, "0.01"),
        ("STK", 0.05, "0.05"),
        ("STK", float("nan"), "0.01"),
        ("FUT", 0.25, "0.25"),
        ("OPT", 0.01, "0.01"),
    ],
)
def test_step_of_a_share_is_one_that_holds_at_every_price(
    kind: str, smallest: float, tick: str
) -> None:
    """`minTick` is the smallest step at any price: 50.0001 would be refused with 110."""
    contract = ib_async.Contract(conId=1, symbol="AAPL", secType=kind)
    told = contracts.resolved(ib_async.ContractDetails(contract=contract, minTick=smallest))
    assert told is not None
    assert told.tick_usd == Decimal(tick)
