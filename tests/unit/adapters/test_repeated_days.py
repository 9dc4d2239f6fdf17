"""A vendor's answer that holds a day twice: JSON keeps the last one silently unless told."""

import json
from datetime import date
from typing import Any

import pytest

from bft.adapters.sources import av_tables
from bft.adapters.sources.av_quirks import judge
from bft.domain.delivery import Skips, Want
from bft.features.intake import clean_bars

DAILY = "TIME_SERIES_DAILY_ADJUSTED"
BAR = {
    "1. open": "10",
    "2. high": "11",
    "3. low": "9",
    "4. close": "10",
    "6. volume": "5",
    "5. adjusted close": "10",
    "7. dividend amount": "0",
    "8. split coefficient": "1",
}


def delivered(*closes: str) -> tuple[list[Any], Skips]:
    """Clean rows of an answer that gives these closes for one and the same day."""
    rows = ",".join(f'"2025-01-06": {json.dumps({**BAR, "4. close": c})}' for c in closes)
    text = f'{{"Meta Data": {{"2. Symbol": "AAA"}}, "Time Series (Daily)": {{{rows}}}}}'
    verdict = judge(DAILY, text, asked=frozenset({"AAA"}))
    skips = Skips()
    tables = av_tables.bars(verdict.payload, Want(topic="bars", name="AAA"), skips)
    frame = tables["bars"].to_pandas(date_as_object=False)
    clean = clean_bars(frame, asof=date(2025, 1, 6), bulk=False, skips=skips)
    return clean["close"].tolist(), skips


def test_equal_rows_of_a_day_are_merged_and_counted() -> None:
    closes, skips = delivered("10", "10")
    assert (closes, skips.counts) == ([10.0], {"merged_duplicate": 1})


@pytest.mark.parametrize("closes", [("10", "99"), ("99", "10")])
def test_different_rows_of_a_day_leave_the_symbol_out(closes: tuple[str, str]) -> None:
    kept, skips = delivered(*closes)
    assert (kept, skips.names["conflicting_rows"]) == ([], ["AAA"])
