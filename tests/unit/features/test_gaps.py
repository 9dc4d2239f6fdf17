"""Sessions that a history lacks, by hand: the week of 4 July 2016 and the one before it."""

from datetime import date

import numpy as np
import pandas as pd

from bft.features.gaps import Gaps, gaps_in, gaps_of

WEEKS = np.array(
    [f"2016-{day}" for day in "06-27 06-28 06-29 06-30 07-01 07-05 07-06 07-07 07-08".split()],
    dtype="datetime64[D]",
)
"""All sessions: 4 July was a holiday."""


def test_a_whole_history_lacks_nothing() -> None:
    assert gaps_of({"A": WEEKS, "B": WEEKS[4:]}) == Gaps(span=9)
    assert gaps_of({"A": WEEKS}).words == ""
    assert gaps_of({}) == Gaps(span=0)


def test_what_all_lack_and_what_one_lacks_are_told_apart() -> None:
    """Red: a calendar's count of sessions stood for those that were there."""
    cut = np.delete(WEEKS, [2, 3])
    found = gaps_of({"A": cut, "B": np.delete(cut, [3, 4]), "C": np.delete(cut, 1), "D": cut[4:5]})
    assert (found.span, found.held) == (9, 7)
    assert found.missing == (date(2016, 6, 29), date(2016, 6, 30))
    assert found.lacking == {"B": 2, "C": 1}
    assert found.words == (
        "2 of 9 sessions have no bar of any symbol, the first 2016-06-29; 2 symbols with gaps of "
        "their own, most B: 2, the first 2016-07-05"
    )


def test_days_on_no_session_and_repeats_fill_no_gap() -> None:
    days = [*np.delete(WEEKS, 1), np.datetime64("2016-07-02"), WEEKS[0]]
    rows = [{"symbol": "A", "date": day} for day in days]
    rows += [{"symbol": "B", "date": day} for day in WEEKS]
    found = gaps_in(pd.DataFrame(rows).sample(frac=1, random_state=1))
    assert (found.missing, found.lacking) == ((), {"A": 1})
    assert found.words == "1 symbol with gaps of their own, most A: 1, the first 2016-06-28"
