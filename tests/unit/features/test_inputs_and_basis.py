"""Model inputs by hand, reading at asof, targets, the trend table, the naive rules."""

from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from markets import LAST, column, flat, raw, tables, walk

from bft.domain import sessions
from bft.domain.errors import DataError
from bft.domain.gold import COLUMNS, FLAGS, INPUTS
from bft.features.basis import rebase, with_targets
from bft.features.build import build_gold
from bft.features.inputs import model_inputs
from bft.features.legacy import naive
from bft.features.targets import build_targets
from bft.features.trend import trend_features

NAN = np.nan


def read(gold: pa.Table, name: str, **more: pa.Table) -> np.ndarray:
    return model_inputs(gold, **more)[:, INPUTS.index(name)]


def test_inputs_are_52_floats_per_row() -> None:
    found = model_inputs(build_gold(tables(bars=walk("A", 70))))
    assert found.shape == (70, 52)
    assert found.dtype == np.float32


def test_price_inputs_by_hand() -> None:
    closes = [100, 110, 99, 198, 100, 100, 100, 50, 100, 100, 100]
    made = build_gold(tables(bars=flat(closes)))
    assert read(made, "close_1d_roc")[:5].tolist() == pytest.approx(
        [NAN, 0.1, -0.1, 0.5, -98 / 198], nan_ok=True
    )
    assert read(made, "close_3d_roc")[3] == pytest.approx(0.5)  # 0.98, clipped
    assert read(made, "close_10d_roc").tolist()[9:] == pytest.approx([NAN, 0.0], nan_ok=True)
    assert read(made, "adjusted_close_pct")[3] == 50
    sd = np.std([0.1, -0.1, 0.5, -98 / 198, 0.0], ddof=1)
    assert read(made, "close_5d_vol")[5] == pytest.approx(sd, rel=1e-5)
    assert np.isnan(read(made, "close_5d_vol")[4])


def test_volume_inputs_are_logs_of_split_adjusted_means() -> None:
    rows = flat([10.0] * 70)
    for row in rows[-3:]:
        row["volume"] = 4000
    rows[-5]["volume"] = 0
    found = read(build_gold(tables(bars=rows)), "vol_3d_mean")
    usual = (56 * 1000 + 3 * 4000) / 59  # 60 rows, one of them without volume
    assert found[-1] == pytest.approx(np.log(4000 / usual), rel=1e-5)
    assert np.isnan(found[:59]).all()
    assert np.isnan(found[-5])
    split = {"symbol": "A", "ex_date": rows[-3]["date"], "kind": "split", "value": 4.0}
    quiet = read(build_gold(tables(bars=rows, actions=[split])), "vol_3d_mean")
    assert quiet[-1] == pytest.approx(0, abs=1e-6)


def test_payroll_is_the_change_over_twelve_reference_months_as_known() -> None:
    def month(year: int, m: int, value: float, back: int, revision: int = 0) -> dict:
        at = sessions.close_at(sessions.shift(LAST, -back))
        key = {"series": "nonfarm_payroll", "reference_on": date(year, m, 1), "revision": revision}
        return {**key, "value": value, "known_at": at}

    rows = [month(2016, 12, 100.0, 9), month(2017, 12, 103.0, 2), month(2016, 12, 101.0, 0, 1)]
    macro = raw("macro", rows)
    made = build_gold(tables(bars=flat([10] * 5), macro=rows))
    found = read(made, "nonfarm_payroll", macro=macro)
    assert found.tolist() == pytest.approx([NAN, NAN, 3, 3, 100 * (103 / 101 - 1)], nan_ok=True)
    assert np.isnan(read(made, "nonfarm_payroll")).all()
    assert column(made, "nonfarm_payroll").tolist() == [100, 100, 103, 103, 103]


def test_inputs_refuse_targets_and_rescaled_rows() -> None:
    made = build_gold(tables(bars=flat([10] * 40)))
    targets = build_targets(tables(bars=flat([10] * 40))).table()
    with pytest.raises(DataError, match="future_3_day_pct"):
        model_inputs(with_targets(made, targets))
    with pytest.raises(DataError, match="basis of 2018-02-07"):
        model_inputs(rebase(made, asof=LAST))
    with pytest.raises(DataError, match="basis of"):
        rebase(rebase(made, asof=LAST), asof=LAST)


def test_reading_at_asof_back_adjusts_for_what_is_known_then() -> None:
    rows = flat([100, 100, 50, 50, 48])
    day = [row["date"] for row in rows]
    actions = [
        {"symbol": "A", "ex_date": day[2], "kind": "split", "value": 2.0},
        {"symbol": "A", "ex_date": day[4], "kind": "dividend", "value": 2.0},
    ]
    made = build_gold(tables(bars=rows, actions=actions))
    assert column(rebase(made, asof=day[1]), "adjusted_close").tolist() == [100, 100]
    assert column(rebase(made, asof=day[3]), "adjusted_close").tolist() == [50, 50, 50, 50]
    last = column(rebase(made, asof=day[4]), "adjusted_close")
    assert last == pytest.approx([48, 48, 48, 48, 48])
    assert column(rebase(made, asof=day[3]), "open").tolist() == [100, 100, 50, 50]  # as traded
    chosen = made.select(["symbol", "date", "adjusted_low", "adj_factor", "split_factor"])
    assert column(rebase(chosen, asof=day[3]), "adjusted_low").tolist() == [50] * 4


def test_targets_count_sessions_and_are_known_at_the_last_of_them() -> None:
    rows = flat([100, 101, 102, 103, 104, 105])
    del rows[4]
    made = build_targets(tables(bars=rows))
    found = made.table().to_pylist()
    assert [(row["date"], row["horizon"]) for row in found] == [
        (rows[0]["date"], 3),
        (LAST_MINUS_3, 3),
    ]
    assert found[0]["value"] == pytest.approx(3.0)
    assert found[1]["value"] == pytest.approx(100 * (105 / 102 - 1))
    assert made.known.astype("datetime64[D]").tolist() == [rows[3]["date"], LAST]


LAST_MINUS_3 = sessions.shift(LAST, -3)


def test_targets_follow_the_forward_series() -> None:
    rows = flat([100, 100, 100, 50])
    split = {"symbol": "A", "ex_date": rows[3]["date"], "kind": "split", "value": 2.0}
    made = build_targets(tables(bars=rows, actions=[split]))
    assert made.value.tolist() == [0.0]


def test_trend_table_by_hand() -> None:
    rows = flat([10.0] * 60)
    rows[-1]["volume"] = 3000
    made = trend_features(build_gold(tables(bars=rows)))
    last = made.slice(59).to_pylist()[0]
    assert last["ema_20"] == last["ema_50"] == 10
    assert last["ema_20_slope"] == last["trend_strength"] == 0
    volumes = np.r_[np.full(19, 1000), 3000]
    assert last["vol_z"] == pytest.approx((3000 - volumes.mean()) / volumes.std(ddof=1))


def naive_gold(**facts: list) -> pa.Table:
    known = tables(**facts)
    gold = with_targets(rebase(build_gold(known), asof=LAST), build_targets(known).table())
    return naive(gold, known)


def test_naive_rules_are_those_of_older_exports() -> None:
    rows = flat([100] * 30 + [50] * 10)
    split = {"symbol": "A", "ex_date": rows[30]["date"], "kind": "split", "value": 2.0}
    quarter = date(2017, 12, 31)  # a Sunday: back to Friday 29
    known_late = sessions.close_at(LAST)
    facts = {
        "bars": rows,
        "actions": [split],
        "earnings": [
            {
                "symbol": "A",
                "fiscal_date_ending": quarter,
                "estimated_eps": 2.0,
                "reported_eps": 1.0,
                "known_at": known_late,
            }
        ],
        "fundamentals": [{"symbol": "A", "arrived_on": LAST, "forward_pe": 12.0, "beta": 1.25}],
        "macro": [
            {
                "series": "ffer",
                "reference_on": rows[3]["date"],
                "value": 1.5,
                "known_at": sessions.close_at(rows[4]["date"]),
            }
        ],
    }
    made = naive_gold(**facts)
    assert made.schema.names[:96] == [c.name for c in COLUMNS]
    assert column(made, "adjusted_close_pct")[30] == pytest.approx(
        -0.5
    )  # a fraction, split and all
    assert column(made, "adjusted_open")[0] == 50
    assert column(made, "forward_pe").tolist() == [12.0] * 40
    assert column(made, "atr_signal")[-1] == -1
    eps = column(made, "reported_eps")
    first = next(i for i, row in enumerate(rows) if row["date"] >= date(2017, 12, 29))
    assert np.isnan(eps[first - 1])
    assert eps[first] == 1
    assert column(made, "ffer").tolist() == pytest.approx([NAN] * 3 + [1.5] * 37, nan_ok=True)
    assert column(made, "bull_bear_delta")[-1] == sum(column(made, name)[-1] for name in FLAGS)
    assert column(made, "future_3_day_pct")[0] == 0
