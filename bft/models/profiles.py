"""Profiles: every number of a training run, of `mlflow/profiles/NAME.yaml` or a file of your own.

A file has `common` values and `models`: ordered patterns of model names (`bin_*`, `*_30d`) whose
values go over the common ones. `effective` is the flat result for one model, checked whole.
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

from bft.dataset.labels import CLOCKS
from bft.domain.errors import ConfigError
from bft.domain.forecast import MODEL_NAMES
from bft.domain.runs import Json
from bft.models.baselines import NAMES as BASELINES

SCHEMA = "bft.profile/1"
LOSSES = {
    "reg": (
        "mse",
        "mae",
        "huber",
        "smooth_l1",
        "logcosh",
        "directional_mse",
        "combined_regression",
    ),
    "bin": ("cross_entropy", "label_smoothing", "focal", "symmetric_ce"),
    "buck": (
        "cross_entropy",
        "label_smoothing",
        "focal",
        "symmetric_ce",
        "soft_ordinal",
        "ordinal_focal",
        "coral",
    ),
}
"""Losses by kind, named as in the models specification, section 3.3."""
DEFAULT_LOSS = {"reg": "mse", "bin": "cross_entropy", "buck": "cross_entropy"}
PLOTS = (
    "loss",
    "rank_ic",
    "deciles",
    "reliability",
    "confusion",
    "histogram",
    "equity",
    "coverage",
    "drift",
)

_INTEGERS: dict[str, tuple[int, int, int]] = {  # default, low, high
    "width": (128, 4, 4096),
    "layers": (3, 1, 64),
    "market_layers": (2, 1, 64),
    "ff": (256, 1, 65536),
    "heads": (4, 1, 64),
    "buckets": (3, 3, 3),
    "lookback": (60, 20, 200),
    "batch": (256, 1, 1 << 20),
    "epochs": (50, 1, 10_000),
    "patience": (10, 1, 10_000),
    "warmup_epochs": (5, 0, 10_000),
    "stride": (1, 1, 1000),
    "folds": (3, 1, 100),
    "test_sessions": (63, 5, 10_000),
    "valid_sessions": (126, 5, 10_000),
    "min_train_sessions": (1000, 1, 100_000),
    "train_start_offset": (0, -100_000, 100_000),
    "symbol_min_rows": (252, 2, 100_000),
    "max_dead_features": (8, 0, 52),
    "min_symbols": (10, 2, 10_000),
    "min_names": (20, 2, 10_000),
    "top_names": (10, 1, 10_000),
    "bootstrap_draws": (2000, 10, 1_000_000),
    "seeds": (5, 1, 100),
    "cpus": (2, 1, 4096),
    "memory_mb": (4096, 64, 1 << 24),
    "gpu_memory_mb": (0, 0, 1 << 24),
}
_NUMBERS: dict[str, tuple[float, float, float]] = {
    "dropout": (0.2, 0.0, 0.95),
    "layer_drop": (0.1, 0.0, 0.95),
    "weight_decay": (0.01, 0.0, 10.0),
    "lr": (5e-4, 1e-9, 10.0),
    "grad_clip": (1.0, 1e-6, 1e6),
    "directional_weight": (3.0, 0.0, 100.0),
    "focal_gamma": (2.0, 0.0, 10.0),
    "smoothing": (0.1, 0.0, 0.9),
    "ordinal_sigma": (0.5, 1e-3, 100.0),
    "symmetric_a": (1.0, 0.0, 100.0),
    "symmetric_b": (0.5, 0.0, 100.0),
    "ordinal_weight": (1.0, 0.0, 100.0),
    "entropy_weight": (0.0, 0.0, 10.0),
    "binary_threshold": (0.015, -0.9, 3.0),
    "min_abs_label": (0.0, 0.0, 1.0),
    "checkpoint_every_s": (120.0, 0.0, 86_400.0),
}
_CHOICES: dict[str, tuple[str, ...]] = {  # the first is the default
    "type": ("encoder", "cross"),
    "loss": ("default", *dict.fromkeys(name for names in LOSSES.values() for name in names)),
    "optimizer": ("adamw", "adam", "sgd", "rmsprop"),
    "clock": CLOCKS,
    "device": ("auto", "cpu", "cuda"),
    "collapse": ("stop", "off"),
}
_LISTS = {"baselines": BASELINES, "plots": PLOTS}
KEYS = (*_CHOICES, *_INTEGERS, *_NUMBERS, *_LISTS)


def profiles_folder(setting: str = "") -> Path:
    """Where profiles are: the given folder, else `mlflow/profiles` of the checkout."""
    return Path(setting) if setting else Path(__file__).parents[2] / "mlflow" / "profiles"


def profile_file(profile: str, folder: Path) -> Path:
    """File of a profile: a name of the folder, or the path of a file of your own."""
    own = profile.endswith((".yaml", ".yml")) or "/" in profile
    return Path(profile) if own else folder / f"{profile}.yaml"


def effective(profile: str, model: str, overrides: Iterable[str], folder: Path) -> Json:
    """Flat profile of one model, with `K=V` overrides on top, every key present.

    Raises:
        ConfigError: unknown profile, key or value (with the nearest known one), a value out of its
            range, `width` not divisible by `heads`, a loss of another kind.
    """
    if model not in MODEL_NAMES:
        raise ConfigError(f"unknown model {model}{_near(model, MODEL_NAMES)}")
    document = _read(profile, folder)
    values: Json = defaults() | {"profile": profile_file(profile, folder).stem}
    layers = {"common": document.get("common") or {}}
    patterns = document.get("models") or {}
    layers |= {f"models.{p}": part or {} for p, part in patterns.items() if fnmatch(model, p)}
    for place, layer in layers.items():
        where = f"profile {profile}, {place}"
        if not isinstance(layer, Mapping):
            raise ConfigError(f"{where}: a mapping of keys to values is expected")
        values |= {name: _checked(name, value, where) for name, value in layer.items()}
    for text in overrides:
        name, _, value = text.partition("=")
        try:
            values[name] = _checked(name, yaml.safe_load(value), f"--override {text}")
        except yaml.YAMLError as error:
            raise ConfigError(f"--override {text}: {value!r} is no YAML value") from error
    return _coherent(values, model)


def defaults() -> Json:
    """Every key with its default."""
    numbers = {name: spec[0] for name, spec in (_INTEGERS | _NUMBERS).items()}
    choices = {name: options[0] for name, options in _CHOICES.items()}
    return choices | numbers | {name: list(options) for name, options in _LISTS.items()}


def _read(profile: str, folder: Path) -> Json:
    file = profile_file(profile, folder)
    if not file.is_file():
        if file.parent != folder:
            raise ConfigError(f"--profile {profile}: no such file; copy one of {folder}")
        known = sorted(path.stem for path in folder.glob("*.yaml"))
        raise ConfigError(f"unknown profile {profile} in {folder}{_near(profile, known)}")
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: {error}") from error
    if not isinstance(document, Mapping) or document.get("schema") != SCHEMA:
        raise ConfigError(f"{file}: schema is not {SCHEMA}")
    unknown = sorted(set(document) - {"schema", "profile", "common", "models"})
    if unknown:
        raise ConfigError(f"{file}: unknown key {unknown[0]}; known: common, models")
    patterns = document.get("models") or {}
    if not isinstance(patterns, Mapping):
        raise ConfigError(f"{file}: models is no mapping of patterns, such as reg_*, to values")
    unused = [p for p in patterns if not any(fnmatch(m, p) for m in MODEL_NAMES)]
    if unused:
        raise ConfigError(f"{file}: {unused[0]} matches no model{_near(unused[0], MODEL_NAMES)}")
    return dict(document)


def _checked(name: str, value: Any, where: str) -> Any:
    if name in _CHOICES:
        return _choice(name, value, _CHOICES[name], where)
    if name in _LISTS:
        items = list(_LISTS[name]) if value == "all" else value
        if not isinstance(items, list):
            raise ConfigError(f"{where}: {name}={value!r} is no list; write [a, b] or all")
        return [_choice(name, item, _LISTS[name], where) for item in items]
    if name in _INTEGERS:
        return _number(name, value, int, _INTEGERS[name], where)
    if name in _NUMBERS:
        return _number(name, value, float, _NUMBERS[name], where)
    raise ConfigError(f"{where}: unknown key {name}{_near(name, KEYS)}")


def _choice(name: str, value: Any, options: tuple[str, ...], where: str) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if text not in options:
        raise ConfigError(f"{where}: {name}={value!r}{_near(text, options)}")
    return text


def _number(name: str, value: Any, kind: type, spec: tuple[float, float, float], where: str) -> Any:
    _, low, high = spec
    try:
        number = kind(value)
        whole = kind is float or number == float(value)
    except (TypeError, ValueError):
        whole, number = False, low
    if isinstance(value, bool) or not whole or not low <= number <= high:
        what = "a whole number" if kind is int else "a number"
        raise ConfigError(f"{where}: {name}={value!r}, expected {what} {low:g}..{high:g}")
    return number


def _coherent(values: Json, model: str) -> Json:
    kind = model.partition("_")[0]
    if values["width"] % values["heads"] or values["width"] % 2:
        raise ConfigError(
            f"{model}: width {values['width']} is not divisible by heads {values['heads']} and 2"
        )
    if values["loss"] == "default":
        values["loss"] = DEFAULT_LOSS[kind]
    if values["loss"] not in LOSSES[kind]:
        raise ConfigError(f"{model}: loss {values['loss']}{_near(values['loss'], LOSSES[kind])}")
    if values["warmup_epochs"] >= values["epochs"]:
        raise ConfigError(f"{model}: warmup_epochs must be below epochs {values['epochs']}")
    return values


def _near(word: str, known: Iterable[str]) -> str:
    near = get_close_matches(word, list(known), n=1, cutoff=0.4)
    return f"; did you mean {near[0]}?" if near else f"; known: {', '.join(known)}"
