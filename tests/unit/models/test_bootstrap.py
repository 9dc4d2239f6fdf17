import numpy as np
import pytest

from bft.models import bootstrap


def test_deflated_sharpe_equals_the_papers_example() -> None:
    expected, chance = bootstrap.deflated_sharpe(
        2.5 / np.sqrt(250), days=1250, skew=-3, kurtosis=10, trials=100, variance=0.5 / 250
    )
    assert expected == pytest.approx(0.1132, abs=5e-5)
    assert chance == pytest.approx(0.9004, abs=5e-5)


def test_deflated_sharpe_of_one_trial_expects_nothing() -> None:
    expected, chance = bootstrap.deflated_sharpe(
        0.0, days=100, skew=0, kurtosis=3, trials=1, variance=1.0
    )
    assert (expected, chance) == (0.0, 0.5)


def test_block_is_the_horizon_or_the_cube_root() -> None:
    assert bootstrap.block_days(64, 3) == 4
    assert bootstrap.block_days(125, 3) == 5
    assert bootstrap.block_days(126, 3) == 6
    assert bootstrap.block_days(1000, 30) == 31


def test_draws_are_runs_of_days_of_the_mean_length() -> None:
    places = bootstrap.draws(200, 10, 500, 1)
    assert places.shape == (500, 200)
    follows = (places[:, 1:] - places[:, :-1]) % 200 == 1
    assert follows.mean() == pytest.approx(0.9, abs=0.01)  # a run ends with chance 1/10
    assert np.bincount(places.ravel(), minlength=200).std() < 0.1 * 500
    assert np.array_equal(places, bootstrap.draws.__wrapped__(200, 10, 500, 1))


def test_interval_covers_the_mean_of_dependent_days() -> None:
    """95 % intervals of an AR(1) mean; without blocks (independent draws) about 70 % cover."""
    rng, hits, trials = np.random.default_rng(5), 0, 200
    for _ in range(trials):
        x, noise = np.zeros(300), rng.normal(size=300)
        for n in range(1, 300):
            x[n] = 0.6 * x[n - 1] + noise[n]
        found = bootstrap.interval(x, horizon=20, count=300, seed=1)
        hits += found["lo"] <= 0 <= found["hi"]
    assert 0.86 <= hits / trials <= 0.99


def test_interval_of_few_days_is_none() -> None:
    few = bootstrap.interval(np.ones(43), horizon=10, count=100, seed=1)
    assert few == {"lo": None, "hi": None, "reason": "few_days"}
    assert bootstrap.interval(np.ones(44), horizon=10, count=100, seed=1)["lo"] == 1.0


def test_differences_pair_on_the_same_days() -> None:
    """Two series that move together differ by a constant: the paired interval has no width."""
    x = np.random.default_rng(1).normal(size=100)
    found = bootstrap.interval(x + 0.5 - x, horizon=3, count=200, seed=1)
    assert found["hi"] - found["lo"] == pytest.approx(0, abs=1e-12)


def test_statistics_equal_their_series_form() -> None:
    rows = np.array([[0.1, -0.5, 0.2], [0.01, 0.02, -0.01]])
    assert bootstrap.max_drawdown(rows)[0] == pytest.approx(-0.5)
    expected = rows[1].mean() / rows[1].std(ddof=1) * np.sqrt(252)
    assert bootstrap.sharpe(rows)[1] == pytest.approx(expected)
