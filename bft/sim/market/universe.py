"""Who is listed: 11 sector funds, SPY, QQQ and N stocks with invented names."""

from dataclasses import dataclass

import numpy as np

from bft.domain.market import SECTOR_FUNDS
from bft.sim.market.draws import key, uniform

SECTORS = tuple(SECTOR_FUNDS)
FUNDS = (*SECTOR_FUNDS.values(), "SPY", "QQQ")
QQQ_SECTORS = ("TECHNOLOGY", "COMMUNICATION SERVICES", "CONSUMER CYCLICAL")
_INDUSTRIES = ("SERVICES", "PRODUCTS", "SYSTEMS")
_SYLLABLES = [c + v for c in "BCDFGHJKLMNPRSTVWYZX" for v in "AEIOU"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One security; rows count sessions from the first one of the simulation.

    Bars exist for first_row <= row < end_row. Before `renamed_row` it trades as `old_symbol`.
    """

    symbol: str
    name: str
    exchange: str
    sector: str | None
    industry: str | None = None
    first_row: int = 0
    end_row: int | None = None
    old_symbol: str | None = None
    renamed_row: int = 0

    @property
    def is_etf(self) -> bool:
        """Whether it is a fund."""
        return self.sector is None

    def symbol_at(self, row: int) -> str:
        """What it trades as on that row."""
        return self.old_symbol if self.old_symbol and row < self.renamed_row else self.symbol

    def listed(self, row: int) -> bool:
        """Whether it has begun to trade by that row; history stays after a delisting."""
        return row >= self.first_row


def listings(seed: int, stocks: int) -> tuple[Listing, ...]:
    """Stocks, then funds; 2 % list late, 2 % delist, one renames."""
    order = np.argsort(uniform(seed, "fate", np.arange(stocks)), kind="stable")
    few = round(0.02 * stocks)
    late, gone = set(order[:few].tolist()), set(order[few : 2 * few].tolist())
    renamed = int(order[2 * few])
    return (*(_stock(seed, n, late, gone, renamed) for n in range(stocks)), *_funds())


def _stock(seed: int, n: int, late: set[int], gone: set[int], renamed: int) -> Listing:
    symbol, sector = _ticker(n), SECTORS[n % len(SECTORS)]
    chance = float(uniform(seed, "fate/when", key(symbol)))
    industry = f"{sector} - {_INDUSTRIES[n // len(SECTORS) % len(_INDUSTRIES)]}"
    return Listing(
        symbol=symbol,
        name=f"{symbol.capitalize()} {industry.rsplit(' - ', 1)[1].capitalize()} Inc",
        exchange="NASDAQ" if n % 3 else "NYSE",
        sector=sector,
        industry=industry,
        first_row=60 + int(440 * chance) if n in late else 0,
        end_row=200 + int(1300 * chance) if n in gone else None,
        old_symbol=f"{symbol[:3]}Q" if n == renamed else None,
        renamed_row=150 + int(850 * chance) if n == renamed else 0,
    )


def _funds() -> list[Listing]:
    names = {fund: f"{sector.title()} Select Fund" for sector, fund in SECTOR_FUNDS.items()}
    names |= {"SPY": "All Stocks Fund", "QQQ": "Growth Stocks Fund"}
    return [Listing(symbol=f, name=names[f], exchange="NYSE ARCA", sector=None) for f in FUNDS]


def _ticker(n: int) -> str:
    place = (n * 7_919 + 2_357) % 10_000  # 7919 is prime: no repeats below 10,000
    return _SYLLABLES[place // 100] + _SYLLABLES[place % 100]
