"""Labels by hand: opens are 100 + day, closes 200 + day, so every return can be read off."""

from dataclasses import replace

import numpy as np
import pytest

from bft.dataset.labels import Bars, State, labels
from bft.domain.gold import PROVISIONAL, SUSPECTED_SPLIT


def bars(*symbols: list[int], flags: dict[int, int] | None = None) -> Bars:
    dates = np.array([day for days in symbols for day in days], dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum([len(days) for days in symbols])])
    marked = np.zeros(len(dates), dtype=np.int32)
    for row, flag in (flags or {}).items():
        marked[row] = flag
    prices = {"opens": 100.0 + dates, "closes": 200.0 + dates}
    return Bars(dates=dates, offsets=offsets, **prices, flags=marked)


def test_label_is_the_return_from_the_next_open_to_the_open_h_sessions_later() -> None:
    found = labels(bars(list(range(10))), asof=9, horizons=(3,))
    assert found.y[0, 0] == np.float32(104 / 101 - 1)
    assert found.end[0, 0] == 4
    assert found.state[:, 0].tolist() == [State.OK] * 6 + [State.PENDING] * 4
    assert np.isnan(found.y[6:, 0]).all()


def test_close_clock_is_the_return_from_close_to_close_h_sessions_later() -> None:
    found = labels(bars(list(range(10))), asof=9, clock="close", horizons=(3,))
    assert found.y[0, 0] == np.float32(203 / 200 - 1)
    assert found.end[0, 0] == 3
    assert found.state[:, 0].tolist() == [State.OK] * 7 + [State.PENDING] * 3


def test_a_row_without_a_bar_at_the_next_session_has_no_label() -> None:
    days = [0, 1, 3, 4, 5, 6, 7, 8]
    found = labels(bars(days), asof=8, horizons=(3,))
    assert found.state[1, 0] == State.NO_ENTRY
    assert np.isnan(found.y[1, 0])


def test_offsets_are_sessions_not_rows() -> None:
    days = [0, 1, 3, 4, 5, 6]  # four rows after row 0 is day 5, four sessions after it is day 4
    found = labels(bars(days), asof=6, horizons=(3,))
    assert found.end[0, 0] == 4
    assert found.y[0, 0] == np.float32(104 / 101 - 1)


@pytest.mark.parametrize(("back", "state"), [(9, State.OK), (10, State.NO_EXIT)])
def test_a_missing_bar_at_the_end_waits_five_sessions(back: int, state: State) -> None:
    days = [0, 1, 2, 3, back, 11, 12]
    found = labels(bars(days), asof=12, horizons=(3,))
    assert found.state[0, 0] == state
    if state is State.OK:
        assert found.end[0, 0] == 9
        assert found.y[0, 0] == np.float32(109 / 101 - 1)


def test_a_delisted_symbol_ends_at_its_last_traded_close() -> None:
    found = labels(bars([0, 1, 2], list(range(12))), asof=11, horizons=(3,))
    assert found.state[0, 0] == State.DELISTED
    assert found.y[0, 0] == np.float32(202 / 101 - 1)
    assert found.end[0, 0] == 9  # 4, and five sessions in which no bar came
    assert found.state[2, 0] == State.NO_ENTRY


def test_an_end_that_may_still_come_is_pending() -> None:
    found = labels(bars([0, 1, 2]), asof=8, horizons=(3,))
    assert found.state[0, 0] == State.PENDING
    assert labels(bars([0, 1, 2]), asof=9, horizons=(3,)).state[0, 0] == State.DELISTED


def test_a_return_out_of_range_is_no_label() -> None:
    made = bars(list(range(8)))
    opens = made.opens.copy()
    opens[4] = 101 * 4.1
    opens[5] = 102 * 0.09
    found = labels(replace(made, opens=opens), asof=7, horizons=(3,))
    assert found.state[:2, 0].tolist() == [State.OUT_OF_RANGE] * 2
    assert np.isnan(found.y[:2, 0]).all()


@pytest.mark.parametrize("flag", [PROVISIONAL, SUSPECTED_SPLIT])
def test_a_flagged_row_in_the_span_is_no_label(flag: int) -> None:
    found = labels(bars(list(range(10)), flags={4: flag}), asof=9, horizons=(3,))
    # row 4 is the end of row 0's span, the entry of row 3's; row 4 itself begins after it
    assert found.state[:6, 0].tolist() == [State.FLAGGED] * 4 + [State.OK] * 2


def test_symbols_do_not_run_into_each_other() -> None:
    alone = labels(bars(list(range(12))), asof=11, horizons=(3, 10))
    both = labels(bars(list(range(12)), list(range(12))), asof=11, horizons=(3, 10))
    for rows in (slice(0, 12), slice(12, 24)):
        np.testing.assert_array_equal(both.y[rows], alone.y)
        np.testing.assert_array_equal(both.state[rows], alone.state)
