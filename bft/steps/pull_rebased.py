"""A delivery whose past is re-based at a known split, taken back to the basis of stored bars."""

from collections.abc import Sequence

import pandas as pd

from bft.domain import market
from bft.features import arrivals, corporate, rebased
from bft.steps.pull_night import Night

CHANGES = ("split", "other")
"""Kinds of actions at which adjusted files divide all earlier prices by the value as entered."""
VALUES = (*arrivals.PRICES, "volume")


def unadjusted(
    night: Night, bars: pd.DataFrame, entered: pd.DataFrame | None, notes: list[str]
) -> pd.DataFrame:
    """Bars with the past as traded where a known action explains that it is re-based; told.

    Actions are those entered and those in the columns of the bars; stored ones count too, also
    after a person has taken the line out of actions.csv again.
    """
    found = corporate.delivered_actions(bars)
    known = _known(night, found if entered is None else corporate.preferred(entered, found))
    symbols = sorted(set(known["symbol"]) & set(bars["symbol"]))
    stored = _accepted(night, symbols) if symbols else None
    if stored is None or stored.empty:
        return bars
    if "dividend_amount" in bars:
        stored = stored.merge(_dividends(night), on=["symbol", "date"], how="left")
    bars, told = rebased.as_traded(bars, stored, known)
    if told:
        notes.append(f"adjusted in the file already, kept as traded: {_words(told)}")
    return bars


def _known(night: Night, actions: pd.DataFrame) -> pd.DataFrame:
    """Possible splits and other changes of basis, one of a symbol and day.

    Those after asof too: a missed night is filled in with a file of a later day.
    """
    stored = night.stored(market.ACTIONS)
    key = ["symbol", "ex_date", "kind"]
    columns = [*key, "value"]
    given = actions.drop_duplicates(columns)
    given = given[~given.duplicated(key, keep=False)][columns]
    told = stored[stored["status"].isin(["ok", "expected"])]
    stored = arrivals.newest(told, key)[columns]
    known = pd.concat([given, stored.astype({"ex_date": given["ex_date"].dtype})])
    known = known[known["kind"].isin(CHANGES) & (known["value"] > 0)]
    return known.drop_duplicates(["symbol", "ex_date"])


def _accepted(night: Night, symbols: Sequence[str]) -> pd.DataFrame:
    rows = night.stored(market.BARS, columns=("symbol", "date", *VALUES), symbols=symbols)
    key = ["symbol", "date"]
    return arrivals.newest(rows[rows["status"] == "ok"], key)[[*key, *VALUES]]


def _dividends(night: Night) -> pd.DataFrame:
    rows = night.stored(market.ACTIONS)
    rows = rows[(rows["kind"] == "dividend") & (rows["status"] == "ok")]
    rows = arrivals.newest(rows, ["symbol", "ex_date"])
    rows = rows.rename(columns={"ex_date": "date", "value": "dividend_amount"})
    return rows[["symbol", "date", "dividend_amount"]]


def _words(told: Sequence[str], most: int = 10) -> str:
    more = f"; and {len(told) - most} more" if len(told) > most else ""
    return "; ".join(told[:most]) + more
