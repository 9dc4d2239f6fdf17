"""S3: buy an oversold, bearish-looking stock that the models rank high."""

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
    model_confidence,
    parameter,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OversoldReversalParams(Params):
    """RSI, flag and forecast limits."""

    rsi_max: float = parameter(40.0, 20.0, 45.0)
    rsi_exit: float = parameter(55.0, 45.0, 70.0)
    delta9_max: float = parameter(-1.0, -5.0, 3.0)
    rank_min: float = parameter(0.70, 0.50, 0.99)
    lift_min: float = parameter(1.05, 1.0, 2.0)
    prob_min: float | None = parameter(None, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class OversoldReversal:
    """Bearish flags against a bullish forecast at 3 days.

    Source: strategies specification, sections 2.1 and 2.2, S3.
    """

    id: ClassVar[str] = "oversold_reversal"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(
        gold=("adjusted_close", "volume", "rsi_14", "delta9"),
        forecast=("rank_3d", "lift_bin_3d", "prob_1_bin_3d"),
    )
    params: OversoldReversalParams = OversoldReversalParams()
    exits: ExitPolicy = ExitPolicy(
        stop_frac=0.05, target_frac=0.10, trail_frac=0.04, activation_frac=0.02, max_hold_days=7
    )
    horizon_days: int = 3

    def entry(self, x: Columns) -> Entry:
        """Oversold, flags against it, rank and lift for it."""
        p, rsi, rank = self.params, x["rsi_14"], x["rank_3d"]
        bearish = (rsi < p.rsi_max) & (x["delta9"] <= p.delta9_max)
        favoured = (rank >= p.rank_min) & (x["lift_bin_3d"] >= p.lift_min)
        if p.prob_min is not None:
            favoured &= x["prob_1_bin_3d"] >= p.prob_min
        strength = clip01((p.rsi_max - rsi) / 20)
        return long_entry(liquid(x, p) & bearish & favoured, model_confidence(rank), strength)

    def leave(self, x: Columns, direction: int) -> Bools:
        """RSI has recovered."""
        return np.asarray(x["rsi_14"] > self.params.rsi_exit)

    def because(self, at: Mapping[str, float], direction: int) -> str:
        """What is oversold and how the models see it."""
        return (
            f"RSI {at['rsi_14']:.1f} and flags {at['delta9']:+.0f}, yet ranked "
            f"{at['rank_3d']:.2f} at 3 days with lift {at['lift_bin_3d']:.2f}"
        )

    def because_left(self, at: Mapping[str, float], direction: int) -> str:
        """RSI and its limit."""
        return f"RSI {at['rsi_14']:.1f} is above {self.params.rsi_exit:g}"
