from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import make_arrays

from bft.dataset.arrays import Arrays
from bft.dataset.labels import State
from bft.domain.errors import DataError
from bft.domain.forecast import Kind, ModelName
from bft.models.profiles import defaults
from bft.models.samples import Samples, label_facts, select, targets, usable

REG, BIN, BUCK = (ModelName(kind, 3) for kind in Kind)
PROFILE = defaults() | {"lookback": 20}


@pytest.fixture
def arrays(tmp_path: Path) -> Arrays:
    return make_arrays(tmp_path / "a", symbols=12, days=100)


def some(y: np.ndarray, symbols: int = 10) -> Samples:
    places = np.arange(len(y))
    return Samples(rows=places, day=places, symbol=places % symbols, y=y)


def test_samples_are_labelled_windows_of_the_block_in_session_order(arrays: Arrays) -> None:
    first = int(arrays.dates.min())
    ready = usable(arrays, REG, PROFILE, ())
    found = select(arrays, REG, ((first + 30, first + 39),), ready, asof=arrays.asof)
    assert len(found) == 120
    assert (np.diff(found.day) >= 0).all()
    assert found.symbol[:12].tolist() == list(range(12))
    np.testing.assert_array_equal(found.y, arrays.y[found.rows, 0].astype(float))


def test_unlabelled_rows_and_rows_without_history_are_no_samples(arrays: Arrays) -> None:
    first = int(arrays.dates.min())
    ready = usable(arrays, REG, PROFILE, ())
    everything = select(arrays, REG, ((first, arrays.asof),), ready, asof=arrays.asof)
    assert everything.day.min() == first + 19
    assert everything.day.max() == arrays.asof - 4


def test_a_label_that_ends_past_the_purge_is_left_out(arrays: Arrays) -> None:
    first = int(arrays.dates.min())
    late = arrays.label_end.copy()
    row = 39  # symbol 0, last session of the block; its label waited three sessions for a bar
    late[row, 0] += 3
    late[row - 10, 0] += 3  # ten sessions earlier it does no harm
    changed = replace(arrays, label_end=late)
    ready = usable(changed, REG, PROFILE, ())
    rows = select(changed, REG, ((first + 20, first + 39),), ready, asof=arrays.asof).rows
    assert row not in rows
    assert row - 10 in rows


def test_labels_after_asof_are_left_out(arrays: Arrays) -> None:
    first = int(arrays.dates.min())
    ready = usable(arrays, REG, PROFILE, ())
    found = select(arrays, REG, ((first, arrays.asof),), ready, asof=first + 60)
    assert found.day.max() == first + 56


def test_more_than_a_thousandth_out_of_range_is_refused(arrays: Arrays) -> None:
    state = arrays.label_state.copy()
    known = np.flatnonzero(state[:, 0] == State.OK)  # 96 of each symbol: 1152
    state[known[:1], 0] = State.OUT_OF_RANGE
    usable(replace(arrays, label_state=state), REG, PROFILE, ())
    state[known[:2], 0] = State.OUT_OF_RANGE
    with pytest.raises(DataError, match="2 of 1152 returns lie outside"):
        usable(replace(arrays, label_state=state), REG, PROFILE, ())


def test_regression_facts_and_targets_by_hand() -> None:
    y = np.array([-0.02, 0.0, 0.02, 0.04] * 5)
    facts = label_facts(REG, some(y), PROFILE)
    assert facts["mu_y"] == pytest.approx(0.01)
    assert facts["s"] == pytest.approx(np.sqrt(0.0005))
    np.testing.assert_allclose(targets(Kind.REGRESSION, y, facts), y / np.sqrt(0.0005), rtol=1e-6)


def test_binary_facts_by_hand() -> None:
    y = np.array([-0.02, 0.0, 0.015, 0.04] * 5)
    facts = label_facts(BIN, some(y), PROFILE)
    assert facts["threshold"] == 0.015
    assert facts["pi"] == 0.5  # 0.015 itself is up
    assert facts["class_means"] == pytest.approx([-0.01, 0.0275])
    assert targets(Kind.BINARY, y[:4], facts).tolist() == [0, 0, 1, 1]


def test_bucket_facts_by_hand_with_class_means_of_clipped_returns() -> None:
    y = np.concatenate([np.arange(99) / 100, [50.0]])
    facts = label_facts(BUCK, some(y), PROFILE)
    assert facts["edges"] == pytest.approx([0.33, 0.66])
    assert facts["shares"] == pytest.approx([0.33, 0.33, 0.34])
    q99 = 0.98 + 0.01 * (50 - 0.98)  # linear between the 98th and the 99th value
    assert facts["q99"] == pytest.approx(q99)
    assert facts["class_means"][2] == pytest.approx((np.arange(66, 99).sum() / 100 + q99) / 34)
    assert targets(Kind.BUCKETS, np.array([0.32, 0.33, 0.66]), facts).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("name", "y", "message"),
    [
        (BIN, np.full(50, 0.01) + np.arange(50) * 1e-6, "every one is needed"),
        (BUCK, np.array([0.01] * 45 + [0.02] * 5), "edges .* are equal"),
        (REG, np.full(50, 0.01), "returns are equal"),
    ],
)
def test_labels_that_teach_nothing_are_refused(
    name: ModelName, y: np.ndarray, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        label_facts(name, some(y), PROFILE)
