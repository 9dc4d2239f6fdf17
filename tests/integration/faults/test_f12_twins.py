"""F12, F13: another order under a reference of ours harms neither it nor any other of ours."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from executors import signal, usd
from scenes import Scene, WireScene, bought, guarded, papered, wired

from bft.domain.broker import BrokerOrder, OrderReport
from bft.domain.orders import IntentState, Leg
from bft.ledger.trim import release

RESTING = {"limit_price_usd": usd("100.50")}


def test_end_of_the_second_order_is_not_the_end_of_the_first(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        scene.fault("two_perm_ids")
        await scene.submit(signal(**RESTING))
        await scene.wait(lambda: len(scene.at_broker(scene.entry())) == 1, within_s=40)
        (kept,) = scene.at_broker(scene.entry())
        for _ in range(40):
            assert scene.entry().state is IntentState.ACKED
            assert scene.entry().order_id == kept.terms.order_id
            await scene.sleep(1)

    wired(tmp_path, story)


async def twin_of(scene: Scene, leg: Leg, **changes: Any) -> BrokerOrder:
    """What the broker tells of an order, as if another bore its reference."""
    intent = next(one for one in scene.intents(leg) if not one.state.terminal)
    opened = (await scene.broker.snapshot()).open_orders
    told = next(order for order in opened if order.order_ref == intent.order_ref)
    return replace(told, perm_id=told.perm_id + 7777, **changes)


@pytest.mark.parametrize("client_id", [0, 20])
def test_copy_of_another_client_costs_no_order_of_ours(tmp_path: Path, client_id: int) -> None:
    """A person copies an order by hand: the copy keeps its reference, its id may be any number."""

    async def story(scene: Scene) -> None:
        await bought(scene)
        (stop,) = scene.intents(Leg.STOP)
        copy = await twin_of(scene, Leg.TARGET, client_id=client_id, order_id=stop.order_id)
        epoch = scene.broker.epoch
        scene.executor.hearing.hear(OrderReport(order=copy, epoch=epoch))
        ended = replace(copy, order_ref=scene.entry().order_ref)  # of an order that has filled
        scene.executor.hearing.order(ended, epoch=epoch, listed=True)
        await scene.sleep(1)
        assert "UnknownOrder" in scene.alerts()
        assert guarded(scene) == scene.qty()
        assert scene.executor.desk.state.intents[stop.intent_id] == stop
        scene.executor.hearing.hear(
            OrderReport(order=replace(copy, status="Cancelled"), epoch=epoch)
        )
        (target,) = scene.intents(Leg.TARGET)
        assert target.state is IntentState.ACKED

    papered(tmp_path, story)


def test_fee_that_was_lost_on_its_way_is_booked_by_the_next_look(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.fault("drop", when={"msg": "commissionReport", "times": 1})
        await bought(scene)
        (fill,) = scene.executor.desk.state.executions.values()
        assert fill.execution.fee_usd is None
        await scene.executor.reconciler.run(full=True, why="test")
        (fill,) = scene.executor.desk.state.executions.values()
        assert fill.execution.fee_usd == usd(1)
        trade = scene.executor.desk.state.trades[scene.entry().intent_id]
        assert trade.fees_usd == usd(1)

    wired(tmp_path, story)


def test_correction_of_a_forgotten_fill_keeps_no_session_from_arming(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.price("AAPL", "92.90")
        await scene.wait(lambda: not any(not i.state.terminal for i in scene.intents()))
        await scene.wait(lambda: not scene.executor.guard.covers)
        release(scene.executor.desk.state, before=scene.clock.now(), note=True)
        assert scene.executor.desk.state.executions == {}
        scene.fault("correction", price=99.5)
        await scene.sleep(0.5)
        scene.cut()
        await scene.wait(lambda: not scene.executor.desk.reconciled)
        await scene.rearmed(within_s=20)
        events = scene.executor.desk.state.events
        assert any("ledger adjust" in event.message for event in events)

    wired(tmp_path, story, calm=False)
