"""F2, F3: the session breaks while orders are on their way; fills come back, once."""

from datetime import time, timedelta
from pathlib import Path

import pytest
from executors import signal, usd
from scenes import WireScene, bought, guarded, wired

from bft.domain.broker import SessionState
from bft.domain.orders import IntentState, Leg


@pytest.mark.parametrize("back", [1101, 1102])
def test_f02_lost_connectivity_holds_opening_and_recovers_fills(tmp_path: Path, back: int) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        await scene.submit(signal(limit_price_usd=usd("100.50")))
        await scene.wait(lambda: scene.entry().state is IntentState.ACKED, within_s=2)
        scene.fault("code", code=1100)
        await scene.wait(lambda: scene.broker.state is SessionState.LOST, within_s=1)
        refused = await scene.submit(signal("MSFT"))
        assert refused.decision.reason == "not_armed"
        scene.fault("drop", when={"msg": "execDetails", "nth": 1})
        scene.fault("drop", when={"msg": "orderStatus", "times": 9})
        scene.price("AAPL", "100.40", "100.45")
        await scene.sleep(2)
        assert scene.qty() == 0
        scene.sim.faults.lift()
        scene.fault("code", code=back)
        await scene.until_armed()
        await scene.wait(lambda: scene.qty() > 0 and guarded(scene) == scene.qty(), within_s=3)
        scene.price("AAPL", "100.42", "100.47")
        await scene.sleep(1)
        quote = scene.broker.quote(scene.entry().contract)
        assert quote is not None
        assert quote.bid_usd == usd("100.42")

    wired(tmp_path, story)


@pytest.mark.parametrize("word", ["disconnect_before_ack", "disconnect_after_ack", "disconnect"])
def test_f02_restart_mid_order_sends_it_once(tmp_path: Path, word: str) -> None:
    async def story(scene: WireScene) -> None:
        scene.fault(word, when={"msg": "placeOrder", "nth": 3})
        await scene.submit(signal())
        await scene.rearmed()
        await scene.sleep(12)
        state = scene.entry().state
        assert state in {IntentState.FILLED, IntentState.UNKNOWN}
        again = await scene.submit(signal())
        assert again.decision.reason in {"duplicate", "halted"}

    wired(tmp_path, story)


def test_f02_what_is_held_is_quoted_however_it_came(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        await scene.submit(signal(limit_price_usd=usd("100.50")))
        await scene.wait(lambda: scene.entry().state is IntentState.ACKED, within_s=2)
        await scene.crash()
        await scene.again()
        scene.price("AAPL", "100.40", "100.45")
        scene.price("MSFT", "100.40", "100.45")
        scene.fault("manual_order", symbol="MSFT", side="BUY", qty=5, kind="MKT")
        positions = scene.executor.desk.state.positions
        await scene.wait(lambda: len(positions) == 2, within_s=90)
        await scene.sleep(2)
        scene.price("AAPL", "100.42", "100.47")
        scene.price("MSFT", "100.42", "100.47")
        await scene.sleep(2)
        quotes = [scene.broker.quote(held.contract) for held in positions.values()]
        assert [quote and quote.bid_usd for quote in quotes] == [usd("100.42")] * 2

    wired(tmp_path, story)


def test_f02_vanished_order_stays_unknown_and_fences_its_symbol(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        await scene.submit(signal(limit_price_usd=usd("100.50")))
        await scene.wait(lambda: scene.entry().state is IntentState.ACKED, within_s=2)
        scene.fault("vanish", s=5)
        scene.fault("restart", s=3)
        await scene.sleep(1)
        await scene.rearmed()
        await scene.sleep(1)
        assert scene.entry().state is IntentState.UNKNOWN
        other = await scene.submit(signal(signal_id="other"))
        assert other.decision.reason == "halted"
        await scene.sleep(65)
        assert scene.entry().state is IntentState.UNKNOWN
        assert "UnknownOrder" in scene.alerts()
        assert len([o for o in scene.broker.placed if "bft1." in o.order_ref]) == 3

    wired(tmp_path, story)


def test_f02_unknown_day_order_ends_with_its_day(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        await scene.submit(signal(limit_price_usd=usd("100.50")))
        await scene.wait(lambda: scene.entry().state is IntentState.ACKED, within_s=2)
        scene.fault("vanish", s=5)
        scene.executor.reconciler.query()
        await scene.wait(lambda: scene.entry().state is IntentState.UNKNOWN, within_s=2)
        await scene.crash()
        await scene.sleep(timedelta(hours=7).total_seconds())
        await scene.start()
        await scene.rearmed()
        await scene.wait(lambda: scene.entry().state is IntentState.EXPIRED, within_s=40)
        legs = scene.intents(Leg.STOP) + scene.intents(Leg.TARGET)
        await scene.wait(
            lambda: all(
                scene.executor.desk.state.intents[i.intent_id].state.terminal for i in legs
            ),
            within_s=40,
        )

    wired(tmp_path, story)


def test_f02_day_that_is_over_proves_nothing_where_positions_differ(tmp_path: Path) -> None:
    """The broker forgot its executions overnight, but holds what the order bought."""

    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        await scene.submit(signal(limit_price_usd=usd("100.50")))
        await scene.wait(lambda: scene.entry().state is IntentState.ACKED, within_s=2)
        await scene.crash()
        scene.price("AAPL", "100.40", "100.45", size=20)
        scene.forgotten = True
        await scene.sleep(timedelta(hours=17).total_seconds())
        await scene.start()
        await scene.rearmed()
        await scene.wait(lambda: "PositionMismatch" in scene.alerts(), within_s=40)
        assert scene.entry().state is IntentState.UNKNOWN
        stops = [stop for leg in scene.intents(Leg.STOP) for stop in scene.at_broker(leg)]
        assert stops, "what protects a position nobody can explain stays"

    wired(tmp_path, story, config={"reset_at": time(23, 45)})


@pytest.mark.parametrize(("hours", "state"), [(7, IntentState.EXPIRED), (17, IntentState.UNKNOWN)])
def test_f02_lists_that_no_longer_tell_the_day_prove_nothing(
    tmp_path: Path, hours: int, state: IntentState
) -> None:
    """Bought and stopped out while nobody looked: positions agree, the fills are forgotten."""

    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "101.00")
        await scene.submit(signal(limit_price_usd=usd("100.50")))
        await scene.wait(lambda: scene.entry().state is IntentState.ACKED, within_s=2)
        scene.fault("vanish", s=5)
        scene.executor.reconciler.query()
        await scene.wait(lambda: scene.entry().state is IntentState.UNKNOWN, within_s=2)
        await scene.crash()
        if state is IntentState.UNKNOWN:
            scene.price("AAPL", "100.40", "100.45")
            scene.price("AAPL", "90.00", "90.02")
        await scene.sleep(timedelta(hours=hours).total_seconds())
        await scene.start(restart_at=time(23, 45))
        await scene.rearmed()
        await scene.sleep(40)
        assert await scene.broker_qty() == 0
        assert scene.entry().state is state

    wired(tmp_path, story, config={"reset_at": time(23, 45)})


def test_f03_half_open_socket_is_found_and_left_within_30_s(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        entry = await bought(scene)
        scene.price("MSFT", "101.00")
        await scene.submit(signal("MSFT", limit_price_usd=usd("100.50")))
        await scene.sleep(1)
        began = scene.clock.now()
        scene.fault("half_open")
        await scene.wait(lambda: not scene.executor.desk.reconciled, within_s=30)
        assert scene.clock.now() - began <= timedelta(seconds=30)
        await scene.rearmed(within_s=15)
        assert scene.executor.desk.state.intents[entry.intent_id].state is IntentState.FILLED
        other = next(i for i in scene.intents(Leg.ENTRY) if i.contract.symbol == "MSFT")
        assert other.state is IntentState.ACKED

    wired(tmp_path, story)


def test_f02_bracket_that_left_in_parts_while_nobody_looked_is_over(tmp_path: Path) -> None:
    """Part by the target, the rest by the stop, which the gateway had cut to that rest."""

    async def story(scene: WireScene) -> None:
        await bought(scene)
        await scene.crash()
        scene.price("AAPL", "112.50", size=9)
        scene.price("AAPL", "92.90")
        await scene.start()
        await scene.rearmed()
        await scene.sleep(15)
        assert scene.qty() == 0
        (stop,) = scene.intents(Leg.STOP)
        (target,) = scene.intents(Leg.TARGET)
        assert (stop.state, stop.filled_qty) == (IntentState.FILLED, 40)
        assert (target.state, target.filled_qty) == (IntentState.CANCELLED, 9)
        assert scene.executor.guard.covers == {}

    wired(tmp_path, story)
