"""Per-symbol numbers that ranking and sizing read, from own-basis gold rows."""

import re
from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa

from bft.domain import sessions
from bft.domain.forecast import HORIZONS_DAYS
from bft.domain.market import EXCLUDED

GOLD_COLUMNS = (
    "symbol",
    "date",
    "adjusted_close",
    "volume",
    "adj_factor",
    "split_factor",
    "atr_14",
    "rsi_14",
    "adx_14",
    "beta",
    "sector",
)
HISTORY_DAYS, CORRELATION_DAYS, SHARPE_DAYS = 253, 60, 252
_LEVERAGED = re.compile(
    r"\b(?:[23]x|ultra(?:pro|short)?|leveraged|inverse|bear|bull)\b", re.IGNORECASE
)


def symbol_facts(
    gold: pa.Table,
    forecasts: pa.Table,
    universe: pa.Table,
    *,
    asof: date,
    today: pa.Table | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Facts by symbol with a row at `asof`, and daily returns (days, symbols) of 60 sessions.

    Returns are fractions of the forward series (splits and dividends in). Volumes are on the
    share basis of the last row, means of the 20 sessions up to asof. Context funds are left out.
    With provisional rows `today`, prices and returns are those of the running session.
    """
    parts = [
        rows.select(list(GOLD_COLUMNS)).to_pandas() for rows in (gold, today) if rows is not None
    ]
    frame, last_day = pd.concat(parts), asof if today is None else sessions.shift(asof, 1)
    frame = frame[~frame["symbol"].isin(EXCLUDED) & (frame["date"] <= last_day)]
    frame = frame.sort_values(["symbol", "date"])
    now = frame[frame["date"] == last_day].set_index("symbol")
    frame = frame[frame["symbol"].isin(now.index)]
    frame["x"] = frame["adjusted_close"] * frame["adj_factor"]
    days = [sessions.shift(last_day, back) for back in range(1 - HISTORY_DAYS, 1)]
    closes = frame.pivot_table(index="date", columns="symbol", values="x").reindex(days)
    returns = closes.pct_change(fill_method=None)
    facts = now[["adjusted_close", "atr_14", "rsi_14", "adx_14", "beta", "sector"]].copy()
    facts = facts.join(_usual_volume(frame[frame["date"] <= asof], now))
    facts["atr_frac"] = facts["atr_14"] / facts["adjusted_close"]
    for name, span in (("ret_1d_frac", 1), ("ret_5d_frac", 5), ("ret_20d_frac", 20)):
        facts[name] = closes.iloc[-1] / closes.iloc[-1 - span] - 1
    facts["volatility_frac"] = returns.tail(20).std() * np.sqrt(252)
    facts["sharpe_252"] = sharpe(returns.tail(SHARPE_DAYS), risk_free=0.0)
    return _labelled(facts, forecasts, universe, asof), returns.tail(CORRELATION_DAYS)


def _usual_volume(frame: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Mean turnover in USD, and mean shares on the basis of `now`, of 20 sessions; else null."""
    frame = frame.assign(
        turnover=frame["adjusted_close"] * frame["volume"],
        shares=frame["volume"] / frame["split_factor"],
    )
    last = frame.groupby("symbol").tail(20).groupby("symbol")
    full = last["x"].count() >= 20
    shares = last["shares"].mean() * now["split_factor"]
    return pd.DataFrame(
        {"adv_20_usd": last["turnover"].mean().where(full), "adv_20": shares.where(full)}
    )


def sharpe(returns: pd.DataFrame, *, risk_free: float) -> pd.Series:
    """Yearly Sharpe ratio by column; null below 20 returns."""
    excess = returns - risk_free / 252
    ratio = excess.mean() / returns.std() * np.sqrt(252)
    return ratio.where(returns.count() >= 20)


def _labelled(
    facts: pd.DataFrame, forecasts: pa.Table, universe: pa.Table, asof: date
) -> pd.DataFrame:
    members = universe.to_pandas().drop_duplicates("symbol", keep="last").set_index("symbol")
    members = members.reindex(facts.index)
    facts["sector"] = facts["sector"].fillna(members["sector"]).replace({np.nan: None})
    facts["is_etf"] = members["is_etf"].fillna(value=False).astype(bool)
    names = members["name"].fillna("")
    facts["leveraged"] = names.str.contains(_LEVERAGED).astype(bool) & facts["is_etf"]
    facts["on_watchlist"] = members["watch"].notna()
    facts["watch"] = members["watch"]
    predicted = forecasts.to_pandas()
    predicted = predicted[(predicted["asof"] == asof) & (predicted["status"] == "ok")]
    predicted = predicted.set_index("symbol").reindex(facts.index)
    for h in HORIZONS_DAYS:
        facts[f"expected_return_{h}d"] = predicted[f"expected_return_{h}d"].astype(np.float64)
    return facts


def selected(facts: pd.DataFrame, symbols: Sequence[str]) -> pd.DataFrame:
    """Rows of the named symbols, in that order; absent ones drop out."""
    return facts.loc[[symbol for symbol in symbols if symbol in facts.index]]
