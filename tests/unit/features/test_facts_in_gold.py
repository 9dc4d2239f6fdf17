"""Earnings, statements, snapshots, dividends, options, macro and labels on gold rows, by hand."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from markets import LAST, column, flat, tables

from bft.domain import sessions
from bft.domain.gold import REVISED
from bft.features.build import build_gold

NAN = np.nan


def at(back: int) -> date:
    return sessions.shift(LAST, -back)


def close_of(back: int) -> datetime:
    return sessions.close_at(at(back))


def report(quarter: date, eps: float | None, known: datetime, **more: Any) -> dict[str, Any]:
    return {
        "symbol": "A",
        "fiscal_date_ending": quarter,
        "reported_eps": eps,
        "known_at": known,
        "basis_on": known.date(),
        **more,
    }


QUARTERS = [date(2017, 3, 31), date(2017, 6, 30), date(2017, 9, 30), date(2017, 12, 31)]


def test_report_counts_from_the_close_at_which_it_is_known() -> None:
    rows = [report(QUARTERS[2], 1.0, close_of(3)), report(QUARTERS[3], 2.0, close_of(1))]
    made = build_gold(tables(bars=flat([10] * 5), earnings=rows))
    assert column(made, "reported_eps").tolist() == pytest.approx([NAN, 1, 1, 2, 2], nan_ok=True)
    assert made["fiscal_date_ending"].to_pylist() == [None, *[QUARTERS[2]] * 2, *[QUARTERS[3]] * 2]


def test_report_known_a_second_after_the_close_counts_tomorrow() -> None:
    late = close_of(2).replace(second=1)
    made = build_gold(tables(bars=flat([10] * 4), earnings=[report(QUARTERS[3], 1.0, late)]))
    assert np.flatnonzero(~np.isnan(column(made, "reported_eps"))).tolist() == [2, 3]


def test_ttm_eps_needs_four_consecutive_reports() -> None:
    eps = [1.0, 2.0, 3.0, 4.0]
    rows = [report(q, e, close_of(3)) for q, e in zip(QUARTERS, eps, strict=True)]
    made = build_gold(tables(bars=flat([100] * 5), earnings=rows))
    assert column(made, "ttm_eps").tolist() == pytest.approx([NAN, 10, 10, 10, 10], nan_ok=True)
    assert column(made, "pe_ratio")[-1] == pytest.approx(10)
    assert column(made, "pe_ratio_signal").tolist() == [0, 1, 1, 1, 1]
    gap = build_gold(tables(bars=flat([100] * 5), earnings=[rows[0], *rows[2:]]))
    assert np.isnan(column(gap, "ttm_eps")).all()
    estimated = [*rows[:3], report(QUARTERS[3], None, close_of(3), estimated_eps=4.0)]
    assert np.isnan(
        column(build_gold(tables(bars=flat([9] * 5), earnings=estimated)), "ttm_eps")
    ).all()


def test_eps_is_quoted_on_the_share_basis_of_the_row() -> None:
    """Vendors restate EPS after splits: 1.0 quoted after a 2:1 split was 2.0 a share before."""
    split = {"symbol": "A", "ex_date": at(1), "kind": "split", "value": 2.0}
    rows = [report(QUARTERS[3], 1.0, close_of(3), basis_on=LAST, estimated_eps=0.8)]
    made = build_gold(tables(bars=flat([10, 10, 10, 5, 5]), actions=[split], earnings=rows))
    assert column(made, "reported_eps").tolist() == pytest.approx([NAN, 2, 2, 1, 1], nan_ok=True)
    assert column(made, "surprise").tolist() == pytest.approx(
        [NAN, 0.4, 0.4, 0.2, 0.2], nan_ok=True
    )
    assert column(made, "surprise_percentage")[-1] == pytest.approx(25)


def test_correction_of_a_report_counts_from_its_own_instant() -> None:
    rows = [
        report(QUARTERS[3], 1.0, close_of(3)),
        report(QUARTERS[3], 1.5, close_of(1), revision=1),
    ]
    made = build_gold(tables(bars=flat([10] * 5), earnings=rows))
    assert column(made, "reported_eps").tolist() == pytest.approx(
        [NAN, 1, 1, 1.5, 1.5], nan_ok=True
    )


def test_refused_or_expected_rows_do_not_count() -> None:
    rows = [
        report(QUARTERS[3], 1.0, close_of(3)),
        report(QUARTERS[3], 9.0, close_of(3), revision=1, status="refused"),
        report(date(2018, 3, 31), None, close_of(3), status="expected"),
    ]
    made = build_gold(tables(bars=flat([10] * 5), earnings=rows))
    assert column(made, "reported_eps")[-1] == 1


def snapshot(back: int, **fields: Any) -> dict[str, Any]:
    day = at(back)
    known = close_of(back).replace(hour=23)
    return {"symbol": "A", "arrived_on": day, "basis_on": day, "known_at": known, **fields}


def test_snapshot_counts_the_session_after_its_arrival_and_for_120_days() -> None:
    rows = [snapshot(95, forward_pe=15.0, eps=2.0, analyst_rating_buy=7.0)]
    made = build_gold(tables(bars=flat([10] * 100), fundamentals=rows))
    pe, days = column(made, "forward_pe"), made["date"].to_pylist()
    assert np.isnan(pe[:5]).all()
    assert pe[5] == 15
    held = [(day - at(95)).days for day, value in zip(days, pe, strict=True) if value == 15]
    assert max(held) in range(118, 121)
    assert np.isnan(pe[-1]) == ((LAST - at(95)).days > 120)


def test_eps_before_the_first_snapshot_is_that_of_four_quarters() -> None:
    reports = [report(q, 1.0, close_of(4)) for q in QUARTERS]
    rows = [snapshot(2, eps=5.0)]
    made = build_gold(tables(bars=flat([10] * 5), earnings=reports, fundamentals=rows))
    assert column(made, "eps").tolist() == [4, 4, 4, 5, 5]


def test_statement_wins_over_snapshot_and_splits_scale_both() -> None:
    stated = {
        "symbol": "A",
        "fiscal_date_ending": QUARTERS[2],
        "total_equity_usd": 1000.0,
        "shares_outstanding": 100.0,
        "basis_on": at(3),
        "known_at": close_of(3),
    }
    split = {"symbol": "A", "ex_date": at(1), "kind": "split", "value": 2.0}
    shot = snapshot(5, book_value=8.0, shares_outstanding=50.0)
    made = build_gold(
        tables(
            bars=flat([40, 40, 40, 20, 20]),
            actions=[split],
            statements=[stated],
            fundamentals=[shot],
        )
    )
    assert column(made, "shares_outstanding").tolist() == [50, 100, 100, 200, 200]
    assert column(made, "book_value").tolist() == pytest.approx([8, 10, 10, 5, 5])
    assert column(made, "price_to_book_ratio").tolist() == pytest.approx([5, 4, 4, 4, 4])
    assert column(made, "market_capitalization").tolist() == [2000, 4000, 4000, 4000, 4000]


def test_book_value_not_above_zero_gives_no_ratio() -> None:
    made = build_gold(tables(bars=flat([10] * 3), fundamentals=[snapshot(3, book_value=-1.0)]))
    assert column(made, "book_value").tolist() == [-1, -1, -1]
    assert np.isnan(column(made, "price_to_book_ratio")).all()


def test_dividend_yield_sums_a_year_on_the_share_basis_of_the_row() -> None:
    """0.5 before a 2:1 split is 0.25 a share after it; 365 days later it has left the window."""
    prices = [100.0] * 200 + [50.0] * 200
    bars = flat(prices)
    actions = [
        {"symbol": "A", "ex_date": bars[100]["date"], "kind": "dividend", "value": 0.5},
        {"symbol": "A", "ex_date": bars[200]["date"], "kind": "split", "value": 2.0},
        {"symbol": "A", "ex_date": bars[250]["date"], "kind": "dividend", "value": 0.3},
    ]
    found = column(build_gold(tables(bars=bars, actions=actions)), "dividend_yield")
    assert np.isnan(found[99])
    assert found[100] == pytest.approx(0.5 / 100)
    assert found[200] == pytest.approx(0.25 / 50)
    assert found[250] == pytest.approx(0.55 / 50)
    gone = next(i for i, row in enumerate(bars) if (row["date"] - bars[100]["date"]).days >= 365)
    assert found[gone - 1] == pytest.approx(0.55 / 50)
    assert found[gone] == pytest.approx(0.30 / 50)


def test_dividend_before_the_first_bar_is_on_the_share_basis_of_the_row() -> None:
    """History is cut at history_start: a split between the dividend and there halves it too."""
    bars = flat([50.0] * 3)
    first = bars[0]["date"]
    actions = [
        {"symbol": "A", "ex_date": first - timedelta(days=60), "kind": "dividend", "value": 0.5},
        {"symbol": "A", "ex_date": first - timedelta(days=30), "kind": "split", "value": 2.0},
    ]
    found = column(build_gold(tables(bars=bars, actions=actions)), "dividend_yield")
    assert found.tolist() == pytest.approx([0.25 / 50] * 3)


def test_dividend_yield_is_zero_only_where_dividends_would_be_told() -> None:
    bars = flat([100.0] * 300)
    assert np.isnan(column(build_gold(tables(bars=bars)), "dividend_yield")).all()
    told = [{**row, "vendor_adjusted_close": 100.0} for row in bars]
    found = column(build_gold(tables(bars=told)), "dividend_yield")
    year = [(row["date"] - bars[0]["date"]).days >= 365 for row in bars]
    assert (np.isnan(found) == ~np.array(year)).all()
    assert found[-1] == 0


def test_option_figures_skip_days_without_a_chain() -> None:
    chains = [
        {"symbol": "A", "date": at(3), "call_volume": 100, "put_volume": 50, "total_volume": 150},
        {"symbol": "A", "date": at(1), "call_volume": 0, "put_volume": 50, "total_volume": 50},
    ]
    made = build_gold(tables(bars=flat([10] * 5), options_summary=chains))
    assert column(made, "total_volume").tolist() == pytest.approx(
        [NAN, 150, NAN, 50, NAN], nan_ok=True
    )
    assert column(made, "pcr").tolist() == pytest.approx([NAN, 0.5, NAN, NAN, NAN], nan_ok=True)
    assert column(made, "options_14_mean").tolist() == pytest.approx(
        [NAN, 150, 150, 100, 100], nan_ok=True
    )
    assert column(made, "options_14_std")[-1] == pytest.approx(np.std([150, 50], ddof=1))
    assert column(made, "pcr_signal").tolist() == [0, 1, 0, 0, 0]


def macro(
    series: str, month: date, value: float, known: datetime, revision: int = 0, **more: object
) -> dict[str, Any]:
    return {
        **more,
        "series": series,
        "reference_on": month,
        "value": value,
        "known_at": known,
        "revision": revision,
    }


def test_vintage_known_last_counts_of_those_that_arrive_together() -> None:
    """However they lie in the delivery."""
    late = macro("cpi", date(2017, 12, 1), 310.0, close_of(1), revision=0)
    early = macro("cpi", date(2017, 12, 1), 300.0, close_of(3), revision=1)
    made = build_gold(tables(bars=flat([10] * 5), macro=[late, early]))
    assert made["cpi"].to_pylist() == [None, 300.0, 300.0, 310.0, 310.0]
    again = macro("cpi", date(2017, 12, 1), 311.0, close_of(1), revision=2)  # the same, mended
    made = build_gold(tables(bars=flat([10] * 5), macro=[late, early, again]))
    assert made["cpi"].to_pylist() == [None, 300.0, 300.0, 311.0, 311.0]


def test_mended_macro_value_stays_mended() -> None:
    """Red: the refuted value, known later, came back and held for good."""
    wrong, right = (
        macro("cpi", date(2017, 12, 1), v, close_of(n)) for v, n in ((374, 1), (300, 3))
    )
    later = close_of(0) + timedelta(days=1)
    right |= {"arrived_at": later, "revision": 1}
    made = build_gold(tables(bars=flat([10] * 5), macro=[wrong, right]))
    assert made["cpi"].to_pylist() == [None, 300.0, 300.0, 300.0, 300.0]


def test_macro_is_the_newest_reference_known_at_the_close() -> None:
    rows = [
        macro("cpi", date(2017, 11, 1), 246.0, close_of(4)),
        macro("cpi", date(2017, 12, 1), 247.0, close_of(2)),
        macro("cpi", date(2017, 11, 1), 246.5, close_of(2), revision=1),
        macro("cpi", date(2017, 12, 1), 247.5, close_of(0), revision=1),
    ]
    made = build_gold(tables(bars=flat([10] * 5), macro=rows))
    assert column(made, "cpi").tolist() == [246, 246, 247, 247, 247.5]
    assert np.isnan(column(made, "inflation")).all()


def test_labels_are_the_newest_on_all_rows_and_dated_membership_wins() -> None:
    shots = [snapshot(3, sector="TECHNOLOGY", exchange="NYSE"), snapshot(0, sector="ENERGY")]
    bars = flat([10] * 4) + flat([10] * 4, symbol="B")
    members = [
        {"symbol": "B", "from": date(2010, 1, 1), "to": at(1), "sector": "UTILITIES"},
        {"symbol": "B", "from": at(1), "to": None, "sector": "INDUSTRIALS"},
    ]
    made = build_gold(tables(bars=bars, fundamentals=shots, universe=members))
    assert made["sector"].to_pylist() == ["ENERGY"] * 4 + ["UTILITIES"] * 2 + ["INDUSTRIALS"] * 2
    assert made["exchange"].to_pylist()[:4] == [None] * 4


def test_revision_that_arrived_after_asof_is_not_known() -> None:
    later = datetime(2018, 2, 9, 23, tzinfo=UTC)
    rows = flat([10, 10, 10])
    rows.append({**rows[1], "close": 11.0, "revision": 1, "backfilled": False, "arrived_at": later})
    assert column(build_gold(tables(bars=rows)), "adjusted_close").tolist() == [10, 10, 10]
    night = tables(asof=date(2018, 2, 9), bars=rows)
    made = build_gold(night)
    assert column(made, "adjusted_close").tolist() == [10, 11, 10]
    assert (column(made, "row_flags") & REVISED).tolist() == [0, REVISED, 0]


def test_calendar_columns() -> None:
    made = build_gold(tables(bars=flat([10])))
    row = made.to_pylist()[0]
    names = ("day_of_week_num", "day_of_week_name", "month", "day_of_year", "year")
    assert [row[name] for name in names] == [2, "Wednesday", 2, 38, 2018]
