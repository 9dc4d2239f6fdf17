"""The merge by hand: three symbols, nine models."""

import numpy as np
import pytest

from bft.domain.errors import DataError
from bft.domain.forecast import MODEL_NAMES, MODELS, Kind, ModelName
from bft.models.merge import Output, check_quorum, contract_fault, merge

WEIGHTS = dict.fromkeys(MODEL_NAMES, 1.0)
QUORUM = {"models": 7, "kinds_per_horizon": 2}


def output(kind: Kind, expected: list[float], mu_y: float = 0.0) -> Output:
    e = np.array(expected)
    if kind is Kind.REGRESSION:
        return Output(calibrated=e, expected=e, mu_y=mu_y, lo=e - 0.1, hi=e + 0.1)
    count = 2 if kind is Kind.BINARY else 3
    p = np.full((len(e), count), 1 / count)
    return Output(calibrated=p, expected=e, mu_y=mu_y, classes=np.ones(len(e), dtype=int), pi=0.25)


def nine(by_horizon: dict[int, list[float]]) -> dict[ModelName, Output]:
    return {m: output(m.kind, by_horizon[m.horizon_days]) for m in MODELS}


def test_merge_of_equal_kinds_by_hand() -> None:
    found = merge(
        nine({3: [0.01, 0.0, -0.01], 10: [0.02, 0.0001, -0.02], 30: [0.03, -0.01, 0.0]}), WEIGHTS
    )
    assert found["expected_return_3d"] == pytest.approx([0.01, 0, -0.01])
    assert found["rank_30d"] == pytest.approx([2.5 / 3, 0.5 / 3, 1.5 / 3])
    assert found["consensus_direction"].tolist() == ["BUY", "NEUTRAL", "SELL"]
    assert found["horizon_agreement"].tolist() == [3, 1, 2]
    ranks = [(2.5 + 2.5 + 2.5) / 9, (1.5 + 1.5 + 0.5) / 9, (0.5 + 0.5 + 1.5) / 9]
    assert found["score"] == pytest.approx([2 * r - 1 for r in ranks])
    assert found["consensus_confidence"][0] == pytest.approx(1 - 1 / (1 + 50 * 0.02))
    assert found["lift_bin_3d"] == pytest.approx([2, 2, 2])
    assert found["agreement_10d"].tolist() == [3, 3, 3]


def test_merge_weighs_kinds_and_measures_sides_from_each_mean() -> None:
    outputs = nine({3: [0.0] * 2, 10: [0.0] * 2, 30: [0.0] * 2})
    outputs[ModelName(Kind.REGRESSION, 3)] = output(Kind.REGRESSION, [0.02, 0.03], mu_y=0.01)
    outputs[ModelName(Kind.BINARY, 3)] = output(Kind.BINARY, [0.01, 0.00], mu_y=0.02)
    outputs[ModelName(Kind.BUCKETS, 3)] = output(Kind.BUCKETS, [0.05, 0.01], mu_y=0.01)
    found = merge(outputs, WEIGHTS | {"reg_3d": 2.0})
    assert found["expected_return_3d"] == pytest.approx([0.1 / 4, 0.07 / 4])
    # from their means: +0.01 -0.01 +0.04; +0.02 -0.02 0 (on no side)
    assert found["agreement_3d"].tolist() == [2, 1]
    x = [(2 * 0.01 - 0.01 + 0.04) / 4, (2 * 0.02 - 0.02) / 4]
    assert found["consensus_confidence"] == pytest.approx([1 - 1 / (1 + 50 * v / 3) for v in x])


def test_merge_without_a_model_renormalises_and_leaves_its_columns_out() -> None:
    outputs = nine({3: [0.03, 0.0], 10: [0.0, 0.1], 30: [0.1, 0.0]})
    outputs[ModelName(Kind.BUCKETS, 3)] = output(Kind.BUCKETS, [0.0, 0.0])
    del outputs[ModelName(Kind.BINARY, 3)]
    found = merge(outputs, WEIGHTS)
    assert found["expected_return_3d"] == pytest.approx([0.015, 0])
    assert "prob_1_bin_3d" not in found
    assert "prob_1_bin_10d" in found


def test_tied_returns_share_a_rank_and_tiny_ones_have_no_sign() -> None:
    found = merge(nine({3: [0.0001, 0.0001], 10: [-0.0001, 0.01], 30: [0.01, 0.01]}), WEIGHTS)
    assert found["rank_3d"].tolist() == [0.5, 0.5]
    assert found["consensus_direction"].tolist() == ["NEUTRAL", "BUY"]
    assert found["horizon_agreement"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ([], None),
        (["reg_3d"], None),
        (["reg_3d", "bin_10d"], None),
        (["reg_3d", "bin_3d"], "short at [3]"),
        (["reg_3d", "bin_10d", "buck_30d"], "6 of 9"),
    ],
)
def test_quorum_ladder(missing: list[str], message: str | None) -> None:
    present = [name for name in MODELS if str(name) not in missing]
    if message is None:
        assert [str(name) for name in check_quorum(present, QUORUM)] == missing
    else:
        with pytest.raises(DataError) as caught:
            check_quorum(present, QUORUM)
        assert message in str(caught.value)
        assert all(name in str(caught.value) for name in missing)


def test_output_contract_names_each_fault() -> None:
    good = output(Kind.REGRESSION, [0.1, 0.2])
    assert contract_fault(Kind.REGRESSION, good) is None
    faults = {
        "not finite": output(Kind.REGRESSION, [0.1, np.nan]),
        "a return above 100 %": output(Kind.REGRESSION, [0.1, -1.01]),
        "the same value for every symbol": output(Kind.REGRESSION, [0.1, 0.1]),
        "a point outside its interval": Output(
            calibrated=good.calibrated, expected=good.expected, mu_y=0.0, lo=good.lo, hi=good.lo
        ),
    }
    for text, fault in faults.items():
        assert contract_fault(Kind.REGRESSION, fault) == text
    p = np.array([[0.5, 0.5], [0.4, 0.5]])
    odd = Output(calibrated=p, expected=np.array([0.1, 0.2]), mu_y=0.0)
    assert contract_fault(Kind.BINARY, odd) == "probabilities that do not sum to 1"
