"""The bracket that leaves is the one that risk reckoned with."""

from pathlib import Path

from executors import World, armed, signal, usd
from virtual_time import run

from bft.domain.orders import Leg
from bft.domain.trading import ExitPolicy


def test_decided_risk_is_that_of_the_orders_sent(tmp_path: Path) -> None:
    """A fill at the limit before the fill's own stop is placed loses no more than was decided."""

    async def then(world: World) -> None:
        wide = ExitPolicy(stop_frac=0.25, target_frac=0.5)
        order = signal(limit_price_usd=None, ref_price_usd=usd(100), exits=wide)
        opened = await world.submit(order)
        (stop,) = world.intents(Leg.STOP)
        entry, decision = world.entry(), opened.decision
        assert entry.limit_price_usd is not None
        assert stop.stop_price_usd is not None
        assert decision.stop_price_usd == stop.stop_price_usd
        away = entry.limit_price_usd - stop.stop_price_usd
        assert away > usd("0.25") * entry.limit_price_usd  # reckoned from the market, below it
        assert decision.risk_usd == entry.qty * away <= usd(500)  # 0.5 % of 100,000

    run(armed(tmp_path, then))
