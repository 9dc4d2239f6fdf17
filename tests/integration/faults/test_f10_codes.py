"""F10, F11: what codes about orders may and may not do; sessions refused and requests too many."""

from pathlib import Path

import pytest
from executors import signal, usd
from scenes import WireScene, bought, guarded, wired

from bft.adapters.broker.ib import codes
from bft.domain.broker import ErrorKind, SessionState
from bft.domain.orders import IntentState, Leg

REFUSED = [c for c in codes.LISTED if codes.kind_of(c) is ErrorKind.REFUSED]
NEVER_TERMINAL = [
    c
    for c in (*codes.LISTED, 2109, 2137, 2169, 10999)
    if codes.kind_of(c)
    in {ErrorKind.MESSAGE, ErrorKind.HELD, ErrorKind.UNLISTED, ErrorKind.UNCHANGED}
]
RESTING = {"limit_price_usd": usd("100.50")}


def struck(scene: WireScene) -> int:
    """How often a fault of the gateway did its work."""
    return sum('"what": "fault"' in line for line in scene.sim.tape)


@pytest.mark.parametrize("code", NEVER_TERMINAL)
def test_f10_message_ends_no_order(tmp_path: Path, code: int) -> None:
    async def story(scene: WireScene) -> None:
        scene.fault("warn", code=code)
        scene.price("AAPL", "101.00")
        await scene.submit(signal(**RESTING))
        await scene.sleep(3)
        assert scene.entry().state is IntentState.ACKED
        scene.price("AAPL", "100.40", "100.45")
        await scene.wait(lambda: scene.qty() == guarded(scene) > 0, within_s=3)

    wired(tmp_path, story)


@pytest.mark.parametrize("code", REFUSED)
def test_f11_refusal_ends_the_order_it_names(tmp_path: Path, code: int) -> None:
    async def story(scene: WireScene) -> None:
        scene.fault("reject", code=code)
        scene.price("AAPL", "101.00")
        await scene.submit(signal(**RESTING))
        await scene.wait(lambda: scene.entry().state is IntentState.REJECTED, within_s=3)
        await scene.wait(
            lambda: all(intent.state.terminal for intent in scene.intents()), within_s=60
        )
        assert scene.executor.guard.covers == {}

    wired(tmp_path, story)


def test_f11_103_is_evidence_and_no_licence(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        scene.fault("warn", code=103)
        await scene.submit(signal(**RESTING))
        await scene.wait(lambda: scene.entry().state is IntentState.ACKED, within_s=5)
        assert len(scene.broker.placed) == 3

    wired(tmp_path, story)


def test_f11_103_for_an_order_nobody_holds_stays_unknown(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        scene.fault("reject", code=103)
        await scene.submit(signal(**RESTING))
        await scene.sleep(5)
        assert scene.entry().state is IntentState.UNKNOWN
        assert (await scene.submit(signal(signal_id="b"))).decision.reason == "halted"
        assert len({order.order_ref for order in scene.broker.placed}) == 3

    wired(tmp_path, story)


def test_f11_client_id_in_use_waits_for_the_same_id(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.fault("client_id_in_use", when={"msg": "startApi", "times": 3})
        scene.cut()
        await scene.wait(lambda: not scene.executor.desk.reconciled, within_s=2)
        await scene.rearmed(within_s=40)
        assert scene.broker.client_id == 10

    wired(tmp_path, story)


def test_f11_pacing_drops_no_order(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.fault("code", code=100, text="Max rate of messages per second has been exceeded")
        await scene.sleep(3)
        scene.price("AAPL", "99.99")
        await scene.sleep(0.5)
        await bought(scene)
        assert "PacingErrors" in scene.alerts()

    wired(tmp_path, story)


def test_f10_silently_accepted_order_is_found(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.fault("silent_accept")
        scene.price("AAPL", "101.00")
        await scene.submit(signal(**RESTING))
        await scene.sleep(9)
        assert scene.entry().state is IntentState.SENT
        await scene.wait(lambda: scene.entry().state is IntentState.ACKED, within_s=32)

    wired(tmp_path, story)


def test_f10_lost_acknowledgements_are_asked_for(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        for word in ("openOrder", "orderStatus", "execDetails"):
            scene.fault("drop", when={"msg": word, "times": 6})
        await scene.submit(signal())
        await scene.sleep(9)
        scene.sim.faults.lift()
        await scene.wait(lambda: scene.qty() == guarded(scene) == 49, within_s=34)

    wired(tmp_path, story)


@pytest.mark.parametrize("code", [200, 321])
@pytest.mark.parametrize("nth", [1, 2])  # of the list that ends SYNCING, of the look that arms
def test_f10_refused_question_wedges_no_session(tmp_path: Path, nth: int, code: int) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.fault("pacing", code=code, when={"msg": "reqExecutions", "nth": nth})
        scene.cut()
        await scene.wait(lambda: not scene.executor.desk.reconciled, within_s=2)
        await scene.rearmed(within_s=10)  # section 16

    wired(tmp_path, story)


def test_f10_question_refused_again_and_again_is_asked_once_a_second(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        refused = {"msg": "reqExecutions", "times": 400}
        scene.fault("pacing", code=321, when=refused)
        scene.cut()
        await scene.sleep(30)
        assert scene.broker.state is SessionState.SYNCING
        assert 20 <= struck(scene) <= 30
        events = scene.executor.desk.state.events
        told = [event for event in events if event.name == "session" and "321" in event.message]
        assert len(told) == 1  # news once
        scene.sim.faults.lift()
        await scene.rearmed(within_s=3)

    wired(tmp_path, story)


def test_f10_refused_look_is_repeated(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.fault("pacing", code=321, when={"msg": "reqExecutions", "times": 2})
        scene.executor.query(executions=True)
        await scene.wait(lambda: struck(scene) == 2, within_s=5)

    wired(tmp_path, story)


@pytest.mark.parametrize("code", [2103, 2105, 2157])
def test_f10_broken_farm_opens_nothing_and_closes(tmp_path: Path, code: int) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.fault("code", code=code)
        await scene.wait(lambda: scene.broker.state is SessionState.RECONCILING, within_s=1)
        assert (await scene.submit(signal("MSFT"))).decision.reason == "not_armed"
        scene.price("AAPL", "92.00")
        await scene.wait(lambda: scene.qty() == 0, within_s=3)
        scene.fault("code", code={2103: 2104, 2105: 2106, 2157: 2158}[code])
        await scene.until_armed()
        assert scene.intents(Leg.EXIT) == []

    wired(tmp_path, story)


@pytest.mark.parametrize("told", [True, False])
def test_f10_202_asks_for_every_list_only_where_no_status_agrees(
    tmp_path: Path, told: bool
) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        await scene.submit(signal(**RESTING))
        await scene.wait(lambda: scene.entry().state is IntentState.ACKED, within_s=5)
        if not told:
            scene.fault("drop", when={"msg": "orderStatus", "times": 3})
        before = scene.executor.reconciler.last
        await scene.executor.sender.cancel(scene.entry(), why="test")
        await scene.sleep(3)
        assert scene.entry().state is IntentState.CANCELLED
        assert (scene.executor.reconciler.last is before) is told

    wired(tmp_path, story)


def test_f10_10148_for_what_has_ended_asks_for_no_list(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        await scene.submit(signal(**RESTING))
        await scene.wait(lambda: scene.entry().state is IntentState.ACKED, within_s=5)
        entry, before = scene.entry(), scene.executor.reconciler.last
        await scene.executor.sender.cancel(entry, why="test")
        await scene.wait(lambda: scene.entry().state is IntentState.CANCELLED, within_s=3)
        for _ in range(6):
            scene.broker.cancel(entry.order_id)
        await scene.sleep(3)
        assert "BrokerErrors" not in scene.alerts()  # it crossed the end on its way: no harm
        codes = [event.details.get("code") for event in scene.executor.desk.state.events]
        assert 10148 in codes
        assert scene.executor.reconciler.last is before

    wired(tmp_path, story)
