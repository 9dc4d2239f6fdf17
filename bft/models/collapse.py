"""Has a net stopped telling samples apart? Spread of its outputs against floors (section 4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from bft.domain.forecast import Kind
from bft.domain.runs import Json
from bft.models import metrics
from bft.models.blocks import panel
from bft.models.calibrate import apply_calibration, fit_calibration, predicted_classes
from bft.models.classification import auc
from bft.models.losses import log_probabilities
from bft.models.samples import Samples

FLOOR = {Kind.BINARY: 0.003, Kind.BUCKETS: 0.005, Kind.REGRESSION: 0.002}
"""Of std(p_1), std(sum k p_k), std(yhat)/std(y)."""
SHARE_MAX = 0.90
WARN_SHARE_MIN, WARN_SHARE_OVER = 0.85, 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Validation outputs in numbers: dominant class share, spread, ranking."""

    class_share_max: float
    output_spread: float
    warning: bool
    collapsed: bool
    rank_ic: float | None
    auc: float | None

    def as_metrics(self) -> Json:
        """Entries of an epoch; what is undefined is left out."""
        found = {
            "class_share_max": self.class_share_max,
            "output_spread": self.output_spread,
            "collapse_warning": self.warning,
            "collapsed": self.collapsed,
            "valid_rank_ic": self.rank_ic,
            "valid_auc": self.auc,
        }
        return {name: value for name, value in found.items() if value is not None}


def spread_of(
    kind: Kind, out: Tensor, valid: Samples, label: Mapping[str, Any], profile: Mapping[str, Any]
) -> Spread:
    """Measure raw outputs (n, out) of the validation samples."""
    share, usual, area = 0.0, 1.0, None
    if kind is Kind.REGRESSION:
        score = out[:, 0].double().numpy()
        spread = float(score.std() * label["s"] / valid.y.std())
    else:
        p = log_probabilities(out, loss=profile["loss"]).double().exp().numpy()
        score = p @ np.arange(p.shape[1])
        spread = float(score.std())
        said = np.bincount(_predicted(kind, out, valid, label, profile), minlength=p.shape[1])
        share, usual = float(said.max() / len(valid)), label["shares"][int(said.argmax())]
    if kind is Kind.BINARY:
        area = auc(valid.y >= label["threshold"], score)
    low = spread < FLOOR[kind] or (share > SHARE_MAX and spread < 2 * FLOOR[kind])
    return Spread(
        class_share_max=share,
        output_spread=spread,
        warning=share > max(WARN_SHARE_MIN, usual + WARN_SHARE_OVER),
        collapsed=low,
        rank_ic=_rank_ic(score, valid, profile["min_names"]),
        auc=area,
    )


def _predicted(
    kind: Kind, out: Tensor, valid: Samples, label: Mapping[str, Any], profile: Mapping[str, Any]
) -> Any:
    """Classes by the stored rule, which speaks of calibrated probabilities."""
    spec = {"label": label, "training": {"loss": profile["loss"]}}
    raw = out.double().numpy()
    calibration = fit_calibration(kind, raw, valid.y, spec)
    return predicted_classes(kind, apply_calibration(kind, raw, calibration, spec), label)


def _rank_ic(score: Any, valid: Samples, min_names: int) -> float | None:
    names = int(valid.symbol.max()) + 1
    grids = (panel(valid, values, names) for values in (score, valid.y))
    return metrics.mean(metrics.daily_rank_ic(*grids, min_names=min_names))
