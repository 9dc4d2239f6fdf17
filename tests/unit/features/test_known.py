"""When facts were known; expected instants are the exchange's own closing times."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from bft.features import known


def days(*texts: str | None) -> pd.Series:
    return pd.Series(pd.to_datetime(list(texts))).astype("datetime64[ms]")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_close_of_a_half_day_is_13_new_york() -> None:
    closes = known.close_of(days("2017-11-24", "2017-11-25", None))
    assert closes[0] == utc("2017-11-24T18:00")
    assert closes[1] == utc("2017-11-27T21:00")
    assert pd.isna(closes[2])


@pytest.mark.parametrize(
    ("series", "reference", "at"),
    [
        ("treasury_yield_10year", "2018-02-02", "2018-02-05T21:00"),  # a Friday: Monday's close
        ("unemployment", "2018-01-01", "2018-02-12T21:00"),  # the 10th is a Saturday
        ("nonfarm_payroll", "2017-12-01", "2018-01-10T21:00"),
        ("cpi", "2017-12-01", "2018-01-16T21:00"),
        ("retail_sales", "2018-05-01", "2018-06-18T20:00"),
        ("durables", "2017-12-01", "2018-01-29T21:00"),  # the 28th is a Sunday
        ("inflation", "2016-01-01", "2017-07-03T17:00"),  # 1 July is a Saturday; a half day
    ],
)
def test_macro_value_is_known_at_its_release_close(series: str, reference: str, at: str) -> None:
    assert known.macro_release(series, days(reference))[0] == utc(at)


def test_daily_rate_delivered_by_month_waits_for_the_months_end() -> None:
    released = known.macro_release("ffer", days("2018-01-01", "2018-02-01"))
    assert list(released) == [utc("2018-02-01T21:00"), utc("2018-03-01T21:00")]


def test_report_before_the_market_is_known_that_day_others_the_next() -> None:
    released = known.report_release(
        days("2017-12-31", "2017-12-31", "2017-12-31", "2017-12-31"),
        days("2018-02-02", "2018-02-02", "2018-02-02", None),
        pd.Series(["pre-market", "post-market", None, None]),
    )
    assert list(released) == [
        utc("2018-02-02T21:00"),
        utc("2018-02-05T21:00"),
        utc("2018-02-05T21:00"),
        utc("2018-02-14T21:00"),  # quarter end + 45 days
    ]


def test_statement_waits_sixty_days_or_for_the_session_after_the_report() -> None:
    released = known.statement_release(
        days("2017-12-31", "2017-12-31", "2017-12-31"), days("2018-01-20", "2018-03-05", None)
    )
    assert list(released) == [
        utc("2018-03-01T21:00"),
        utc("2018-03-06T21:00"),
        utc("2018-03-01T21:00"),
    ]


def test_live_fact_is_never_known_before_it_arrived() -> None:
    rule = pd.Series([utc("2018-02-05T21:00")] * 2).astype("datetime64[us, UTC]")
    at = utc("2018-02-05T23:00")
    found = known.live(rule, backfilled=pd.Series([True, False]), instant=at)
    assert list(found) == [utc("2018-02-05T21:00"), at]
