"""A vendor's indicators against ours (data specification, 1.7)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from bft.features.bars import Bars
from bft.features.factors import NO_ACTIONS, Actions, forward_factors
from bft.features.facts import Bools, Floats, Ints
from bft.features.prices import LEVELS, price_columns

LAST_ROWS = 250
DOUBT_FRAC = 0.05
OF_CLOSE = {"atr_14": 1e-3}
"""Tolerance of levels as a share of the close; 1e-4 for all others."""
POINTS = 0.1  # RSI, ADX, CCI
Told = Mapping[str, tuple[Ints, Floats]]
"""A vendor's values by our column name: days since 1970, ascending, and values."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """How far one indicator is off on the basis that fits better (adjusted, or as traded)."""

    indicator: str
    basis: str
    compared: int
    outside_frac: float

    @property
    def doubtful(self) -> bool:
        """Whether too many values are outside the tolerance, or there are none to compare."""
        return not self.compared or self.outside_frac > DOUBT_FRAC


def compared(told: Told, bars: Bars, actions: Actions) -> list[Comparison]:
    """Compare the last 250 values of each indicator, in the order in which they are told."""
    ours = {
        "adjusted": _columns(bars, actions, back_adjusted=True),
        "as traded": _columns(bars, NO_ACTIONS, back_adjusted=False),
    }
    found = []
    for name, (days, values) in told.items():
        by_basis = [_one(name, basis, days, values, own) for basis, own in ours.items()]
        found.append(min(by_basis, key=lambda c: c.outside_frac))
    return found


def _columns(bars: Bars, actions: Actions, *, back_adjusted: bool) -> dict[str, Floats]:
    """Own columns and close on the basis of the last bar, or as traded."""
    factors = forward_factors(bars, actions)
    columns = dict(price_columns(bars, factors).columns)
    scale = factors.total / factors.total[-1] if back_adjusted else np.ones(len(bars))
    scaled = {name: columns[name] * scale for name in LEVELS}
    return {**columns, **scaled, "close": bars.close * scale, "day": bars.day.astype(np.float64)}


def _one(
    name: str, basis: str, days: Ints, values: Floats, ours: Mapping[str, Floats]
) -> Comparison:
    days, values = days[-LAST_ROWS:], values[-LAST_ROWS:]
    place = np.searchsorted(ours["day"], days).clip(max=len(ours["day"]) - 1)
    own, close = ours[name][place], ours["close"][place]
    tolerance = OF_CLOSE.get(name, 1e-4) * close if name in LEVELS else np.full(len(own), POINTS)
    both: Bools = (ours["day"][place] == days) & np.isfinite(own) & np.isfinite(values)
    outside = np.abs(own - values)[both] > tolerance[both]
    return Comparison(
        indicator=name,
        basis=basis,
        compared=int(both.sum()),
        outside_frac=float(outside.mean()) if len(outside) else 0.0,
    )
