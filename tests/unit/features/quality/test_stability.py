"""How far a distribution has moved."""

import numpy as np
import pytest

from bft.features.quality.columns import stability


def test_stability_index_by_hand() -> None:
    """Half of the values move from the lowest tenth to the highest."""
    expected = np.arange(1000.0)
    assert stability(expected, expected) == pytest.approx(0, abs=1e-4)
    moved = np.r_[np.full(500, 999.0), expected[::2]]
    share = np.array([0.05] * 9 + [0.55])
    psi = ((share - 0.1) * np.log(share / 0.1)).sum()
    assert stability(expected, moved) == pytest.approx(psi, rel=0.05)
    assert stability(np.full(5, np.nan), expected) is None
