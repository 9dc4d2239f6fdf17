import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bft.dataset.splits import (
    cpcv,
    cpcv_paths,
    embargo,
    purge,
    spans_of,
    spare,
    train_start,
    walk_forward,
)
from bft.domain.errors import DataError
from bft.domain.forecast import HORIZONS_DAYS
from bft.models.profiles import effective, profiles_folder

REALDATA = effective("realdata", "reg_3d", (), profiles_folder())
DEMO = effective("demo", "reg_3d", (), profiles_folder())


def ends(span: tuple[int, int], horizon: int) -> int:
    """Last session a label of the block looks at: out at the open of t+1+h."""
    return span[1] + 1 + horizon


def test_demo_fold_by_hand() -> None:
    # n = 5000: newest a = floor5(5000 - 30 - 21) = 4945; h = 3, g = 4
    (fold,) = walk_forward(4600, 5000, 3, DEMO)
    assert fold.test == ((4945, 4996),)
    assert fold.valid == ((4945 - 5 - 41, 4940),)
    assert fold.train == ((4600, 4899 - 5),)
    # h = 30, g = 31: valid ends 4913, begins 4872; training ends 4840: what statistics may see
    assert fold.normalise == ((4600, 4840),)


def test_older_edges_are_multiples_of_the_test_length_and_stay_for_weeks() -> None:
    first = [fold.test[0][0] for fold in walk_forward(0, 5000, 3, REALDATA)]
    later = [fold.test[0][0] for fold in walk_forward(0, 5005, 3, REALDATA)]
    # floor5(5000 - 93); 76 * 63, for 77 * 63 = 4851 leaves 54 sessions; 75 * 63
    assert first == [4725, 4788, 4905]
    assert later == [4725, 4788, 4910]
    newest = {h: walk_forward(0, 5000, h, REALDATA)[-1].test[0][0] for h in HORIZONS_DAYS}
    assert len(set(newest.values())) == 1


def test_too_short_a_history_says_what_is_needed() -> None:
    with pytest.raises(DataError, match=r"400 are needed: load \d+ earlier.* --profile short"):
        walk_forward(4600, 5000, 3, REALDATA)
    with pytest.raises(DataError, match="from 2000-01-03 before the first test on 2001-10-08"):
        walk_forward(0, 700, 3, REALDATA)


@pytest.mark.parametrize("profile", [REALDATA, DEMO])
def test_spare_sessions_are_those_that_folds_can_lose(profile: dict[str, object]) -> None:
    left = spare(2000, 5000, profile)
    walk_forward(2000 + left, 5000, 30, profile)
    with pytest.raises(DataError, match="load 1 earlier"):
        walk_forward(2000 + left + 1, 5000, 30, profile)


def test_train_start_counts_from_the_first_or_the_newest_session() -> None:
    assert train_start(100, 5000, 200) == 300
    assert train_start(100, 5000, -400) == 4600
    assert train_start(4800, 5000, -400) == 4800


@settings(max_examples=200, deadline=None)
@given(
    newest=st.integers(2000, 9000),
    horizon=st.sampled_from(HORIZONS_DAYS),
    test=st.integers(5, 80),
    valid=st.integers(5, 150),
    folds=st.integers(1, 4),
)
def test_no_label_of_a_block_ends_inside_a_later_block(
    newest: int, horizon: int, test: int, valid: int, folds: int
) -> None:
    profile = {
        "test_sessions": test,
        "valid_sessions": valid,
        "folds": folds,
        "min_train_sessions": 1,
    }
    made = walk_forward(newest - 1900, newest, horizon, profile)
    assert len(made) == folds
    for fold in made:
        ((train,), (held,), (tested,), (seen,)) = fold.train, fold.valid, fold.test, fold.normalise
        assert ends(train, horizon) == held[0] - 1  # as tight as it may be
        assert ends(held, horizon) == tested[0] - 1
        assert ends(seen, max(HORIZONS_DAYS)) < held[0]
        assert seen[1] <= train[1]
        assert held[1] - held[0] + 1 == valid
        assert tested[1] - tested[0] + 1 >= test
    assert ends(made[-1].test[0], horizon) <= newest
    for older, newer in pairwise(made):
        assert older.test[0][1] == newer.test[0][0] - 1


@pytest.mark.parametrize("horizon", HORIZONS_DAYS)
def test_cpcv_keeps_every_training_label_apart_from_test_and_validation(horizon: int) -> None:
    folds = cpcv(0, 1999, horizon, REALDATA)
    assert len(folds) == 45
    e = embargo(horizon, 1999 - purge(30) + 1)
    for fold in folds:
        train = {day for first, last in fold.train for day in range(first, last + 1)}
        for blocks in (fold.test, fold.valid):
            for first, last in blocks:
                span = range(first, ends((first, last), horizon) + 1)
                assert not train & set(span)
                assert not {t for t in train if first <= t + 1 + horizon <= last}
                if blocks is fold.test:
                    assert not train & set(range(last + 1, last + 2 + horizon + e))
        assert {t for first, last in fold.valid for t in range(first, last + 1)}.isdisjoint(train)


def test_cpcv_has_nine_paths_that_each_cover_every_group_once() -> None:
    folds = cpcv(0, 1999, 3, REALDATA)
    paths = cpcv_paths({fold.k: fold.test for fold in folds})
    assert len(paths) == 9
    used = [(k, span) for path in paths for k, span in path]
    assert len(set(used)) == 90 == 45 * 2
    for path in paths:
        assert [span for _, span in path] == sorted({s for fold in folds for s in fold.test})


def test_embargo_is_the_horizon_or_one_hundredth() -> None:
    assert embargo(3, 1000) == 10
    assert embargo(30, 1000) == 30
    assert embargo(3, 1001) == math.ceil(10.01)


def test_spans_survive_json() -> None:
    (fold,) = walk_forward(4600, 5000, 3, DEMO)
    assert spans_of(fold.as_json()["train"]) == fold.train
    split = cpcv(0, 1999, 3, REALDATA)[17]
    assert spans_of(split.as_json()["train"]) == split.train
    assert spans_of(np.array([[1, 2], [5, 6]])) == ((1, 2), (5, 6))
