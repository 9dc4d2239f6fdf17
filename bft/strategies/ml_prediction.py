"""S5: buy what the models rank in the top at one horizon."""

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
class MlPredictionParams(Params):
    """Rank and lift limits; `agree_min` > 0 also asks for agreement and a BUY consensus."""

    horizon_days: int = parameter(3, {3, 10, 30})
    rank_min: float = parameter(0.95, 0.50, 0.99)
    lift_min: float = parameter(1.10, 1.0, 2.0)
    agree_min: int = parameter(0, {0, 2, 3})
    prob_min: float | None = parameter(None, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class MlPrediction:
    """Top rank with a probability above its base rate; leaves when the rank flips.

    Source: strategies specification, sections 2.1 and 2.2, S5.
    """

    id: ClassVar[str] = "ml_prediction"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(
        gold=("adjusted_close", "volume"),
        forecast=(
            *(f"rank_{h}d" for h in (3, 10, 30)),
            *(f"lift_bin_{h}d" for h in (3, 10, 30)),
            *(f"prob_1_bin_{h}d" for h in (3, 10, 30)),
            "horizon_agreement",
            "consensus",
        ),
    )
    params: MlPredictionParams = MlPredictionParams()
    exits: ExitPolicy = ExitPolicy(stop_frac=0.08, target_frac=0.15)

    @property
    def horizon_days(self) -> int:
        """The horizon traded."""
        return self.params.horizon_days

    def entry(self, x: Columns) -> Entry:
        """Rank and lift at the horizon, agreement where asked."""
        p = self.params
        rank, lift = x[f"rank_{p.horizon_days}d"], x[f"lift_bin_{p.horizon_days}d"]
        fires = liquid(x, p) & (rank >= p.rank_min) & (lift >= p.lift_min)
        if p.agree_min:
            fires &= (x["horizon_agreement"] >= p.agree_min) & (x["consensus"] == 1)
        if p.prob_min is not None:
            fires &= x[f"prob_1_bin_{p.horizon_days}d"] >= p.prob_min
        return long_entry(fires, model_confidence(rank), clip01((rank - 0.90) / 0.10))

    def leave(self, x: Columns, direction: int) -> Bools:
        """The rank fell below the middle."""
        return np.asarray(x[f"rank_{self.params.horizon_days}d"] < 0.50)

    def because(self, at: Mapping[str, float], direction: int) -> str:
        """Rank and lift."""
        h = self.params.horizon_days
        return (
            f"ranked {at[f'rank_{h}d']:.2f} at {h} days, chance of a rise "
            f"{at[f'lift_bin_{h}d']:.2f} times its base rate"
        )

    def because_left(self, at: Mapping[str, float], direction: int) -> str:
        """The rank that flipped."""
        h = self.params.horizon_days
        return f"ranked {at[f'rank_{h}d']:.2f} at {h} days, below 0.50"
