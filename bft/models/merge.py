"""Nine outputs into one forecast per symbol (models specification, section 9). Pure."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bft.domain.errors import DataError
from bft.domain.forecast import HORIZONS_DAYS, MODELS, Kind, ModelName
from bft.models.metrics import ranks

Floats = NDArray[np.floating[Any]]
Columns = dict[str, NDArray[Any]]

NEUTRAL_RETURN = 0.0002  # a smaller merged return has no sign
CONFIDENCE_SCALE = 50.0
_PROBABILITY_GAP = 1e-4
_LARGEST_RETURN = 1.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Output:
    """What one model says of n symbols.

    `calibrated` points (n,) or probabilities (n, K); `expected` its expected return (n,); `lo`,
    `hi` the interval (regression); `classes` (classifiers); `mu_y`, `pi` of its training labels.
    """

    calibrated: Floats
    expected: Floats
    mu_y: float
    lo: Floats | None = None
    hi: Floats | None = None
    classes: NDArray[Any] | None = None
    pi: float | None = None


def contract_fault(kind: Kind, output: Output) -> str | None:
    """Why an output must not be used, or None (models specification, 9: output contract)."""
    values = [
        x for x in (output.calibrated, output.expected, output.lo, output.hi) if x is not None
    ]
    if not all(np.isfinite(x).all() for x in values):
        return "not finite"
    if np.abs(output.expected).max() > _LARGEST_RETURN:
        return "a return above 100 %"
    if len(output.expected) > 1 and np.ptp(output.expected) == 0:
        return "the same value for every symbol"
    if kind is Kind.REGRESSION:
        if output.lo is None or output.hi is None:
            return None
        held = (output.lo <= output.calibrated) & (output.calibrated <= output.hi)
        return None if held.all() else "a point outside its interval"
    gap = np.abs(output.calibrated.sum(axis=1) - 1).max()
    return None if gap <= _PROBABILITY_GAP else "probabilities that do not sum to 1"


def check_quorum(present: Collection[ModelName], rule: Mapping[str, int]) -> list[ModelName]:
    """Names that are missing, in order.

    Raises:
        DataError: fewer models, or fewer kinds at a horizon, than the rule asks for.
    """
    missing = [name for name in MODELS if name not in present]
    kinds = {h: sum(name.horizon_days == h for name in present) for h in HORIZONS_DAYS}
    thin = [h for h, count in kinds.items() if count < rule["kinds_per_horizon"]]
    if len(present) < rule["models"] or thin:
        raise DataError(
            f"{len(present)} of {len(MODELS)} models usable, quorum {rule['models']} and "
            f"{rule['kinds_per_horizon']} kinds at each horizon (short at {thin}); "
            f"missing {', '.join(map(str, missing))}; train them or roll back"
        )
    return missing


def merge(outputs: Mapping[ModelName, Output], weights: Mapping[str, float]) -> Columns:
    """All forecast columns of the scored symbols; those of a missing model are absent."""
    columns: Columns = {}
    for name, output in outputs.items():
        columns |= _own_columns(name, output)
    excess = []
    for h in HORIZONS_DAYS:
        parts = [(name, out) for name, out in outputs.items() if name.horizon_days == h]
        share = np.array([weights[str(name)] for name, _ in parts])
        expected = np.stack([out.expected for _, out in parts])
        above = expected - np.array([[out.mu_y] for _, out in parts])
        columns[f"expected_return_{h}d"] = _weighted(expected, share)
        columns[f"rank_{h}d"] = _shares(columns[f"expected_return_{h}d"])
        sides = np.stack([(above > 0).sum(axis=0), (above < 0).sum(axis=0)])
        columns[f"agreement_{h}d"] = sides.max(axis=0)
        excess.append(_weighted(above, share))
    rank = np.stack([columns[f"rank_{h}d"] for h in HORIZONS_DAYS])
    return columns | _consensus(np.stack(excess), rank)


def _own_columns(name: ModelName, out: Output) -> Columns:
    h = name.horizon_days
    if name.kind is Kind.REGRESSION:
        ends = {"lo": out.lo, "hi": out.hi}
        return {f"pred_return_reg_{h}d": out.calibrated} | {
            f"{end}_return_reg_{h}d": values for end, values in ends.items() if values is not None
        }
    tag = f"{name.kind}_{h}d"
    columns = {f"prob_{k}_{tag}": p for k, p in enumerate(out.calibrated.T)}
    columns[f"pred_expected_return_{tag}"] = out.expected
    if out.classes is not None:
        columns[f"pred_class_{tag}"] = out.classes
    if name.kind is Kind.BINARY and out.pi:
        columns[f"lift_{tag}"] = out.calibrated[:, 1] / out.pi
    return columns


def _consensus(excess: Floats, rank: Floats) -> Columns:
    """Across horizons; both (horizons, n)."""
    sign = np.where(np.abs(excess) < NEUTRAL_RETURN, 0, np.sign(excess))
    total = sign.sum(axis=0)
    direction = np.select([total >= 2, total <= -2], ["BUY", "SELL"], "NEUTRAL")
    agreed = np.where(total == 0, 0, (sign == np.sign(total)).sum(axis=0))
    size = np.abs(excess).mean(axis=0)
    return {
        "score": 2 * rank.mean(axis=0) - 1,
        "consensus_direction": direction,
        "horizon_agreement": agreed,
        "consensus_confidence": 1 - 1 / (1 + CONFIDENCE_SCALE * size),
    }


def _weighted(values: Floats, share: Floats) -> Floats:
    return np.asarray((values * share[:, None]).sum(axis=0) / share.sum())


def _shares(values: Floats) -> Floats:
    """(rank - 0.5) / n with mean ranks."""
    return np.asarray((ranks(values[None])[0] - 0.5) / len(values))
