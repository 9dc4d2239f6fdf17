"""Faults added while clients are connected strike once; refusals name the request they answer."""

import pytest
from gateways import AAPL, Stage, play, settle, stock
from ib_async import LimitOrder


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
