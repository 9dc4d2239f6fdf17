"""Funds: weighted sums of their members' total-return levels, a fixed number of units of each."""

import numpy as np
from numpy.typing import NDArray

from bft.domain.market import SECTOR_FUNDS
from bft.sim.market.draws import Floats, key, keys, normal
from bft.sim.market.paths import Bars, Mask, Returns
from bft.sim.market.shocks import SECTOR_SD, Shocks, Traits
from bft.sim.market.universe import FUNDS, QQQ_SECTORS, SECTORS

_UNITS = "fund/units"
_HOME = {fund: n for n, fund in enumerate(SECTOR_FUNDS.values())}


def fund_bars(
    seed: int,
    fixed: Traits,
    chance: Shocks,
    made: Returns,
    listed: Mask,
    numbers: NDArray[np.int64],
) -> Bars:
    """Bars of all funds, (T, funds); no dividends, no splits."""
    columns = [_fund(seed, name, fixed, chance, made, listed) for name in FUNDS]
    level, volume = (np.stack(parts, axis=1) for parts in zip(*columns, strict=True))
    close = np.round(level * (40 + 160 * np.arange(1, len(FUNDS) + 1) / len(FUNDS)), 4)
    day, names = numbers[:, None], keys(list(FUNDS))
    gap = np.vstack([np.zeros(len(FUNDS)), np.diff(np.log(close), axis=0)])
    start = np.vstack([close[:1], close[:-1]])
    noise = SECTOR_SD * normal(seed, "fund/overnight", names, day)
    opening = np.round(start * np.exp(0.3 * gap + 0.2 * noise), 4)
    up, down = (
        np.exp(0.4 * SECTOR_SD * np.abs(normal(seed, f"fund/{s}", names, day)))
        for s in ("up", "down")
    )
    ones = np.ones_like(close)
    return Bars(
        open=opening,
        high=np.round(np.maximum(opening, close) * up, 4),
        low=np.round(np.minimum(opening, close) / down, 4),
        close=close,
        volume=np.round(volume),
        dividend=0 * ones,
        split=ones,
        factor=ones,
        shares=ones,
    )


def members(fund: str, sector: NDArray[np.intp]) -> Mask:
    """Which stocks a fund may hold."""
    if fund == "SPY":
        return np.ones(len(sector), dtype=bool)
    homes = [SECTORS.index(s) for s in QQQ_SECTORS] if fund == "QQQ" else [_HOME[fund]]
    return np.isin(sector, homes)


def _fund(
    seed: int, fund: str, fixed: Traits, chance: Shocks, made: Returns, listed: Mask
) -> tuple[Floats, Floats]:
    """Level from 1.0 and volume, (T,) each; what no member explains is market and sector."""
    inside = members(fund, fixed.sector)
    held = listed[:, inside]
    held = held[1:] & held[:-1]  # a member counts from its second day to its last
    units = np.exp(0.8 * normal(seed, _UNITS, key(fund), np.flatnonzero(inside)))
    level = made.level[:, inside] * units
    after, before = (np.where(held, part, 0).sum(axis=1) for part in (level[1:], level[:-1]))
    shared = chance.market + (chance.by_sector[:, _HOME[fund]] if fund in _HOME else 0)
    growth = np.where(before > 0, after / np.where(before > 0, before, 1), 1 + shared[1:])
    traded = np.where(listed, made.volume, 0)[:, inside].sum(axis=1)
    return np.concatenate([[1.0], np.cumprod(growth)]), 1e6 + 0.5 * traded
