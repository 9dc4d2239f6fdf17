"""What chance gives each stock on each session, before prices are made of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bft.sim.market.draws import Floats, Keys, normal, student5, uniform
from bft.sim.market.universe import SECTORS

MARKET_SD, SECTOR_SD = 0.009, 0.006
MARKET_DRIFT = 0.00035  # about 9 % a year
LARGEST_REST = 8.0  # in sd: keeps a lone day short of what looks like a split (Q09: -29 %, +40 %)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """Constants of the stocks, (N,) each."""

    sd: Floats
    beta: Floats
    sector: NDArray[np.intp]
    price_usd: Floats
    log_volume: Floats
    yield_frac: Floats
    dividend_phase: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shocks:
    """Daily chance, (T, N) unless noted; `common` is the part of a return shared with others."""

    common: Floats
    rest: Floats
    market: Floats  # (T,)
    by_sector: Floats  # (T, sectors)
    volume: Floats
    split: Floats
    split_kind: Floats
    overnight: Floats
    up: Floats
    down: Floats


def traits(seed: int, names: Keys, sector: NDArray[np.intp]) -> Traits:
    """Draw the constants."""
    pays = uniform(seed, "dividend/pays", names) < 0.6
    return Traits(
        sd=0.010 + 0.014 * uniform(seed, "sd", names),
        beta=1 + 0.25 * normal(seed, "beta", names),
        sector=sector,
        price_usd=np.exp(4.1 + 0.6 * normal(seed, "price", names)).round(2),
        log_volume=14 + normal(seed, "volume/level", names),
        yield_frac=np.where(pays, 0.01 + 0.03 * uniform(seed, "dividend/yield", names), 0),
        dividend_phase=np.floor(63 * uniform(seed, "dividend/phase", names)).astype(np.int64),
    )


def shocks(seed: int, names: Keys, fixed: Traits, numbers: NDArray[np.int64]) -> Shocks:
    """Draw all days; `numbers` are session numbers."""
    day = numbers[:, None]
    sectors = np.arange(len(SECTORS))
    market = MARKET_DRIFT + MARKET_SD * normal(seed, "market", numbers)
    by_sector = SECTOR_SD * normal(seed, "sector", sectors, day)  # (T, sectors)
    rest = student5(seed, "rest", names, day)
    return Shocks(
        common=fixed.beta * market[:, None] + by_sector[:, fixed.sector],
        rest=np.clip(rest, -LARGEST_REST, LARGEST_REST),
        market=market,
        by_sector=by_sector,
        volume=0.2 * normal(seed, "volume", names, day),
        split=uniform(seed, "split", names, day),
        split_kind=uniform(seed, "split/kind", names, day),
        overnight=normal(seed, "overnight", names, day),
        up=np.abs(normal(seed, "up", names, day)),
        down=np.abs(normal(seed, "down", names, day)),
    )
