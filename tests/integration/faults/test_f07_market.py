"""F7, F13, F14, F20, F21: bad quotes, people and other clients, late lists, splits, assignment."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from crashes import Gate, GatedBroker
from executors import DAY, signal, usd
from scenes import Scene, WireScene, bought, guarded, papered, wired

from bft.domain.broker import SessionState
from bft.domain.orders import Contract, Leg
from bft.services.executor.reference import Split


@pytest.mark.parametrize("word", ["stale", "frozen", "zero", "crossed", "delayed", "halted"])
def test_f07_bad_quotes_open_nothing_and_touch_no_stop(tmp_path: Path, word: str) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        (stop,) = scene.intents(Leg.STOP)
        scene.price("MSFT", "100.00")
        await scene.submit(signal("MSFT", signal_id="look", confidence=usd("0.1")))
        scene.fault(word, s=30)
        await scene.sleep(6)
        scene.price("MSFT", "100.03")
        scene.price("AAPL", "100.03")
        await scene.sleep(1)
        refused = await scene.submit(signal("MSFT"))
        assert refused.decision.reason in {"stale_data", "symbol"}
        assert len(scene.at_broker(stop)) == 1
        assert guarded(scene) == scene.qty() == 49
        await scene.sleep(30)
        scene.price("MSFT", "100.05")
        await scene.sleep(1)
        again = await scene.submit(signal("MSFT", decided_at=scene.clock.now()))
        assert again.decision.allowed, again.decision.detail

    wired(tmp_path, story)


@pytest.mark.parametrize("who", ["manual_order", "foreign_client"])
def test_f13_orders_of_others_are_left_alone(tmp_path: Path, who: str) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.fault(who, symbol="AAPL", side="SELL", qty=5, kind="LMT", limit=120)
        await scene.sleep(40)
        others = [o for o in scene.sim.exchange.books.live() if not o.terms.order_ref]
        assert len(others) == 1
        assert guarded(scene) == scene.qty() == 49
        assert "ForeignOrder" in scene.alerts()

    wired(tmp_path, story)


@pytest.mark.parametrize(
    ("side", "qty", "held", "kept"), [("SELL", 20, 29, 29), ("BUY", 20, 69, 49)]
)
def test_f13_fills_of_others_are_booked_and_stops_adjusted(
    tmp_path: Path, side: str, qty: int, held: int, kept: int
) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.fault("foreign_client", symbol="AAPL", side=side, qty=qty, kind="MKT")
        await scene.wait(lambda: scene.qty() == held, within_s=3)
        await scene.wait(lambda: guarded(scene) == kept, within_s=2.5)
        await scene.sleep(40)
        assert (scene.qty(), guarded(scene)) == (held, kept)
        assert scene.intents(Leg.EXIT) == []

    wired(tmp_path, story)


def test_f13_manual_close_leaves_nothing_resting(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.fault("manual_close", symbol="AAPL")
        await scene.wait(lambda: scene.qty() == 0, within_s=3)
        await scene.wait(lambda: not list(scene.sim.exchange.books.live()), within_s=3)
        assert scene.executor.guard.covers == {}

    wired(tmp_path, story)


def test_f13_manual_close_of_what_had_filled_takes_its_stop_along(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.price("AAPL", "100.00", size=7)
        await scene.submit(signal())
        await scene.wait(lambda: scene.qty() == guarded(scene) == 7, within_s=5)
        scene.fault("manual_close", symbol="AAPL")
        await scene.wait(lambda: scene.qty() == guarded(scene) == 0, within_s=4)
        scene.price("AAPL", "100.00")
        await scene.wait(lambda: scene.qty() == guarded(scene) == 42, within_s=5)

    wired(tmp_path, story)


def test_f13_position_turned_over_by_a_person_is_not_fought(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.fault("manual_order", symbol="AAPL", side="SELL", qty=80, kind="MKT")
        await scene.wait(lambda: scene.qty() == -31, within_s=3)
        await scene.sleep(40)
        assert scene.qty() == -31
        assert scene.at_broker(scene.intents(Leg.STOP)[0]) == []

    wired(tmp_path, story)


def test_f13_what_a_person_bought_after_closing_ours_stays_theirs(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        for side, qty in (("SELL", 20), ("BUY", 50)):
            scene.fault("manual_order", symbol="AAPL", side=side, qty=qty, kind="MKT")
            await scene.sleep(3)
        assert (scene.qty(), guarded(scene)) == (79, 29)
        scene.price("AAPL", "92.90")
        await scene.sleep(10)
        assert scene.qty() == 50

    wired(tmp_path, story)


def test_f13_stop_moved_by_hand_is_kept_tighter_and_restored_looser(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        (stop,) = scene.intents(Leg.STOP)
        (order,) = scene.at_broker(stop)
        for moved, expected in (("96.00", "96.00"), ("90.00", "93.02")):
            order.terms = replace(order.terms, aux=usd(moved))
            order.stop = usd(moved)
            scene.executor.reconciler.query()
            await scene.sleep(15)
            (order,) = scene.at_broker(stop)
            assert order.terms.aux == usd(expected)

    wired(tmp_path, story)


def test_f14_empty_positions_remove_nothing_and_fence(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.fault("positions_empty", s=60)
        scene.cut()
        await scene.sleep(5)
        await scene.rearmed()
        assert scene.qty() == guarded(scene) == 49
        assert [(d.book, d.broker) for d in scene.executor.desk.differences()] == [(49, 0)]
        assert (await scene.submit(signal(signal_id="b"))).decision.reason == "halted"
        await scene.sleep(60)
        assert scene.qty() == guarded(scene) == 49
        assert "PositionMismatch" in scene.alerts()

    wired(tmp_path, story)


@pytest.mark.parametrize("msg", ["positionEnd", "openOrderEnd", "execDetailsEnd"])
def test_f14_nothing_is_compared_before_the_end_marker(tmp_path: Path, msg: str) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.fault("no_end", msg=msg, when={"msg": msg, "times": 1})
        scene.cut()
        await scene.sleep(4)
        assert scene.executor.desk.may_open() is not None
        await scene.rearmed(within_s=60)
        assert scene.qty() == guarded(scene) == 49

    wired(tmp_path, story)


def test_f14_reordered_accounts_change_nothing_a_missing_one_ends_it(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        scene.fault("accounts", list=["DU0000009", "DU0000001"])
        await scene.sleep(2)
        assert scene.broker.state is SessionState.ARMED
        scene.fault(
            "manual_order", symbol="MSFT", side="BUY", qty=5, kind="MKT", account="DU0000009"
        )
        await scene.sleep(35)
        assert scene.qty("MSFT") == 0
        scene.fault("accounts", list=["DU0000009"])
        await scene.sleep(5)
        assert scene.broker.state is not SessionState.ARMED
        assert "WrongAccount" in scene.alerts()
        scene.fault("accounts", list=["DU0000001"])
        await scene.sleep(40)

    wired(tmp_path, story)


def split_of(scene: WireScene) -> None:
    split = Split(symbol="AAPL", ex_date=DAY + timedelta(days=1), ratio=Decimal(4))
    scene.night = replace(scene.night, splits=(split,))


@pytest.mark.parametrize("known", [True, False])
def test_f20_split_overnight_is_taken_once_or_fenced(tmp_path: Path, known: bool) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        await scene.crash()
        await scene.sleep(timedelta(hours=15).total_seconds())
        scene.fault("split", symbol="AAPL", ratio=4)
        if known:
            split_of(scene)
        for _ in range(2):
            await scene.start()
            await scene.rearmed()
            await scene.sleep(45)
            held = 196 if known else 49
            assert scene.qty() == held
            assert ("PositionMismatch" in scene.alerts()) != known
            if known:
                assert guarded(scene) == 196
                stops = [s for s in scene.intents(Leg.STOP) if not s.state.terminal]
                assert {s.stop_price_usd for s in stops} == {usd("23.26")}
                await scene.calm()
            await scene.crash()
        await scene.start()
        await scene.rearmed()

    wired(tmp_path, story, calm=False)


def test_f20_new_ticker_is_the_same_position(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await bought(scene)
        await scene.crash()
        scene.fault("rename", symbol="AAPL", to="APPL")
        await scene.start()
        await scene.rearmed()
        await scene.sleep(40)
        (position,) = scene.executor.desk.state.positions.values()
        assert position.qty == 49
        (cover,) = scene.executor.guard.covers.values()
        stops = [s for s in scene.intents(Leg.STOP) if not s.state.terminal]
        assert sum(s.remaining_qty for s in stops) == cover.open_qty == 49
        assert len(scene.at_broker(stops[0])) == 1

    wired(tmp_path, story, calm=False)


async def assigned(scene: WireScene) -> None:
    """A call that a person wrote is assigned: a hundred shares are short."""
    call = "AAPL  260116C00090000"
    scene.fault("manual_order", symbol=call, side="SELL", qty=1, kind="MKT")
    await scene.sleep(2)
    scene.fault("assign", symbol=call)


def test_f21_assignment_leaves_no_uncovered_short_leg(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await assigned(scene)
        await scene.wait(lambda: bool(scene.intents(Leg.EXIT)), within_s=2)
        await scene.wait(lambda: scene.qty() == 0, within_s=2)
        (exit_,) = scene.intents(Leg.EXIT)
        assert (exit_.filled_qty, exit_.reason) == (100, "assignment")
        assert "ProtectionMissing" in scene.alerts()
        await scene.sleep(40)
        assert await scene.broker_qty() == 0

    wired(tmp_path, story)


def test_f21_short_shares_that_a_long_call_covers_stay(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        long = "AAPL  260116C00095000"
        scene.fault("manual_order", symbol=long, side="BUY", qty=1, kind="MKT")
        await assigned(scene)
        await scene.sleep(10)
        assert scene.intents(Leg.EXIT) == []

    wired(tmp_path, story)


def test_f21_expired_option_is_gone_from_the_book(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        call = "AAPL  260116C00090000"
        scene.fault("manual_order", symbol=call, side="BUY", qty=2, kind="MKT")
        await scene.wait(lambda: bool(scene.executor.desk.state.positions), within_s=3)
        scene.fault("expire", symbol=call)
        await scene.wait(lambda: not scene.executor.desk.state.positions, within_s=3)
        assert scene.intents() == []

    wired(tmp_path, story)


def test_f21_short_shares_of_a_person_are_not_touched(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.fault("manual_order", symbol="AAPL", side="SELL", qty=30, kind="MKT")
        await scene.sleep(10)
        assert (scene.qty(), scene.intents()) == (-30, [])

    wired(tmp_path, story)


class Lines(GatedBroker):
    """Counts the lines of market data that are in use: a gateway has 100."""

    def __init__(self, broker: Any, gate: Gate) -> None:
        super().__init__(broker, gate)
        self.lines = set[str]()

    def watch(self, contract: Contract) -> None:
        self.lines.add(contract.symbol)
        self._broker.watch(contract)

    def unwatch(self, contract: Contract) -> None:
        self.lines.discard(contract.symbol)
        self._broker.unwatch(contract)


class LinesScene(Scene):
    def new_broker(self) -> Lines:
        return Lines(self.real_broker(), self.gate)


def test_f07_lines_of_what_was_asked_about_are_given_back(tmp_path: Path) -> None:
    async def story(scene: LinesScene) -> None:
        await bought(scene)
        for symbol in ("MSFT", "NVDA"):
            await scene.submit(signal(symbol, confidence=usd("0.1")))
        assert scene.broker.lines == {"AAPL", "MSFT", "NVDA"}
        await scene.sleep(60)
        assert scene.broker.lines == {"AAPL"}
        for symbol in ("AAPL", "MSFT"):
            scene.price(symbol, "100.00")
        again = signal("MSFT", signal_id="again", decided_at=scene.clock.now())
        assert (await scene.submit(again)).decision.allowed
        await scene.sleep(60)
        assert scene.broker.lines == {"AAPL", "MSFT"}

    papered(tmp_path, story, kind=LinesScene)
