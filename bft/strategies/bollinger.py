"""S1: buy the fall to the lower Bollinger band, sell the rise to the upper one."""

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
    before,
    clip01,
    liquid,
    parameter,
    rule_confidence,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class BollingerParams(Params):
    """RSI limits of both sides."""

    rsi_max: float = parameter(30.0, 20.0, 45.0)
    rsi_short_min: float = parameter(60.0, 55.0, 80.0)
    rsi_exit: float = parameter(70.0, 55.0, 80.0)
    rsi_exit_short: float = parameter(30.0, 20.0, 45.0)


@dataclass(frozen=True, kw_only=True)
class Bollinger:
    """Mean reversion at the bands, confirmed by RSI; the short side is mirrored.

    Where a long is held, the rise to the upper band is its exit: it has passed the middle one.
    Source: strategies specification, sections 2.1 and 2.2, S1.
    """

    id: ClassVar[str] = "bollinger"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(
        gold=(
            "adjusted_close",
            "volume",
            "rsi_14",
            "bbands_lower_20",
            "bbands_middle_20",
            "bbands_upper_20",
        ),
        lookback=2,
        earlier=("adjusted_close", "bbands_lower_20", "bbands_upper_20"),
    )
    params: BollingerParams = BollingerParams()
    exits: ExitPolicy = ExitPolicy(
        stop_frac=0.07, target_frac=0.12, trail_frac=0.05, activation_frac=0.03
    )
    horizon_days: int = 10

    def entry(self, x: Columns) -> Entry:
        """Long on crossing down to the lower band, short on crossing up to the upper one."""
        p, close, rsi = self.params, x["adjusted_close"], x["rsi_14"]
        low, high = x["bbands_lower_20"], x["bbands_upper_20"]
        crossed_down = (before(close) > before(low)) & (close <= low)
        crossed_up = (before(close) < before(high)) & (close >= high)
        tradable = liquid(x, p)
        long = tradable & crossed_down & (rsi <= p.rsi_max)
        short = tradable & crossed_up & (rsi >= p.rsi_short_min)
        deep = clip01((p.rsi_max - rsi) / 15)
        high_up = clip01((rsi - p.rsi_short_min) / 20)
        strength = np.where(short, high_up, deep)
        direction = long.astype(np.int8) - short.astype(np.int8)
        return Entry(direction=direction, confidence=rule_confidence(strength), strength=strength)

    def leave(self, x: Columns, direction: int) -> Bools:
        """Back at the middle band, or RSI at the other extreme."""
        close, rsi, middle = x["adjusted_close"], x["rsi_14"], x["bbands_middle_20"]
        if direction > 0:
            return np.asarray((close >= middle) | (rsi > self.params.rsi_exit))
        return np.asarray((close <= middle) | (rsi < self.params.rsi_exit_short))

    def because(self, at: Mapping[str, float], direction: int) -> str:
        """The crossing, in numbers."""
        close, rsi = at["adjusted_close"], at["rsi_14"]
        if direction > 0:
            low = at["bbands_lower_20"]
            return f"close {close:.2f} fell to its lower band {low:.2f} with RSI {rsi:.1f}"
        high = at["bbands_upper_20"]
        return f"close {close:.2f} rose to its upper band {high:.2f} with RSI {rsi:.1f}"

    def because_left(self, at: Mapping[str, float], direction: int) -> str:
        """The middle band, else RSI at the other extreme."""
        p, close, rsi = self.params, at["adjusted_close"], at["rsi_14"]
        middle = at["bbands_middle_20"]
        if direction * (close - middle) >= 0:
            verb = "reached" if direction > 0 else "fell to"
            return f"close {close:.2f} {verb} its middle band {middle:.2f}"
        side, limit = ("above", p.rsi_exit) if direction > 0 else ("below", p.rsi_exit_short)
        return f"RSI {rsi:.1f} is {side} {limit:g}"
