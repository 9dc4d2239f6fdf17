"""S6: buy strong trends that the models rank high at two horizons."""

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
class RegressionMomentumParams(Params):
    """Rank and trend limits."""

    rank3_min: float = parameter(0.90, 0.50, 0.99)
    rank10_min: float = parameter(0.90, 0.50, 0.99)
    adx_min: float = parameter(25.0, 15.0, 40.0)
    rank3_exit: float = parameter(0.50, 0.2, 0.7)
    cci_exit: float = parameter(100.0, 50.0, 200.0)
    ret3_min: float | None = parameter(None, 0.0, 0.1)
    ret10_min: float | None = parameter(None, 0.0, 0.2)


@dataclass(frozen=True, kw_only=True)
class RegressionMomentum:
    """High rank at 3 and 10 days, a positive forecast and a trend.

    Source: strategies specification, sections 2.1 and 2.2, S6.
    """

    id: ClassVar[str] = "regression_momentum"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(
        gold=("adjusted_close", "volume", "adx_14", "cci_14"),
        forecast=("rank_3d", "rank_10d", "expected_return_3d", "expected_return_10d"),
    )
    params: RegressionMomentumParams = RegressionMomentumParams()
    exits: ExitPolicy = ExitPolicy(
        stop_frac=0.06,
        target_frac=0.12,
        trail_frac=0.05,
        activation_frac=0.03,
        max_hold_days=13,
        min_hold_days=2,
    )
    horizon_days: int = 10

    def entry(self, x: Columns) -> Entry:
        """Both ranks, the forecast's sign and ADX."""
        p, rank_3d, rank_10d = self.params, x["rank_3d"], x["rank_10d"]
        favoured = (rank_3d >= p.rank3_min) & (rank_10d >= p.rank10_min)
        trending = (x["expected_return_10d"] > 0) & (x["adx_14"] > p.adx_min)
        for name, least in (
            ("expected_return_3d", p.ret3_min),
            ("expected_return_10d", p.ret10_min),
        ):
            if least is not None:
                trending &= x[name] >= least
        confidence = model_confidence((rank_3d + rank_10d) / 2)
        strength = clip01((rank_10d - 0.90) / 0.10)
        return long_entry(liquid(x, p) & favoured & trending, confidence, strength)

    def leave(self, x: Columns, direction: int) -> Bools:
        """The rank flipped, or CCI is stretched."""
        p = self.params
        return np.asarray((x["rank_3d"] < p.rank3_exit) | (x["cci_14"] >= p.cci_exit))

    def because(self, at: Mapping[str, float], direction: int) -> str:
        """Ranks, forecast and trend."""
        return (
            f"ranked {at['rank_3d']:.2f} at 3 and {at['rank_10d']:.2f} at 10 days, expected "
            f"{at['expected_return_10d']:+.2%} in 10 days, ADX {at['adx_14']:.1f}"
        )

    def because_left(self, at: Mapping[str, float], direction: int) -> str:
        """The rank that flipped, else CCI."""
        p = self.params
        if at["rank_3d"] < p.rank3_exit:
            return f"ranked {at['rank_3d']:.2f} at 3 days, below {p.rank3_exit:.2f}"
        return f"CCI {at['cci_14']:.1f} reached {p.cci_exit:g}"
