"""Daily bars of the vendor simulator: the same world as `bft serve market-sim --seed N`."""

from collections.abc import Sequence
from datetime import date
from functools import lru_cache

import numpy as np

from bft.domain import sessions
from bft.sim.gateway.prices.intraday import DayBar
from bft.sim.market.world import Plan, World


class VendorDays:
    """Bars as traded of a seed whose history begins at `start`; worlds reach to a year's end."""

    def __init__(self, seed: int, start: date | None = None) -> None:
        self.seed = seed
        self._plan = Plan(seed=seed) if start is None else Plan(seed=seed, start=start)
        self._world = lru_cache(maxsize=1)(self._made)
        self._last_year = self._plan.start.year + 10

    @property
    def names(self) -> Sequence[tuple[str, str]]:
        """See `Days`."""
        return [(one.symbol, one.name) for one in self._grown(self._last_year).listings]

    def day(self, symbol: str, session: date) -> DayBar | None:
        """See `Days`."""
        world = self._grown(session.year)
        row = world.row(session)
        place = world.find(symbol, row)
        if place is None or row < 0:
            return None
        bars = world.bars
        values = [
            float(part[row, place])
            for part in (bars.open, bars.high, bars.low, bars.close, bars.volume)
        ]
        if not np.isfinite(values[3]):
            return None
        before = float(bars.close[row - 1, place]) if row else values[0]
        return DayBar(
            open=values[0],
            high=values[1],
            low=values[2],
            close=values[3],
            volume=values[4],
            previous=before if np.isfinite(before) else values[0],
        )

    def first(self, symbol: str) -> date | None:
        """See `Days`."""
        world = self._grown(self._last_year)
        place = world.find(symbol, len(world.days) - 1)
        return None if place is None else world.days[world.listings[place].first_row]

    def _grown(self, year: int) -> World:
        self._last_year = max(self._last_year, year + 1)
        return self._world(self._last_year)

    def _made(self, year: int) -> World:
        return World(self._plan, sessions.on_or_before(date(year, 12, 31)))
