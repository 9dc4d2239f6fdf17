"""The screener's selection, by hand."""

from datetime import date

import pyarrow as pa
import pytest
from market_signals import filled

from bft.reports.night import Night, open_night
from bft.reports.screen import CHECKS, charted, screen, to_csv
from bft.reports.shown import FLAG_OF

BEFORE, ASOF = date(2025, 12, 31), date(2026, 1, 2)
# symbol -> (flags of the session before, flags of asof), in the screener's order
CASES = {
    "TWO": ("++0-000000", "+++--00000"),  # rsi, macd_zero changed: 3 to 2
    "ONE": ("+++0000000", "++++000000"),  # one changed: 4 to 0
    "FLAT": ("+0000000-0", "0+0+00000-"),  # five changed: 2 to 1
    "BEAR": ("0000000000", "--0-000000"),  # three changed: 0 to 3
    "NEW": ("", "++++++++++"),  # no session before
    "SAME": ("++++++++++", "++++++++++"),
}


def table(cases: dict[str, tuple[str, str]]) -> pa.Table:
    value = {"+": 1, "-": -1, "0": 0}
    rows = [
        {"symbol": symbol, "date": day, **{FLAG_OF[c]: value[m] for c, m in zip(CHECKS, marks)}}  # noqa: B905
        for symbol, marked in sorted(cases.items())
        for day, marks in zip((BEFORE, ASOF), marked, strict=True)
        if marks
    ]
    names = ["symbol", "date", *FLAG_OF.values()]
    return filled("gold", {name: [row[name] for row in rows] for name in names}, len(rows))


@pytest.fixture
def night() -> Night:
    return open_night({"gold": table(CASES)}, asof=ASOF)


def test_screen_selects_two_changes_and_a_majority_of_two(night: Night) -> None:
    found = screen(night)
    assert list(found.selected.index) == ["BEAR"]  # TWO: 3 to 2; ONE, SAME: too few changes
    assert found.selected.loc["BEAR", ["num_bullish", "num_bearish", "changed"]].tolist() == [
        0,
        3,
        3,
    ]
    assert found.new == 1


def test_screen_whitelist_waives_the_change_but_not_the_majority(night: Night) -> None:
    found = screen(night, whitelist=["ONE", "FLAT", "NEW"])
    assert list(found.selected.index) == ["BEAR", "NEW", "ONE"]


def test_screen_counts_only_the_chosen_indicators(night: Night) -> None:
    # TWO over rsi, macd, macd_zero: +1 -1 -1, two changed, majority 1; without macd: +1 -1
    assert "TWO" not in screen(night, checks=["rsi", "macd", "macd_zero"]).selected.index
    # over sma_cross, bollinger_band, rsi and macd_zero: 3 to 1, two changed
    chosen = screen(night, checks=["sma_cross", "bollinger_band", "rsi", "macd_zero"])
    assert "TWO" in chosen.selected.index


def test_screen_symbols_limit_what_is_looked_at(night: Night) -> None:
    assert list(screen(night, symbols=["ONE", "NOPE"]).rows.index) == ["ONE"]


def test_csv_holds_header_counts_and_ten_flags(night: Night) -> None:
    lines = to_csv(screen(night).selected).decode().splitlines()
    assert lines == [
        "symbol,num_bullish,num_bearish,sma_cross,bollinger_band,rsi,macd,macd_zero,adx,cci,atr,"
        "pe_ratio,pcr",
        "BEAR,0,3,-1,-1,0,-1,0,0,0,0,0,0",
    ]


def test_csv_of_an_empty_selection_is_its_header(night: Night) -> None:
    assert to_csv(screen(night, symbols=["SAME"]).selected).decode().count("\n") == 1


def test_charted_takes_picks_then_the_largest_delta(night: Night) -> None:
    found = screen(night, whitelist=list(CASES))  # |delta|: NEW 10, SAME 10, ONE 4, BEAR 3
    assert charted(found, 3) == ["NEW", "SAME", "ONE"]
    assert charted(found, 0) == ["NEW", "SAME", "ONE", "BEAR"]
    picks = ["TWO", "ONE", "GONE"]  # TWO is not selected, GONE has no row
    assert charted(found, 3, picks=picks) == ["TWO", "ONE", "NEW"]
    assert charted(found, 0, picks=picks) == ["TWO", "ONE", "NEW", "SAME", "BEAR"]


def test_screen_of_a_null_flag_reads_zero() -> None:
    rows = table({"A": ("++++000000", "++++000000")})
    place = rows.schema.get_field_index("rsi_signal")
    rows = rows.set_column(place, rows.schema.field(place), pa.array([1, None], pa.int8()))
    found = screen(open_night({"gold": rows}, asof=ASOF))
    assert found.rows.loc["A", ["num_bullish", "changed"]].tolist() == [3, 1]
