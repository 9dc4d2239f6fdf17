import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as oracle

from bft.models import classification, drift, metrics

RNG = np.random.default_rng(3)


def holes(shape: tuple[int, int], share: float = 0.2) -> np.ndarray:
    return np.where(RNG.random(shape) < share, np.nan, RNG.normal(size=shape).round(1))


def test_daily_correlations_equal_scipy_with_ties_and_holes() -> None:
    score, y = holes((12, 60)), holes((12, 60))
    ic = metrics.daily_ic(score, y, min_names=20)
    rank_ic = metrics.daily_rank_ic(score, y, min_names=20)
    for n in range(12):
        both = np.isfinite(score[n]) & np.isfinite(y[n])
        assert ic[n] == pytest.approx(stats.pearsonr(score[n, both], y[n, both])[0])
        assert rank_ic[n] == pytest.approx(stats.spearmanr(score[n, both], y[n, both])[0])


def test_daily_correlation_without_names_or_spread_is_unknown() -> None:
    score = np.array([[1.0, 2, np.nan, 4], [5, 5, 5, 5], [1, 2, 3, 4]])
    y = np.array([[1.0, 2, 3, 5], [1, 2, 3, 4], [2, 4, 6, 8]])
    assert np.isnan(metrics.daily_ic(score, y, min_names=4)).tolist() == [True, True, False]


def test_without_volatility_takes_out_what_volatility_explains() -> None:
    vol = np.exp(RNG.normal(size=(2, 50)))
    own = RNG.normal(size=(2, 50))
    left = metrics.without_volatility(3 * np.log(vol) + own, vol)
    for n in range(2):
        slope = stats.linregress(np.log(vol[n]), own[n])
        expected = own[n] - slope.intercept - slope.slope * np.log(vol[n])
        np.testing.assert_allclose(left[n], expected, atol=1e-12)


def test_newey_west_t_by_hand() -> None:
    # x = 1, 2, 3, 6: mean 3, gaps -2 -1 0 3; g0 = 14/4, g1 = (2 + 0 + 0)/4
    # variance of the mean = (3.5 + 2 * 0.5 * 0.5) / 4 = 1; t = 3
    series = np.array([1.0, np.nan, 2, 3, 6])
    assert metrics.newey_west_t(series, lags=1) == pytest.approx(3.0)
    assert metrics.information_ratio(series) == pytest.approx(3 / np.sqrt(14 / 3))


def test_regression_metrics_equal_sklearn_and_scipy() -> None:
    y, yhat = RNG.normal(size=200), RNG.normal(size=200)
    found = metrics.regression(y, yhat)
    assert found["mse"] == pytest.approx(oracle.mean_squared_error(y, yhat))
    assert found["mae"] == pytest.approx(oracle.mean_absolute_error(y, yhat))
    assert found["slope"] == pytest.approx(stats.linregress(yhat, y).slope)
    assert found["sign_accuracy"] == oracle.accuracy_score(y > 0, yhat > 0)


def test_coverage_counts_all_by_year_and_by_tercile() -> None:
    y = np.array([0.0, 1, 2, 3, 4, 5])
    lo, hi = np.full(6, 0.5), np.full(6, 3.5)
    year = np.array([2017, 2017, 2017, 2018, 2018, 2018])
    found = metrics.coverage(y, lo, hi, year=year, vol20=np.arange(6.0))
    assert found["all"] == 0.5
    assert found["width"] == 3
    assert found["by_year"] == {"2017": pytest.approx(2 / 3), "2018": pytest.approx(1 / 3)}
    assert found["by_volatility"] == {"calm": 0.5, "middle": 1.0, "wild": 0.0}


def test_deciles_average_days_of_at_least_ten_names() -> None:
    score = np.vstack([np.arange(20.0), np.arange(20.0)[::-1], np.full(20, np.nan)])
    score[2, :9] = 1
    y = np.vstack([np.arange(20.0), np.arange(20.0)[::-1], np.ones(20)])
    assert metrics.deciles(score, y) == [2 * n + 0.5 for n in range(10)]


def test_windows_are_whole_and_in_order() -> None:
    series = np.arange(45.0)
    assert metrics.windows_of(series).tolist() == [10.0, 31.0]


@pytest.mark.parametrize("count", [2, 3])
def test_class_metrics_equal_sklearn(count: int) -> None:
    true = RNG.integers(0, count, 300)
    true[:40] = 0
    said = np.where(RNG.random(300) < 0.5, true, RNG.integers(0, count, 300))
    counts = classification.confusion(true, said, count)
    found = classification.by_class(counts)
    average = "binary" if count == 2 else "macro"
    assert counts.tolist() == oracle.confusion_matrix(true, said).tolist()
    assert found["precision"] == pytest.approx(oracle.precision_score(true, said, average=average))
    assert found["recall"] == pytest.approx(oracle.recall_score(true, said, average=average))
    assert found["f1_macro"] == pytest.approx(oracle.f1_score(true, said, average="macro"))
    rarest = np.bincount(true).argmin()
    recalls = oracle.recall_score(true, said, average=None)
    assert found["minority_recall"] == pytest.approx(recalls[rarest])
    assert found["accuracy"] == pytest.approx(oracle.accuracy_score(true, said))
    assert found["majority_accuracy"] == pytest.approx(np.bincount(true).max() / 300)
    top = oracle.precision_score(true == count - 1, said == count - 1)
    assert found["precision_lift"] == pytest.approx(top / np.mean(true == count - 1))


def test_class_metrics_of_a_class_never_predicted_stay_finite() -> None:
    found = classification.by_class(np.array([[5, 0, 0], [3, 0, 0], [2, 0, 0]]))
    assert found["precision"] == pytest.approx(0.5 / 3)
    assert found["minority_recall"] == 0


def test_probability_metrics_equal_sklearn() -> None:
    true = RNG.integers(0, 3, 400)
    p = RNG.dirichlet([1, 1, 1], 400).round(2)
    p /= p.sum(axis=1, keepdims=True)
    up, p_up = true == 1, p[:, 1]
    two = np.stack([1 - p_up, p_up], axis=1)
    assert classification.auc(up, p_up) == pytest.approx(oracle.roc_auc_score(up, p_up))
    assert classification.auc_one_vs_rest(true, p) == pytest.approx(
        oracle.roc_auc_score(true, p, multi_class="ovr")
    )
    assert classification.brier(up.astype(int), two) == pytest.approx(
        oracle.brier_score_loss(up, p_up)
    )
    three = oracle.brier_score_loss(true, p, labels=[0, 1, 2], scale_by_half=False)
    assert classification.brier(true, p) == pytest.approx(three)
    sure = np.clip(p, 1e-9, 1)
    sure /= sure.sum(axis=1, keepdims=True)
    assert classification.log_loss(true, sure) == pytest.approx(oracle.log_loss(true, sure))


def test_skill_of_the_base_rate_is_zero_and_of_the_truth_one() -> None:
    true = np.array([0, 1, 1, 2])
    base = np.array([0.2, 0.5, 0.3])
    assert classification.skill(true, np.tile(base, (4, 1)), base) == pytest.approx(0)
    assert classification.skill(true, np.eye(3)[true], base) == pytest.approx(1)


def test_ece_by_hand_and_zero_when_calibrated() -> None:
    # ten bins of two: forecasts 0.05, 0.15 .. 0.95; each bin has one hit, so the gap is |p - 0.5|
    p = np.repeat(np.arange(10) / 10 + 0.05, 2)
    true = np.tile([0, 1], 10)
    two = np.stack([1 - p, p], axis=1)
    assert classification.ece(true, two) == pytest.approx(0.25)
    honest = np.repeat([0.0, 1.0], 50)
    two = np.stack([1 - honest, honest], axis=1)
    assert classification.ece(honest.astype(int), two) == 0


def test_wilson_band_equals_scipy() -> None:
    for hits, n in ((0, 10), (7, 20), (30, 30)):
        found = classification.wilson(hits, n)
        expected = stats.binomtest(hits, n).proportion_ci(0.95, method="wilson")
        assert found == pytest.approx((expected.low, expected.high))


def test_psi_by_hand() -> None:
    # deciles of 0..99 hold 10 % each; the other sample lies in the lowest two
    expected, actual = np.arange(100.0), np.array([0.0, 1, 2, 15])
    shares = np.array([0.75, 0.25] + [1e-4] * 8)
    by_hand = np.sum((shares - 0.1) * np.log(shares / 0.1))
    assert drift.psi(expected, actual) == pytest.approx(by_hand)
    assert drift.psi(expected, expected) == pytest.approx(0)


def test_psi_of_few_values_merges_bins_and_of_nothing_is_unknown() -> None:
    ones = np.ones(50)
    assert drift.psi(ones, ones) == pytest.approx(0, abs=1e-9)
    assert drift.psi(ones, np.array([np.nan])) is None


def test_ks_equals_scipy() -> None:
    a, b = RNG.normal(size=80).round(1), RNG.normal(0.3, 1, 60).round(1)
    assert drift.ks(a, b) == pytest.approx(stats.ks_2samp(a, b).statistic)


def test_reference_quantiles_stand_for_their_sample() -> None:
    a, b = RNG.normal(size=3000), RNG.normal(0.3, 1, 600)
    near = np.array(drift.reference(a))
    assert drift.ks(near, b) == pytest.approx(stats.ks_2samp(a, b).statistic, abs=0.005)
    assert drift.psi(near, b) == pytest.approx(drift.psi(a, b), abs=0.01)


def test_daily_median_is_taken_out_by_day() -> None:
    day = np.array([7, 8, 7, 8, 7])
    values = np.array([1.0, 10, 2, 30, 6])
    assert drift.without_daily_median(day, values).tolist() == [-1, -10, 0, 10, 4]
