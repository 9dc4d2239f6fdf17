"""Metrics of classes and calibrated probabilities (models specification, section 7)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from bft.domain.runs import Json

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

BINS = 10
_Z95 = 1.959963984540054
_FLOOR = 1e-15  # log loss of a certain, wrong forecast stays finite


def confusion(true: Ints, predicted: Ints, count: int) -> Ints:
    """Counts (true class, predicted class)."""
    cells = np.bincount(true * count + predicted, minlength=count * count)
    return cells.reshape(count, count)  # (K * K) -> (K, K)


def by_class(counts: NDArray[Any]) -> Json:
    """Precision, recall, F1 and their companions from confusion counts (..., K, K).

    A class never predicted has precision 0, one never seen counts with F1 0 (scikit-learn's
    zero_division=0). For two classes precision and recall are those of class 1.
    """
    counts = np.asarray(counts, dtype=np.float64)
    hits = np.einsum("...kk->...k", counts)
    true, said = counts.sum(axis=-1), counts.sum(axis=-2)
    total = counts.sum(axis=(-1, -2))
    precision, recall = _ratio(hits, said), _ratio(hits, true)
    present = (true + said) > 0
    f1 = np.where(present, _ratio(2 * hits, true + said), np.nan)
    rarest = np.where(true > 0, true, np.inf).argmin(axis=-1)
    top, base = precision[..., -1], _ratio(true[..., -1], total)
    two = counts.shape[-1] == 2
    return {
        "precision": precision[..., 1] if two else precision.mean(axis=-1),
        "recall": recall[..., 1] if two else recall.mean(axis=-1),
        "precision_lift": _ratio(top, base),
        "f1_macro": np.nanmean(f1, axis=-1),
        "minority_recall": np.take_along_axis(recall, rarest[..., None], axis=-1)[..., 0],
        "accuracy": _ratio(hits.sum(axis=-1), total),
        "majority_accuracy": _ratio(true.max(axis=-1), total),
    }


def auc(true: NDArray[np.bool_], score: Floats) -> float | None:
    """Area under the ROC curve; ties count half. None where one class is absent."""
    up = int(true.sum())
    down = len(true) - up
    if not up or not down:
        return None
    return float((rankdata(score)[true].sum() - up * (up + 1) / 2) / (up * down))


def auc_one_vs_rest(true: Ints, p: Floats) -> float | None:
    """Mean over classes of the area of p_k against class k."""
    areas = [auc(true == k, p[:, k]) for k in range(p.shape[1])]
    found = [area for area in areas if area is not None]
    return float(np.mean(found)) if len(found) == p.shape[1] else None


def brier(true: Ints, p: Floats) -> float:
    """Mean squared error of probabilities: of p_1 for two classes, else summed over classes."""
    if p.shape[1] == 2:
        return float(np.mean((p[:, 1] - true) ** 2))
    return float(np.mean(np.sum((p - np.eye(p.shape[1])[true]) ** 2, axis=1)))


def log_loss(true: Ints, p: Floats) -> float:
    """Mean of -ln p of the true class."""
    return float(-np.mean(np.log(np.maximum(p[np.arange(len(true)), true], _FLOOR))))


def skill(true: Ints, p: Floats, base: Floats) -> float | None:
    """1 - Brier / Brier of the training base rate."""
    worst = brier(true, np.broadcast_to(base, p.shape))
    return 1 - brier(true, p) / worst if worst > 0 else None


def reliability(hit: NDArray[np.bool_], p: Floats) -> list[Json]:
    """Mean forecast and seen share in 10 equal-count bins, with 95 % Wilson bands."""
    order = np.argsort(p, kind="stable")
    bins = [part for part in np.array_split(order, BINS) if len(part)]
    return [_bin(hit[part], p[part]) for part in bins]


def ece(true: Ints, p: Floats) -> float:
    """Expected calibration error: mean over classes (for two, of p_1) of the binned gap."""
    columns = [1] if p.shape[1] == 2 else range(p.shape[1])
    gaps = []
    for k in columns:
        bins = reliability(true == k, p[:, k])
        gaps.append(sum(b["n"] * abs(b["forecast"] - b["seen"]) for b in bins) / len(true))
    return float(np.mean(gaps))


def wilson(hits: int, n: int) -> tuple[float, float]:
    """95 % interval of a share. Source: Wilson (1927)."""
    share, z2 = hits / n, _Z95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * np.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))


def _bin(hit: NDArray[np.bool_], p: Floats) -> Json:
    lo, hi = wilson(int(hit.sum()), len(hit))
    return {
        "n": len(hit),
        "forecast": float(p.mean()),
        "seen": float(hit.mean()),
        "lo": lo,
        "hi": hi,
    }


def _ratio(a: Floats, b: Floats) -> Floats:
    return np.asarray(np.divide(a, b, out=np.zeros(np.shape(a)), where=np.asarray(b) > 0))
