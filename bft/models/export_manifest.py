"""export_manifest.json, contracts v2: a model's key figures with intervals, for other systems."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bft.domain.forecast import Kind
from bft.domain.runs import Json
from bft.models import classification, metrics
from bft.models.blocks import TestBlock, pool

SCHEMA = "bft.export/2"
_KPIS = {  # name -> (metric of evaluation.json, unit)
    "sharpe_sim": ("sharpe_net", "per year"),
    "max_drawdown_sim": ("max_drawdown", "frac"),
    "f1_macro": ("f1_macro", "frac"),
    "minority_recall": ("minority_recall", "frac"),
    "rank_ic": ("rank_ic", "correlation"),
    "ic": ("ic", "correlation"),
    "win_rate": ("win_rate", "frac"),
}
_PARTS = ("kpis", "latency", "stability", "regimes", "calibration", "hashes", "train_window")
_KPI_KEYS = {"value", "lower_ci", "upper_ci", "sample_size", "units"}


def export_manifest(
    model: Json, evaluation: Json, blocks: Sequence[TestBlock], hashes: Mapping[str, str]
) -> Json:
    """The manifest of model.json, its evaluation and the sums of the artifact's files.

    An interval that too few days do not allow is null.
    """
    found = evaluation["metrics"]
    return {
        "schema": SCHEMA,
        "contracts": "v2",
        "name": model["name"],
        "created_utc": model["created_utc"],
        "simulated": evaluation["simulated"],
        "survivors_only": evaluation["survivors_only"],
        "kpis": {
            name: _kpi(evaluation, metric, unit)
            for name, (metric, unit) in _KPIS.items()
            if found.get(metric) is not None
        },
        "latency": evaluation["latency"],
        "stability": {
            "variance": found.get("stability_variance"),
            "max_regime_delta": found.get("max_regime_delta"),
        },
        "regimes": _regimes(Kind(model["kind"]), pool(blocks)),
        "calibration": model["calibration"],
        "hashes": dict(hashes),
        "train_window": {key: model["data"][key] for key in ("first", "last")},
    }


def faults(manifest: Any) -> list[str]:
    """What is wrong with a manifest; empty when it is valid."""
    if not isinstance(manifest, Mapping) or manifest.get("schema") != SCHEMA:
        return [f"schema is not {SCHEMA}"]
    found = [f"{part} is missing" for part in _PARTS if not isinstance(manifest.get(part), Mapping)]
    if found:
        return found
    for name in ("sharpe_sim", "max_drawdown_sim", "f1_macro", "minority_recall"):
        kpi = manifest["kpis"].get(name)
        if not isinstance(kpi, Mapping) or set(kpi) != _KPI_KEYS:
            found.append(f"kpis.{name} is missing or lacks {', '.join(sorted(_KPI_KEYS))}")
        elif not _ordered(kpi):
            found.append(f"kpis.{name}: value {kpi['value']} is no number or outside its interval")
    found += [
        f"latency.{n} is missing" for n in ("p95_ms", "max_ms") if n not in manifest["latency"]
    ]
    found += [] if manifest["hashes"] else ["hashes is empty"]
    return found


def _kpi(evaluation: Json, metric: str, unit: str) -> Json:
    band = evaluation["intervals"].get(metric) or {"lo": None, "hi": None}
    trades = metric == "win_rate"
    return {
        "value": evaluation["metrics"][metric],
        "lower_ci": band["lo"],
        "upper_ci": band["hi"],
        "sample_size": evaluation["metrics"]["trades" if trades else "samples"],
        "units": unit,
    }


def _regimes(kind: Kind, block: TestBlock) -> Json:
    """F1 and accuracy in each volatility tercile."""
    true, said = block.true, block.said
    regime = metrics.terciles(block.vol20)
    count = 2 if kind is Kind.REGRESSION else block.calibrated.shape[1]
    found = {}
    for place, name in enumerate(metrics.TERCILES):
        inside = regime == place
        if inside.any():
            cells = classification.confusion(true[inside], said[inside], count)
            f1 = classification.by_class(cells)["f1_macro"]
            right = float(np.trace(cells) / cells.sum())
            found[name] = {"samples": int(inside.sum()), "f1_macro": float(f1), "accuracy": right}
    return found


def _ordered(kpi: Mapping[str, Any]) -> bool:
    value = kpi["value"]
    if not isinstance(value, int | float) or not math.isfinite(value):
        return False
    low, high = kpi["lower_ci"], kpi["upper_ci"]
    return low is None or high is None or low <= high
