"""S4: buy near the 52-week low while RSI is weak."""

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
class LowBounceParams(Params):
    """Distance to the low, RSI and flag limits."""

    rsi_max: float = parameter(40.0, 20.0, 45.0)
    rsi_exit: float = parameter(60.0, 45.0, 70.0)
    delta9_max: float = parameter(1.0, -5.0, 3.0)
    low_mult: float = parameter(1.10, 1.02, 1.25)


@dataclass(frozen=True, kw_only=True)
class LowBounce:
    """Within 10 % of the rolling 252-session low.

    Source: strategies specification, sections 2.1 and 2.2, S4.
    """

    id: ClassVar[str] = "low_bounce"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(
        gold=("adjusted_close", "volume", "rsi_14", "delta9", "52_week_low")
    )
    params: LowBounceParams = LowBounceParams()
    exits: ExitPolicy = ExitPolicy(
        stop_frac=0.10,
        target_frac=0.20,
        trail_frac=0.08,
        activation_frac=0.04,
        max_hold_days=30,
        min_hold_days=3,
    )
    horizon_days: int = 30

    def entry(self, x: Columns) -> Entry:
        """Close under low_mult times the low, RSI weak, flags not bullish."""
        p, rsi, low = self.params, x["rsi_14"], x["52_week_low"]
        near = x["adjusted_close"] < np.round(p.low_mult * low, 9)  # 1.1 x 5.5 is 6.05, no more
        weak = (rsi < p.rsi_max) & (x["delta9"] <= p.delta9_max)
        strength = clip01((p.low_mult - x["adjusted_close"] / low) / 0.10)
        return long_entry(liquid(x, p) & near & weak, rule_confidence(strength), strength)

    def leave(self, x: Columns, direction: int) -> Bools:
        """RSI has recovered."""
        return np.asarray(x["rsi_14"] > self.params.rsi_exit)

    def because(self, at: Mapping[str, float], direction: int) -> str:
        """How near the low, how weak."""
        above = at["adjusted_close"] / at["52_week_low"] - 1
        return (
            f"close {at['adjusted_close']:.2f} is {above:.1%} above its 52-week low "
            f"{at['52_week_low']:.2f} with RSI {at['rsi_14']:.1f}"
        )

    def because_left(self, at: Mapping[str, float], direction: int) -> str:
        """RSI and its limit."""
        return f"RSI {at['rsi_14']:.1f} is above {self.params.rsi_exit:g}"
