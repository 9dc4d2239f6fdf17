"""What a strategy is: array rules over (sessions, symbols), parameters with ranges, exits."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from bft.domain.errors import ConfigError
from bft.domain.trading import ExitPolicy

Floats = NDArray[np.float64]
POLICY_RANGES: Mapping[str, tuple[float, float]] = {"cooldown_days": (0, 10)}
"""Sweep ranges of exit numbers; all others span a quarter to four times their default."""
Bools = NDArray[np.bool_]
Columns = Mapping[str, Floats]
"""Column name -> (T, S): own-basis gold columns, forecast columns, and delta9."""


def parameter(default: Any, *within: Any) -> Any:
    """A parameter with its sweep range (low, high), or its choices as one set."""
    return field(default=default, metadata={"within": within})


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """Parameters every strategy has. Source: strategies specification, section 2.3."""

    min_price_usd: float = parameter(5.0, 1.0, 20.0)
    min_volume: float = parameter(500_000.0, 100_000.0, 2_000_000.0)
    max_positions: int = parameter(10, 1, 50)
    ml_confirm: str = parameter("off", {"off", "veto", "require", "blend"})
    allow_short: bool = False
    entry_order: str = parameter("collar", {"market", "collar", "limit", "stop"})
    max_drift_frac: float = parameter(0.02, 0.005, 0.10)
    intraday_entries: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What the rules read; `lookback` is how many rows row t depends on, itself included.

    `earlier` are the gold columns that entries read of the rows before t.
    """

    gold: tuple[str, ...]
    forecast: tuple[str, ...] = ()
    lookback: int = 1
    earlier: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """Arrays (T, S): direction in {-1, 0, 1}; confidence and strength in 0..1 where it fired."""

    direction: NDArray[np.int8]
    confidence: Floats
    strength: Floats


class Strategy(Protocol):
    """One class serves backtest, scan and live: row t of a result depends on rows up to t only."""

    id: ClassVar[str]
    version: ClassVar[int]
    needs: ClassVar[Needs]

    @property
    def params(self) -> Any:
        """Its parameters, a `Params`."""

    @property
    def exits(self) -> ExitPolicy:
        """Exits of its positions."""

    @property
    def horizon_days(self) -> int:
        """Sessions its view of the future spans."""

    def entry(self, x: Columns) -> Entry:
        """Where to open, at the close of each row."""

    def leave(self, x: Columns, direction: int) -> Bools:
        """Where a held position of that direction leaves by rule, (T, S)."""

    def because(self, at: Mapping[str, float], direction: int) -> str:
        """The reason of an entry in words, with the numbers of the cell that fired."""

    def because_left(self, at: Mapping[str, float], direction: int) -> str:
        """The reason of a rule exit in words, with the numbers that made it."""


def clip01(x: Any) -> Any:
    """Clip to 0..1."""
    return np.clip(x, 0.0, 1.0)


def before(x: Floats) -> Floats:
    """The previous session's row, NaN in the first; (T, S) -> (T, S)."""
    shifted = np.full_like(x, np.nan)
    shifted[1:] = x[:-1]
    return shifted


def rule_confidence(strength: Floats) -> Floats:
    """Prior confidence of a rule: 0.60 + 0.20 * strength (strategies specification, 2.1)."""
    return np.asarray(0.60 + 0.20 * strength)


def model_confidence(rank: Floats) -> Floats:
    """Confidence of a cross-sectional rank (strategies specification, section 1)."""
    return np.asarray(0.50 + 0.40 * clip01((rank - 0.5) / 0.5))


def liquid(x: Columns, params: Params) -> Bools:
    """Whether volume and price reach their minima."""
    enough: Bools = (x["volume"] >= params.min_volume) & (
        x["adjusted_close"] >= params.min_price_usd
    )
    return enough


def long_entry(fires: Bools, confidence: Floats, strength: Floats) -> Entry:
    """An entry of long positions only."""
    return Entry(direction=fires.astype(np.int8), confidence=confidence, strength=strength)


def configured(strategy: Any, overrides: Mapping[str, str]) -> Any:
    """A strategy with parameters or exit numbers replaced.

    Raises:
        ConfigError: an unknown key, or a value of the wrong kind or outside its range.
    """
    for key, text in overrides.items():
        name = f"{strategy.id}.{key}"
        known = {f.name: f for f in fields(strategy.params)}
        policy = {f.name for f in fields(ExitPolicy) if _is_number(getattr(strategy.exits, f.name))}
        if key in known:
            value = _parsed(name, text, getattr(strategy.params, key))
            _within(name, value, known[key].metadata.get("within", ()))
            strategy = replace(strategy, params=replace(strategy.params, **{key: value}))
        elif key in policy:
            default = getattr(strategy.exits, key)
            value = _parsed(name, text, default)
            _within(name, value, POLICY_RANGES.get(key, (0.25 * default, 4 * default)))
            strategy = replace(strategy, exits=replace(strategy.exits, **{key: value}))
        else:
            near = get_close_matches(key, [*known, *policy], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"strategy {strategy.id} has no parameter {key!r}{hint}")
    return checked(strategy)


def checked(strategy: Any) -> Any:
    """The strategy, if its exits make sense.

    Raises:
        ConfigError: a stop outside (0, 1), or a trail that arms beyond the target.
    """
    exits: ExitPolicy = strategy.exits
    if exits.stop_frac is None and exits.stop_atr is None:
        raise ConfigError(f"{strategy.id}: an entry without a stop distance is not allowed")
    if exits.stop_frac is not None and not 0 < exits.stop_frac < 1:
        raise ConfigError(f"{strategy.id}.stop_frac {exits.stop_frac}: a fraction in (0, 1)")
    if exits.target_frac is not None and exits.activation_frac >= exits.target_frac:
        raise ConfigError(
            f"{strategy.id}.activation_frac {exits.activation_frac} reaches the target "
            f"{exits.target_frac}; choose a smaller activation"
        )
    return strategy


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _parsed(name: str, text: str, default: Any) -> Any:
    if isinstance(default, bool):
        words = {"true": True, "on": True, "false": False, "off": False}
        if text.lower() not in words:
            raise ConfigError(f"{name}={text}: true or false")
        return words[text.lower()]
    if isinstance(default, str):
        return text
    try:
        return int(text) if isinstance(default, int) else float(text)
    except ValueError as error:
        raise ConfigError(f"{name}={text}: a number, as {name}={default or 0.5}") from error


def _within(name: str, value: Any, within: tuple[Any, ...]) -> None:
    if len(within) == 1 and value not in within[0]:
        raise ConfigError(f"{name}={value}: one of {', '.join(map(str, sorted(within[0])))}")
    if len(within) == 2 and not within[0] <= value <= within[1]:
        raise ConfigError(f"{name}={value}: from {within[0]:g} to {within[1]:g}")
