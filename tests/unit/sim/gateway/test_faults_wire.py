"""Fault words of the transport and the session, seen from the real client."""

import asyncio

import pytest
from fault_scripts import buy, live, ready, script
from gateways import AAPL, Stage, play, settle
from ib_async import LimitOrder


def test_drop_loses_one_message_and_the_next_request_finds_the_order() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        (trade,) = await stage.place(ib, LimitOrder("BUY", 10, 99))
        assert trade.orderStatus.status == "PendingSubmit"
        assert len(live(stage)) == 1
        await ib.reqOpenOrdersAsync()
        assert trade.orderStatus.status == "Submitted"

    rules = [f'when = {{msg = "{m}"}}\ndo = "drop"' for m in ("openOrder", "orderStatus")]
    play(body, script=script(*rules))


def test_dropped_request_never_reaches_the_exchange() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        first, second = await stage.place(ib, LimitOrder("BUY", 1, 99), LimitOrder("BUY", 2, 99))
        assert first.orderStatus.status == "Submitted"
        assert second.orderStatus.status == "PendingSubmit"
        assert len(live(stage)) == 1

    play(body, script=script('when = {msg = "placeOrder", nth = 2}\ndo = "drop"'))


def test_delay_stalls_the_socket_and_keeps_the_order_of_messages() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        ib.heard.clear()
        trade = await buy(stage, ib)
        assert trade.orderStatus.status == "PendingSubmit"
        await asyncio.sleep(2)
        assert ib.heard.numbers(3, 5, 11, 59) == [5, 3, 11, 5, 3, 59]
        assert trade.orderStatus.status == "Filled"

    play(body, script=script('when = {msg = "openOrder"}\ndo = "delay"\nms = 2000'))


def test_duplicate_execution_is_one_fill_to_the_client() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        trade = await buy(stage, ib)
        assert len(ib.heard.of(11)) == 3
        assert len(trade.fills) == 1

    play(body, script=script('when = {msg = "execDetails"}\ndo = "duplicate"\nn = 2'))


def test_reordered_commission_overtakes_its_execution() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        ib.heard.clear()
        trade = await buy(stage, ib)
        assert ib.heard.numbers(11, 59) == [59, 11]
        assert trade.fills[0].commissionReport.commission == 0  # the client dropped it

    rule = 'when = {msg = "execDetails"}\ndo = "reorder"\nwindow = 3'
    play(body, script=script(rule))


@pytest.mark.parametrize("how", ["fields", "nan", "length"])
def test_corrupt_messages_are_malformed(how: str) -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        trade = await buy(stage, ib)
        assert stage.sim.exchange.books.executions
        if how == "nan":
            assert trade.fills[0].execution.price != trade.fills[0].execution.price
        else:
            assert not trade.fills

    play(body, script=script(f'when = {{msg = "execDetails"}}\ndo = "corrupt"\nhow = "{how}"'))


def test_slow_bytes_arrive_in_the_end() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        ib.heard.clear()
        trade = await buy(stage, ib)
        assert not ib.heard.messages
        await asyncio.sleep(5)
        assert trade.orderStatus.status == "Filled"

    play(body, script=script('when = {msg = "openOrder"}\ndo = "slow_bytes"\nms = 5'))


def test_half_open_socket_says_nothing_and_closes_later() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        await buy(stage, ib)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ib.reqCurrentTimeAsync(), 5)
        assert ib.isConnected()
        await asyncio.sleep(10)
        assert not ib.isConnected()

    play(body, script=script('when = {on = "fill"}\ndo = "half_open"\ns = 12'))


@pytest.mark.parametrize(
    ("word", "reached", "told"),
    [
        ("disconnect", 0, "PendingSubmit"),
        ("disconnect_before_ack", 1, "PendingSubmit"),
        ("disconnect_after_ack", 1, "Submitted"),
    ],
)
def test_disconnects_around_the_acknowledgement(word: str, reached: int, told: str) -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        (trade,) = await stage.place(ib, LimitOrder("BUY", 10, 99))
        assert not ib.isConnected()
        assert len(live(stage)) == reached
        assert trade.orderStatus.status == told
        again = await stage.client(10)
        assert len(await again.reqOpenOrdersAsync()) == reached

    play(body, script=script(f'when = {{msg = "placeOrder"}}\ndo = "{word}"'))


def test_auth_hang_and_client_id_in_use_fail_the_connection_once() -> None:
    async def body(stage: Stage) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await stage.client(10, timeout=4)
        with pytest.raises(asyncio.TimeoutError):
            await stage.client(10, timeout=4)
        await asyncio.sleep(30)
        assert (await stage.client(10)).isConnected()

    rules = ['do = "auth_hang"\ns = 20', 'when = {nth = 2}\ndo = "client_id_in_use"']
    play(body, script=script(*rules))


def test_codes_come_when_asked_and_1101_loses_subscriptions() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        ticker = ib.reqMktData(AAPL)
        await asyncio.sleep(12)
        assert [c for _, c, _ in ib.codes if c in {1100, 1101}] == [1100, 1101]
        stage.tick(105, 105.02)
        await settle()
        assert ticker.bid == 100

    rules = [
        f'when = {{after_s = {s}}}\ndo = "code"\ncode = {c}' for s, c in ((5, 1100), (10, 1101))
    ]
    play(body, script=script(*rules))


def test_restart_closes_refuses_and_comes_back_with_orders() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        await stage.place(ib, LimitOrder("BUY", 10, 99))
        await asyncio.sleep(5)
        stage.sim.fault("vanish")
        await stage.place(ib, LimitOrder("BUY", 20, 99))
        stage.sim.fault("vanish")
        stage.sim.fault("restart", s=30)
        await settle()
        assert not ib.isConnected()
        with pytest.raises((asyncio.TimeoutError, ConnectionError)):
            await stage.client(10, timeout=2)
        await asyncio.sleep(30)
        again = await stage.client(10)
        assert [t.order.totalQuantity for t in await again.reqOpenOrdersAsync()] == [10]

    play(body)


def test_id_rollback_lowers_the_next_valid_id() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        trade = await buy(stage, ib)
        ib.disconnect()
        await settle()
        again = await stage.client(10)
        assert int(again.heard.of(9)[0][2]) == trade.order.orderId + 1 - 2

    play(body, script=script('do = "id_rollback"\nn = 2'))


def test_no_end_leaves_the_client_waiting() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(ib.reqAllOpenOrdersAsync(), 10)
        assert await ib.reqAllOpenOrdersAsync() == []

    play(body, script=script('when = {nth = 2}\ndo = "no_end"\nmsg = "openOrderEnd"'))


def test_nightly_reset_on_demand() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        await buy(stage, ib)
        stage.sim.fault("nightly_reset", s=20, ending="1102")
        await asyncio.sleep(21)
        assert [c for _, c, _ in ib.codes][-2:] == [1100, 1102]
        assert await ib.reqCompletedOrdersAsync(apiOnly=False) == []

    play(body)
