"""Open, high and low made whole, so that kernels see finite and ordered values only.

One null inside a symbol turns most indicators null to the end and can make RSI and ADX silently
wrong; hence repair comes first (data specification, 3.1.5).
"""

from dataclasses import dataclass

import numpy as np

from bft.features.bars import Bars
from bft.features.facts import Bools, Floats

SLACK_USD, SLACK_FRAC = 0.005, 1e-6
"""How far delivered prices may be out of order: in USD, and of the close."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired:
    """As traded, repaired: low <= open, close <= high; `changed` marks rows where it had to be."""

    open: Floats
    high: Floats
    low: Floats
    changed: Bools


def usable(price: Floats) -> Floats:
    """Prices as delivered, NaN where not finite or not above zero."""
    return np.where(np.isfinite(price) & (price > 0), price, np.nan)


def out_of_order(opened: Floats, high: Floats, low: Floats, close: Floats) -> Bools:
    """Bars as delivered not above zero, or not low <= open, close <= high; null is neither.

    Shape: (T,) each -> (T,). Source: data specification, Q04.
    """
    slack = np.maximum(SLACK_USD, SLACK_FRAC * close)
    with np.errstate(invalid="ignore"):
        broken = (high < np.fmax(opened, close) - slack) | (low > np.fmin(opened, close) + slack)
        broken |= (high < low - slack) | (opened <= 0) | (high <= 0) | (low <= 0)
    found: Bools = broken
    return found


def repaired(bars: Bars, total: Floats) -> Repaired:
    """Repair one symbol's bars; `total` is the forward factor C.

    A missing open is the close before on today's basis (the first row: its own close); a missing
    or crossed high (low) is the maximum (minimum) of the valid values.
    """
    before = np.r_[bars.close[:1], bars.close[:-1] * total[:-1] / total[1:]]
    opened, high, low = usable(bars.open), usable(bars.high), usable(bars.low)
    filled = np.where(np.isnan(opened), before, opened)
    top = np.fmax(np.fmax(high, low), np.maximum(filled, bars.close))
    bottom = np.fmin(np.fmin(high, low), np.minimum(filled, bars.close))
    crossed = high < low
    wrong_high = np.isnan(high) | crossed | (high < filled) | (high < bars.close)
    wrong_low = np.isnan(low) | crossed | (low > filled) | (low > bars.close)
    return Repaired(
        open=filled,
        high=np.where(wrong_high, top, high),
        low=np.where(wrong_low, bottom, low),
        changed=np.isnan(opened) | wrong_high | wrong_low,
    )
