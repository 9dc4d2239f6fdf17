"""Q13 tells of a file's gaps anywhere in its history, and judges by the last 60 sessions alone."""

from datetime import date

import pyarrow as pa
import pytest
from markets import raw

from bft.domain import sessions
from bft.features.quality import Evidence, Severity
from bft.features.quality.actions import missing_sessions

LAST = date(2018, 2, 7)
SPAN = sessions.sessions(sessions.shift(LAST, -199), LAST)


@pytest.mark.parametrize("of_a_file", [True, False])
def test_gaps_of_a_file_are_an_information(*, of_a_file: bool) -> None:
    """Red: a hole of 23 sessions long ago was told nowhere."""
    held = {"AAA": SPAN, "BBB": (*SPAN[:50], *SPAN[73:])}
    rows = [(symbol, day) for symbol, days in held.items() for day in days]
    gold = pa.table({"symbol": [row[0] for row in rows], "date": [row[1] for row in rows]})
    empty = {name: raw(name, []) for name in ("bars", "universe", "macro")}
    found = missing_sessions(
        Evidence(
            asof=LAST,
            gold=gold,
            tables=empty,
            refused=empty["bars"],
            macro=empty["macro"],
            strict_source=not of_a_file,
        )
    )
    told = [(f.severity, f.value, f.message) for f in found]
    words = f"1 symbol with gaps of their own, most BBB: 23, the first {SPAN[50]}"
    assert told == ([(Severity.INFO, 23, words)] if of_a_file else [])
