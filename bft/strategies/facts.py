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
    risk_free: float = 0.0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Facts by symbol with a row at `asof`, and daily returns (days, symbols) of 60 sessions.

    Returns are fractions of the forward series (splits and dividends in). Volumes are on the
    share basis of `asof`. Context funds are left out. `risk_free` is a yearly rate, a fraction.
    """
    frame = gold.select(list(GOLD_COLUMNS)).to_pandas()
    frame = frame[~frame["symbol"].isin(EXCLUDED) & (frame["date"] <= asof)]
    frame = frame.sort_values(["symbol", "date"])
    now = frame[frame["date"] == asof].set_index("symbol")
    frame["x"] = frame["adjusted_close"] * frame["adj_factor"]
    frame["turnover"] = frame["adjusted_close"] * frame["volume"]
    frame["shares"] = frame["volume"] / frame["split_factor"]
    frame = frame[frame["symbol"].isin(now.index)]
    days = [sessions.shift(asof, back) for back in range(1 - HISTORY_DAYS, 1)]
    closes = frame.pivot_table(index="date", columns="symbol", values="x").reindex(days)
    returns = closes.pct_change(fill_method=None)
    facts = now[["adjusted_close", "atr_14", "rsi_14", "adx_14", "beta", "sector"]].copy()
    last = frame.groupby("symbol").tail(20).groupby("symbol")
    full = last["x"].count() >= 20
    facts["adv_20_usd"] = last["turnover"].mean().where(full)
    facts["adv_20"] = (last["shares"].mean() * now["split_factor"]).where(full)
    facts["atr_frac"] = facts["atr_14"] / facts["adjusted_close"]
    for name, span in (("ret_1d_frac", 1), ("ret_5d_frac", 5), ("ret_20d_frac", 20)):
        facts[name] = closes.iloc[-1] / closes.iloc[-1 - span] - 1
    facts["volatility_frac"] = returns.tail(20).std() * np.sqrt(252)
    facts["sharpe_252"] = sharpe(returns.tail(SHARPE_DAYS), risk_free=risk_free)
    return _labelled(facts, forecasts, universe, asof), returns.tail(CORRELATION_DAYS)


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
    facts["sector"] = facts["sector"].astype("object").replace({np.nan: None})
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
