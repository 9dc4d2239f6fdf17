"""Which contracts of an option chain are kept (data specification, 1.6)."""

from datetime import date
from functools import reduce

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

EXPIRATIONS, STRIKES_EACH_SIDE = 10, 10
OCC_ID = r"^[A-Z]{1,6}\d?\d{6}[CP]\d{8}$"
"""Option symbol of the Options Clearing Corporation: root, yymmdd, C or P, strike in 1/1000 USD."""


def nearest_contracts(chain: pa.Table, *, close_usd: float, asof: date) -> pa.Table:
    """Calls and puts around the money: the 10 nearest expirations, 21 strikes each.

    Per expiration the strike nearest the as-traded close (a tie takes the lower), 10 below it and
    10 above. Rows without a valid id, with bid > ask, strike <= 0 or expired are none.
    """
    chain = chain.combine_chunks()
    rows = np.flatnonzero(_valid(chain, asof))
    expiration = chain["expiration"].cast(pa.int32()).to_numpy()[rows]
    strike = chain["strike"].to_numpy()[rows]
    kept = np.zeros(len(rows), dtype=bool)
    for day in np.unique(expiration)[:EXPIRATIONS]:
        same = expiration == day
        strikes = np.unique(strike[same])
        centre = int(np.abs(strikes - close_usd).argmin())
        near = strikes[max(0, centre - STRIKES_EACH_SIDE) : centre + STRIKES_EACH_SIDE + 1]
        kept |= same & np.isin(strike, near)
    found = chain.take(rows[kept])
    _, first = np.unique(found["contract_id"].to_numpy(), return_index=True)
    return found.take(np.sort(first))


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


def _valid(chain: pa.Table, asof: date) -> npt.NDArray[np.bool_]:
    tests = (
        pc.match_substring_regex(chain["contract_id"], OCC_ID),
        pc.is_in(chain["type"], pa.array(["call", "put"])),
        pc.greater(chain["strike"], 0),
        pc.greater_equal(chain["expiration"], pa.scalar(asof)),
    )
    good = reduce(pc.and_, (pc.fill_null(test, fill_value=False) for test in tests))
    crossed = pc.fill_null(pc.greater(chain["bid"], chain["ask"]), fill_value=False)
    found: npt.NDArray[np.bool_] = pc.and_not(good, crossed).to_numpy()
    return found
