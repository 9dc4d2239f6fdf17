"""Closes of shorts, options and futures over a wire that takes time: crossing nothing, no flip."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from crossings import LAG, held, never_oversold
from executors import CLOSE, signal, usd
from option_scenes import CALL, OptionScene, optioned, premium
from option_scenes import held as bought_option
from scenes import WireScene, bought, guarded, wired

from bft.domain.orders import Side
from bft.domain.trading import Instrument
from bft.risk.profiles import EQUITIES, FUTURES_NQ
from bft.services.executor.closing import Selection

SHORTS = replace(EQUITIES, short_allowed=True)
AAPL = Selection(symbols=("AAPL",))


def codes(scene: WireScene) -> list[str]:
    """What the broker complained of; 202 only tells that a cancel was done."""
    told = [e.message for e in scene.executor.desk.state.events if e.name == "broker_code"]
    return [text for text in told if not text.startswith("202")]


def ask(scene: WireScene, selection: Selection, qty: int | None) -> None:
    closing = scene.executor.closing
    assert closing.close(selection) if qty is None else closing.close_part(selection, qty)


@pytest.mark.parametrize("size", [10_000, 7])
@pytest.mark.parametrize("qty", [None, 10])
def test_short_shares_are_bought_back_whole_and_in_part(
    tmp_path: Path, qty: int | None, size: int
) -> None:
    async def story(scene: WireScene) -> None:
        await short(scene)
        had, share = -scene.qty(), scene.sim.contract("AAPL")
        async with never_oversold(scene, share, out="BUY"):
            ask(scene, AAPL, qty)
            for _ in range(11):
                await scene.sleep(1)
                scene.price("AAPL", "100.00", size=size)
        stay = had - qty if qty else 0
        assert -held(scene, share) == -scene.qty() == guarded(scene) == stay
        assert codes(scene) == []

    wired(tmp_path, story, config={"script": LAG}, profile=SHORTS)


async def short(scene: WireScene) -> None:
    now = scene.clock.now()
    order = signal(side=Side.SELL, limit_price_usd=usd("99.50"), created_at=now, decided_at=now)
    opened = await scene.submit(order)
    assert opened.decision.allowed, opened.decision.detail
    await scene.wait(lambda: guarded(scene) == -scene.qty() > 0, within_s=5)
    await scene.sleep(2)


@pytest.mark.parametrize("out", ["SELL", "BUY"])
def test_part_over_a_session_that_is_away(tmp_path: Path, out: str) -> None:
    """The wire is cut 20 ms after the wish: stop and target are cut, no order has left."""

    async def story(scene: WireScene) -> None:
        await (short(scene) if out == "BUY" else bought(scene))
        await scene.sleep(2)
        had, share = abs(scene.qty()), scene.sim.contract("AAPL")
        async with never_oversold(scene, share, out=out, bare_s=30):
            ask(scene, AAPL, 10)
            await scene.sleep(0.02)
            scene.cut()
            await scene.rearmed()
            await scene.sleep(2)
            assert abs(held(scene, share)) == guarded(scene) == had - 10

    wired(tmp_path, story, config={"script": LAG}, profile=SHORTS)


@pytest.mark.parametrize("out", ["SELL", "BUY"])
def test_part_at_the_close_keeps_the_stop(tmp_path: Path, out: str) -> None:
    async def story(scene: WireScene) -> None:
        now = scene.clock.now()
        made = bought(scene, created_at=now, decided_at=now) if out == "SELL" else short(scene)
        await made
        had, share = abs(scene.qty()), scene.sim.contract("AAPL")
        await scene.at(CLOSE)
        async with never_oversold(scene, share, out=out):
            ask(scene, AAPL, 10)
            await scene.sleep(5)
        assert abs(held(scene, share)) == guarded(scene) == had

    begin = CLOSE - timedelta(minutes=20)
    wired(tmp_path, story, at=begin, config={"script": LAG}, profile=SHORTS)


@pytest.mark.parametrize("qty", [None, 3])
@pytest.mark.parametrize("away", [False, True])
def test_options_leave_by_their_ladder(tmp_path: Path, qty: int | None, away: bool) -> None:
    """Mid, touch, market: 3.00 to 3.05 stays, so that nothing fills before the market."""

    async def story(scene: OptionScene) -> None:
        cover = await bought_option(scene)
        await scene.sleep(2)
        call = scene.sim.contract(cover.contract.local_symbol)
        async with never_oversold(scene, call, bare_s=60 if away else 1):
            ask(scene, Selection(symbols=("AAPL",), instrument="option"), qty)
            await scene.sleep(2)
            if away:
                scene.cut()
                await scene.rearmed()
            for _ in range(35):
                await scene.sleep(1)
                premium(scene, "3.00")
        stay = cover.open_qty - qty if qty else 0
        assert held(scene, call) == guarded(scene) == stay
        assert codes(scene) == []

    optioned(tmp_path, story, config={"script": LAG})


FUTURE = Selection(symbols=("MNQH6",))


@pytest.mark.parametrize("out", ["SELL", "BUY"])
@pytest.mark.parametrize("qty", [None, 2])
def test_futures_leave_whole_and_in_part(tmp_path: Path, qty: int | None, out: str) -> None:
    """Risk 300 USD, 20 points at 2 USD each: 7 contracts, cut to the profile's 5."""

    async def story(scene: WireScene) -> None:
        future = scene.sim.contract("MNQH6")
        scene.price("MNQH6", "20000.00", "20000.25")
        sign = 1 if out == "SELL" else -1
        order = signal(
            "MNQH6",
            instrument=Instrument.FUTURE,
            side=Side.BUY if sign > 0 else Side.SELL,
            limit_price_usd=usd("20000.25") if sign > 0 else usd("20000.00"),
            stop_price_usd=usd(20000 - 20 * sign),
            exits=None,
        )
        opened = await scene.submit(order)
        assert opened.decision.allowed, opened.decision.detail
        await scene.wait(lambda: guarded(scene, "MNQ") == abs(held(scene, future)) > 0)
        await scene.sleep(2)
        had = abs(held(scene, future))
        async with never_oversold(scene, future, out=out):
            ask(scene, FUTURE, qty)
            await scene.sleep(5)
        stay = had - qty if qty else 0
        assert abs(held(scene, future)) == guarded(scene, "MNQ") == stay
        assert codes(scene) == []

    wired(tmp_path, story, config={"script": LAG}, profile=FUTURES_NQ)


def test_assigned_shares_that_a_person_bought_back_end_no_short_of_ours(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        await short(scene)
        had = scene.qty()
        scene.fault("manual_order", symbol=CALL, side="SELL", qty=1)
        scene.price("AAPL", "100.00")
        await scene.sleep(2)
        scene.fault("assign", symbol=CALL)
        scene.fault("manual_order", symbol="AAPL", side="BUY", qty=100)
        await scene.sleep(8)
        assert (scene.qty(), guarded(scene)) == (had, -had)

    wired(tmp_path, story, profile=SHORTS)
