"""Which contracts of an option chain are kept (data specification, 1.6)."""

from datetime import date

import numpy as np
import pandas as pd

EXPIRATIONS, STRIKES_EACH_SIDE = 10, 10
OCC_ID = r"[A-Z]{1,6}\d?\d{6}[CP]\d{8}"
"""Option symbol of the Options Clearing Corporation: root, yymmdd, C or P, strike in 1/1000 USD."""


def nearest_contracts(chain: pd.DataFrame, *, close_usd: float, asof: date) -> pd.DataFrame:
    """Calls and puts around the money: the 10 nearest expirations, 21 strikes each.

    Per expiration the strike nearest the as-traded close (a tie takes the lower), 10 below it and
    10 above. Rows without a valid id, with bid > ask, strike <= 0 or expired are none.
    """
    chain = chain[_valid(chain, asof)].drop_duplicates("contract_id")
    nearest = sorted(chain["expiration"].unique())[:EXPIRATIONS]
    chain = chain[chain["expiration"].isin(nearest)]
    strikes = chain[["expiration", "strike"]].drop_duplicates()
    strikes = strikes.sort_values(["expiration", "strike"], ignore_index=True)
    strikes["gap"] = (strikes["strike"] - close_usd).abs()
    strikes["place"] = strikes.groupby("expiration").cumcount()
    at_the_money = strikes.loc[strikes.groupby("expiration")["gap"].idxmin()]
    centre = strikes["expiration"].map(at_the_money.set_index("expiration")["place"])
    kept = strikes[(strikes["place"] - centre).abs() <= STRIKES_EACH_SIDE]
    return chain.merge(kept[["expiration", "strike"]], on=["expiration", "strike"])


def chain_summary(kept: pd.DataFrame) -> pd.DataFrame:
    """Volumes by type and contract count, one row per symbol and day; unknown volumes are null."""
    sums = kept.pivot_table(
        index=["symbol", "date"],
        columns="type",
        values="volume",
        aggfunc=lambda volumes: volumes.sum(min_count=1),
        dropna=False,
    ).reindex(columns=["call", "put"])
    contracts = kept.groupby(["symbol", "date"]).size().rename("contracts")
    made = sums.rename(columns={"call": "call_volume", "put": "put_volume"})
    total = made.sum(axis=1, min_count=1).rename("total_volume")
    return pd.concat([made, total, contracts], axis=1).reset_index()


def _valid(chain: pd.DataFrame, asof: date) -> pd.Series:
    crossed = (chain["bid"] > chain["ask"]).to_numpy(dtype=bool)
    good = chain["contract_id"].str.fullmatch(OCC_ID).fillna(value=False).astype(bool)
    good &= chain["type"].isin(["call", "put"])
    good &= (chain["strike"] > 0) & (chain["expiration"] >= np.datetime64(asof))
    return good & ~crossed
