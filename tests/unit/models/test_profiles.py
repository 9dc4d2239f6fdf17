from pathlib import Path

import pytest

from bft.domain.errors import ConfigError
from bft.domain.forecast import MODEL_NAMES
from bft.models import plots
from bft.models.profiles import KEYS, PLOTS, effective, profiles_folder

FOLDER = profiles_folder()


def test_every_profile_gives_every_model_every_key() -> None:
    for profile in ("demo", "short", "realdata", "production", "production_cross"):
        for model in MODEL_NAMES:
            assert set(effective(profile, model, (), FOLDER)) == {*KEYS, "profile"}


def test_production_rows_of_the_specification() -> None:
    found = {name: effective("production", name, (), FOLDER) for name in MODEL_NAMES}
    shapes = {n: tuple(p[k] for k in ("width", "layers", "ff", "heads")) for n, p in found.items()}
    large = {"reg_3d", "reg_10d"}
    assert {n for n, shape in shapes.items() if shape == (128, 3, 256, 4)} == large
    assert {shapes[n] for n in MODEL_NAMES if n not in large} == {(64, 2, 128, 4)}
    for name, profile in found.items():
        long = name.endswith("30d")
        assert (profile["dropout"], profile["weight_decay"]) == (
            (0.3, 0.03) if long else (0.2, 0.01)
        )
        assert profile["entropy_weight"] == (0.0 if name.startswith("reg") else 0.05)


def test_overrides_win_over_the_file() -> None:
    found = effective("demo", "bin_3d", ["lr=1e-4", "lookback=30", "baselines=[]"], FOLDER)
    assert (found["lr"], found["lookback"], found["baselines"]) == (1e-4, 30, [])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("lokback=30", "did you mean lookback"),
        ("lookback=201", r"whole number 20\.\.200"),
        ("lookback=30.5", "whole number"),
        ("lr=fast", "a number"),
        ("epochs=true", "whole number"),
        ("heads=3", "not divisible by heads 3"),
        ("type=encodr", "did you mean encoder"),
        ("loss=mse", "bin_3d: loss mse"),
        ("device=gpu", "device='gpu'"),
        ("warmup_epochs=2", "below epochs"),
        ("plots=[lossy]", "did you mean loss"),
        ("plots=loss", "is no list"),
        ("lr=[", "no YAML value"),
        ("lr=.nan", "lr"),
    ],
)
def test_a_bad_override_is_refused_by_name(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        effective("demo", "bin_3d", [override], FOLDER)


def test_unknown_profile_model_and_file_faults_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean realdata"):
        effective("realdta", "bin_3d", (), FOLDER)
    with pytest.raises(ConfigError, match="did you mean bin_3d"):
        effective("demo", "bin_3", (), FOLDER)
    for text, message in (
        ("schema: bft.profile/2", "schema is not"),
        ("schema: bft.profile/1\ncomon: {}", "unknown key comon"),
        ("schema: bft.profile/1\nmodels: {bni_*: {lr: 1}}", "matches no model"),
        ("schema: bft.profile/1\ncommon: {dropot: 0.1}", "did you mean dropout"),
        ("schema: [", "x.yaml"),
    ):
        (tmp_path / "x.yaml").write_text(text)
        with pytest.raises(ConfigError, match=message):
            effective("x", "bin_3d", (), tmp_path)


def test_file_of_your_own_is_a_profile_and_its_faults_name_file_place_and_key(
    tmp_path: Path,
) -> None:
    own = tmp_path / "mine.yaml"
    own.write_text("schema: bft.profile/1\ncommon: {epochs: 7}\nmodels: {bin_*: {lr: 0.1}}")
    found = effective(str(own), "bin_3d", (), FOLDER)
    assert (found["epochs"], found["lr"], found["profile"]) == (7, 0.1, "mine")
    for text, message in (
        ("common: {epochs: many}", r"mine.yaml, common: epochs='many', expected a whole number"),
        ("models: {bin_*: {epoch: 7}}", r"mine.yaml, models.bin_\*: unknown key epoch.*epochs"),
        ("models: {bin_*: 7}", r"mine.yaml, models.bin_\*: a mapping"),
        ("models: [bin_3d]", "models is no mapping"),
    ):
        own.write_text(f"schema: bft.profile/1\n{text}")
        with pytest.raises(ConfigError, match=message):
            effective(str(own), "bin_3d", (), FOLDER)
    with pytest.raises(ConfigError, match=r"none.yaml: no such file; copy one of"):
        effective(str(tmp_path / "none.yaml"), "bin_3d", (), FOLDER)


def test_plot_names_are_those_that_can_be_drawn() -> None:
    assert tuple(plots.PLOTS) == PLOTS
