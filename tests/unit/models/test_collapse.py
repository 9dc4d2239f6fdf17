import numpy as np
import pytest
import torch

from bft.domain.forecast import Kind
from bft.models.collapse import spread_of
from bft.models.profiles import defaults
from bft.models.samples import Samples

DAYS, NAMES = 10, 30
LABELS = {
    Kind.REGRESSION: {"s": 0.02},
    Kind.BINARY: {"threshold": 0.0, "pi": 0.5, "shares": [0.5, 0.5]},
    Kind.BUCKETS: {"edges": [-0.01, 0.01], "shares": [0.3, 0.4, 0.3]},
}
rng = np.random.default_rng(0)
VALID = Samples(
    rows=np.arange(DAYS * NAMES),
    day=np.repeat(np.arange(DAYS), NAMES),
    symbol=np.tile(np.arange(NAMES), DAYS),
    y=0.02 * rng.normal(size=DAYS * NAMES),
)
PROFILE = defaults() | {"loss": "cross_entropy", "min_names": 20}


def logits(spread: float, kind: Kind) -> torch.Tensor:
    """Outputs whose score follows the true return with this deviation."""
    unit = torch.from_numpy(VALID.y / VALID.y.std())
    if kind is Kind.REGRESSION:
        return (spread * unit)[:, None]
    z = torch.zeros(len(unit), 2 if kind is Kind.BINARY else 3, dtype=torch.float64)
    z[:, -1] = 4 * spread * unit  # dp/dz is 1/4 at an even p
    return z


@pytest.mark.parametrize(("kind", "floor"), [(Kind.REGRESSION, 0.002), (Kind.BINARY, 0.003)])
def test_a_spread_under_the_floor_is_collapsed(kind: Kind, floor: float) -> None:
    label = LABELS[kind]
    flat = spread_of(kind, logits(0.9 * floor, kind), VALID, label, PROFILE)
    live = spread_of(kind, logits(1.1 * floor, kind), VALID, label, PROFILE)
    scale = VALID.y.std() / 0.02 if kind is Kind.REGRESSION else 1.0
    assert flat.output_spread == pytest.approx(0.9 * floor / scale, rel=0.02)
    assert (flat.collapsed, live.collapsed) == (True, False)


def test_a_score_that_follows_the_returns_has_rank_ic_and_auc_one() -> None:
    found = spread_of(Kind.BINARY, logits(0.1, Kind.BINARY), VALID, LABELS[Kind.BINARY], PROFILE)
    assert found.rank_ic == pytest.approx(1)
    assert found.auc == pytest.approx(1)
    assert "collapsed" in found.as_metrics()


def test_one_class_for_nearly_all_warns_and_doubles_the_floor() -> None:
    kind, noise = Kind.BUCKETS, torch.from_numpy(rng.normal(size=(DAYS * NAMES, 3)))
    label = {"edges": [-0.045, 0.045], "shares": [0.1, 0.8, 0.1]}  # nearly all lie between
    found = spread_of(kind, 0.017 * noise, VALID, label, PROFILE)
    assert found.class_share_max > 0.9
    assert found.warning
    assert 0.005 < found.output_spread < 0.01
    assert found.collapsed
    assert not spread_of(kind, 0.05 * noise, VALID, label, PROFILE).collapsed
