"""F21: combinations partly filled and covers that expire leave no short leg open."""

from datetime import date
from pathlib import Path

import pytest
from ib_async import IB
from option_scenes import occ
from scenes import WireScene, wired

from bft.domain.orders import Intent, Leg

SHORT, LONG = occ("C", 100), occ("C", 105)
LATER = date(2026, 3, 20)


def spread(scene: WireScene, *, short: int, long: int, qty: int = 3) -> None:
    """A person orders `qty` call spreads, of which so many of each leg fill."""
    legs = [f"SELL 1 {SHORT} filled {short}", f"BUY 1 {LONG} filled {long}"]
    scene.fault("manual_order", symbol="AAPL", side="BUY", qty=qty, legs=legs)


def held(scene: WireScene, symbol: str) -> int:
    positions = scene.executor.desk.state.positions.values()
    return sum(int(p.qty) for p in positions if p.contract.local_symbol == symbol)


async def at_broker(scene: WireScene, symbol: str) -> int:
    snapshot = await scene.broker.snapshot()
    return sum(int(p.qty) for p in snapshot.positions if p.contract.local_symbol == symbol)


def exits(scene: WireScene) -> list[Intent]:
    return scene.intents(Leg.EXIT)


@pytest.mark.parametrize(("short", "long"), [(3, 0), (3, 1), (2, 1)])
def test_f21_combination_partly_filled_leaves_no_uncovered_short_leg(
    tmp_path: Path, short: int, long: int
) -> None:
    async def story(scene: WireScene) -> None:
        spread(scene, short=short, long=long)
        await scene.wait(lambda: held(scene, SHORT) == -long and bool(exits(scene)), within_s=2)
        assert [(e.filled_qty, e.reason) for e in exits(scene)] == [(short - long, "uncovered leg")]
        assert (held(scene, LONG), await at_broker(scene, SHORT)) == (long, -long)
        assert "ProtectionMissing" in scene.alerts()
        await scene.sleep(40)
        assert len(exits(scene)) == 1
        assert held(scene, SHORT) == -long

    wired(tmp_path, story)


@pytest.mark.parametrize(("short", "long"), [(3, 3), (2, 2), (0, 2)])
def test_f21_covered_combination_is_left_alone(tmp_path: Path, short: int, long: int) -> None:
    async def story(scene: WireScene) -> None:
        spread(scene, short=short, long=long)
        await scene.sleep(10)
        assert (held(scene, SHORT), held(scene, LONG)) == (-short, long)
        assert exits(scene) == []

    wired(tmp_path, story)


def test_f21_short_option_that_a_person_sold_alone_is_theirs(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.fault("manual_order", symbol=SHORT, side="SELL", qty=2, kind="MKT")
        await scene.sleep(10)
        assert (held(scene, SHORT), exits(scene)) == (-2, [])

    wired(tmp_path, story)


def test_f21_short_leg_whose_cover_expired_is_closed(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        later = occ("C", 105, LATER)
        for symbol, side in ((SHORT, "BUY"), (later, "SELL")):
            scene.fault("manual_order", symbol=symbol, side=side, qty=2, kind="MKT")
        await scene.sleep(3)
        assert exits(scene) == []
        scene.fault("expire", symbol=SHORT)
        await scene.wait(lambda: held(scene, SHORT) == 0, within_s=2)
        await scene.wait(lambda: held(scene, later) == 0, within_s=2)
        assert [e.filled_qty for e in exits(scene)] == [2]

    wired(tmp_path, story)


def test_f21_shares_cover_short_calls(tmp_path: Path) -> None:
    async def story(scene: WireScene) -> None:
        scene.fault("manual_order", symbol="AAPL", side="BUY", qty=200, kind="MKT")
        await scene.sleep(2)
        spread(scene, short=3, long=0)
        await scene.wait(lambda: held(scene, SHORT) == -2, within_s=2)
        await scene.sleep(5)
        assert (held(scene, SHORT), [e.filled_qty for e in exits(scene)]) == (-2, [1])

    wired(tmp_path, story)


@pytest.mark.parametrize("cancelled", [False, True])
def test_f21_short_leg_is_closed_after_a_restart(tmp_path: Path, cancelled: bool) -> None:
    """Cancelled in the meantime, the combination is among the completed orders alone."""

    async def story(scene: WireScene) -> None:
        await scene.crash()
        spread(scene, short=3, long=0)
        if cancelled:
            scene.sim.cancel_all()
        await scene.start()
        await scene.rearmed()
        await scene.wait(lambda: held(scene, SHORT) == 0, within_s=2)
        assert [e.filled_qty for e in exits(scene)] == [3]

    wired(tmp_path, story)


def test_f21_a_combination_reaches_the_real_client_whole(tmp_path: Path) -> None:
    """ib_async is the oracle of the layout: one BAG order with its legs, fills under its permId."""

    async def story(scene: WireScene) -> None:
        spread(scene, short=1, long=1)
        ib = IB()
        await ib.connectAsync("127.0.0.1", scene.sim.port, clientId=91)
        (trade,) = await ib.reqAllOpenOrdersAsync()
        fills = await ib.reqExecutionsAsync()
        assert trade.contract.secType == "BAG"
        assert [(leg.ratio, leg.action) for leg in trade.contract.comboLegs] == [
            (1, "SELL"),
            (1, "BUY"),
        ]
        assert {fill.contract.secType for fill in fills} == {"BAG", "OPT"}
        assert {fill.execution.permId for fill in fills} == {trade.order.permId}
        ib.disconnect()

    wired(tmp_path, story)
