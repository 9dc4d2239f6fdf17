"""Combinatorial test forecasts (CPCV) as paths: each session once, by another split.

Source: López de Prado, Advances in Financial Machine Learning (2018), chapter 12; Bailey, Borwein,
López de Prado and Zhu, The Probability of Backtest Overfitting (2017), for `overfitting`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bft.dataset.splits import CPCV_GROUPS, CPCV_TEST_GROUPS, Span, cpcv_paths
from bft.domain.forecast import ModelName
from bft.domain.runs import Json
from bft.models import metrics, portfolio
from bft.models.blocks import Prices, TestBlock, pool
from bft.models.daily import daily_of

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scored:
    """A fold's test block, its session ranges, and baseline scores of the same samples."""

    block: TestBlock
    spans: tuple[Span, ...]
    baselines: Mapping[str, Floats | None]


def routes(scored: Sequence[Scored]) -> list[list[Scored]]:
    """The paths of combinatorial folds, pieces numbered in time order; none for walk-forward."""
    if all(len(part.spans) == 1 for part in scored):
        return []
    by_k = {part.block.k: part for part in scored}
    ways = cpcv_paths({k: part.spans for k, part in by_k.items()})
    return [[_within(by_k[k], span, n) for n, (k, span) in enumerate(way)] for way in ways]


def joined(pieces: Sequence[Scored], names: Sequence[str]) -> dict[str, Floats | None]:
    """Baseline scores of all pieces in order; None where one was not installed."""
    found: dict[str, Floats | None] = {}
    for name in names:
        known = [score for piece in pieces if (score := piece.baselines[name]) is not None]
        found[name] = np.concatenate(known) if len(known) == len(pieces) else None
    return found


def summary(
    name: ModelName,
    ways: Sequence[Sequence[Scored]],
    *,
    prices: Prices,
    settings: Mapping[str, Any],
) -> Json:
    """Sharpe and RankIC of every path, and PBO of the choice between the net and its baselines."""
    found: dict[str, list[float | None]] = {"sharpe_net": [], "sharpe_gross": [], "rank_ic": []}
    options: dict[str, Any] = {"horizon": name.horizon_days, "prices": prices, "settings": settings}
    for way in ways:
        block = pool([piece.block for piece in way])
        daily = daily_of(block.score, block, **options)
        found["sharpe_net"].append(portfolio.sharpe(daily.held.net))
        found["sharpe_gross"].append(portfolio.sharpe(daily.held.gross))
        found["rank_ic"].append(metrics.mean(daily.rank_ic))
    block = pool([piece.block for piece in ways[0]])
    scores = {"net": block.score}
    others = joined(ways[0], list(ways[0][0].baselines))
    scores |= {key: values for key, values in others.items() if values is not None}
    returns = [daily_of(values, block, **options).held.net for values in scores.values()]
    return {
        "paths": len(ways),
        "splits": len(ways) * len(ways[0]) // CPCV_TEST_GROUPS,
        "compared": list(scores),
        "pbo": overfitting(np.stack(returns, axis=1)),
        **found,
    }


def overfitting(returns: Floats) -> float | None:
    """PBO: share of halvings whose best candidate is at or below the median in the other half.

    Shape: (days, candidates) daily returns. None for fewer than two candidates.
    """
    count = returns.shape[1]
    if count < 2:
        return None
    groups = np.array_split(returns, CPCV_GROUPS)
    below = []
    for chosen in combinations(range(CPCV_GROUPS), CPCV_GROUPS // 2):
        inside = np.concatenate([groups[n] for n in chosen])
        outside = np.concatenate([groups[n] for n in range(CPCV_GROUPS) if n not in chosen])
        best = int(_sharpes(inside).argmax())
        rank = metrics.ranks(_sharpes(outside)[None])[0, best]
        below.append(rank / (count + 1) <= 0.5)
    return float(np.mean(below))


def _sharpes(returns: Floats) -> Floats:
    spread = returns.std(axis=0, ddof=1)
    return np.asarray(returns.mean(axis=0) / np.where(spread > 0, spread, 1.0))


def _within(part: Scored, span: Span, place: int) -> Scored:
    inside = (part.block.day >= span[0]) & (part.block.day <= span[1])
    scores = {
        name: None if values is None else values[inside] for name, values in part.baselines.items()
    }
    return Scored(block=part.block.taken(inside, k=place), spans=(span,), baselines=scores)
