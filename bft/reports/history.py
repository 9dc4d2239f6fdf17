"""What became of past signals and forecasts, with intervals (models specification, section 7)."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from bft.domain import sessions
from bft.domain.forecast import HORIZONS_DAYS
from bft.domain.market import EXCLUDED
from bft.reports.night import Night

MIN_NAMES = 10
"""Names a day needs for a rank correlation (the demo's bound of the models specification)."""
DRAWS, SEED = 2000, 1
GROUPS = 5
Floats = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over days with its 95 % interval; no interval below 4 (h+1) days."""

    mean: float
    low: float | None
    high: float | None
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Past forecasts of one horizon against what happened; coverage is a share, goal 0.90."""

    horizon_days: int
    rank_ic: Estimate | None
    coverage: Estimate | None
    forecasts: int
    spread_forecast: float | None
    spread_outcome: float | None
    groups: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One strategy's finished signals: fractions, gross, before costs; hits with Wilson bands."""

    strategy_id: str
    done: int
    running: int
    hits: int
    hit_low: float | None
    hit_high: float | None
    mean_return: float | None
    mean_universe: float | None


def past_signals(night: Night) -> Any:
    """Each past entry signal with its state, return and the universe's over the same sessions.

    In at the open after the signal, out at the open `horizon_days` sessions later; while that lies
    ahead, valued at the last close (`running`). Returns are signed by direction, gross. The rows
    come newest first.
    """
    if night.past_signals.empty or night.gold.empty:
        return pd.DataFrame()
    entries = night.past_signals[night.past_signals["kind"] == "entry"]
    entries = entries.sort_values(["asof", "slot"]).drop_duplicates("signal_id")
    prices = _Prices.of(night)
    judged = [_judge(row, prices) for row in entries.to_dict("records")]
    columns = ["state", "result", "universe", "days"]
    found = pd.DataFrame(judged, columns=columns, index=entries.index)
    both = pd.concat([entries, found], axis=1)
    return both.sort_values(["asof", "symbol", "strategy_id"], ascending=[False, True, True])


def records(signals: Any) -> list[Record]:
    """Hit rate and mean return by strategy, of the signals whose horizon is over."""
    if signals.empty:
        return []
    return [_record(str(name), rows) for name, rows in signals.groupby("strategy_id", sort=True)]


def accuracy(night: Night) -> list[Accuracy]:
    """RankIC, coverage and calibration of past forecasts whose outcome is known."""
    past, outcomes = night.past_forecasts, night.outcomes
    if past.empty or outcomes.empty:
        return []
    fair = past[(past["status"] == "ok") & past["oos"].fillna(value=True).astype(bool)]
    found = [_accuracy(fair, outcomes, days) for days in HORIZONS_DAYS]
    return [one for one in found if one.forecasts]


def bootstrap(values: Floats, horizon_days: int) -> Estimate:
    """Mean and 95 % interval by the stationary bootstrap over days.

    Source: Politis and Romano (1994); mean block max(h+1, n^(1/3)) (models specification, 7).
    """
    count = len(values)
    mean = float(values.mean())
    if count < 4 * (horizon_days + 1):
        return Estimate(mean=mean, low=None, high=None, days=count)
    rng = np.random.default_rng(SEED)
    block = max(horizon_days + 1, math.ceil(count ** (1 / 3)))
    fresh = rng.random((DRAWS, count)) < 1 / block
    starts = rng.integers(0, count, (DRAWS, count))
    place = starts[:, 0]
    total = values[place].astype("f8")
    for day in range(1, count):
        place = np.where(fresh[:, day], starts[:, day], (place + 1) % count)
        total += values[place]
    low, high = np.quantile(total / count, [0.025, 0.975])
    return Estimate(mean=mean, low=float(low), high=float(high), days=count)


def wilson(hits: int, count: int) -> tuple[float, float]:
    """95 % interval of a share. Source: Wilson (1927)."""
    z = 1.959964
    share, squared = hits / count, z * z
    middle = (share + squared / (2 * count)) / (1 + squared / count)
    half = (
        z
        * math.sqrt(share * (1 - share) / count + squared / (4 * count**2))
        / (1 + squared / count)
    )
    return middle - half, middle + half


@dataclass(frozen=True, slots=True)
class _Prices:
    """Opens and closes (sessions, symbols) on the asof basis, with their places."""

    opens: Floats
    closes: Floats
    session: dict[Any, int]
    symbol: dict[str, int]
    stocks: Floats

    @classmethod
    def of(cls, night: Night) -> "_Prices":
        wide = night.gold.pivot(index="date", columns="symbol", values="adjusted_open")
        days = pd.DatetimeIndex(
            [pd.Timestamp(d) for d in sessions.sessions(wide.index[0].date(), night.asof)]
        )
        closes = night.gold.pivot(index="date", columns="symbol", values="adjusted_close")
        names = [str(name) for name in wide.columns]
        return cls(
            wide.reindex(days).to_numpy(dtype="f8"),
            closes.reindex(days).to_numpy(dtype="f8"),
            {day.date(): i for i, day in enumerate(days)},
            {name: i for i, name in enumerate(names)},
            np.array([i for i, name in enumerate(names) if name not in EXCLUDED], dtype="i8"),
        )


def _judge(row: dict[str, Any], prices: _Prices) -> tuple[str, float, float, int]:
    """State, signed return, the universe's signed return, sessions held."""
    day: date = row["asof"].date()
    entry = prices.session.get(day, -2) + 1
    column = prices.symbol.get(row["symbol"], -1)
    if entry < 0 or column < 0:
        return "not in the data read", math.nan, math.nan, 0
    last = len(prices.opens) - 1
    if entry > last or not np.isfinite(prices.opens[entry, column]):
        return "no open to enter at", math.nan, math.nan, 0
    leave = entry + max(int(row["horizon_days"]), 1)
    done = leave <= last and np.isfinite(prices.opens[leave, column])
    ends = prices.opens[leave] if done else prices.closes[last]
    moves = ends / prices.opens[entry] - 1
    stocks = moves[prices.stocks]
    universe = float(np.nanmean(stocks)) if np.isfinite(stocks).any() else math.nan
    sign = 1.0 if row["direction"] == "long" else -1.0
    held = (leave if done else last) - entry
    state = "done" if done else "running" if leave > last else "no open to leave at"
    return state, sign * float(moves[column]), sign * universe, held


def _record(name: str, rows: Any) -> Record:
    done = rows[rows["state"] == "done"]
    count, hits = len(done), int((done["result"] > 0).sum())
    low, high = wilson(hits, count) if count else (None, None)
    return Record(
        strategy_id=name,
        done=count,
        running=int((rows["state"] == "running").sum()),
        hits=hits,
        hit_low=low,
        hit_high=high,
        mean_return=float(done["result"].mean()) if count else None,
        mean_universe=float(done["universe"].mean()) if count else None,
    )


def _accuracy(past: Any, outcomes: Any, days: int) -> Accuracy:
    guess, low, high = (
        f"{name}_{days}d" for name in ("expected_return", "lo_return_reg", "hi_return_reg")
    )
    known = outcomes[outcomes["h"] == days]
    rows = past[["asof", "symbol", guess, low, high]].merge(known, on=["asof", "symbol"])
    rows = rows.dropna(subset=[guess, "y"])
    sizes = rows.groupby("asof")["y"].transform("size") if len(rows) else pd.Series(dtype="f8")
    ranked = rows[sizes >= MIN_NAMES]
    within = ranked.dropna(subset=[low, high])
    inside = (within["y"] >= within[low]) & (within["y"] <= within[high])
    return Accuracy(
        horizon_days=days,
        rank_ic=_over_days(ranked, lambda day: _spearman(day[guess], day["y"]), days),
        coverage=_over_days(within.assign(inside=inside), lambda day: day["inside"].mean(), days),
        forecasts=len(rows),
        spread_forecast=float(rows.groupby("asof")[guess].std().mean()) if len(ranked) else None,
        spread_outcome=float(rows.groupby("asof")["y"].std().mean()) if len(ranked) else None,
        groups=_groups(ranked, guess),
    )


def _over_days(rows: Any, measure: Callable[[Any], float], days: int) -> Estimate | None:
    values = np.array([measure(day) for _, day in rows.groupby("asof", sort=True)], dtype="f8")
    values = values[np.isfinite(values)]
    return bootstrap(values, days) if len(values) else None


def _spearman(first: Any, second: Any) -> float:
    """Rank correlation with mean ranks."""
    a, b = first.rank().to_numpy(), second.rank().to_numpy()
    spread = a.std() * b.std()
    return float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread else math.nan


def _groups(rows: Any, guess: str) -> tuple[tuple[float, float], ...]:
    """Mean forecast and mean outcome of each day's fifths, lowest forecasts first."""
    if rows.empty:
        return ()
    place = rows.groupby("asof")[guess].rank(method="first") - 1
    size = rows.groupby("asof")[guess].transform("size")
    fifth = (GROUPS * place / size).astype("i8")
    means = rows.groupby(fifth)[[guess, "y"]].mean()
    return tuple((float(a), float(b)) for a, b in means.to_numpy())
