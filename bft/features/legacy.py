"""Gold by the naive rules of older exports, for comparing migrations only (data spec., 3.4)."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pyarrow as pa

from bft.domain.gold import ATR_BAND, FLAGS, PE_CHEAP, PE_DEAR
from bft.domain.market import MACRO_SERIES
from bft.features.facts import Tables

FRACTIONS = {
    "adjusted_close_pct": "close",
    "volume_pct": "volume",
    "open_pct": "open",
    "high_pct": "high",
    "low_pct": "low",
}
SNAPSHOT = (
    *("market_capitalization", "book_value", "dividend_yield", "eps", "price_to_book_ratio"),
    *("beta", "shares_outstanding", "52_week_high", "52_week_low", "forward_pe"),
    *(f"analyst_rating_{word}" for word in ("strong_buy", "buy", "hold", "sell", "strong_sell")),
)
TWO_DECIMALS = (
    *("ttm_eps", "pcr", "sma_20_pct", "sma_50_pct", "sma_200_pct"),
    *("52_week_high_pct", "52_week_low_pct"),
)


def naive(gold: pa.Table, tables: Tables) -> pa.Table:
    """The same rows with the naive values; `gold` is read at asof, targets joined.

    Fractions of unadjusted prices in 59-63, splits alone in 83-85, today's snapshot on every row,
    reports from their quarter end, macro by equal date: it looks ahead, so nothing trains on it.
    """
    frame = gold.to_pandas(date_as_object=False)
    frame["close"] = frame["adjusted_close"] * _last(frame, "adj_factor") / frame["adj_factor"]
    for name, source in FRACTIONS.items():
        frame[name] = frame.groupby("symbol")[source].pct_change(fill_method=None)
    scale = frame["split_factor"] / _last(frame, "split_factor")
    for name in ("open", "high", "low"):
        frame[f"adjusted_{name}"] = frame[name] * scale
    for columns in (_snapshot(frame, tables), _reports(frame, tables), _macro(frame, tables)):
        frame = frame.assign(**columns)
    price = frame["adjusted_close"]
    frame["pe_ratio"] = price / frame["ttm_eps"].replace(0, np.nan)
    for side in ("high", "low"):
        level = frame[f"52_week_{side}"]
        frame[f"52_week_{side}_pct"] = 100 * (price - level) / level
    frame[list(TWO_DECIMALS)] = frame[list(TWO_DECIMALS)].round(2)
    return _table(_flagged(frame), gold.schema)


def _last(frame: pd.DataFrame, name: str) -> pd.Series:
    return frame.groupby("symbol")[name].transform("last")


def _snapshot(frame: pd.DataFrame, tables: Tables) -> Mapping[str, pd.Series]:
    rows = tables["fundamentals"].to_pandas().drop_duplicates("symbol", keep="last")
    rows = rows.set_index("symbol")
    return {name: frame["symbol"].map(rows[name]).astype("float64") for name in SNAPSHOT}


def _reports(frame: pd.DataFrame, tables: Tables) -> Mapping[str, pd.Series]:
    """The report of the newest quarter that has ended, known or not, estimates where none."""
    reports = tables["earnings"].to_pandas(date_as_object=False)
    reports = reports.sort_values(["symbol", "fiscal_date_ending", "revision"])
    reports = reports.drop_duplicates(["symbol", "fiscal_date_ending"], keep="last")
    filled = reports["reported_eps"].fillna(reports["estimated_eps"])
    sums = filled.groupby(reports["symbol"]).rolling(4).sum()
    reports["ttm_eps"] = sums.reset_index(level=0, drop=True)
    ended = reports["fiscal_date_ending"].astype("datetime64[s]")
    late = (ended.dt.day_of_week - 4).clip(lower=0)
    reports["date"] = ended - pd.to_timedelta(late, unit="D")
    names = ["fiscal_date_ending", "reported_eps", "estimated_eps", "ttm_eps", "surprise"]
    names += ["surprise_percentage"]
    left = frame[["symbol", "date"]].astype({"date": "datetime64[s]"}).reset_index()
    right = reports[["symbol", "date", *names]].astype({"symbol": "str", "date": "datetime64[s]"})
    joined = pd.merge_asof(
        left.astype({"symbol": "str"}).sort_values("date", kind="stable"),
        right.sort_values("date", kind="stable"),
        on="date",
        by="symbol",
    )
    joined = joined.set_index("index").sort_index()
    return {name: joined[name] for name in names}


def _macro(frame: pd.DataFrame, tables: Tables) -> Mapping[str, pd.Series]:
    """Values on rows of their reference day alone, then filled forward."""
    rows = tables["macro"].to_pandas(date_as_object=False)
    rows = rows.sort_values("revision").drop_duplicates(["series", "reference_on"], keep="last")
    found = {}
    for name in MACRO_SERIES:
        values = rows[rows["series"] == name].set_index("reference_on")["value"]
        equal = frame["date"].map(values).astype("float64")
        found[name] = equal.groupby(frame["symbol"]).ffill()
    return found


def _flagged(frame: pd.DataFrame) -> pd.DataFrame:
    band, pe = ATR_BAND * frame["atr_14"], frame["pe_ratio"]
    price = frame["adjusted_close"]
    atr = (price < band).astype("int8") - (price > band).astype("int8")
    ratio = ((pe > 0) & (pe < PE_CHEAP)).astype("int8") - (pe > PE_DEAR).astype("int8")
    frame = frame.assign(atr_signal=atr, pe_ratio_signal=ratio)
    return frame.assign(bull_bear_delta=frame[list(FLAGS)].sum(axis=1))


def _table(frame: pd.DataFrame, schema: pa.Schema) -> pa.Table:
    columns = []
    for field in schema:
        column = pa.array(frame[field.name], from_pandas=True)
        if isinstance(column, pa.ChunkedArray):
            column = column.combine_chunks()
        columns.append(column.cast(field.type, safe=False))
    return pa.Table.from_arrays(columns, schema=schema.remove_metadata())
