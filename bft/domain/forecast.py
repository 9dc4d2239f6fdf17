"""The nine models and the forecast table (models specification, sections 8.1 and 9)."""

from dataclasses import dataclass
from enum import StrEnum

from bft.domain.market import Table

HORIZONS_DAYS = (3, 10, 30)


class Kind(StrEnum):
    """What a model predicts."""

    REGRESSION = "reg"
    BINARY = "bin"
    BUCKETS = "buck"


@dataclass(frozen=True, slots=True)
class ModelName:
    """One of the nine: a kind at a horizon in sessions; prints as `reg_3d`."""

    kind: Kind
    horizon_days: int

    def __str__(self) -> str:
        return f"{self.kind}_{self.horizon_days}d"


MODELS = tuple(ModelName(kind, days) for kind in Kind for days in HORIZONS_DAYS)
MODEL_NAMES = tuple(str(model) for model in MODELS)


def _per_horizon(days: int) -> tuple[tuple[str, str], ...]:
    floats = f"""
        pred_return_reg_{days}d lo_return_reg_{days}d hi_return_reg_{days}d
        prob_0_bin_{days}d prob_1_bin_{days}d pred_class_bin_{days}d
        pred_expected_return_bin_{days}d lift_bin_{days}d
        prob_0_buck_{days}d prob_1_buck_{days}d prob_2_buck_{days}d pred_class_buck_{days}d
        pred_expected_return_buck_{days}d
        expected_return_{days}d rank_{days}d agreement_{days}d
    """.split()
    return tuple((name, "f4") for name in floats)


FORECASTS = Table(
    name="forecasts",
    key=("asof", "symbol"),
    columns=(
        ("asof", "d"),
        ("symbol", "s"),
        *(column for days in HORIZONS_DAYS for column in _per_horizon(days)),
        ("score", "f4"),
        ("consensus_direction", "s"),
        ("horizon_agreement", "i1"),
        ("consensus_confidence", "f4"),
        ("status", "s"),
        ("degraded", "b"),
        ("missing_models", "s"),
        ("oos", "b"),
        ("set_digest", "s"),
        ("gold_digest", "s"),
        ("feature_set", "s"),
        ("model_age_days_max", "i4"),
        ("paper_only", "b"),
        ("simulated", "b"),
    ),
    partition="asof",
)
"""Returns are decimal fractions over the horizon. status is ok or the reason of refusal."""

OUTCOMES = Table(
    name="outcomes",
    key=("asof", "symbol", "h"),
    columns=(("asof", "d"), ("symbol", "s"), ("h", "i2"), ("y", "f4")),
    partition="known",
)
"""Realised labels: the return over h sessions from the open after `asof`."""
