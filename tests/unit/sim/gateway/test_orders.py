"""Orders over the real client: what it holds is what the exchange holds, message by message."""

from decimal import Decimal

from gateways import AAPL, Client, Stage, play, settle, stock
from ib_async import LimitOrder, MarketOrder, Order, Stock, StopLimitOrder, StopOrder, Trade

from bft.sim.gateway.exchange.books import ChildMode, Orphans, Rules


def bracket(ib: Client, qty: int = 10, **rest: object) -> list[Order]:
    made = ib.bracketOrder("BUY", qty, 100.05, 110, 95, **rest)
    return list(made)


def states(trades: list[Trade]) -> list[str]:
    return [trade.orderStatus.status for trade in trades]


def test_accepted_order_is_opened_then_reported_with_its_perm_id() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        ib.heard.clear()
        bare = Stock("AAPL", "SMART", "USD")
        (trade,) = await stage.place(
            ib, LimitOrder("BUY", 10, 99, orderRef="bft1.X"), contract=bare
        )
        assert ib.heard.numbers() == [5, 3]
        (order,) = stage.sim.exchange.books.live()
        assert trade.orderStatus.status == "Submitted"
        assert (trade.order.permId, trade.order.orderRef) == (order.perm_id, "bft1.X")
        (fields,) = ib.heard.of(5)
        assert len(fields) == 135

    play(body)


def test_market_order_fills_at_the_opposite_touch_with_fill_then_commission() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        ib.heard.clear()
        (trade,) = await stage.place(ib, MarketOrder("BUY", 300))
        assert ib.heard.numbers(3, 5, 11, 59) == [5, 3, 11, 5, 3, 59]
        (fill,) = trade.fills
        assert (fill.execution.price, fill.execution.shares, fill.execution.side) == (
            100.02,
            300,
            "BOT",
        )
        assert fill.commissionReport.commission == 1.5  # 300 x 0.005
        assert trade.orderStatus.status == "Filled"
        (held,) = ib.positions()
        assert held.position == 300
        assert held.avgCost == (300 * 100.02 + 1.5) / 300

    play(body)


def test_large_order_fills_in_slices_of_the_displayed_size() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02, ask_size=200)
        ib = await stage.client()
        (trade,) = await stage.place(ib, MarketOrder("BUY", 500))
        assert (trade.filled(), trade.remaining()) == (200, 300)
        stage.tick(100, 100.04, ask_size=200)
        stage.tick(100, 100.06, ask_size=200)
        await settle()
        assert [f.execution.shares for f in trade.fills] == [200, 200, 100]
        assert [f.execution.cumQty for f in trade.fills] == [200, 400, 500]
        mean = (200 * 100.02 + 200 * 100.04 + 100 * 100.06) / 500
        assert abs(trade.orderStatus.avgFillPrice - mean) < 1e-9
        assert sum(f.commissionReport.commission for f in trade.fills) == 2.5  # 500 x 0.005

    play(body)


def test_limit_waits_for_its_price_and_gets_the_better_touch() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        (trade,) = await stage.place(ib, LimitOrder("BUY", 10, 99.5))
        stage.tick(99.5, 99.51)
        await settle()
        assert not trade.fills
        stage.tick(99.3, 99.4)
        await settle()
        assert [f.execution.price for f in trade.fills] == [99.4]

    play(body)


def test_stops_trigger_on_the_last_price_and_fill_at_the_touch() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        await stage.place(ib, MarketOrder("BUY", 20))
        ib.heard.clear()
        stop, limited = await stage.place(
            ib, StopOrder("SELL", 10, 98), StopLimitOrder("SELL", 10, 97.5, 98)
        )
        assert states([stop, limited]) == ["PreSubmitted"] * 2
        assert stop.orderStatus.whyHeld == "trigger"
        stage.tick(97, 97.05, last=97.98)
        await settle()
        assert [f.execution.price for f in stop.fills] == [97]
        assert states([stop, limited]) == ["Filled", "Submitted"]
        stage.tick(97.6, 97.7)
        await settle()
        assert [f.execution.price for f in limited.fills] == [97.6]

    play(body)


def test_trail_follows_the_best_price_and_never_retreats() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100, last=100)
        ib = await stage.client()
        await stage.place(ib, MarketOrder("BUY", 10))
        (trail,) = await stage.place(
            ib, Order(action="SELL", totalQuantity=10, orderType="TRAIL", auxPrice=2)
        )
        for price in (103, 102):
            stage.tick(price, price + 0.02, last=price)
        await settle()
        assert not trail.fills
        stage.tick(101, 101.02, last=101)  # 103 - 2
        await settle()
        assert [f.execution.price for f in trail.fills] == [101]

    play(body)


def test_percent_trail_keeps_its_share_of_the_price() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100, last=100)
        ib = await stage.client()
        await stage.place(ib, MarketOrder("BUY", 10))
        (trail,) = await stage.place(
            ib, Order(action="SELL", totalQuantity=10, orderType="TRAIL", trailingPercent=10)
        )
        (order,) = stage.sim.exchange.books.live()
        assert order.stop == 90
        stage.tick(200, 200, last=200)
        assert order.stop == 180
        (seen,) = await ib.reqOpenOrdersAsync()
        assert (seen.order.permId, trail.order.trailingPercent) == (order.perm_id, 10)
        assert [f[113] for f in ib.heard.of(5)][-1] == "180"

    play(body)


def test_bracket_is_silent_until_its_last_leg_then_accepted_parent_first() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(101, 101.02)
        ib = await stage.client()
        ib.heard.clear()
        legs = bracket(ib)
        trades = await stage.place(ib, *legs[:2])
        assert ib.heard.numbers(3, 5) == []
        trades += await stage.place(ib, legs[2])
        assert [f[1] for f in ib.heard.of(5)] == [str(leg.orderId) for leg in legs]
        assert states(trades) == ["Submitted", "PreSubmitted", "PreSubmitted"]
        assert [t.orderStatus.whyHeld for t in trades] == ["", "child", "child"]
        assert [t.orderStatus.parentId for t in trades] == [0, legs[0].orderId, legs[0].orderId]

    play(body)


def test_filled_parent_frees_its_children_and_one_exit_cancels_the_other() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        trades = await stage.place(ib, *bracket(ib))
        assert states(trades) == ["Filled", "Submitted", "PreSubmitted"]
        assert trades[2].orderStatus.whyHeld == "trigger"
        stage.tick(110, 110.02)
        await settle()
        assert states(trades) == ["Filled", "Filled", "Cancelled"]
        assert ib.codes_of(trades[2].order.orderId) == [202]
        assert ib.positions() == []
        realised = trades[1].fills[0].commissionReport.realizedPNL
        assert abs(realised - (10 * (110 - 100.02) - 2)) < 1e-9

    play(body)


def test_cancel_of_an_unfilled_parent_takes_its_children() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(101, 101.02)
        ib = await stage.client()
        trades = await stage.place(ib, *bracket(ib))
        ib.heard.clear()
        ib.cancelOrder(trades[0].order)
        await settle()
        assert states(trades) == ["Cancelled"] * 3
        assert ib.heard.numbers(3, 4) == [3, 4] * 3

    play(body)


def test_child_modes_decide_what_a_partial_entry_frees() -> None:
    expected = {
        ChildMode.HELD: [("child", 10.0), ("child", 10.0)],
        ChildMode.PROPORTIONAL: [("", 4.0), ("trigger", 4.0)],
        ChildMode.FULL: [("", 10.0), ("trigger", 10.0)],
    }
    for mode, shown in expected.items():

        async def body(stage: Stage, shown: object = shown) -> None:
            stage.tick(100, 100.02, ask_size=4)
            ib = await stage.client()
            trades = await stage.place(ib, *bracket(ib))
            assert trades[0].filled() == 4
            found = [(t.orderStatus.whyHeld, t.order.totalQuantity) for t in trades[1:]]
            assert found == shown
            stage.tick(100, 100.02)
            await settle()
            assert [t.order.totalQuantity for t in trades[1:]] == [10, 10]
            assert [t.orderStatus.whyHeld for t in trades[1:]] == ["", "trigger"]

        play(body, rules=Rules(child_mode=mode))


def test_orphans_of_a_partly_filled_parent_are_kept_reduced_or_cancelled() -> None:
    expected = {
        Orphans.KEEP: [("Submitted", 10.0), ("PreSubmitted", 10.0)],
        Orphans.REDUCE: [("Submitted", 4.0), ("PreSubmitted", 4.0)],
        Orphans.CANCEL: [("Cancelled", 10.0), ("Cancelled", 10.0)],
    }
    for orphans, shown in expected.items():

        async def body(stage: Stage, shown: object = shown) -> None:
            stage.tick(100, 100.02, ask_size=4)
            ib = await stage.client()
            trades = await stage.place(ib, *bracket(ib))
            ib.cancelOrder(trades[0].order)
            await settle()
            found = [(t.orderStatus.status, t.order.totalQuantity) for t in trades[1:]]
            assert found == shown

        play(body, rules=Rules(orphans=orphans))


def test_oca_type_1_cancels_and_types_2_and_3_reduce() -> None:
    for kind, shown in {
        1: ("Cancelled", 10.0),
        2: ("Submitted", 6.0),
        3: ("Submitted", 6.0),
    }.items():

        async def body(stage: Stage, kind: int = kind, shown: object = shown) -> None:
            stage.tick(100, 100.02)
            ib = await stage.client()
            await stage.place(ib, MarketOrder("BUY", 10))
            group = {"ocaGroup": "G", "ocaType": kind}
            near, far = await stage.place(
                ib, LimitOrder("SELL", 10, 101, **group), LimitOrder("SELL", 10, 105, **group)
            )
            stage.tick(101, 101.02, bid_size=4)
            await settle()
            assert near.filled() == 4
            assert (far.orderStatus.status, far.order.totalQuantity) == shown
            stage.tick(101, 101.02)
            await settle()
            assert states([near, far]) == ["Filled", "Cancelled"]
            assert ib.positions() == []

        play(body)


def test_only_type_3_lets_two_members_execute_on_one_quote() -> None:
    for kind, left in {2: 0.0, 3: -10.0}.items():

        async def body(stage: Stage, kind: int = kind, left: float = left) -> None:
            stage.tick(100, 100.02)
            ib = await stage.client()
            await stage.place(ib, MarketOrder("BUY", 10))
            group = {"ocaGroup": "G", "ocaType": kind}
            await stage.place(
                ib, LimitOrder("SELL", 10, 101, **group), LimitOrder("SELL", 10, 102, **group)
            )
            stage.tick(103, 103.02)
            await settle()
            assert sum(p.position for p in ib.positions()) == left

        play(body)


def test_immediate_or_cancel_fills_what_is_there() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02, ask_size=4)
        ib = await stage.client()
        (trade,) = await stage.place(ib, LimitOrder("BUY", 10, 100.02, tif="IOC"))
        assert (trade.filled(), trade.orderStatus.status) == (4, "Cancelled")

    play(body)


def test_what_if_answers_margins_and_leaves_no_order() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100)
        ib = await stage.client()
        ib.heard.clear()
        state = await ib.whatIfOrderAsync(AAPL, MarketOrder("BUY", 100))
        assert ib.heard.numbers(3, 5) == [5]
        assert float(state.initMarginChange) == 5000  # Regulation T: half of 100 x 100
        assert float(state.maintMarginChange) == 2500
        assert state.commission == 1
        assert list(stage.sim.exchange.books.live()) == []

    play(body)


def test_modify_keeps_the_perm_id_and_takes_the_new_values() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        ib = await stage.client()
        (trade,) = await stage.place(ib, LimitOrder("BUY", 10, 99))
        perm_id = trade.order.permId
        trade.order.lmtPrice, trade.order.totalQuantity = 99.5, 20
        ib.heard.clear()
        await stage.place(ib, trade.order)
        assert ib.heard.numbers() == [5, 3]
        (order,) = stage.sim.exchange.books.live()
        assert (order.perm_id, order.terms.limit, order.qty) == (perm_id, Decimal("99.5"), 20)
        assert (trade.orderStatus.status, trade.remaining()) == ("Submitted", 20)

    play(body)


def test_child_on_another_contract_is_freed_but_meets_its_own_market() -> None:
    async def body(stage: Stage) -> None:
        stage.tick(100, 100.02)
        stage.tick(40, 40.02, symbol="MSFT")
        ib = await stage.client()
        parent = LimitOrder("BUY", 10, 100.05, orderId=ib.client.getReqId(), transmit=False)
        child = LimitOrder("SELL", 10, 50, parentId=parent.orderId)
        (bought,) = await stage.place(ib, parent)
        (sold,) = await stage.place(ib, child, contract=stock("MSFT"))
        assert bought.filled() == 10
        assert (sold.orderStatus.status, sold.filled()) == ("Submitted", 0)  # AAPL's bid is 100
        stage.tick(51, 51.02, symbol="MSFT")
        await settle()
        assert sold.filled() == 10

    play(body)
