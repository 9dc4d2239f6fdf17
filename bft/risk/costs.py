"""What trading costs. Source: strategies specification, section 4.3 (`ib_fixed`)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

PER_SHARE_USD, REGULATORY_FRAC = 0.005, 0.00003
OPEN_MULTIPLIER = 2.0
_ADV_USD = np.array([1e6, 5e6, 20e6, 100e6])
_HALF_SPREAD_BPS = np.array([25.0, 12.0, 5.0, 2.5, 1.0])


def half_spread_bps(adv_usd: ArrayLike) -> NDArray[np.float64]:
    """Half-spread by mean daily turnover; the widest where it is unknown."""
    adv = np.nan_to_num(np.asarray(adv_usd, dtype=np.float64), nan=0.0)
    return _HALF_SPREAD_BPS[np.searchsorted(_ADV_USD, adv, side="right")]


def round_trip_cost_frac(adv_usd: ArrayLike, price_usd: ArrayLike) -> NDArray[np.float64]:
    """Cost of buying and selling at opens as a fraction of the price; impact left out.

    Spread at the open multiplier on both sides, commission per share twice, regulatory fee once.
    """
    spread = 2 * OPEN_MULTIPLIER * half_spread_bps(adv_usd) / 10_000
    commission = 2 * PER_SHARE_USD / np.asarray(price_usd, dtype=np.float64)
    return np.asarray(spread + commission + REGULATORY_FRAC)
