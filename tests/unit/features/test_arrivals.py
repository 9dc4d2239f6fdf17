"""What a delivery adds to a stored table."""

import pandas as pd
import pytest

from bft.features.arrivals import arrivals, chained, numbered, price_judge, snapshots, volume_flags

PRICES = ["open", "high", "low", "close", "volume"]
KEY = ["symbol", "date"]


def bars(*rows: tuple[str, str, float, float]) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=["symbol", "date", "close", "volume"])
    made["date"] = pd.to_datetime(made["date"]).astype("datetime64[ms]")
    return made.assign(**dict.fromkeys(("open", "high", "low"), made["close"]))


def stored(rows: pd.DataFrame, revision: int = 0, status: str = "ok") -> pd.DataFrame:
    return rows.assign(revision=revision, status=status)


def actions(*rows: tuple[str, str, str]) -> pd.DataFrame:
    made = pd.DataFrame(rows, columns=["symbol", "ex_date", "kind"]).assign(status="ok")
    made["ex_date"] = pd.to_datetime(made["ex_date"])
    return made


A2, A3 = ("A", "2018-01-02", 10.0, 100.0), ("A", "2018-01-03", 11.0, 110.0)


def test_first_delivery_is_all_new() -> None:
    found = arrivals(stored(bars(A2)).iloc[:0], bars(A3, A2), key=KEY, values=PRICES)
    assert found.change.tolist() == ["new", "new"]
    assert found.rows["date"].is_monotonic_increasing
    assert found.rows["revision"].tolist() == [0, 0]


def test_equal_row_is_nothing_and_a_late_middle_day_is_new() -> None:
    late = ("A", "2018-01-03", 10.5, 105.0)
    before = stored(bars(A2, ("A", "2018-01-04", 12.0, 120.0)))
    found = arrivals(before, bars(A2, late), key=KEY, values=PRICES)
    assert found.equal == 1
    assert found.rows["close"].tolist() == [10.5]


def test_null_equals_null_and_differs_from_a_number() -> None:
    before = stored(bars(("A", "2018-01-02", 10.0, float("nan"))))
    same = arrivals(before, bars(("A", "2018-01-02", 10.0, float("nan"))), key=KEY, values=PRICES)
    other = arrivals(before, bars(("A", "2018-01-02", 10.0, 5.0)), key=KEY, values=PRICES)
    assert (same.equal, len(other.rows)) == (1, 1)


@pytest.mark.parametrize(("close", "status"), [(10.1, "ok"), (10.11, "refused"), (5.0, "refused")])
def test_price_change_beyond_one_percent_is_refused(close: float, status: str) -> None:
    judge = price_judge(actions())
    revised = bars(("A", "2018-01-02", close, 100.0))
    found = arrivals(stored(bars(A2)), revised, key=KEY, values=PRICES, judge=judge)
    assert found.rows["status"].tolist() == [status]
    assert found.rows["revision"].tolist() == [1]


def test_action_beside_the_day_explains_a_large_change() -> None:
    judge = price_judge(actions(("A", "2018-01-03", "split")))
    revised = bars(("A", "2018-01-02", 5.0, 100.0), ("A", "2018-01-05", 5.0, 100.0))
    before = stored(bars(A2, ("A", "2018-01-05", 10.0, 100.0)))
    found = arrivals(before, revised, key=KEY, values=PRICES, judge=judge)
    assert found.rows["status"].tolist() == ["ok", "refused"]


def test_refused_revision_is_stored_once_and_its_reversal_is_equal() -> None:
    judge = price_judge(actions())
    wrong = bars(("A", "2018-01-02", 5.0, 100.0))
    history = pd.concat([stored(bars(A2)), stored(wrong, 1, "refused")])
    again = arrivals(history, wrong, key=KEY, values=PRICES, judge=judge)
    back = arrivals(history, bars(A2), key=KEY, values=PRICES, judge=judge)
    assert (again.equal, back.equal) == (1, 1)


def test_accepted_revision_counts_on_from_the_newest_one() -> None:
    history = pd.concat([stored(bars(A2)), stored(bars(A2), 4, "refused")])
    found = arrivals(
        history, bars(("A", "2018-01-02", 10.05, 100.0)), key=KEY, values=PRICES,
        judge=price_judge(actions()),
    )  # fmt: skip
    assert found.rows["revision"].tolist() == [5]


def test_volume_change_beyond_half_is_flagged() -> None:
    revised = bars(("A", "2018-01-02", 10.0, 151.0), ("A", "2018-01-03", 11.0, 160.0))
    assert volume_flags(revised, stored(bars(A2, A3)))["date"].dt.day.tolist() == [2]


def test_status_change_of_an_action_is_a_revision() -> None:
    before = stored(bars(A2), 0, "refused")
    found = arrivals(before, bars(A2).assign(status="ok"), key=KEY, values=PRICES)
    assert found.rows["status"].tolist() == ["ok"]
    assert found.rows["revision"].tolist() == [1]


def test_vintages_of_a_key_are_numbered_in_order() -> None:
    rows = pd.DataFrame({"series": ["cpi", "cpi", "ffer"], "value": [1.0, 2.0, 3.0]})
    before = pd.DataFrame({"series": ["cpi"], "revision": [2]})
    assert numbered(rows, before, ["series"]).tolist() == [3, 4, 0]


def test_snapshot_is_kept_when_a_field_moves_or_after_twenty_sessions() -> None:
    def snaps(day: str, *values: tuple[str, float]) -> pd.DataFrame:
        made = pd.DataFrame(values, columns=["symbol", "beta"])
        return made.assign(arrived_on=pd.Timestamp(day))

    before = snaps("2018-01-02", ("A", 1.0), ("B", 1.0))
    soon = snaps("2018-01-30", ("A", 1.0), ("B", 1.1), ("C", 1.0))  # 19 sessions later
    late = snaps("2018-01-31", ("A", 1.0))
    assert snapshots(before, soon, values=["beta"]).tolist() == [False, True, True]
    assert snapshots(before, late, values=["beta"]).tolist() == [True]


def adjusted(first: str, *values: float, symbol: str = "A") -> pd.DataFrame:
    days = pd.bdate_range(first, periods=len(values)).astype("datetime64[ms]")
    return pd.DataFrame({"symbol": symbol, "date": days, "vendor_adjusted_close": values})


def test_vendor_that_scales_the_past_changes_no_stored_row_and_keeps_the_new_step() -> None:
    before = adjusted("2018-01-01", 10.0, 11.0, 12.0).assign(revision=0)
    # A dividend: the past is scaled by 0.9, the new row stands at 11.
    now = adjusted("2018-01-01", 9.0, 9.9, 10.8, 11.0)
    assert chained(now, before).tolist() == pytest.approx([10.0, 11.0, 12.0, 11.0 / 0.9])


def test_corrected_step_moves_the_rows_after_it_only() -> None:
    before = adjusted("2018-01-01", *[10.0] * 40, 5.0, 5.0).assign(revision=0)
    now = adjusted("2018-01-01", *[5.0] * 43)  # the split was told of a day late
    assert chained(now, before).tolist() == pytest.approx([10.0] * 43)


def test_first_delivery_and_other_symbols_keep_their_basis() -> None:
    before = adjusted("2018-01-01", 10.0, 11.0).assign(revision=0)
    now = pd.concat(
        [adjusted("2018-01-01", 3.0, 4.0, symbol="B"), adjusted("2018-01-02", 5.5)],
        ignore_index=True,
    )
    assert chained(now, before).tolist() == pytest.approx([3.0, 4.0, 11.0])
