"""Each row of the table of evidence for an UNKNOWN order (executor specification, section 3)."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from executors import signal, usd
from scenes import WireScene, wired

from bft.domain.broker import ErrorKind, ErrorReport
from bft.domain.orders import IntentState

S = IntentState


def live(scene: WireScene) -> None:
    """The gateway still holds it."""
    del scene


def part(scene: WireScene) -> None:
    scene.price("AAPL", "100.40", "100.45", size=10)


def whole(scene: WireScene) -> None:
    scene.price("AAPL", "100.40", "100.45")


def cancelled(scene: WireScene) -> None:
    order = scene.at_broker(scene.entry())[0]
    scene.sim.cancel(order.terms.key)


def part_then_cancelled(scene: WireScene) -> None:
    part(scene)
    cancelled(scene)


def gone(scene: WireScene) -> None:
    for intent in scene.intents():
        for order in scene.at_broker(intent):
            scene.sim.exchange.books.erase(order)


ROWS: list[tuple[Callable[[WireScene], None], IntentState, int]] = [
    (live, S.ACKED, 0),
    (part, S.PARTIAL, 10),
    (whole, S.FILLED, 49),
    (cancelled, S.CANCELLED, 0),
    (part_then_cancelled, S.CANCELLED, 10),
    (gone, S.UNKNOWN, 0),
]


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize(("happened", "state", "filled"), ROWS)
def test_evidence_decides_what_became_of_an_unknown_order(
    tmp_path: Path,
    happened: Callable[[WireScene], None],
    state: IntentState,
    filled: int,
    restarts: bool,
) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        scene.fault("disconnect_before_ack", when={"msg": "placeOrder", "nth": 3})
        await scene.submit(signal(limit_price_usd=usd("100.50")))
        await scene.wait(lambda: scene.entry().state is S.UNKNOWN, within_s=2)
        if restarts:
            await scene.crash()
        happened(scene)
        if restarts:
            await scene.start()
        await scene.sleep(1.5)
        await scene.rearmed()
        await scene.sleep(1)
        entry = scene.entry()
        assert (entry.state, entry.filled_qty) == (state, filled)
        assert len(scene.executor.desk.state.entry_signals) == 1

    wired(tmp_path, story)


@pytest.mark.parametrize(("same_epoch", "state"), [(True, S.REJECTED), (False, S.UNKNOWN)])
def test_refusal_counts_in_the_epoch_that_sent_it(
    tmp_path: Path, same_epoch: bool, state: IntentState
) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        scene.fault("drop", when={"msg": "placeOrder", "times": 3})
        await scene.submit(signal(limit_price_usd=usd("100.50")))
        await scene.sleep(11)
        entry = scene.entry()
        assert entry.state is S.UNKNOWN
        epoch = entry.epoch or 0
        told: Any = ErrorReport(
            kind=ErrorKind.REFUSED,
            code=201,
            text="no",
            epoch=epoch if same_epoch else epoch + 1,
            order_id=entry.order_id,
            order_ref=entry.order_ref,
        )
        scene.executor.hearing.hear(told)
        await scene.sleep(3)
        assert scene.entry().state is state

    wired(tmp_path, story)
