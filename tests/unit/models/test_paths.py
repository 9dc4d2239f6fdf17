import numpy as np

from bft.domain.forecast import Kind
from bft.models.blocks import Forecasts, judged
from bft.models.paths import Scored, joined, overfitting, routes


def scored(k: int, *spans: tuple[int, int]) -> Scored:
    days = np.concatenate([np.arange(first, last + 1) for first, last in spans])
    value = 100.0 * k + days
    raw = Forecasts(
        k=k, day=days, symbol=np.zeros_like(days), y=value, calibrated=value, vol20=value
    )
    block = judged(raw, Kind.REGRESSION, {"mu_y": 0.0})
    return Scored(block=block, spans=spans, baselines={"ridge": value, "lightgbm": None})


A, B, C = (0, 4), (5, 9), (10, 14)


def test_paths_cover_each_session_once_by_different_splits() -> None:
    ways = routes([scored(0, A, B), scored(1, A, C), scored(2, B, C)])
    assert len(ways) == 2
    for way in ways:
        days = np.concatenate([piece.block.day for piece in way])
        assert days.tolist() == list(range(15))
        assert [piece.block.k for piece in way] == [0, 1, 2]
    assert [piece.block.y[0] // 100 for piece in ways[0]] == [0, 0, 1]
    assert [piece.block.y[0] // 100 for piece in ways[1]] == [1, 2, 2]
    assert joined(ways[1], ["ridge"])["ridge"].tolist() == [  # type: ignore[union-attr]
        *(100 + day for day in range(5)),
        *(200 + day for day in range(5, 15)),
    ]
    assert joined(ways[0], ["lightgbm"]) == {"lightgbm": None}


def test_walk_forward_folds_have_no_paths() -> None:
    assert routes([scored(0, A), scored(1, B)]) == []


def test_a_candidate_that_is_always_best_is_not_overfitted() -> None:
    rng = np.random.default_rng(0)
    noise = 0.01 * rng.normal(size=(500, 4))
    noise[:, 2] += 0.01
    assert overfitting(noise) == 0.0


def test_the_best_of_nothing_is_as_often_below_the_median_as_above() -> None:
    found = [
        overfitting(0.01 * np.random.default_rng(seed).normal(size=(300, 9))) for seed in range(40)
    ]
    assert 0.4 < np.mean([value for value in found if value is not None]) < 0.75
    assert overfitting(np.ones((100, 1))) is None
