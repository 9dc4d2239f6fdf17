"""Everything the vendor knows, from the first session to a last one that may lie ahead of today.

A world that ends later begins with the same values, so answers depend on the moment alone.
"""

from dataclasses import dataclass, fields
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from bft.domain import sessions
from bft.sim.market import funds, paths, shocks, signal
from bft.sim.market.draws import Floats, keys
from bft.sim.market.paths import Bars, Mask, Returns
from bft.sim.market.reports import Days, Reports, reports
from bft.sim.market.shocks import Traits
from bft.sim.market.universe import SECTORS, Listing, listings


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The arguments a world is made of."""

    seed: int = 7
    stocks: int = 60
    start: date = date(2016, 1, 4)
    kappa_fast: float = 0.04
    kappa_slow: float = 0.015


class World:
    """All paths of a plan up to the session `last`; rows are sessions since `plan.start`."""

    def __init__(self, plan: Plan, last: date) -> None:
        self.plan, self.last = plan, last
        self.days = sessions.sessions(plan.start, last)
        self.dates: Days = np.array(self.days, dtype="datetime64[D]")
        self.origin = sessions.number(self.days[0])
        self.numbers: NDArray[np.int64] = self.origin + np.arange(len(self.days))
        self.listings = listings(plan.seed, plan.stocks)
        self.stocks = self.listings[: plan.stocks]
        self.names = keys([one.symbol for one in self.listings])
        sector = np.array([SECTORS.index(one.sector or "") for one in self.stocks])
        self.traits: Traits = shocks.traits(plan.seed, self.names[: plan.stocks], sector)
        self.reports: tuple[Reports, ...] = tuple(
            reports(plan.seed, one.symbol, self.days[0], self._last_day(one), float(price))
            for one, price in zip(self.stocks, self.traits.price_usd, strict=True)
        )
        self.listed = self._listed()
        self.returns, self.bars = self._paths()

    def row(self, day: date) -> int:
        """Row of the newest session that is not after `day`; negative before the first."""
        return sessions.number(sessions.on_or_before(day)) - self.origin

    def find(self, symbol: str, row: int) -> int | None:
        """Place of a security in `listings`, under the symbol it bears on that row."""
        place = self._places.get(symbol)
        if place is None:
            return None
        one = self.listings[place]
        return place if one.listed(row) and one.symbol_at(row) == symbol else None

    def truth(self, row: int) -> Floats:
        """Planted part of the next own return in sd, (N,); NaN for stocks without one."""
        made, plan = self.returns, self.plan
        said: Floats = plan.kappa_fast * made.fast[row] + plan.kappa_slow * made.slow[row]
        return said

    def ceiling(self, horizon: int, *, rows: int) -> tuple[float, float, int]:
        """RankIC of the truth over `horizon` sessions within the first `rows`."""
        made, plan = self.returns, self.plan
        said = plan.kappa_fast * made.fast[:rows] + plan.kappa_slow * made.slow[:rows]
        level = np.where(self.listed, made.level, np.nan)[:rows]
        return signal.ceiling(said, level, horizon)

    @cached_property
    def _places(self) -> dict[str, int]:
        old = {one.old_symbol: n for n, one in enumerate(self.listings) if one.old_symbol}
        return old | {one.symbol: n for n, one in enumerate(self.listings)}

    def _listed(self) -> Mask:
        rows = np.arange(len(self.days))[:, None]
        first = np.array([one.first_row for one in self.stocks])
        end = np.array([one.end_row or len(self.days) for one in self.stocks])
        return (rows >= first) & (rows < end)

    def _paths(self) -> tuple[Returns, Bars]:
        plan, fixed, listed = self.plan, self.traits, self.listed
        chance = shocks.shocks(plan.seed, self.names[: plan.stocks], fixed, self.numbers)
        surprise = np.stack([self._surprise(one) for one in self.reports], axis=1)  # (T, N)
        kappas = (plan.kappa_fast, plan.kappa_slow)
        made = paths.returns(fixed, chance, listed, surprise, kappas)
        stocks = paths.as_traded(fixed, chance, made, listed, self.numbers)
        rest = funds.fund_bars(plan.seed, fixed, chance, made, listed, self.numbers)
        both = {
            f.name: np.hstack([getattr(stocks, f.name), getattr(rest, f.name)])
            for f in fields(Bars)
        }
        return made, Bars(**both)

    def _last_day(self, one: Listing) -> date:
        gone = one.end_row is not None and one.end_row < len(self.days)
        return self.days[one.end_row or 0] if gone else self.last

    def _surprise(self, one: Reports) -> Floats:
        at = np.searchsorted(one.known_on, self.dates, side="right") - 1
        known: Floats = one.surprise_pct[at]
        return known
