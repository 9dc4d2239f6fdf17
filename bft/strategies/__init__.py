"""One file per strategy: (gold rows, forecasts) to signals; ranking."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from bft.domain.errors import ConfigError
from bft.strategies.bollinger import Bollinger
from bft.strategies.low_bounce import LowBounce
from bft.strategies.ml_prediction import MlPrediction
from bft.strategies.oversold_bounce import OversoldBounce
from bft.strategies.oversold_reversal import OversoldReversal
from bft.strategies.regression_momentum import RegressionMomentum
from bft.strategies.rules import configured

STRATEGIES: dict[str, Any] = {
    made.id: made
    for made in (
        Bollinger(),
        OversoldBounce(),
        OversoldReversal(),
        LowBounce(),
        MlPrediction(),
        RegressionMomentum(),
    )
}
"""The core set, on by default; one line registers a strategy."""


def enabled(names: str, overrides: Sequence[str] = ()) -> list[Any]:
    """Strategies named in a comma-separated list (`core`: all), with `NAME.KEY=V` overrides.

    Overrides of a strategy that is not named go for the exits of its positions (ADR 0145).

    Raises:
        ConfigError: an unknown strategy or parameter, or a value outside its range.
    """
    made = _configured(overrides)
    return [made[name] for name in _named(names)]


def others(strategies: Sequence[Any], overrides: Sequence[str] = ()) -> list[Any]:
    """Strategies that are not among these: their positions leave by rule all the same.

    Raises:
        ConfigError: as `enabled`.
    """
    on = {strategy.id for strategy in strategies}
    return [made for name, made in _configured(overrides).items() if name not in on]


def _named(names: str) -> list[str]:
    listed = STRATEGIES if names in {"core", "all"} else dict.fromkeys(names.split(","))
    return [_known(name) for name in listed]


def _configured(overrides: Sequence[str]) -> dict[str, Any]:
    changes: dict[str, dict[str, str]] = {}
    for text in overrides:
        target, _, value = text.partition("=")
        name, _, key = target.partition(".")
        changes.setdefault(_known(name), {})[key] = value
    return {name: configured(made, changes.get(name, {})) for name, made in STRATEGIES.items()}


def _known(name: str) -> str:
    if name not in STRATEGIES:
        near = get_close_matches(name, STRATEGIES, n=1)
        hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(STRATEGIES)}"
        raise ConfigError(f"no strategy {name!r}{hint}")
    return name
