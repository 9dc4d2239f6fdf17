"""Market and sector returns by session, with the proxies used where a fund has no bar; beta.

Members are all symbols but the context funds. A proxy is an equal-weight mean of the returns of
the same session, so it knows nothing later (data specification, 4).
"""

from dataclasses import dataclass

import numpy as np

from bft.domain.gold import BETA_PAIRS, YEAR_ROWS
from bft.domain.market import EXCLUDED, SECTOR_FUNDS
from bft.features import windows
from bft.features.facts import Bools, Floats, Ints

MARKET_MEMBERS, SECTOR_MEMBERS = 20, 5
MARKET_FUND = "SPY"
FEATURE_FUNDS = {sector: {"XLC": "XLK"}.get(fund, fund) for sector, fund in SECTOR_FUNDS.items()}
"""Sector -> the fund whose returns features use: XLC has too little history."""
CONTEXT_FUNDS = EXCLUDED | set(SECTOR_FUNDS.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Returns:
    """One-row returns of all rows; shape (rows,). `slot` is the session's place on the grid."""

    slot: Ints
    value: Floats
    symbol: Ints
    names: tuple[str, ...]

    @property
    def slots(self) -> int:
        """Sessions on the grid."""
        return int(self.slot.max(initial=-1)) + 1

    def of(self, name: str) -> tuple[Floats, Bools]:
        """Returns of one symbol by session, and where it has a bar; shape (sessions,)."""
        found, bar = np.full(self.slots, np.nan), np.zeros(self.slots, dtype=bool)
        if name in self.names:
            rows = self.symbol == self.names.index(name)
            found[self.slot[rows]], bar[self.slot[rows]] = self.value[rows], True
        return found, bar

    def sums(self, rows: Bools) -> tuple[Floats, Ints]:
        """Sum and number of the returns of some rows by session; shape (sessions,)."""
        rows = rows & ~np.isnan(self.value)
        slot, slots = self.slot[rows], self.slots
        total = np.bincount(slot, weights=self.value[rows], minlength=slots)
        return total.astype(np.float64), np.bincount(slot, minlength=slots)


def market_returns(returns: Returns) -> tuple[Floats, Bools]:
    """The market's return by session, and where the proxy stands in; shape (sessions,)."""
    fund, bar = returns.of(MARKET_FUND)
    is_fund = np.isin(returns.names, list(CONTEXT_FUNDS))
    total, count = returns.sums(~is_fund[returns.symbol])
    proxy = ~bar & (count >= MARKET_MEMBERS)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(proxy, total / count, fund), proxy


def sector_returns(
    returns: Returns, sector: Ints, sectors: tuple[str, ...]
) -> tuple[Floats, Bools]:
    """Each row's sector return, and where members of its sector stand in for the fund.

    `sector` is the place in `sectors`, -1 where unknown; a proxy leaves the symbol itself out.
    Shape: (rows,).
    """
    out, proxied = np.full(len(sector), np.nan), np.zeros(len(sector), dtype=bool)
    own = np.nan_to_num(returns.value)
    counted = ~np.isnan(returns.value)
    for place, name in enumerate(sectors):
        rows = sector == place
        fund, bar = returns.of(FEATURE_FUNDS[name])
        total, count = returns.sums(rows)
        slot = returns.slot[rows]
        others = count[slot] - counted[rows]
        proxy = ~bar[slot] & (others >= SECTOR_MEMBERS)
        mean = (total[slot] - own[rows]) / np.maximum(others, 1)
        out[rows] = np.where(proxy, mean, fund[slot])
        proxied[rows] = proxy
    return out, proxied


def beta(own: Floats, market: Floats) -> Floats:
    """Covariance over variance of the last 252 rows of one segment; shape (T,).

    Null below 126 pairs, and where the market did not move.
    """
    pair = ~np.isnan(own) & ~np.isnan(market)
    y, x = np.where(pair, own, 0.0), np.where(pair, market, 0.0)
    terms = np.stack([pair.astype(float), x, y, x * y, x * x])
    n, sum_x, sum_y, sum_xy, sum_xx = windows.total(terms, YEAR_ROWS)
    with np.errstate(invalid="ignore", divide="ignore"):
        cov = sum_xy - sum_x * sum_y / n
        var = sum_xx - sum_x * sum_x / n
        return np.where((n >= BETA_PAIRS) & (var > 0), cov / var, np.nan)
