"""One order through the executor, the paper broker and the book."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from executors import World, armed, signal, usd
from virtual_time import run

from bft.adapters.broker.paper import Paper, PaperLog, PaperSettings, Prices, ib_fixed
from bft.domain.broker import PlacedOrder, WhatIf
from bft.domain.orders import IntentState, Leg, OrderType
from bft.risk.profiles import EQUITIES


def test_signal_becomes_a_bracket_that_fills_and_is_protected(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        opened = await world.submit(signal())
        assert opened.decision.allowed, opened.decision
        assert opened.lapsed is None
        await world.wait(lambda: world.entry().state is IntentState.FILLED)
        await world.wait(lambda: world.protected() == world.qty() > 0, within_s=2)
        assert await world.broker_qty() == world.qty()
        (stop,) = world.intents(Leg.STOP)
        assert (stop.order_type, stop.stop_price_usd) == (OrderType.STOP, usd("93.02"))

    run(armed(tmp_path, story))


def test_stop_closes_the_position_and_cancels_the_target(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.submit(signal())
        await world.wait(lambda: world.protected() > 0)
        world.price("AAPL", "92.90")
        await world.wait(lambda: world.qty() == 0)
        await world.wait(lambda: not any(not i.state.terminal for i in world.intents()))
        assert await world.broker_qty() == 0
        await world.wait(lambda: world.executor.guard.covers == {}, within_s=2)
        (trade,) = world.executor.desk.state.trades.values()
        assert trade.outcome == "stop"

    run(armed(tmp_path, story))


def test_same_signal_twice_places_one_order(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.submit(signal())
        again = await world.submit(signal())
        assert not again.decision.allowed
        assert again.decision.reason == "duplicate"
        assert len(world.intents(Leg.ENTRY)) == 1

    run(armed(tmp_path, story))


def test_stop_follows_the_price_of_the_fill(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.price("AAPL", "99.00")  # better than the limit and than the last mid
        await world.submit(signal(limit_price_usd=usd("100.90")))
        await world.wait(lambda: world.protected() == world.qty() > 0)
        paid = next(iter(world.executor.desk.state.lots.values())).price_usd
        wanted = (paid * usd("0.93")).quantize(usd("0.01"), rounding="ROUND_CEILING")
        await world.wait(lambda: world.intents(Leg.STOP)[0].stop_price_usd == wanted, within_s=10)

    run(armed(tmp_path, story))


def test_alerts_too_many_to_be_told_are_told_in_one_line(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        for n in range(12):
            world.executor.desk.alert("PositionMismatch", f"SYMBOL{n}", "differs")
        await world.sleep(5)
        assert not any("AlertsHeld" in subject for subject, _ in world.told.mails)
        await world.sleep(60)
        (text,) = [text for subject, text in world.told.mails if "AlertsHeld" in subject]
        assert "PositionMismatch x2" in text

    run(armed(tmp_path, story))


class Growing:
    """A broker whose account is worth twice as much once a margin was asked for."""

    def __init__(self, broker: Any) -> None:
        self._broker, self.asked = broker, list[int]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    async def what_if(self, order: PlacedOrder) -> WhatIf:
        self.asked.append(int(order.qty))
        told: WhatIf = await self._broker.what_if(order)
        return told

    def account_values(self) -> Any:
        values = self._broker.account_values()
        times = 2 if self.asked and values else 1
        return values and replace(values, equity_usd=values.equity_usd * times)


def test_margin_of_a_smaller_order_lets_no_larger_one_pass(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        opened = await world.submit(signal())
        assert world.broker.asked == [49]
        assert not opened.decision.allowed
        assert (opened.decision.reason, opened.decision.transient) == ("margin", True)
        assert world.intents() == []
        again = await world.submit(signal())
        assert again.decision.allowed
        assert world.broker.asked[1:] == [again.decision.qty]

    run(
        armed(
            tmp_path,
            story,
            profile=replace(EQUITIES, what_if=True),
            make_broker=lambda world: Growing(
                Paper(
                    PaperLog(world.folder / "paper.jsonl", sync=lambda _: None),
                    clock=world.clock,
                    prices=Prices(),
                    fee=ib_fixed,
                    settings=PaperSettings(seed=1, latency_s=(0.0, 0.0)),
                )
            ),
        )
    )
