"""A score day by day: correlations, the portfolio it would have held, and their intervals.

The same for a model, a baseline and the merge. `settings` keys and defaults: min_names 20,
top_names 10, bootstrap_draws 2000, seed 1, trials 1, trials_variance 0.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bft.domain.runs import Json
from bft.models import bootstrap, metrics, portfolio
from bft.models.blocks import Prices, TestBlock, days_of, panel

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Daily:
    """Series by test day (correlations, best names less universe) and by session held."""

    horizon: int
    days: Ints
    score: Floats
    y: Floats
    ic: Floats
    rank_ic: Floats
    rank_ic_v: Floats
    top_minus_universe: Floats
    side: Floats
    held: portfolio.Held
    universe: portfolio.Held
    excess: portfolio.Held


def daily_of(
    score: Floats, block: TestBlock, *, horizon: int, prices: Prices, settings: Mapping[str, Any]
) -> Daily:
    """Daily series of a score of the block's samples."""
    names, few = len(prices.opens), int(settings.get("min_names", 20))
    grid, y, vol20 = (panel(block, values, names) for values in (score, block.y, block.vol20))
    side = portfolio.sides(grid, top_names=int(settings.get("top_names", 10)))
    days, best, everyone = days_of(block), side > 0, np.isfinite(grid)
    long_short, long, universe = (
        portfolio.hold(portfolio.weights_of(held), days, horizon, prices)
        for held in (side, best.astype(float), everyone.astype(float))
    )
    return Daily(
        horizon=horizon,
        days=days,
        score=grid,
        y=y,
        ic=metrics.daily_ic(grid, y, min_names=few),
        rank_ic=metrics.daily_rank_ic(grid, y, min_names=few),
        rank_ic_v=metrics.daily_rank_ic(metrics.without_volatility(grid, vol20), y, min_names=few),
        top_minus_universe=metrics.row_means(y, best) - metrics.row_means(y, everyone),
        side=side,
        held=long_short,
        universe=universe,
        excess=_less(long, universe),
    )


def summary(daily: Daily, settings: Mapping[str, Any]) -> Json:
    """Ranking, portfolio and stability metrics of a score."""
    windows = metrics.windows_of(daily.rank_ic)
    known = np.isfinite(daily.rank_ic)
    return {
        "oos_days": len(daily.days),
        "ic_days": int(known.sum()),
        "ic": metrics.mean(daily.ic),
        "rank_ic": metrics.mean(daily.rank_ic),
        "rank_ic_v": metrics.mean(daily.rank_ic_v),
        "icir": metrics.information_ratio(daily.ic),
        "rank_icir": metrics.information_ratio(daily.rank_ic),
        "ic_t": metrics.newey_west_t(daily.ic, lags=daily.horizon),
        "rank_ic_t": metrics.newey_west_t(daily.rank_ic, lags=daily.horizon),
        "top_minus_universe": metrics.mean(daily.top_minus_universe),
        "excess_sharpe_gross": portfolio.sharpe(daily.excess.gross),
        "excess_sharpe_net": portfolio.sharpe(daily.excess.net),
        "stability_variance": float(windows.var(ddof=1)) if len(windows) > 1 else None,
        "rank_ic_windows_positive": float(np.mean(windows > 0)) if len(windows) else None,
        **portfolio.summary(daily.held),
        **portfolio.trades(daily.side, daily.y, daily.horizon),
        **_deflated(daily.held.net, settings),
    }


def intervals(daily: Daily, settings: Mapping[str, Any]) -> Json:
    """95 % bootstrap intervals of the means of daily series and of the portfolio's figures."""
    series = {name: getattr(daily, name) for name in ("ic", "rank_ic", "rank_ic_v")}
    series["top_minus_universe"] = daily.top_minus_universe
    found = {name: interval(rows, daily.horizon, settings) for name, rows in series.items()}
    for name, returns, statistic in (
        ("sharpe_gross", daily.held.gross, bootstrap.sharpe),
        ("sharpe_net", daily.held.net, bootstrap.sharpe),
        ("max_drawdown", daily.held.net, bootstrap.max_drawdown),
        ("excess_sharpe_net", daily.excess.net, bootstrap.sharpe),
    ):
        found[name] = interval(returns, daily.horizon, settings, statistic)
    return found


def interval(
    rows: Floats, horizon: int, settings: Mapping[str, Any], statistic: Any = None
) -> Json:
    """95 % interval of a statistic of daily rows, with the settings' draws and seed."""
    return bootstrap.interval(
        rows,
        horizon=horizon,
        count=int(settings.get("bootstrap_draws", 2000)),
        seed=int(settings.get("seed", 1)),
        statistic=statistic,
    )


def series(daily: Daily) -> Json:
    """Daily values for pairing and plots: test days, and sessions of the portfolio."""
    return {
        "day": daily.days.tolist(),
        "ic": _listed(daily.ic),
        "rank_ic": _listed(daily.rank_ic),
        "session": daily.held.session.tolist(),
        "gross": _listed(daily.held.gross),
        "net": _listed(daily.held.net),
    }


def _less(held: portfolio.Held, other: portfolio.Held) -> portfolio.Held:
    return portfolio.Held(
        session=held.session,
        gross=held.gross - other.gross,
        net=held.net - other.net,
        traded=held.traded,
    )


def _deflated(returns: Floats, settings: Mapping[str, Any]) -> Json:
    found = portfolio.moments(returns)
    if found["daily_sharpe"] is None:
        return {**found, "dsr": None}
    _, chance = bootstrap.deflated_sharpe(
        found["daily_sharpe"],
        days=len(returns),
        skew=found["skew"],
        kurtosis=found["kurtosis"],
        trials=int(settings.get("trials", 1)),
        variance=float(settings.get("trials_variance", 0.0)),
    )
    return {**found, "dsr": chance}


def _listed(values: Floats) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
