"""Actions inferred from adjusted closes and judged by prices."""

from datetime import date

import pandas as pd
import pytest

from bft.features import corporate

ASOF = date(2018, 2, 7)


def bars(symbol: str, closes: list[float], adjusted: list[float] | None = None) -> pd.DataFrame:
    days = pd.Series(pd.bdate_range("2018-01-02", periods=len(closes))).astype("datetime64[ms]")
    made = pd.DataFrame({"symbol": symbol, "date": days, "close": closes})
    return made.assign(vendor_adjusted_close=adjusted if adjusted else closes)


def action(kind: str, value: float, day: str = "2018-01-03", symbol: str = "A") -> pd.DataFrame:
    row = {"symbol": [symbol], "ex_date": pd.to_datetime([day]), "kind": [kind], "value": [value]}
    return pd.DataFrame(row).assign(declared_on=pd.NaT)


def test_two_for_one_split_is_read_off_the_ratio() -> None:
    found = corporate.inferred_actions(bars("A", [100.0, 51.0, 52.0], [50.0, 51.0, 52.0]))
    assert found[["kind", "value"]].to_numpy().tolist() == [["split", 2.0]]
    assert str(found["ex_date"][0].date()) == "2018-01-03"


def test_dividend_is_read_off_the_ratio_on_the_close_before() -> None:
    # 2 USD on 100: everything before is scaled by 98/100.
    found = corporate.inferred_actions(bars("A", [100.0, 99.0, 99.5], [98.0, 99.0, 99.5]))
    assert found["kind"].tolist() == ["dividend"]
    assert found["value"][0] == pytest.approx(2.0)


def test_falling_ratio_is_another_action_with_its_whole_factor() -> None:
    found = corporate.inferred_actions(bars("A", [100.0, 100.0], [110.0, 100.0]))
    assert found["kind"].tolist() == ["other"]
    assert found["value"][0] == pytest.approx(1 / 1.1)


def test_rounding_and_the_next_symbol_are_no_actions() -> None:
    noisy = bars("A", [100.0, 100.0], [50.0, 50.01])
    both = pd.concat([noisy, bars("B", [100.0, 100.0])], ignore_index=True)
    assert len(corporate.inferred_actions(both)) == 0


@pytest.mark.parametrize(("decimals", "close"), [(2, 50.0), (6, 50.0), (None, 50.0), (2, 4.0)])
def test_value_that_a_later_rounding_moves_is_the_stored_one(decimals: int, close: float) -> None:
    """Every dividend after it scales the past and rounds it again; a correction is seen."""

    def inferred(paid: float, later: float) -> tuple[pd.DataFrame, pd.DataFrame]:
        scaled = [close * (1 - paid / close) * later] * 3 + [close * later] * 3
        rounded = scaled if decimals is None else [round(x, decimals) for x in scaled]
        told = bars("A", [close] * 6, rounded)
        return corporate.inferred_actions(told), told

    stored = inferred(0.35, 1.0)[0].assign(revision=0, status="ok")
    for later in (0.98137123, 0.77731237, 0.51113457):
        found, told = inferred(0.35, later)
        made = corporate.settled(found, stored, told)
        assert made["value"].tolist() == stored["value"].tolist()
        assert decimals is None or made["value"].tolist() != found["value"].tolist()
    found, told = inferred(0.45, 0.98137)
    assert corporate.settled(found, stored, told).equals(found)
    assert corporate.settled(found, stored.iloc[:0], told).equals(found)


def test_split_that_the_price_does_not_show_is_refused() -> None:
    closes = bars("A", [100.0, 99.0, 50.0])
    rows = pd.concat([action("split", 2.0), action("split", 2.0, "2018-01-04")])
    judged = corporate.judged(rows, closes, asof=ASOF)
    assert judged["status"].tolist() == ["refused", "ok"]
    assert judged["reason"].tolist()[0] == "unconfirmed_split"


def test_small_split_needs_no_confirmation() -> None:
    judged = corporate.judged(action("split", 1.05), bars("A", [100.0, 100.0]), asof=ASOF)
    assert judged["status"].tolist() == ["ok"]


@pytest.mark.parametrize(
    ("kind", "value"),
    [("split", 0.0), ("split", -2.0), ("split", 1001.0), ("dividend", -0.1), ("dividend", 100.0)],
)
def test_impossible_action_is_refused(kind: str, value: float) -> None:
    judged = corporate.judged(action(kind, value), bars("A", [100.0, 50.0]), asof=ASOF)
    assert judged["reason"].tolist() == ["bad_action"]


def test_two_values_of_a_kind_on_one_day_are_both_refused_an_equal_one_counts_once() -> None:
    closes = bars("A", [100.0, 50.0])
    two = corporate.judged(
        pd.concat([action("split", 2.0), action("split", 3.0)]), closes, asof=ASOF
    )
    same = corporate.judged(
        pd.concat([action("split", 2.0), action("split", 2.0)]), closes, asof=ASOF
    )
    assert two["status"].tolist() == ["refused", "refused"]
    assert same["status"].tolist() == ["ok"]


def test_action_before_the_first_bar_is_dropped() -> None:
    judged = corporate.judged(
        action("dividend", 1.0, "2018-01-02"), bars("A", [100.0, 99.0]), asof=ASOF
    )
    assert len(judged) == 0


def test_action_of_a_day_to_come_is_expected_until_its_bar_judges_it() -> None:
    """Entered on the 3rd for the 5th: that no price confirms it yet is no reason to refuse it."""
    split, known = action("split", 2.0, "2018-01-05"), bars("A", [100.0, 99.0])
    told = corporate.judged(split, known, asof=date(2018, 1, 3))
    assert told["status"].tolist() == ["expected"]
    impossible = action("split", -2.0, "2018-01-05")
    assert corporate.judged(impossible, known, asof=date(2018, 1, 3))["status"][0] == "refused"
    stored = told.assign(revision=0)
    later = bars("A", [100.0, 99.0, 98.0, 49.0])
    nothing = split.iloc[:0]
    assert len(corporate.with_expected(nothing, stored, later.iloc[:3])) == 0  # no bar that day
    due = corporate.with_expected(nothing, stored, later)
    judged = corporate.judged(due, later, asof=date(2018, 1, 5))
    assert judged[["value", "status"]].to_numpy().tolist() == [[2.0, "ok"]]
    again = corporate.with_expected(split.assign(value=3.0), stored, later)
    assert again["value"].tolist() == [3.0]  # what is delivered counts


def test_announced_action_that_the_list_lacks_is_withdrawn() -> None:
    stored = action("split", 2.0, "2018-01-05").assign(status="expected", revision=0)
    known, moved = bars("A", [100.0, 99.0]), action("split", 2.0, "2018-01-08")
    gone = corporate.withdrawn(moved, stored, known)
    assert gone[["status", "reason"]].to_numpy().tolist() == [["refused", "withdrawn"]]
    assert len(corporate.withdrawn(stored[corporate.COLUMNS], stored, known)) == 0
    assert len(corporate.withdrawn(moved, stored, bars("B", [1.0]))) == 0  # nothing came of A
    judged = stored.assign(status="ok", revision=1)
    assert len(corporate.withdrawn(moved, pd.concat([stored, judged]), known)) == 0


def test_entered_action_wins_over_the_inferred_one_of_its_day() -> None:
    found = pd.concat([action("dividend", 1.0), action("split", 2.0, "2018-01-08")])
    kept = corporate.preferred(action("other", 0.9), found)
    assert kept["kind"].tolist() == ["other", "split"]
