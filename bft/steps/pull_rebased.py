"""A delivery whose past is re-based at a known split, taken back to the basis of stored bars."""

from collections.abc import Sequence
from itertools import chain

import pandas as pd

from bft.domain import market
from bft.domain.symbols import Rename
from bft.features import arrivals, corporate, rebased
from bft.steps.pull_night import Night

CHANGES = ("split", "other")
"""Kinds of actions at which adjusted files divide all earlier prices by the value as entered."""
VALUES = (*arrivals.PRICES, "volume")


def unadjusted(
    night: Night,
    bars: pd.DataFrame,
    entered: pd.DataFrame | None,
    *,
    renames: Sequence[Rename],
    notes: list[str],
) -> pd.DataFrame:
    """Bars with the past as traded where a known action explains that it is re-based; told.

    Actions are those entered and those in the columns of the bars; stored ones count too, also
    after a person has taken the line out of actions.csv again. What is stored under a name of
    before one of `renames` is the new name's, of which nothing may be stored yet.
    """
    renames = [rename for rename in renames if rename.on <= night.asof]
    paid = _continued(night.stored(market.ACTIONS), "ex_date", renames)
    found = corporate.delivered_actions(bars)
    given = found if entered is None else corporate.preferred(entered, found)
    known = _known(given, paid)
    symbols = sorted(set(known["symbol"]) & set(bars["symbol"]))
    stored = _accepted(night, symbols, renames) if symbols else None
    if stored is None or stored.empty:
        return bars
    if "dividend_amount" in bars:
        stored = stored.merge(_dividends(paid), on=["symbol", "date"], how="left")
    bars, told = rebased.as_traded(bars, stored, known)
    if told:
        notes.append(f"adjusted in the file already, kept as traded: {_words(told)}")
    return bars


def _continued(rows: pd.DataFrame, day: str, renames: Sequence[Rename]) -> pd.DataFrame:
    """Stored rows under the names of now; what the new name has of a day itself wins."""
    key = ["symbol", day]
    for rename in renames:
        old = (rows["symbol"] == rename.old) & (rows[day] < pd.Timestamp(rename.on))
        if old.any():
            moved = rows[old].assign(symbol=rename.new)
            own = pd.MultiIndex.from_frame(moved[key]).isin(pd.MultiIndex.from_frame(rows[key]))
            rows = pd.concat([rows[~old], moved[~own]], ignore_index=True)
    return rows


def _known(actions: pd.DataFrame, stored: pd.DataFrame) -> pd.DataFrame:
    """Possible splits and other changes of basis, one of a symbol, day and kind.

    Of a day that is given now what is stored does not count. Days after asof do: a missed night is
    filled in with a file of a later day.
    """
    key = ["symbol", "ex_date", "kind"]
    columns = [*key, "value"]
    given = actions.drop_duplicates(columns)
    given = given[~given.duplicated(key, keep=False)][columns]
    told = stored[stored["status"].isin(["ok", "expected"])]
    stored = arrivals.newest(told, key)[columns]
    stored = stored.astype({"ex_date": given["ex_date"].dtype})
    given, stored = (each[_changes(each)] for each in (given, stored))
    days = [pd.MultiIndex.from_frame(each[["symbol", "ex_date"]]) for each in (given, stored)]
    return pd.concat([given, stored[~days[1].isin(days[0])]], ignore_index=True)


def _changes(actions: pd.DataFrame) -> pd.Series:
    changes: pd.Series = actions["kind"].isin(CHANGES) & (actions["value"] > 0)
    return changes


def _accepted(night: Night, symbols: Sequence[str], renames: Sequence[Rename]) -> pd.DataFrame:
    names = sorted({*symbols, *chain.from_iterable((r.old, r.new) for r in renames)})
    rows = night.stored(market.BARS, columns=("symbol", "date", *VALUES), symbols=names)
    rows = _continued(rows, "date", renames)
    key = ["symbol", "date"]
    return arrivals.newest(rows[rows["status"] == "ok"], key)[[*key, *VALUES]]


def _dividends(rows: pd.DataFrame) -> pd.DataFrame:
    rows = rows[(rows["kind"] == "dividend") & (rows["status"] == "ok")]
    rows = arrivals.newest(rows, ["symbol", "ex_date"])
    rows = rows.rename(columns={"ex_date": "date", "value": "dividend_amount"})
    return rows[["symbol", "date", "dividend_amount"]]


def _words(told: Sequence[str], most: int = 10) -> str:
    more = f"; and {len(told) - most} more" if len(told) > most else ""
    return "; ".join(told[:most]) + more
