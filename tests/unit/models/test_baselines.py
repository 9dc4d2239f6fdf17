import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from bft.models import baselines

RNG = np.random.default_rng(2)
ROWS, WIDTH, LOOKBACK = 600, 10, 20


def rows(target: np.ndarray | None = None) -> baselines.Rows:
    z = RNG.normal(size=(ROWS, WIDTH)).clip(-5, 5).astype(np.float32)
    z[:, 3] = 0  # a dead feature
    train = RNG.permutation(np.arange(LOOKBACK, 400))
    return baselines.Rows(
        z=z,
        closes=np.linspace(10, 20, ROWS),
        offsets=np.array([0, 290, 600]),
        lookback=LOOKBACK,
        train=train,
        target=RNG.normal(size=len(train)) if target is None else target,
        test=np.array([599, 450, 291]),
    )


def by_hand(case: baselines.Rows, ends: np.ndarray) -> np.ndarray:
    windows = np.stack([case.z[e - LOOKBACK + 1 : e + 1] for e in ends]).astype(np.float64)
    return np.hstack([windows[:, -1], windows.mean(axis=1), windows.std(axis=1)])


def test_summaries_are_last_row_mean_and_deviation() -> None:
    case = rows()
    found = baselines.summaries(case.z, case.test, LOOKBACK)
    np.testing.assert_allclose(found, by_hand(case, case.test), atol=1e-6)


def test_ridge_equals_sklearn_on_standardised_summaries() -> None:
    case = rows()
    scale = StandardScaler().fit(by_hand(case, case.train))
    penalty = baselines.RIDGE_PENALTY * len(case.train)
    oracle = Ridge(alpha=penalty).fit(scale.transform(by_hand(case, case.train)), case.target)
    expected = oracle.predict(scale.transform(by_hand(case, case.test)))
    np.testing.assert_allclose(baselines.ridge(case), expected, atol=1e-5)


def test_momentum_and_reversal_by_hand_and_unknown_across_a_symbols_start() -> None:
    case = rows()
    close = case.closes
    momentum, reversal = baselines.momentum(case), baselines.reversal(case)
    assert momentum[0] == pytest.approx(close[578] / close[347] - 1)
    assert np.isnan(momentum[1:]).all()  # 252 rows back lies in another symbol
    assert reversal[1] == pytest.approx(1 - close[450] / close[445])
    assert np.isnan(reversal[2])


def test_scores_are_kept_for_the_other_models_of_the_horizon(tmp_path: Path) -> None:
    file = tmp_path / "baselines" / "key.npz"
    names = ("ridge", "reversal")
    first = baselines.baseline_scores(rows(), names, seed=1, threads=1, file=file)
    again = baselines.baseline_scores(rows(), names, seed=1, threads=1, file=file)
    np.testing.assert_array_equal(first["ridge"], again["ridge"])  # other rows, the kept scores
    assert [path.name for path in file.parent.iterdir()] == ["key.npz"]


def test_a_library_that_is_not_installed_is_said() -> None:
    from importlib.util import find_spec

    if find_spec("lightgbm"):
        pytest.skip("lightgbm is installed here")
    found = baselines.baseline_scores(rows(), ("lightgbm",), seed=1, threads=1)
    assert found == {"lightgbm": None}


def test_kept_scores_follow_from_seed_inputs_samples_and_names() -> None:
    case = rows()
    keys = {
        baselines.cache_key(case, ("ridge",), inputs="a", seed=1),
        baselines.cache_key(case, ("ridge",), inputs="a", seed=2),
        baselines.cache_key(case, ("ridge",), inputs="b", seed=1),
        baselines.cache_key(case, ("ridge", "lightgbm"), inputs="a", seed=1),
        baselines.cache_key(replace(case, lookback=5), ("ridge",), inputs="a", seed=1),
        baselines.cache_key(replace(case, test=case.test[:2]), ("ridge",), inputs="a", seed=1),
    }
    assert len(keys) == 6
    assert baselines.cache_key(case, ("ridge",), inputs="a", seed=1) in keys


def loaded(file: Path, source: str) -> ModuleType:
    file.write_text(source, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module  # dataclasses look their module up
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules[file.stem]
    return module


def test_other_code_of_the_baselines_fits_them_again(tmp_path: Path) -> None:
    source, case = Path(baselines.__file__).read_text(encoding="utf-8"), rows()
    same = loaded(tmp_path / "same_baselines.py", source)
    other = loaded(
        tmp_path / "other_baselines.py",
        source.replace("RIDGE_PENALTY = 0.01", "RIDGE_PENALTY = 10.0"),
    )
    assert other.RIDGE_PENALTY == 10
    key = baselines.cache_key(case, ("ridge",), inputs="a", seed=1)
    assert same.cache_key(case, ("ridge",), inputs="a", seed=1) == key
    assert other.cache_key(case, ("ridge",), inputs="a", seed=1) != key


def test_a_library_that_was_installed_since_is_asked(tmp_path: Path) -> None:
    about = tmp_path / "lightgbm-99.1.dist-info" / "METADATA"
    about.parent.mkdir()
    about.write_text("Metadata-Version: 2.1\nName: lightgbm\nVersion: 99.1\n", encoding="utf-8")
    code = "from bft.models.baselines import library_version as of; print(of('lightgbm'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": f"{tmp_path}:{Path(baselines.__file__).parents[2]}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "99.1"
    assert baselines.library_version("no-such-package") == "absent"
