import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from bft.domain.errors import DataError
from bft.domain.forecast import Kind
from bft.models import calibrate

RNG = np.random.default_rng(11)
BINARY = {"threshold": 0.015, "pi": 0.25, "class_means": [-0.01, 0.03]}
BUCKETS = {"edges": [-0.01, 0.02], "class_means": [-0.03, 0.0, 0.04], "shares": [0.3, 0.4, 0.3]}


def spec(label: dict, loss: str = "focal") -> dict:
    return {"label": label, "training": {"loss": loss}}


def test_platt_equals_an_unpenalised_logistic_regression() -> None:
    raw = RNG.normal(size=(4000, 2)) * 3
    margin = raw[:, 1] - raw[:, 0]
    up = RNG.random(4000) < expit(0.4 * margin - 1.2)
    y = np.where(up, 0.02, 0.0)
    found = calibrate.fit_calibration(Kind.BINARY, raw, y, spec(BINARY))
    oracle = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(margin[:, None], up)
    assert found["a"] == pytest.approx(oracle.coef_[0, 0], rel=1e-4)
    assert found["b"] == pytest.approx(oracle.intercept_[0], rel=1e-4)
    p = calibrate.apply_calibration(Kind.BINARY, raw, found, spec(BINARY))
    np.testing.assert_allclose(p, oracle.predict_proba(margin[:, None]), atol=1e-5)


def test_platt_never_turns_a_score_round() -> None:
    raw = RNG.normal(size=(500, 2))
    y = np.where(raw[:, 1] < raw[:, 0], 0.02, 0.0)
    found = calibrate.fit_calibration(Kind.BINARY, raw, y, spec(BINARY))
    assert found["a"] == 1e-3
    assert expit(found["b"]) == pytest.approx(np.mean(y > 0), abs=1e-3)


def test_vector_scaling_restores_true_probabilities() -> None:
    truth = RNG.dirichlet([2, 3, 2], 20_000)
    drawn = (truth.cumsum(axis=1) > RNG.random((20_000, 1))).argmax(axis=1)
    y = np.array([-0.02, 0.0, 0.03])[drawn]
    raw = 2.5 * (np.log(truth) - np.array([0.3, -0.1, 0.0]))  # overconfident and biased
    found = calibrate.fit_calibration(Kind.BUCKETS, raw, y, spec(BUCKETS))
    assert found["temperature"] == pytest.approx(2.5, rel=0.05)
    p = calibrate.apply_calibration(Kind.BUCKETS, raw, found, spec(BUCKETS))
    np.testing.assert_allclose(p, truth, atol=0.03)
    np.testing.assert_allclose(p.mean(axis=0), np.bincount(drawn) / 20_000, atol=1e-6)


def test_coral_logits_become_class_probabilities() -> None:
    above = np.array([[0.9, 0.3], [0.2, 0.4]])  # the second is no distribution: floored
    neutral = {"temperature": 1.0, "bias": [0.0, 0.0, 0.0]}
    p = calibrate.apply_calibration(Kind.BUCKETS, logit(above), neutral, spec(BUCKETS, "coral"))
    np.testing.assert_allclose(p[0], [0.1, 0.6, 0.3])
    np.testing.assert_allclose(p[1], [2 / 3, 0, 1 / 3], atol=1e-9)


def test_regression_point_is_scaled_and_its_slope_logged() -> None:
    label = {"s": 0.05}
    raw = RNG.normal(size=(100, 1))
    found = calibrate.fit_calibration(Kind.REGRESSION, raw, 0.1 * raw[:, 0], spec(label))
    assert found["slope"] == pytest.approx(2.0)
    points = calibrate.apply_calibration(Kind.REGRESSION, raw, found, spec(label))
    np.testing.assert_allclose(points, 0.05 * raw[:, 0])


def test_calibration_without_a_class_is_refused() -> None:
    with pytest.raises(DataError, match=r"every class.*\[5, 0\]"):
        calibrate.fit_calibration(Kind.BINARY, np.zeros((5, 2)), np.zeros(5), spec(BINARY))


def test_classes_follow_threshold_edges_and_sign() -> None:
    y = np.array([-0.02, -0.01, 0.0, 0.015, 0.02])
    assert calibrate.classes(Kind.BINARY, y, BINARY).tolist() == [0, 0, 0, 1, 1]
    assert calibrate.classes(Kind.BUCKETS, y, BUCKETS).tolist() == [0, 1, 1, 1, 2]
    assert calibrate.classes(Kind.REGRESSION, y, {}).tolist() == [0, 0, 0, 1, 1]


def test_predicted_class_expected_return_and_score_by_hand() -> None:
    two = np.array([[0.75, 0.25], [0.8, 0.2]])
    three = np.array([[0.5, 0.3, 0.2]])
    assert calibrate.predicted_classes(Kind.BINARY, two, BINARY).tolist() == [1, 0]
    assert calibrate.predicted_classes(Kind.BUCKETS, three, BUCKETS).tolist() == [0]
    assert calibrate.expected_return(Kind.BINARY, two, BINARY) == pytest.approx([0, -0.002])
    assert calibrate.score(Kind.BINARY, two, BINARY).tolist() == [0.25, 0.2]
    assert calibrate.score(Kind.BUCKETS, three, BUCKETS) == pytest.approx([-0.007])


def test_conformal_quantile_is_the_ninth_of_nine_and_the_ninetieth_of_ninety_nine() -> None:
    one_percent = np.full(9, 0.01)
    y = np.array([1.0, 9, 2, 8, 3, 7, 4, 6, 5]) * 0.01
    nine = calibrate.fit_conformal(y, np.zeros(9), one_percent, 1)
    assert nine == {"q": pytest.approx(9.0), "n": 9, "level": 0.9}
    y = np.arange(1, 100) * 0.02
    many = calibrate.fit_conformal(y, np.zeros(99), np.full(99, 0.001), 4)
    assert many["q"] == pytest.approx(90 * 0.02 / (0.005 * 2))  # a floor of 0.5 % a day
    lo, hi = calibrate.interval(np.array([0.1]), np.array([0.02]), 4, many)
    assert (lo[0], hi[0]) == (
        pytest.approx(0.1 - many["q"] * 0.04),
        pytest.approx(0.1 + 0.04 * many["q"]),
    )
    with pytest.raises(DataError, match="9 validation samples, found 8"):
        calibrate.fit_conformal(y[:8], np.zeros(8), np.ones(8), 3)


def test_conformal_interval_covers_nine_tenths_of_new_returns() -> None:
    vol = RNG.uniform(0.01, 0.03, 4000)
    y = RNG.standard_t(5, 4000) * vol
    known = calibrate.fit_conformal(y[:2000], np.zeros(2000), vol[:2000], 1)
    lo, hi = calibrate.interval(np.zeros(2000), vol[2000:], 1, known)
    assert np.mean((lo <= y[2000:]) & (y[2000:] <= hi)) == pytest.approx(0.9, abs=0.02)


def test_volatility_is_the_sample_deviation_of_twenty_returns_and_starts_afresh() -> None:
    close = np.exp(np.cumsum(RNG.normal(0, 0.02, 70)))
    found = calibrate.volatility(close, np.array([0, 30]))
    returns = close[1:] / close[:-1] - 1
    assert found[29] == pytest.approx(returns[9:29].std(ddof=1))
    assert found[32] == pytest.approx(returns[30:32].std(ddof=1))
    assert np.isnan(found[[0, 1, 30, 31]]).all()
    later = calibrate.volatility(close[40:], np.array([0]))
    assert later[-1] == found[-1]  # the same bits whatever came before
