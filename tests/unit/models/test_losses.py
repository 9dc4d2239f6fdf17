"""Losses against figures from the specification, PyTorch's own, or plain formulas."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from bft.domain.forecast import Kind
from bft.models import losses
from bft.models.profiles import defaults

Z = torch.tensor([[0.2, -1.0, 0.7], [2.0, 0.0, -1.0]])
Y = torch.tensor([2, 1])


def profile(**changes: object) -> dict[str, object]:
    return defaults() | changes


@pytest.mark.parametrize(
    ("sigma", "row", "expected"),
    [
        (0.5, 0, [0.881, 0.119, 0.000]),
        (0.5, 1, [0.107, 0.787, 0.107]),
        (1.0, 0, [0.574, 0.348, 0.078]),
        (1.0, 1, [0.274, 0.452, 0.274]),
    ],
)
def test_soft_ordinal_targets(sigma: float, row: int, expected: list[float]) -> None:
    found = losses.soft_targets(3, sigma=sigma)[row]
    np.testing.assert_allclose(found, expected, atol=5e-4)


def best_probability(truth: float, *, gamma: float = 2.0, entropy: float = 0.0) -> float:
    """p that minimises the expected focal loss less the entropy bonus, on a fine grid."""
    p = torch.linspace(0.0005, 0.9995, 9991, dtype=torch.float64)
    z = torch.stack([torch.log(1 - p), torch.log(p)], dim=1)
    one, zero = torch.ones(len(p), dtype=torch.long), torch.zeros(len(p), dtype=torch.long)
    expected = truth * losses.focal(z, one, gamma=gamma)
    expected = expected + (1 - truth) * losses.focal(z, zero, gamma=gamma)
    bonus = losses.entropy(F.log_softmax(z, dim=1))
    return float(p[(expected - entropy * bonus).argmin()])


def test_focal_answers_a_true_070_with_05785() -> None:
    assert best_probability(0.70) == pytest.approx(0.5785, abs=2e-4)


@pytest.mark.parametrize(("weight", "expected"), [(0.05, 0.842), (0.5, 0.684)])
def test_entropy_bonus_holds_back_a_certain_sample(weight: float, expected: float) -> None:
    assert best_probability(1.0, entropy=weight) == pytest.approx(expected, abs=1e-3)


def test_focal_with_gamma_0_is_cross_entropy() -> None:
    torch.testing.assert_close(losses.focal(Z, Y, gamma=0.0), losses.cross_entropy(Z, Y))


def test_cross_entropy_and_smoothing_by_formula() -> None:
    p = torch.softmax(Z, dim=1).numpy()
    expected = [-math.log(p[0, 2]), -math.log(p[1, 1])]
    np.testing.assert_allclose(losses.cross_entropy(Z, Y), expected, rtol=1e-6)
    smooth = [
        -(0.9 * math.log(p[n, y]) + 0.1 / 3 * sum(math.log(q) for q in p[n]))
        for n, y in enumerate((2, 1))
    ]
    found = losses.loss_of(Kind.BUCKETS, profile(loss="label_smoothing"))(Z, Y)
    np.testing.assert_allclose(found, smooth, rtol=1e-6)


def test_symmetric_ce_by_formula() -> None:
    p = torch.softmax(Z, dim=1).numpy()
    expected = [-math.log(p[n, y]) + 0.5 * 4 * (1 - p[n, y]) for n, y in enumerate((2, 1))]
    np.testing.assert_allclose(losses.symmetric_ce(Z, Y), expected, rtol=1e-5)


def test_ordinal_focal_by_formula() -> None:
    p = torch.softmax(Z, dim=1).numpy().astype(float)
    expected = []
    for n, y in enumerate((2, 1)):
        focal = -((1 - p[n, y]) ** 2) * math.log(p[n, y])
        steps = sum((p[n, : k + 1].sum() - (y <= k)) ** 2 for k in range(2))
        expected.append(focal + steps)
    np.testing.assert_allclose(losses.ordinal_focal(Z, Y), expected, rtol=1e-5)


def test_coral_by_formula_and_its_probabilities() -> None:
    z = torch.tensor([[1.0, -1.0]])
    up = [1 / (1 + math.exp(-1)), 1 / (1 + math.exp(1))]
    expected = -(math.log(up[0]) + math.log(1 - up[1]))  # class 1: above 0, not above 1
    assert float(losses.coral(z, torch.tensor([1]))[0]) == pytest.approx(expected, rel=1e-6)
    p = losses.log_probabilities(z, loss="coral").exp()[0]
    np.testing.assert_allclose(p, [1 - up[0], up[0] - up[1], up[1]], rtol=1e-6)


def test_coral_probabilities_with_crossed_thresholds_are_floored_and_sum_to_one() -> None:
    p = losses.log_probabilities(torch.tensor([[-1.0, 2.0]]), loss="coral").exp()[0]
    assert float(p[1]) < 1e-9
    assert float(p.sum()) == pytest.approx(1)


def test_regression_losses_by_formula() -> None:
    yhat, y = torch.tensor([0.5, -2.0, 0.1]), torch.tensor([-0.5, 1.0, 0.4])
    gap = (yhat - y).numpy().astype(float)
    wrong = np.array([1, 1, 0])
    cosh = np.log(np.cosh(gap))
    direction = gap**2 * (1 + 3 * wrong)
    table = {
        "mse": gap**2,
        "mae": np.abs(gap),
        "huber": np.where(np.abs(gap) <= 1, 0.5 * gap**2, np.abs(gap) - 0.5),
        "smooth_l1": np.where(np.abs(gap) < 1, 0.5 * gap**2, np.abs(gap) - 0.5),
        "logcosh": cosh,
        "directional_mse": direction,
        "combined_regression": 0.5 * cosh + 0.5 * direction,
    }
    for name, expected in table.items():
        found = losses.loss_of(Kind.REGRESSION, profile(loss=name))(yhat, y)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7, err_msg=name)


def test_a_scaled_return_beyond_five_counts_as_five() -> None:
    loss = losses.loss_of(Kind.REGRESSION, profile(loss="mse"))
    assert loss(torch.tensor([0.0, 0.0]), torch.tensor([9.0, -9.0])).tolist() == [25.0, 25.0]


def test_logcosh_does_not_overflow() -> None:
    assert float(losses.logcosh(torch.tensor([1e4]), torch.tensor([0.0]))) == pytest.approx(
        1e4 - math.log(2)
    )


def test_entropy_of_a_uniform_distribution() -> None:
    assert float(losses.entropy(torch.log(torch.full((1, 3), 1 / 3)))) == pytest.approx(math.log(3))
