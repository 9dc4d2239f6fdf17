"""Which object holds which day, as a function of asof alone."""

from datetime import date

import pytest

from bft.steps.gold_layout import first_day, partition_of, superseded


@pytest.mark.parametrize(
    ("asof", "merged_on", "expected"),
    [
        (date(2017, 11, 30), 1, "date=2017-11-30"),
        (date(2017, 12, 1), 1, "month=2017-11"),
        (date(2017, 12, 1), 2, "date=2017-11-30"),
        (date(2017, 12, 4), 2, "month=2017-11"),
        (date(2018, 1, 2), 3, "month=2017-11"),
    ],
)
def test_closed_month_is_one_object_from_its_session_on(
    asof: date, merged_on: int, expected: str
) -> None:
    day = date(2017, 11, 30)
    assert partition_of(day, asof=asof, prefix="date", merged_on=merged_on) == expected


def test_rewriting_begins_where_an_object_begins() -> None:
    asof = date(2017, 12, 6)
    held = ["month=2017-10", "date=2017-11-29", "date=2017-12-04"]
    assert first_day(asof, asof=asof, merged_on=1, held=held) == date(2017, 11, 1)
    assert first_day(asof, asof=asof, merged_on=1, held=held[:1]) == asof
    assert first_day(date(2017, 10, 9), asof=asof, merged_on=1, held=()) == date(2017, 10, 1)
    assert superseded(held, since=date(2017, 11, 1)) == held[1:]
