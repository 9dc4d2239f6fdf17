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
from bft.domain.symbols import newest_entries
from bft.strategies.view import MODEL_AGE_MAX_DAYS

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
_BONDS = r"(?:term|duration|maturity|bonds?|income|muni\w*|government|fixed|credit|corporate|cash)"
_LEVERAGED = re.compile(
    rf"""
    (?<![\w.]) \d (?:\.\d+)? x \b                     # Bull 3X, 1.5x Long, -1x Short
    | \b (?: leveraged? (?! \s+ loans? \b ) | inverse | bull | bear ) \b
    | \b ultrapro \b
    | \b proshares \s+ ultra                          # UltraShort 20+ Year Treasury
    | \b proshares \s+ short \b (?! [\s-]+ {_BONDS} )   # Short QQQ: once inverse
    | \b ultra \b (?! [\s-]+ (?: short | buffer | low ) \b )
    | \b ultra [\s-]? short \b (?! .* \b {_BONDS} \b )  # not the bonds that fall due soon
    | \b short \b .* \b daily \b                       # Short Innovation Daily
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""Names of funds that move by a multiple of what they follow, or against it.

They are those of the issuers' own lists (ProShares, Direxion, GraniteShares, MicroSectors).
"""


def symbol_facts(
    gold: pa.Table,
    forecasts: pa.Table,
    universe: pa.Table,
    *,
    asof: date,
    today: pa.Table | None = None,
    risk_free: float = 0.0,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Facts by symbol with a row at `asof`, and daily returns (days, symbols) of 60 sessions.

    Returns are fractions of the forward series (splits and dividends in). Volumes are on the
    share basis of the last row, means of the 20 sessions up to asof. Context funds are left out.
    With provisional rows `today`, prices and returns are those of the running session. `risk_free`
    is a yearly rate, a fraction.
    """
    last_day = asof if today is None else sessions.shift(asof, 1)
    frame, now = _frames([gold] if today is None else [gold, today], last_day)
    days = pd.DatetimeIndex([sessions.shift(last_day, n) for n in range(1 - HISTORY_DAYS, 1)])
    closes = _panel(frame, days, now.index)
    returns = closes.pct_change(fill_method=None)
    facts = now[["adjusted_close", "atr_14", "rsi_14", "adx_14", "beta", "sector"]].copy()
    facts = facts.join(_usual_volume(frame[frame["date"] <= pd.Timestamp(asof)], now))
    facts["atr_frac"] = facts["atr_14"] / facts["adjusted_close"]
    for name, span in (("ret_1d_frac", 1), ("ret_5d_frac", 5), ("ret_20d_frac", 20)):
        facts[name] = closes.iloc[-1] / closes.iloc[-1 - span] - 1
    facts["volatility_frac"] = returns.tail(20).std() * np.sqrt(252)
    facts["sharpe_252"] = sharpe(returns.tail(SHARPE_DAYS), risk_free=risk_free)
    return _labelled(facts, forecasts, universe, asof), returns.tail(CORRELATION_DAYS)


def _frames(tables: Sequence[pa.Table], last_day: date) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows of symbols that have one on the last day, in order, and those of that day by symbol."""
    parts = [rows.select(list(GOLD_COLUMNS)).to_pandas(date_as_object=False) for rows in tables]
    frame, last = pd.concat(parts), pd.Timestamp(last_day)
    now = frame[(frame["date"] == last) & ~frame["symbol"].isin(EXCLUDED)].set_index("symbol")
    now = now.sort_index()
    frame = frame[frame["symbol"].isin(now.index) & (frame["date"] <= last)]
    place = now.index.get_indexer(frame["symbol"])
    order = np.lexsort([frame["date"].to_numpy(), place])
    frame = frame.iloc[order].assign(place=place[order])
    return frame.assign(x=frame["adjusted_close"] * frame["adj_factor"]), now


def _panel(frame: pd.DataFrame, days: pd.DatetimeIndex, symbols: pd.Index) -> pd.DataFrame:
    """Forward closes by day and symbol."""
    row = days.get_indexer(frame["date"])
    values = np.full((len(days), len(symbols)), np.nan)
    inside = row >= 0
    values[row[inside], frame["place"].to_numpy()[inside]] = frame["x"].to_numpy()[inside]
    return pd.DataFrame(values, index=days, columns=symbols)


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
    members = _members(universe).reindex(facts.index)
    facts["sector"] = facts["sector"].astype("object").replace({np.nan: None})
    facts["is_etf"] = members["is_etf"].fillna(value=False).astype(bool)
    names = members["name"].fillna("")
    facts["leveraged"] = names.str.contains(_LEVERAGED).astype(bool) & facts["is_etf"]
    facts["on_watchlist"] = members["watch"].notna()
    facts["watch"] = members["watch"]
    predicted = forecasts.to_pandas()
    usable = (predicted["status"] == "ok") & ~(predicted["model_age_days_max"] > MODEL_AGE_MAX_DAYS)
    predicted = predicted[(predicted["asof"] == asof) & usable]
    predicted = predicted.set_index("symbol").reindex(facts.index)
    for h in HORIZONS_DAYS:
        facts[f"expected_return_{h}d"] = predicted[f"expected_return_{h}d"].astype(np.float64)
    return facts


def _members(universe: pa.Table) -> pd.DataFrame:
    """What the last entry of each symbol says now; one that only marks a rename's day is none."""
    columns = ["symbol", "from", "to", "revision", "name", "is_etf", "watch"]
    found = newest_entries(universe.select(columns).to_pylist())
    entries = [entry for entry in found if entry["from"] is None or entry["from"] != entry["to"]]
    entries.sort(key=lambda entry: entry["from"] or date.min)
    members = pd.DataFrame(entries, columns=columns).astype({"watch": "float64"})
    return members.drop_duplicates("symbol", keep="last").set_index("symbol")


def selected(facts: pd.DataFrame, symbols: Sequence[str]) -> pd.DataFrame:
    """Rows of the named symbols, in that order; absent ones drop out."""
    return facts.loc[[symbol for symbol in symbols if symbol in facts.index]]
