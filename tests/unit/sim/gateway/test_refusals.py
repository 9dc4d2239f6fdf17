"""What is refused, with which code, and what becomes of the order."""

from collections.abc import Callable
from typing import Any

import pytest
from gateways import AAPL, Stage, play, settle
from ib_async import (
    Contract,
    LimitOrder,
    MarketOrder,
    Order,
    PriceCondition,
    Stock,
    StopOrder,
    TagValue,
)

from bft.sim.gateway.exchange.books import Rules


def limit(price: float = 99, **rest: Any) -> Order:
    return LimitOrder("BUY", 10, price, **rest)


NEW: dict[str, tuple[Callable[[], Order], int]] = {
    "off tick": (lambda: limit(99.001), 110),
    "type": (lambda: Order(action="BUY", totalQuantity=1, orderType="MOC"), 387),
    "lifetime": (lambda: limit(tif="FOK"), 387),
    "no size": (lambda: LimitOrder("BUY", 0, 99), 434),
    "fraction": (lambda: LimitOrder("BUY", 1.5, 99), 321),
    "no price": (lambda: Order(action="BUY", totalQuantity=1, orderType="LMT"), 321),
    "no trigger": (lambda: Order(action="SELL", totalQuantity=1, orderType="STP"), 321),
    "side": (lambda: Order(action="SHORT", totalQuantity=1, orderType="MKT"), 321),
    "account": (lambda: limit(account="DU9"), 321),
    "parent": (lambda: limit(parentId=4000), 10006),
    "algo": (
        lambda: limit(algoStrategy="Adaptive", algoParams=[TagValue("adaptivePriority", "Normal")]),
        321,
    ),
    "conditions": (lambda: limit(conditions=[PriceCondition(conId=1, price=5)]), 321),
    "hedge": (lambda: limit(hedgeType="D", hedgeParam="x"), 321),
    "scale": (lambda: limit(scaleInitLevelSize=1, scalePriceIncrement=0.5), 321),
    "pegged": (lambda: Order(action="BUY", totalQuantity=1, orderType="PEG MID"), 321),
    "funds": (lambda: LimitOrder("BUY", 100_000, 99), 201),
}


@pytest.mark.parametrize("case", NEW)
def test_new_order_is_refused_with_its_code(case: str) -> None:
    make, code = NEW[case]

    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        (trade,) = await stage.place(ib, make())
        assert ib.codes_of(trade.order.orderId) == [code]
        assert list(stage.sim.exchange.books.live()) == []

    play(body)


def test_rejected_entry_is_inactive_and_completed_and_takes_its_children() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        trades = await stage.place(ib, *ib.bracketOrder("BUY", 50_000, 100.05, 110, 95))
        assert [ib.codes_of(t.order.orderId) for t in trades] == [[201]] * 3
        assert [t.orderStatus.status for t in trades] == ["Inactive"] * 3
        completed = await ib.reqCompletedOrdersAsync(apiOnly=False)
        assert [t.orderStatus.status for t in completed] == ["Inactive"] * 3

    play(body)


def test_rejection_may_come_without_a_status() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        stage.tick(100, 100.02)
        ib.heard.clear()
        await stage.place(ib, LimitOrder("BUY", 100_000, 99))
        assert ib.heard.numbers() == [4]

    play(body, rules=Rules(status_after_reject=False))


def test_unknown_and_ambiguous_contracts_are_200() -> None:
    async def body(stage: Stage) -> None:
        ib = await stage.client()
        stage.tick(100, 100.02)
        bag = Contract(symbol="AAPL", secType="BAG", exchange="SMART", currency="USD")
        for contract in (Stock("NOPE", "SMART", "USD"), Stock("AAPL", "SMART", "EUR")):
            (trade,) = await stage.place(ib, limit(), contract=contract)
            assert ib.codes_of(trade.order.orderId) == [200]
        (trade,) = await stage.place(ib, limit(), contract=bag)
        assert ib.codes_of(trade.order.orderId) == [321]

    play(body)


def test_ids_must_rise_and_finished_orders_cannot_be_changed() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        (filled,) = await stage.place(ib, MarketOrder("BUY", 1))
        number = filled.order.orderId
        for order_id, code in ((number, 104), (number - 1, 103)):
            ib.client.placeOrder(order_id, AAPL, limit())
            await settle()
            assert ib.codes_of(order_id)[-1] == code

    play(body)


def test_several_accounts_need_one_named() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        bare, named = await stage.place(ib, limit(), limit(account="DU2"))
        assert ib.codes_of(bare.order.orderId) == [435]
        assert named.orderStatus.status == "Submitted"

    play(body, accounts=("DU1", "DU2"))


def test_failed_changes_leave_the_order_as_it_was() -> None:
    changes: dict[int, dict[str, Any]] = {
        105: {"action": "SELL"},
        110: {"lmtPrice": 98.001},
        329: {"orderType": "TRAIL", "auxPrice": 1},
        201: {"totalQuantity": 100_000},
        387: {"orderType": "MOC"},
    }
    for code, change in changes.items():

        async def body(stage: Stage, code: int = code, change: Any = change) -> None:
            stage.tick(100, 100.02)
            ib = await stage.client()
            (trade,) = await stage.place(ib, limit())
            changed = limit()
            changed.orderId = trade.order.orderId
            for name, value in change.items():
                setattr(changed, name, value)
            ib.client.placeOrder(changed.orderId, AAPL, changed)
            await settle()
            assert ib.codes_of(changed.orderId) == [code]
            (order,) = stage.sim.exchange.books.live()
            assert (order.terms.limit, order.qty, order.terms.side) == (99, 10, "BUY")

        play(body)


def test_cancels_of_unknown_foreign_and_finished_orders() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        mine, other = await stage.client(10), await stage.client(11)
        (filled,) = await stage.place(mine, MarketOrder("BUY", 1))
        (resting,) = await stage.place(mine, limit())
        mine.client.cancelOrder(4711)
        mine.client.cancelOrder(filled.order.orderId)
        other.client.cancelOrder(resting.order.orderId)
        await settle()
        assert mine.codes_of(4711) == [10147]
        assert mine.codes_of(filled.order.orderId) == [10148]
        assert other.codes_of(resting.order.orderId) == [10147]
        assert resting.orderStatus.status == "Submitted"

    play(body)


def test_untransmitted_leg_can_be_cancelled_and_vanishes_with_its_socket() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        first, second = await stage.place(ib, limit(transmit=False), limit(transmit=False))
        ib.cancelOrder(first.order)
        await settle()
        assert first.orderStatus.status == "Cancelled"
        assert ib.codes_of(first.order.orderId) == [202]
        ib.disconnect()
        await settle()
        ib = await stage.client()
        assert stage.sim.exchange.pending == {}
        ib.client.placeOrder(second.order.orderId, AAPL, limit())
        await settle()
        assert ib.codes_of(second.order.orderId) == [103]

    play(body)


def test_exits_pass_the_funds_check() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        await stage.place(ib, MarketOrder("BUY", 19_000))  # nearly all of 2 x 1,000,000
        stage.tick(10, 10.02)  # equity falls far below the margin
        (stop,) = await stage.place(ib, StopOrder("SELL", 19_000, 9))
        assert stop.orderStatus.status == "PreSubmitted"
        (more,) = await stage.place(ib, LimitOrder("BUY", 100_000, 10))
        assert ib.codes_of(more.order.orderId) == [201]

    play(body)
