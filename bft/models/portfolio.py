"""The portfolio a score would have held: overlapping sleeves, next open to open, costs on.

Each test day's sleeve is long the k best and short the k worst names (half the capital a side,
equal weight), enters at the next open and leaves at the open h sessions later. The portfolio is
the mean of the h sleeves that are open, so its weights are rebalanced daily to that mean.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bft.domain.runs import Json
from bft.models.blocks import Prices

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]

COST_BPS = 10.0  # a side
BORROW_BPS = 50.0  # a year, on shorts
SESSIONS_PER_YEAR = 252


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """Daily results: session numbers, gross and net returns, traded weight sum abs(dw)."""

    session: Ints
    gross: Floats
    net: Floats
    traded: Floats


def sides(score: Floats, *, top_names: int) -> Floats:
    """+1 for the k best, -1 for the k worst names of each day, k = max(top_names, 10 %).

    Days with fewer than 2 k names, or all scores equal, have no positions. Ties go by column.
    """
    known = np.isfinite(score)
    names = known.sum(axis=1, keepdims=True)
    k = np.maximum(top_names, names // 10)
    order = np.argsort(np.where(known, score, np.inf), axis=1, kind="stable")
    place = np.empty_like(order)
    np.put_along_axis(place, order, np.broadcast_to(np.arange(score.shape[1]), score.shape), axis=1)
    long = (place >= names - k) & (place < names)
    short = place < k
    highest, lowest = (np.where(known, score, edge) for edge in (-np.inf, np.inf))
    varies = highest.max(axis=1, keepdims=True) > lowest.min(axis=1, keepdims=True)
    side = long.astype(float) - short.astype(float)
    return np.where(varies & (names >= 2 * k), side, 0.0)


def weights_of(side: Floats) -> Floats:
    """Sleeve weights: half a unit of capital on each side that is held, equal within it."""
    long, short = side > 0, side < 0
    both = long.any(axis=1, keepdims=True) & short.any(axis=1, keepdims=True)
    share = np.where(both, 0.5, 1.0)
    counts = (np.maximum(x.sum(axis=1, keepdims=True), 1) for x in (long, short))
    up, down = counts
    return np.asarray(share * (long / up - short / down))


def hold(sleeves: Floats, days: Ints, horizon: int, prices: Prices) -> Held:
    """Daily returns of overlapping sleeves (days, symbols) chosen at the closes of `days`.

    The last session carries the costs of leaving the last sleeve.
    """
    first, last = int(days[0]) + 1, int(days[-1]) + 1 + horizon
    weights = np.zeros((last - first + 1, sleeves.shape[1]))
    for day, sleeve in zip(days, sleeves / horizon, strict=True):
        at = int(day) + 1 - first
        weights[at : at + horizon] += sleeve
    opens = prices.opens[:, first - prices.first : last - prices.first + 1].T
    moves = np.zeros(weights.shape)
    moves[:-1] = opens[1:] / opens[:-1] - 1
    gross = (weights * np.where(np.isfinite(moves), moves, 0.0)).sum(axis=1)
    before = np.vstack([np.zeros(sleeves.shape[1]), weights[:-1]])
    traded = np.abs(weights - before).sum(axis=1)
    shorts = np.maximum(-weights, 0).sum(axis=1)
    costs = traded * COST_BPS * 1e-4 + shorts * BORROW_BPS * 1e-4 / SESSIONS_PER_YEAR
    return Held(session=np.arange(first, last + 1), gross=gross, net=gross - costs, traded=traded)


def summary(held: Held) -> Json:
    """Sharpe (gross, net), Sortino, drawdown, Calmar, turnover, break-even; net unless named."""
    worst = max_drawdown(held.net)
    grown = float(np.prod(1 + held.net)) ** (SESSIONS_PER_YEAR / len(held.net)) - 1
    traded = float(held.traded.sum())
    return {
        "sharpe_gross": sharpe(held.gross),
        "sharpe_net": sharpe(held.net),
        "sortino": _sortino(held.net),
        "max_drawdown": worst,
        "cagr": grown,
        "calmar": grown / abs(worst) if worst < 0 else None,
        "turnover": float(0.5 * held.traded.mean()),
        "break_even_bps": float(held.gross.sum()) / traded * 1e4 if traded > 0 else None,
        "worst_day": float(held.net.min()),
        "day_loss_95": float(-np.quantile(held.net, 0.05)),
    }


def trades(side: Floats, y: Floats, horizon: int) -> Json:
    """Count, win rate, profit factor and mean of the positions, each net of its costs."""
    taken = (side != 0) & np.isfinite(y)
    borrow = np.where(side < 0, BORROW_BPS * 1e-4 * horizon / SESSIONS_PER_YEAR, 0.0)
    net = (side * y - 2 * COST_BPS * 1e-4 - borrow)[taken]
    lost = float(-net[net < 0].sum())
    return {
        "trades": int(taken.sum()),
        "win_rate": float(np.mean(net > 0)) if len(net) else None,
        "profit_factor": float(net[net > 0].sum()) / lost if lost > 0 else None,
        "trade_mean": float(net.mean()) if len(net) else None,
    }


def sharpe(returns: Floats) -> float | None:
    """Annual Sharpe ratio of daily returns."""
    spread = returns.std(ddof=1) if len(returns) > 1 else 0.0
    return float(returns.mean() / spread * np.sqrt(SESSIONS_PER_YEAR)) if spread > 0 else None


def max_drawdown(returns: Floats) -> float:
    """Deepest fall of compounded equity from a peak, the start included; negative."""
    equity = np.concatenate([[1.0], np.cumprod(1 + returns)])
    return float(np.min(equity / np.maximum.accumulate(equity) - 1))


def moments(returns: Floats) -> Json:
    """Per-day Sharpe ratio, skew and kurtosis (3 for a normal): the deflated ratio's inputs."""
    spread = returns.std()
    if len(returns) < 2 or spread == 0:
        return {"daily_sharpe": None, "skew": None, "kurtosis": None}
    z = (returns - returns.mean()) / spread
    return {
        "daily_sharpe": float(returns.mean() / returns.std(ddof=1)),
        "skew": float(np.mean(z**3)),
        "kurtosis": float(np.mean(z**4)),
    }


def _sortino(returns: Floats) -> float | None:
    downside = float(np.sqrt(np.mean(np.minimum(returns, 0) ** 2)))
    mean = float(returns.mean())
    return mean / downside * float(np.sqrt(SESSIONS_PER_YEAR)) if downside > 0 else None
