from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import LAST, gold_table, make_arrays

from bft.dataset.arrays import Arrays, build, open_arrays
from bft.dataset.windows import Refusal, eligible, gather, labelled, refusals, segment_age
from bft.domain import sessions
from bft.domain.gold import INPUTS, PROVISIONAL, SNAPSHOT_INPUTS


@pytest.fixture
def arrays(tmp_path: Path) -> Arrays:
    return make_arrays(tmp_path / "a", symbols=3, days=80)


def test_a_window_is_the_rows_that_end_at_its_row(arrays: Arrays) -> None:
    found = gather(arrays.inputs, np.array([19, 100, 239]), 20)
    for window, end in zip(found, (19, 100, 239), strict=True):
        np.testing.assert_array_equal(window, arrays.inputs[end - 19 : end + 1])


def test_the_first_window_needs_lookback_rows_of_one_symbol(arrays: Arrays) -> None:
    found = eligible(arrays, lookback=20, dead=())
    expected = np.tile(np.arange(80) >= 19, 3)
    np.testing.assert_array_equal(found, expected)
    assert refusals(arrays, lookback=20, dead=())[85] == Refusal.SHORT_HISTORY


def test_the_newest_session_is_scored_whatever_its_labels(arrays: Arrays) -> None:
    before = eligible(arrays, lookback=20, dead=())
    nothing = replace(
        arrays,
        y=np.full_like(arrays.y, np.nan),
        label_state=np.full_like(arrays.label_state, 5),
        label_end=np.zeros_like(arrays.label_end),
    )
    after = eligible(nothing, lookback=20, dead=())
    np.testing.assert_array_equal(before, after)
    assert arrays.dates[np.flatnonzero(before)].max() == arrays.asof


def test_a_gap_of_more_than_twenty_sessions_starts_a_new_segment(tmp_path: Path) -> None:
    newest = sessions.number(LAST)
    for missing, expected in ((20, 5), (21, 2)):
        days = [newest - 4 - missing, newest - 3 - missing, newest - 2 - missing]
        days += [newest - 1, newest]
        keys = [("AAA", sessions.session(day)) for day in days]
        folder = tmp_path / str(missing)
        inputs = np.zeros((5, len(INPUTS)), np.float32)
        build(gold_table(keys, np.ones(5), np.ones(5)), inputs, folder, asof=LAST, gold_digest="g")
        assert segment_age(open_arrays(folder))[-1] == expected


def test_context_funds_and_missing_prices_are_refused(arrays: Arrays) -> None:
    closes = arrays.closes.copy()
    closes[159] = np.nan
    changed = replace(arrays, symbols=("SPY", *arrays.symbols[1:]), closes=closes)
    found = refusals(changed, lookback=20, dead=())
    assert (found[:80] == Refusal.CONTEXT_FUND).all()
    assert found[159] == Refusal.PRICE


def test_more_than_a_fifth_of_null_cells_is_refused_but_dead_and_snapshot_ones_do_not_count(
    arrays: Arrays,
) -> None:
    counted = [name for name in INPUTS if name not in SNAPSHOT_INPUTS]  # 46
    inputs = arrays.inputs.copy()
    for name in SNAPSHOT_INPUTS:
        inputs[:, INPUTS.index(name)] = np.nan
    for name in counted[:9]:  # 9 of 46 columns: 19.6 %
        inputs[:, INPUTS.index(name)] = np.nan
    changed = replace(arrays, inputs=inputs)
    assert eligible(changed, lookback=20, dead=())[79]
    inputs[79, INPUTS.index(counted[20])] = np.nan
    inputs[60:79, INPUTS.index(counted[21])] = np.nan  # one more column's 20 cells: 21.7 %
    assert refusals(changed, lookback=20, dead=())[79] == Refusal.MISSING_CELLS
    assert eligible(changed, lookback=20, dead=counted[:9])[79]


def test_a_flagged_row_in_the_window_is_scored_but_not_trained_on(arrays: Arrays) -> None:
    flags = arrays.flags.copy()
    flags[30] |= PROVISIONAL
    changed = replace(arrays, flags=flags)
    ready = labelled(changed, horizon_at=0, lookback=20)
    assert eligible(changed, lookback=20, dead=())[30:50].all()
    assert not ready[30:50].any()
    assert ready[50]
