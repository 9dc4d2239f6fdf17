"""Which contracts of a chain are kept."""

from datetime import date, timedelta

import pandas as pd
import pyarrow as pa
import pytest

from bft.features import chains
from bft.features.chains import chain_summary

ASOF = date(2018, 2, 7)


def chain(strikes: list[float], *, weeks: int = 1, kinds: str = "CP") -> pd.DataFrame:
    rows = [
        {
            "contract_id": f"ABC{day:%y%m%d}{kind}{round(strike * 1000):08d}",
            "symbol": "ABC",
            "date": pd.Timestamp(ASOF),
            "type": {"C": "call", "P": "put"}[kind],
            "expiration": pd.Timestamp(day),
            "strike": strike,
            "bid": 1.0,
            "ask": 1.1,
            "volume": 10.0,
        }
        for week in reversed(range(weeks))
        for day in [ASOF + timedelta(days=2 + 7 * week)]
        for strike in strikes
        for kind in kinds
    ]
    return pd.DataFrame(rows)


def nearest_contracts(rows: pd.DataFrame, *, close_usd: float, asof: date) -> pd.DataFrame:
    table = pa.Table.from_pandas(rows, preserve_index=False)
    days = {name: table[name].cast(pa.date32()) for name in ("date", "expiration")}
    for name, column in days.items():
        table = table.set_column(table.column_names.index(name), name, column)
    kept = chains.nearest_contracts(table, close_usd=close_usd, asof=asof)
    return kept.to_pandas(date_as_object=False)


def test_twenty_one_strikes_around_the_close_of_ten_expirations() -> None:
    kept = nearest_contracts(
        chain([float(k) for k in range(80, 121)], weeks=12), close_usd=100.2, asof=ASOF
    )
    assert kept["expiration"].nunique() == 10
    assert kept["expiration"].max() == pd.Timestamp(ASOF + timedelta(days=2 + 63))
    assert sorted(kept["strike"].unique()) == [float(k) for k in range(90, 111)]
    assert len(kept) == 10 * 21 * 2


def test_tie_takes_the_lower_strike() -> None:
    strikes = [float(k) for k in range(80, 121)]
    kept = nearest_contracts(chain(strikes), close_usd=100.5, asof=ASOF)
    assert (kept["strike"].min(), kept["strike"].max()) == (90.0, 110.0)


def test_each_expiration_counts_its_own_strikes() -> None:
    near, far = chain([95.0, 100.0, 105.0]), chain([100.0, 150.0], weeks=2)
    far = far[far["expiration"] > near["expiration"].max()]
    kept = nearest_contracts(pd.concat([far, near]), close_usd=100, asof=ASOF)
    assert len(kept) == 6 + 4


@pytest.mark.parametrize(
    "change",
    [
        {"contract_id": "ABC"},
        {"bid": 1.2},
        {"strike": 0.0},
        {"expiration": pd.Timestamp("2018-02-06")},
        {"type": "straddle"},
    ],
)
def test_row_that_is_no_contract_is_left_out(change: dict[str, object]) -> None:
    rows = chain([100.0, 101.0], kinds="C")
    odd = rows.iloc[:1].assign(**change)
    kept = nearest_contracts(pd.concat([odd, rows.iloc[1:]]), close_usd=100, asof=ASOF)
    assert kept["strike"].tolist() == [101.0]


def test_contract_expiring_today_is_kept() -> None:
    rows = chain([100.0], kinds="C").assign(expiration=pd.Timestamp(ASOF))
    assert len(nearest_contracts(rows, close_usd=100, asof=ASOF)) == 1


def test_volumes_are_summed_by_type_and_unknown_ones_stay_unknown() -> None:
    rows = chain([100.0, 101.0])
    rows.loc[rows["type"] == "put", "volume"] = float("nan")
    summed = chain_summary(rows).iloc[0]
    assert summed["call_volume"] == 20
    assert pd.isna(summed["put_volume"])
    assert summed["total_volume"] == 20
    assert summed["contracts"] == 4
