"""Faults added while clients are connected strike once; refusals name the request they answer."""

import pytest
from gateways import AAPL, Stage, play, settle, stock
from ib_async import LimitOrder

from bft.sim.gateway.exchange.books import ChildMode, Rules


def test_disconnect_without_when_cuts_the_socket_once() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        stage.sim.fault("disconnect")
        await settle()
        assert not ib.isConnected()
        again = await stage.client()
        (trade,) = await stage.place(again, LimitOrder("BUY", 1, 99))
        assert again.isConnected()
        assert trade.orderStatus.status == "Submitted"

    play(body)


def test_disconnect_that_names_a_symbol_waits_for_its_message() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        stage.sim.fault("disconnect", when={"symbol": "AAPL"})
        await settle()
        assert ib.isConnected()
        ib.placeOrder(AAPL, LimitOrder("BUY", 1, 99))
        await settle()
        assert not ib.isConnected()

    play(body)


@pytest.mark.parametrize("request_name", ["reqContractDetails", "reqMktData", "reqExecutions"])
def test_pacing_answers_the_request_it_refuses(request_name: str) -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        ib.codes.clear()
        stage.sim.fault("pacing", code=100, when={"msg": request_name})
        wanted = ib.client._reqIdSeq  # noqa: SLF001  the id the next request gets
        if request_name == "reqContractDetails":
            assert await ib.reqContractDetailsAsync(stock("MSFT")) == []
        elif request_name == "reqExecutions":
            assert await ib.reqExecutionsAsync() == []
        else:
            ib.reqMktData(AAPL)
            await settle()
        assert ib.codes_of(wanted) == [100]

    play(body)


@pytest.mark.parametrize("mode", list(ChildMode))
def test_cancel_of_a_held_child_wins_every_race(mode: ChildMode) -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        made = list(ib.bracketOrder("BUY", 3, 99.0, 110, 95))
        trades = await stage.place(ib, *made)
        stage.sim.fault("cancel_race")
        ib.cancelOrder(made[2])
        await settle()
        assert trades[2].orderStatus.status == "Cancelled"
        assert not trades[2].fills

    play(body, rules=Rules(child_mode=mode))


def test_cancel_of_a_child_without_a_unit_to_fill_wins_its_race() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02, ask_size=1)
        ib = await stage.client()
        made = list(ib.bracketOrder("BUY", 30, 100.05, 110, 95))
        made[1].totalQuantity = made[2].totalQuantity = 3  # a thirtieth of it is no whole unit
        trades = await stage.place(ib, *made)
        stage.sim.fault("cancel_race")
        ib.cancelOrder(made[2])
        await settle()
        assert trades[2].orderStatus.status == "Cancelled"

    play(body, rules=Rules(child_mode=ChildMode.PROPORTIONAL))
