from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import make_arrays

from bft.dataset.arrays import Arrays
from bft.dataset.normalise import (
    dump_statistics,
    fit_statistics,
    load_statistics,
    normalise,
    shared,
)
from bft.domain.errors import DataError
from bft.domain.gold import INPUTS


@pytest.fixture
def arrays(tmp_path: Path) -> Arrays:
    return make_arrays(tmp_path / "a", symbols=12, days=100)


def span(arrays: Arrays) -> list[tuple[int, int]]:
    first = int(arrays.dates.min())
    return [(first + 10, first + 69)]


def test_normalise_by_hand() -> None:
    x = np.array([1.0, np.nan, 100.0, -100.0, np.inf], dtype=np.float32)
    found = normalise(x, np.float32(0.5), np.float32(2.0))  # type: ignore[arg-type]
    assert found.tolist() == [0.25, 0.0, 5.0, -5.0, 0.0]
    assert found.dtype == np.float32


def test_statistics_are_those_of_each_symbols_training_rows(arrays: Arrays) -> None:
    found, _ = fit_statistics(arrays, span(arrays), min_rows=60)
    rows = arrays.inputs[110:170].astype(np.float64)  # symbol 1, sessions 10 to 69
    np.testing.assert_allclose(found.mu[1], rows.mean(axis=0), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(found.sigma[1], rows.std(axis=0), rtol=1e-5)


def test_rows_outside_the_fit_window_change_nothing(arrays: Arrays) -> None:
    inputs = arrays.inputs.copy()
    inputs.reshape(12, 100, -1)[:, 70:] *= 9
    inputs.reshape(12, 100, -1)[:, :10] *= 9
    before, _ = fit_statistics(arrays, span(arrays), min_rows=60)
    after, _ = fit_statistics(replace(arrays, inputs=inputs), span(arrays), min_rows=60)
    assert dump_statistics(before) == dump_statistics(after)


def test_a_thin_symbol_takes_the_pooled_statistics(arrays: Arrays) -> None:
    inputs = arrays.inputs.copy()
    inputs[110, 7] = np.nan  # 59 rows are left
    found, _ = fit_statistics(replace(arrays, inputs=inputs), span(arrays), min_rows=60)
    assert found.mu[1, 7] == found.pooled_mu[7]
    assert found.mu[1, 8] != found.pooled_mu[8]
    pooled = inputs.reshape(12, 100, -1)[:, 10:70, 7].astype(np.float64)
    np.testing.assert_allclose(found.pooled_mu[7], np.nanmean(pooled), rtol=1e-5)
    np.testing.assert_allclose(found.pooled_sigma[7], np.nanstd(pooled), rtol=1e-5)


def test_context_funds_are_not_pooled(arrays: Arrays) -> None:
    inputs = arrays.inputs.copy()
    inputs[:100] += 50
    changed = replace(arrays, inputs=inputs, symbols=("SPY", *arrays.symbols[1:]))
    found, _ = fit_statistics(changed, span(arrays), min_rows=60)
    assert abs(found.pooled_mu[INPUTS.index("sma_20_pct")]) < 1


def test_a_new_symbol_is_pooled_and_counted(arrays: Arrays) -> None:
    found, _ = fit_statistics(arrays, span(arrays), min_rows=60)
    mu, _, pooled = found.of(["S001", "NEW"])
    assert pooled.tolist() == [1]
    np.testing.assert_array_equal(mu[0], found.mu[1])
    np.testing.assert_array_equal(mu[1], found.pooled_mu)


def test_a_dead_feature_is_zero_whatever_comes_later(arrays: Arrays) -> None:
    inputs = arrays.inputs.copy()
    inputs.reshape(12, 100, -1)[:, :70, 5] = np.nan
    changed = replace(arrays, inputs=inputs)
    found, _ = fit_statistics(changed, span(arrays), min_rows=60)
    assert found.dead == (INPUTS[5],)
    assert (normalise(inputs[90:100], found.mu[0], found.sigma[0])[:, 5] == 0).all()


def test_a_constant_feature_has_deviation_one(arrays: Arrays) -> None:
    inputs = arrays.inputs.copy()
    inputs[:, 5] = 7
    found, constant = fit_statistics(replace(arrays, inputs=inputs), span(arrays), min_rows=60)
    assert constant == (INPUTS[5],)
    assert (found.sigma[:, 5] == 1).all()


def test_the_cache_is_the_same_function_bit_for_bit(arrays: Arrays, tmp_path: Path) -> None:
    found = shared(arrays, span(arrays), min_rows=60, cache=tmp_path)
    mu, sigma, _ = found.statistics.of(arrays.symbols)
    for s in range(12):
        window = arrays.inputs[s * 100 + 40 : s * 100 + 60]
        np.testing.assert_array_equal(
            normalise(window[None], mu[s], sigma[s])[0],
            found.matrix[s * 100 + 40 : s * 100 + 60],
        )


@pytest.mark.parametrize("name", ["Z.npy", "stats.npz", "meta.json"])
def test_a_damaged_cache_is_rebuilt(arrays: Arrays, tmp_path: Path, name: str) -> None:
    whole = shared(arrays, span(arrays), min_rows=60, cache=tmp_path)
    kept = whole.matrix.copy()
    file = tmp_path / whole.digest / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    again = shared(arrays, span(arrays), min_rows=60, cache=tmp_path)
    np.testing.assert_array_equal(again.matrix, kept)


def test_statistics_survive_their_file_and_damage_is_named(arrays: Arrays) -> None:
    found, _ = fit_statistics(arrays, span(arrays), min_rows=60)
    data = dump_statistics(found)
    assert dump_statistics(load_statistics(data)) == data
    with pytest.raises(DataError, match="corrupt"):
        load_statistics(data[:-100])
