"""Every word of a fault script, seen from the real client; and what a script may not say."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from gateways import AAPL, Client, Stage, play, settle, stock
from ib_async import LimitOrder, MarketOrder, Option, Trade

from bft.domain.errors import ConfigError, UsageError
from bft.sim.gateway.config import GatewayConfig
from bft.sim.gateway.faults.script import parse
from bft.sim.gateway.faults.words import WORDS, Kind
from bft.sim.gateway.gateway import GatewaySim


def script(*faults: str, seed: int = 7) -> str:
    return f"seed = {seed}\n" + "\n".join(f"[[fault]]\n{fault}" for fault in faults)


async def ready(stage: Stage, client_id: int = 10) -> Client:
    stage.tick(100, 100.02)
    return await stage.client(client_id)


async def buy(stage: Stage, ib: Client, qty: int = 10, **rest: Any) -> Trade:
    (trade,) = await stage.place(ib, LimitOrder("BUY", qty, 100.05, **rest))
    return trade


def live(stage: Stage) -> list[int]:
    return [order.perm_id for order in stage.sim.exchange.books.live()]


# transport ---------------------------------------------------------------------------------


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


# orders ------------------------------------------------------------------------------------


def test_silent_accept_works_the_order_without_a_word() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        (trade,) = await stage.place(ib, LimitOrder("BUY", 10, 99))
        assert trade.orderStatus.status == "PendingSubmit"
        (seen,) = await ib.reqOpenOrdersAsync()
        assert seen.order.permId == live(stage)[0]

    play(body, script=script('do = "silent_accept"'))


def test_reject_warn_and_child_reject_use_their_codes() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        rejected, warned = await buy(stage, ib), await buy(stage, ib)
        assert rejected.orderStatus.status == "Inactive"
        assert ib.codes_of(rejected.order.orderId) == [201]
        assert ib.codes_of(warned.order.orderId) == [399]
        assert warned.filled() == 10
        trades = await stage.place(ib, *ib.bracketOrder("BUY", 10, 100.05, 110, 95))
        found = [t.orderStatus.status for t in trades]
        assert found == ["Filled", "Submitted", "Inactive"]

    rules = [
        'when = {nth = 1}\ndo = "reject"\ncode = 201\ntext = "no"',
        'when = {nth = 2}\ndo = "warn"\ncode = 399',
        'do = "child_reject"\nleg = "stop"',
    ]
    play(body, script=script(*rules))


def test_partial_fill_follows_its_fractions_then_rests() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        trade = await buy(stage, ib)
        assert trade.filled() == 3
        for _ in range(3):
            stage.tick(100, 100.02)
        await settle()
        assert [f.execution.shares for f in trade.fills] == [3, 2]
        assert trade.orderStatus.status == "Submitted"

    play(body, script=script('do = "partial_fill"\nfractions = [0.3, 0.2]'))


def test_overfill_fills_more_than_was_asked() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        trade = await buy(stage, ib)
        assert [f.execution.shares for f in trade.fills] == [10, 4]
        assert [p.position for p in ib.positions()] == [14]

    play(body, script=script('do = "overfill"\nqty = 4'))


def test_fill_then_cancel_leaves_a_part() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        trade = await buy(stage, ib)
        assert (trade.filled(), trade.orderStatus.status) == (5, "Cancelled")

    play(body, script=script('do = "fill_then_cancel"'))


def test_cancel_race_is_won_by_the_fill() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        (trade,) = await stage.place(ib, LimitOrder("BUY", 10, 99))
        ib.cancelOrder(trade.order)
        await settle()
        assert [f.execution.price for f in trade.fills] == [99]
        assert trade.orderStatus.status == "Filled"
        assert ib.codes_of(trade.order.orderId) == [161]

    play(body, script=script('do = "cancel_race"'))


def test_two_perm_ids_stand_under_one_reference() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        await stage.place(ib, LimitOrder("BUY", 10, 99, orderRef="bft1.A"))
        seen = await ib.reqAllOpenOrdersAsync()
        assert [t.order.orderRef for t in seen] == ["bft1.A"] * 2
        assert len({t.order.permId for t in seen}) == 2
        ib.cancelOrder(seen[1].order)
        await settle()
        assert live(stage) == [seen[0].order.permId]

    play(body, script=script('do = "two_perm_ids"'))


# session -----------------------------------------------------------------------------------


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


# state -------------------------------------------------------------------------------------


def test_clock_skew_accounts_and_empty_positions() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        await buy(stage, ib)
        stage.sim.fault("clock_skew", s=300)
        stage.sim.fault("accounts", list=["DU7", "DU0000001"])
        stage.sim.fault("positions_empty", s=10)
        await settle()
        told = await ib.reqCurrentTimeAsync()
        assert abs((told - stage.sim.now()).total_seconds() - 300) < 2
        assert ib.managedAccounts() == ["DU7", "DU0000001"]
        assert await ib.reqPositionsAsync() == []
        await asyncio.sleep(11)
        assert [p.position for p in await ib.reqPositionsAsync()] == [10]

    play(body)


def test_manual_and_foreign_orders_appear_without_a_client() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        await buy(stage, ib)
        order = {"symbol": "AAPL", "side": "BUY", "qty": 5, "kind": "LMT", "limit": 90}
        stage.sim.fault("manual_order", **order)
        stage.sim.fault("foreign_client", **order, client=33, ref="x")
        seen = await ib.reqAllOpenOrdersAsync()
        assert [(t.order.clientId, t.order.orderId) for t in seen] == [(0, 0), (33, 1)]
        stage.sim.fault("manual_close", symbol="AAPL")
        await settle()
        assert ib.positions() == []

    play(body)


def test_correction_comes_as_a_second_revision() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        trade = await buy(stage, ib)
        stage.sim.fault("correction", price=99.5)
        await settle()
        ids = [f.execution.execId for f in trade.fills]
        assert [i[-3:] for i in ids] == [".01", ".02"]
        assert ids[0][:-3] == ids[1][:-3]
        assert trade.fills[1].execution.price == 99.5
        assert [round(p.avgCost, 6) for p in ib.positions()] == [99.6]  # 99.5 + 1/10
        assert [e.exec_id for e in stage.sim.exchange.books.executions.values()] == [ids[1]]

    play(body)


def test_split_and_rename_change_holdings_overnight() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        await buy(stage, ib)
        cost = ib.positions()[0].avgCost
        stage.sim.fault("split", symbol="AAPL", ratio=4)
        stage.sim.fault("rename", symbol="AAPL", to="APL")
        await settle()
        (held,) = ib.positions()
        assert (held.position, held.contract.symbol, held.contract.conId) == (40, "APL", AAPL.conId)
        assert abs(held.avgCost - cost / 4) < 1e-5

    play(body)


def test_assignment_delivers_shares_and_expiry_takes_the_option() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02, previous=100)
        ib = await stage.client()
        calls = [Option("AAPL", "20261218", strike, "C", "SMART") for strike in (100, 105)]
        await ib.qualifyContractsAsync(*calls)
        await stage.place(ib, MarketOrder("SELL", 2), contract=calls[0])
        await stage.place(ib, MarketOrder("BUY", 1), contract=calls[1])
        stage.sim.fault("assign", symbol=calls[0].localSymbol)
        stage.sim.fault("expire", symbol=calls[1].localSymbol)
        await settle()
        (held,) = ib.positions()
        assert (held.contract.secType, held.position, held.avgCost) == ("STK", -200, 100)
        fills = await (await stage.client(20)).reqExecutionsAsync()
        assert [f.execution.price for f in fills][2:] == [0, 100, 0]

    play(body)


# data --------------------------------------------------------------------------------------


def test_data_faults_change_what_is_shown_not_what_fills() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        ticker, other = ib.reqMktData(AAPL), ib.reqMktData(stock("MSFT"))
        await settle()

        async def during(word: str) -> tuple[float, float, int]:
            stage.sim.fault(word, symbol="AAPL", s=10)
            stage.tick(101, 101.02)
            stage.tick(50, 50.02, symbol="MSFT")
            await settle()
            seen = (ticker.bid, ticker.ask, ticker.marketDataType)
            assert (other.bid, other.marketDataType) == (50, 1)
            await asyncio.sleep(11)
            stage.tick(100, 100.02)
            await settle()
            assert (ticker.bid, ticker.ask, ticker.marketDataType) == (100, 100.02, 1)
            return seen

        assert await during("stale") == (100, 100.02, 1)
        assert await during("frozen") == (100, 100.02, 2)
        assert await during("delayed") == (101, 101.02, 3)
        assert await during("zero") == (0, 0, 1)
        bid, ask, _ = await during("crossed")
        assert bid > ask
        stage.sim.fault("halted", symbol="AAPL", s=10)
        trade = await buy(stage, ib)
        assert ticker.halted == 1
        assert not trade.fills
        await asyncio.sleep(11)
        stage.tick(100, 100.02)
        await settle()
        assert trade.fills

    play(body)


def test_pacing_refuses_a_history_request() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        assert list(await ib.reqHistoricalDataAsync(AAPL, "", "1 D", "1 day", "TRADES", True)) == []
        assert ib.codes[-1][1] == 162

    play(body, prices="walk", script=script('do = "pacing"'))


# the script --------------------------------------------------------------------------------


def test_when_may_name_instant_event_leg_symbol_client_and_chance() -> None:
    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        stage.tick(50, 50.02, symbol="MSFT")
        await stage.place(ib, LimitOrder("BUY", 1, 40), contract=stock("MSFT"))
        trades = await stage.place(ib, *ib.bracketOrder("BUY", 10, 100.05, 110, 95))
        assert [ib.codes_of(t.order.orderId) for t in trades] == [[], [399], []]
        await asyncio.sleep(60)
        assert ib.codes[-1][1] == 2110

    rules = [
        'when = {msg = "placeOrder", symbol = "AAPL", leg = "target", client = 10}\n'
        'do = "warn"\ncode = 399',
        'when = {at = "10:00:30"}\ndo = "code"\ncode = 2110',
    ]
    play(body, script=script(*rules))


def test_chance_is_drawn_from_the_seed() -> None:
    struck: dict[int, list[bool]] = {}
    for seed in (1, 1, 2):

        async def body(stage: Stage, seed: int = seed) -> None:
            ib = await ready(stage)
            trades = [(await stage.place(ib, LimitOrder("BUY", 1, 99)))[0] for _ in range(20)]
            found = [bool(ib.codes_of(t.order.orderId)) for t in trades]
            assert struck.setdefault(seed, found) == found
            assert 3 < sum(found) < 17

        play(body, script=script('when = {p = 0.5}\ndo = "warn"\ncode = 399', seed=seed))
    assert struck[1] != struck[2]


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ('do = "dorp"', 3, "did you mean drop"),
        ('do = "drop"\nms = 5', 4, "no parameter 'ms'"),
        ('do = "delay"\nms = "long"', 4, "another type"),
        ('when = {mgs = "placeOrder"}\ndo = "drop"', 3, "no key 'mgs'"),
        ('when = {msg = "placeOrdr"}\ndo = "drop"', 3, "did you mean placeOrder"),
        ('when = {on = "boot"}\ndo = "drop"', 3, "one of connect"),
        ('when = {at = "noon"}\ndo = "drop"', 3, "15:59:30"),
        ('do = "overfill"', 3, "needs qty"),
        ("ms = 5", 2, "needs a word"),
    ],
)
def test_what_a_script_does_not_know_is_refused_with_its_line(
    text: str, line: int, says: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        parse(script(text), name="faults.toml")
    assert f"faults.toml:{line}:" in str(caught.value)
    for other in ("sede = 1", "[fault]\ndo = 'drop'", "= nonsense"):
        with pytest.raises(ConfigError):
            parse(other, name="faults.toml")


def test_harness_words_need_a_harness_and_reach_it() -> None:
    done: list[tuple[str, Mapping[str, object]]] = []

    async def body(stage: Stage) -> None:
        ib = await ready(stage)
        await buy(stage, ib)
        await settle()
        assert done == [("kill_process", {"point": "after_send"})]

    text = script('when = {on = "ack"}\ndo = "kill_process"\npoint = "after_send"')
    play(body, script=text, harness=lambda word, params: done.append((word, params)))
    with pytest.raises(ConfigError, match="test harness"):
        GatewaySim(GatewayConfig(script=text, prices="control"), clock=_never)


def _never() -> Any:
    raise AssertionError


def test_every_word_has_a_test_here() -> None:
    text = Path(__file__).read_text()
    spoken = {word for word, about in WORDS.items() if about.kind is not Kind.HARNESS}
    assert [word for word in sorted(spoken) if f'"{word}"' not in text] == []


def test_what_cannot_be_done_is_said() -> None:
    async def body(stage: Stage) -> None:
        for word, params in {
            "correction": {"price": 1},
            "split": {"symbol": "NOPE", "ratio": 2},
            "expire": {"symbol": "AAPL"},
        }.items():
            with pytest.raises(UsageError):
                stage.sim.fault(word, **params)
        with pytest.raises(ConfigError):
            stage.sim.fault("correction")
        stage.sim.fault("expire", when={"after_s": 1}, symbol="AAPL")
        await asyncio.sleep(2)
        assert "fault_failed" in stage.sim.tape[-1]

    play(body)
