"""Is the set in production failing? Its newest sessions against its test figures. Pure.

A day fails when the 20 sessions that end at it do: net Sharpe under 0.5 and more than two standard
errors under the test's, a deep drawdown, or outputs that left their distribution; five failing
days in a row are a breach (models specification, 8.3).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bft.domain.gold import CONTEXT_INPUTS, INPUTS
from bft.domain.runs import Json
from bft.models import drift, portfolio

Floats = NDArray[np.float64]

WINDOW_SESSIONS, DAYS_IN_A_ROW, COOL_DOWN_SESSIONS = 20, 5, 10
SHARPE_MIN, ERRORS, DRAWDOWN_MIN = 0.5, 2.0, -0.15
KS_MAX, PSI_MAX = 0.2, 0.3
KS_WARN, PSI_WARN, INPUT_SHARE_WARN = 0.1, 0.2, 0.25
OWN_INPUTS = tuple(n for n in INPUTS if n not in {"day_of_week_num", "month", *CONTEXT_INPUTS})
"""Inputs that are neither calendar, macro, market nor sector."""
STANDARD_ERROR = float(np.sqrt(portfolio.SESSIONS_PER_YEAR / WINDOW_SESSIONS))


def portfolio_faults(net: Floats, *, test_sharpe: float | None) -> list[str]:
    """Why a window of daily net returns fails."""
    sharpe, worst = portfolio.sharpe(net), portfolio.max_drawdown(net)
    faults = []
    if sharpe is not None and sharpe < SHARPE_MIN and test_sharpe is not None:
        behind = (test_sharpe - sharpe) / STANDARD_ERROR
        faults += [f"sharpe {sharpe:.2f}, {behind:.1f} errors behind"] if behind > ERRORS else []
    if worst < DRAWDOWN_MIN:
        faults.append(f"drawdown {worst:.3f}")
    return faults


def drift_by_day(
    references: Mapping[str, Sequence[float]], day: NDArray[Any], scores: Mapping[str, Floats]
) -> list[dict[str, dict[str, float | None]]]:
    """Output drift by model of the 20 sessions that end at each of the newest five, oldest first.

    Shape: `day` and each of `scores` (n,).
    """
    days = np.unique(day)
    found = []
    for end in range(len(days) - DAYS_IN_A_ROW + 1, len(days) + 1):
        rows = np.isin(day, days[max(0, end - WINDOW_SESSIONS) : max(0, end)])
        found.append(
            {
                name: output_drift(reference, day[rows], scores[name][rows])
                for name, reference in references.items()
            }
        )
    return found


def output_drift(
    reference: Sequence[float], day: NDArray[Any], score: Floats
) -> dict[str, float | None]:
    """PSI and KS of a model's outputs, each day's median taken out, to its validation sample."""
    known = np.isfinite(score)
    moved = drift.without_daily_median(day[known], score[known])
    expected = np.asarray(reference, dtype=np.float64)
    return {"psi": drift.psi(expected, moved), "ks": drift.ks(expected, moved)}


def drift_faults(
    found: Mapping[str, Mapping[str, float | None]], *, ks: float, psi: float
) -> list[str]:
    """Models whose outputs moved further than the limits."""
    faults = []
    for name, values in sorted(found.items()):
        for key, limit in (("ks", ks), ("psi", psi)):
            value = values[key]
            if value is not None and value > limit:
                faults.append(f"{name} {key} {value:.2f}")
    return faults


def input_fault(
    references: Mapping[str, Sequence[float]], columns: Mapping[str, Floats]
) -> str | None:
    """What to warn of where more than a quarter of the inputs have moved, or None.

    `references` are quantiles of the training sample by input, `columns` the newest values.
    """
    known = {name: np.asarray(points, dtype=np.float64) for name, points in references.items()}
    psi = {name: drift.psi(points, columns[name]) for name, points in known.items()}
    moved = sorted(name for name, value in psi.items() if value is not None and value > PSI_WARN)
    if len(moved) <= INPUT_SHARE_WARN * len(psi):
        return None
    return f"{len(moved)} of {len(psi)} inputs moved (psi > {PSI_WARN}): {', '.join(moved[:5])}"


def verdict(days: Sequence[Json]) -> bool:
    """A breach: the newest five days exist and all failed."""
    newest = days[-DAYS_IN_A_ROW:]
    return len(newest) == DAYS_IN_A_ROW and all(day["faults"] for day in newest)
