"""Futures with a target, futures over the daily cut, options at the close: at the gateway.

CME's day ends at 17:00 New York and the next begins at 18:00; a DAY order ends with it.
"""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from crossings import LAG, could_close, held, never_oversold
from executors import CLOSE, OPEN, signal, usd
from option_scenes import OptionScene, optioned, premium
from option_scenes import held as bought_option
from scenes import WireScene, guarded, wired

from bft.domain import sessions
from bft.domain.orders import Intent, Leg, OrderType, Side
from bft.domain.trading import Instrument
from bft.risk.profiles import FUTURES_NQ
from bft.services.executor.closing import Selection

FUTURE = Selection(symbols=("MNQH6",))
CUT = CLOSE + timedelta(hours=1)  # 17:00 New York


async def future(scene: WireScene, sign: int = 1, target: int | None = 40) -> Any:
    """5 contracts at 20,000 under a stop 20 points away, with a target; the contract."""
    scene.price("MNQH6", "20000.00", "20000.25")
    order = signal(
        "MNQH6",
        instrument=Instrument.FUTURE,
        side=Side.BUY if sign > 0 else Side.SELL,
        limit_price_usd=usd("20000.25") if sign > 0 else usd("20000.00"),
        stop_price_usd=usd(20000 - 20 * sign),
        target_price_usd=None if target is None else usd(20000 + target * sign),
        exits=None,
    )
    opened = await scene.submit(order)
    assert opened.decision.allowed, opened.decision.detail
    contract = scene.sim.contract("MNQH6")
    await scene.wait(lambda: guarded(scene, "MNQ") == abs(held(scene, contract)) == 5)
    await scene.sleep(2)
    return contract


def live(scene: WireScene, leg: Leg) -> list[Intent]:
    return [intent for intent in scene.intents(leg) if not intent.state.terminal]


def remaining(scene: WireScene, leg: Leg) -> int:
    return sum(intent.remaining_qty for intent in live(scene, leg))


def codes(scene: WireScene) -> list[str]:
    told = [e.message for e in scene.executor.desk.state.events if e.name == "broker_code"]
    return [text for text in told if not text.startswith("202")]


@pytest.mark.parametrize("sign", [1, -1])
def test_future_fills_its_target_in_parts_and_whole(tmp_path: Path, sign: int) -> None:
    async def story(scene: WireScene) -> None:
        contract = await future(scene, sign)
        assert [leg.limit_price_usd for leg in live(scene, Leg.TARGET)] == [usd(20000 + 40 * sign)]
        async with never_oversold(scene, contract, out="SELL" if sign > 0 else "BUY"):
            bid = 20040 if sign > 0 else usd("19959.75")
            scene.price("MNQH6", bid, usd(bid) + usd("0.25"), size=2)
            await scene.sleep(3)
            assert abs(held(scene, contract)) == guarded(scene, "MNQ") == 3
            assert remaining(scene, Leg.TARGET) == 3
            scene.price("MNQH6", bid, usd(bid) + usd("0.25"), size=100)
            await scene.sleep(3)
        assert (held(scene, contract), live(scene, Leg.STOP), live(scene, Leg.TARGET)) == (
            0,
            [],
            [],
        )
        (trade,) = scene.executor.desk.state.trades.values()
        # 5 contracts at 2 USD a point; bought at 20,000.25 or sold at 20,000, 40 points off
        gained = usd("39.75") if sign > 0 else usd(40)
        assert trade.pnl_usd is not None
        assert trade.pnl_usd + trade.fees_usd == gained * 2 * 5
        assert codes(scene) == []

    wired(tmp_path, story, config={"script": LAG}, profile=FUTURES_NQ)


def test_part_of_a_future_leaves_its_target_over_the_rest(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        contract = await future(scene)
        async with never_oversold(scene, contract):
            scene.executor.closing.close_part(FUTURE, 2)
            await scene.sleep(4)
            assert (
                held(scene, contract) == guarded(scene, "MNQ") == remaining(scene, Leg.TARGET) == 3
            )
            scene.executor.closing.close(FUTURE)
            await scene.sleep(4)
        assert (held(scene, contract), live(scene, Leg.TARGET)) == (0, [])
        assert codes(scene) == []

    wired(tmp_path, story, config={"script": LAG}, profile=FUTURES_NQ)


async def asleep(scene: WireScene, until: Any) -> None:
    """No process for some hours, as time passes quickly then; another one is armed."""
    await scene.stop()
    await scene.at(until)
    await scene.again()


@pytest.mark.parametrize("qty", [None, 2])
def test_future_closed_in_the_break_leaves_when_trading_begins(
    tmp_path: Path, qty: int | None
) -> None:
    """Asked for at 17:59:40: nothing trades before 18:00; stop and target rest over the cut."""

    async def story(scene: WireScene) -> None:
        contract = await future(scene)
        await asleep(scene, CUT + timedelta(minutes=59, seconds=30))
        assert held(scene, contract) == guarded(scene, "MNQ") == remaining(scene, Leg.TARGET) == 5
        closing = scene.executor.closing
        assert closing.close(FUTURE) if qty is None else closing.close_part(FUTURE, qty)
        await scene.sleep(10)
        assert held(scene, contract) == 5
        await scene.at(CUT + timedelta(minutes=60, seconds=5))
        scene.price("MNQH6", "20010.00", "20010.25")
        await scene.sleep(10)
        stay = 5 - qty if qty else 0
        assert held(scene, contract) == guarded(scene, "MNQ") == stay
        assert remaining(scene, Leg.TARGET) == stay

    wired(tmp_path, story, profile=FUTURES_NQ)


@pytest.mark.parametrize("qty", [None, 2])
def test_future_exit_that_the_cut_ends_goes_on_after_it(tmp_path: Path, qty: int | None) -> None:
    """Halted from 16:59:50 on: the DAY order ends with the day unfilled, another one follows."""

    async def story(scene: WireScene) -> None:
        contract = await future(scene)
        await asleep(scene, CUT - timedelta(seconds=30))
        scene.fault("halted", s=60)
        closing = scene.executor.closing
        assert closing.close(FUTURE) if qty is None else closing.close_part(FUTURE, qty)
        await scene.at(CUT + timedelta(seconds=20))
        (first, *_) = scene.intents(Leg.EXIT)
        assert (first.state.terminal, held(scene, contract)) == (True, 5)
        await asleep(scene, CUT + timedelta(minutes=60, seconds=5))
        scene.price("MNQH6", "20010.00", "20010.25")
        await scene.sleep(10)
        stay = 5 - qty if qty else 0
        assert held(scene, contract) == guarded(scene, "MNQ") == stay
        assert remaining(scene, Leg.TARGET) == stay

    wired(tmp_path, story, profile=FUTURES_NQ)


@pytest.mark.parametrize("qty", [None, 3])
def test_option_exit_that_the_close_ends_leaves_at_the_next_open(
    tmp_path: Path, qty: int | None
) -> None:
    """Asked for 5 s before the close, at the mid: the order ends, the guards rest over night."""

    async def story(scene: OptionScene) -> None:
        now = scene.clock.now()
        cover = await bought_option(scene, created_at=now, decided_at=now)
        call, had = scene.sim.contract(cover.contract.local_symbol), cover.open_qty
        await scene.at(CLOSE - timedelta(seconds=5))
        premium(scene, "3.00", wide="0.10")
        closing, named = scene.executor.closing, Selection(symbols=("AAPL",), instrument="option")
        assert closing.close(named) if qty is None else closing.close_part(named, qty)
        await scene.at(CLOSE + timedelta(seconds=20))
        assert (held(scene, call), could_close(scene, call, "SELL", targets=False)) == (had, had)
        await scene.stop()
        await scene.at(sessions.open_at(sessions.shift(OPEN.date(), 1)) + timedelta(seconds=5))
        scene.price("AAPL", "100.00")
        premium(scene, "3.00", wide="0.10")
        await scene.again()
        await scene.wait(lambda: bool(live(scene, Leg.EXIT)), within_s=3)
        (morning,) = live(scene, Leg.EXIT)
        # its ladder begins anew: at the market's open a spread is no price to cross unseen
        assert morning.order_type is OrderType.LIMIT
        for _ in range(40):
            scene.price("AAPL", "100.00")
            premium(scene, "3.00", wide="0.10")
            await scene.sleep(1)
        stay = had - qty if qty else 0
        assert held(scene, call) == guarded(scene) == stay

    optioned(tmp_path, story, at=CLOSE - timedelta(minutes=12))


def test_stuck_exit_of_a_future_is_paged_at_night_but_not_in_the_break(tmp_path: Path) -> None:
    """Nothing trades at 17:55 by the calendar, nor at 18:01, for a halt: 5 min after that page."""

    async def story(scene: WireScene) -> None:
        await future(scene)
        await asleep(scene, CUT + timedelta(minutes=59, seconds=30))
        scene.fault("halted", s=600)
        scene.executor.closing.close(FUTURE)
        await scene.at(CUT + timedelta(minutes=64, seconds=50))
        assert "ExitStuck" not in scene.alerts()
        await scene.sleep(20)
        assert "ExitStuck" in scene.alerts()

    wired(tmp_path, story, profile=FUTURES_NQ, calm=False)


@pytest.mark.parametrize("sign", [1, -1])
def test_level_of_a_future_is_watched_at_night(tmp_path: Path, sign: int) -> None:
    """No trade beyond it sets off the stop, but the touch has lain beyond it for 10 s."""

    async def story(scene: WireScene) -> None:
        contract = await future(scene, sign)
        await asleep(scene, CUT + timedelta(minutes=61))
        beyond = usd(20000 - 25 * sign)
        for _ in range(13):
            scene.sim.tick(
                "MNQH6",
                bid=beyond,
                ask=beyond + usd("0.25"),
                last=usd(20000),
                bid_size=9,
                ask_size=9,
            )
            await scene.sleep(1)
        assert (held(scene, contract), remaining(scene, Leg.STOP)) == (0, 0)
        (exit_,) = scene.intents(Leg.EXIT)
        assert (exit_.reason, exit_.filled_qty) == ("stop", 5)

    wired(tmp_path, story, profile=FUTURES_NQ)
