"""S2: buy below the lower band while RSI is oversold, for a bounce of days."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from bft.domain.trading import ExitPolicy
from bft.strategies.rules import (
    Bools,
    Columns,
    Entry,
    Needs,
    Params,
    clip01,
    liquid,
    long_entry,
    parameter,
    rule_confidence,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OversoldBounceParams(Params):
    """RSI limits."""

    rsi_max: float = parameter(35.0, 20.0, 45.0)
    rsi_exit: float = parameter(55.0, 45.0, 70.0)


@dataclass(frozen=True, kw_only=True)
class OversoldBounce:
    """Oversold and below the band; stock.

    Source: strategies specification, sections 2.1 and 2.2, S2.
    """

    id: ClassVar[str] = "oversold_bounce"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(
        gold=("adjusted_close", "volume", "rsi_14", "bollinger_bands_signal", "bbands_lower_20")
    )
    params: OversoldBounceParams = OversoldBounceParams()
    exits: ExitPolicy = ExitPolicy(
        stop_frac=0.05, target_frac=0.08, trail_frac=0.03, activation_frac=0.02, max_hold_days=5
    )
    horizon_days: int = 3

    def entry(self, x: Columns) -> Entry:
        """RSI under its limit, the band flag set and the close below the band."""
        p, rsi = self.params, x["rsi_14"]
        below = (x["bollinger_bands_signal"] == 1) & (x["adjusted_close"] < x["bbands_lower_20"])
        strength = clip01((p.rsi_max - rsi) / 15)
        return long_entry(
            liquid(x, p) & (rsi < p.rsi_max) & below, rule_confidence(strength), strength
        )

    def leave(self, x: Columns, direction: int) -> Bools:
        """RSI has recovered."""
        return np.asarray(x["rsi_14"] > self.params.rsi_exit)

    def because(self, at: Mapping[str, float], direction: int) -> str:
        """RSI and the distance below the band."""
        close, low = at["adjusted_close"], at["bbands_lower_20"]
        return f"RSI {at['rsi_14']:.1f}, close {close:.2f} below its lower band {low:.2f}"

    def because_left(self, at: Mapping[str, float], direction: int) -> str:
        """RSI and its limit."""
        return f"RSI {at['rsi_14']:.1f} is above {self.params.rsi_exit:g}"
