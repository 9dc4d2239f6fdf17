"""Fired cells to signals: ids, confirmation by forecasts, reasons, evidence."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np

from bft.domain import sessions
from bft.domain.forecast import HORIZONS_DAYS
from bft.domain.gold import WINDOW_ROWS
from bft.domain.trading import (
    Direction,
    ExitPolicy,
    Instrument,
    Signal,
    SignalKind,
    policy_values,
    signal_id,
)
from bft.strategies.entry_prices import (
    EXTREMES,
    NO_PRICES,
    EntryPrices,
    collar_prices,
    entry_prices,
    read_by_entry,
)
from bft.strategies.rules import Bools, Strategy, model_confidence
from bft.strategies.view import IN_SAMPLE, View, check_probabilities

PROVISIONAL_S = 300
"""Life of what was decided on an unfinished session (strategies specification, section 1)."""
_MERGED = (
    *(f"{name}_{h}d" for name in ("expected_return", "rank", "lift_bin") for h in HORIZONS_DAYS),
    *("horizon_agreement", "consensus", IN_SAMPLE),
)
"""Forecasts that each signal carries as evidence (strategies specification, section 1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """An open position as strategies see it: whole sessions held, the entry session being 1.

    `stop_usd` and `target_usd` are levels of an option's underlying; those of stock rest at the
    broker. `value_usd` counts towards the caps of ranking.
    """

    symbol: str
    direction: Direction
    strategy_id: str
    held_days: int
    instrument: Instrument = Instrument.STOCK
    value_usd: float = 0.0
    stop_usd: float | None = None
    target_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """Signals, and how many cells did not fire for which reason.

    `at_close` are rule exits that a running session shows; they are decided on its final close.
    """

    signals: tuple[Signal, ...]
    skipped: Mapping[str, int]
    at_close: tuple[Signal, ...] = ()


def horizon_for(horizon_days: int) -> int:
    """Forecast horizon nearest to a strategy's own; the shorter of two."""
    return min(HORIZONS_DAYS, key=lambda h: (abs(h - horizon_days), h))


def signals_at(
    view: View,
    strategies: Sequence[Strategy],
    *,
    decided_at: datetime,
    cost_frac: Mapping[str, float],
    held: Sequence[Held] = (),
    leaving: Sequence[Strategy] = (),
) -> Scan:
    """Entries and exits decided on the last row of the view, in order of symbol and strategy.

    `cost_frac` is the round-trip cost per symbol, for `ml_confirm=require`. Of the strategies
    `leaving` only exits are decided: a position leaves by its rule whatever is scanned.

    Raises:
        DataError: a probability outside 0..1.
    """
    check_probabilities(view)
    found: list[Signal] = []
    at_close: list[Signal] = []
    skipped = _unruled(view, [*strategies, *leaving], held)
    for strategy in (*strategies, *leaving):
        mine = [h for h in held if h.strategy_id == strategy.id]
        reached = _levels_reached(view, strategy, decided_at, mine)
        found += reached
        left = {signal.symbol for signal in reached}
        ruled = _exits(view, strategy, decided_at, [h for h in mine if h.symbol not in left])
        (at_close if view.provisional else found).extend(ruled)
        left |= {signal.symbol for signal in ruled}
        if strategy in strategies:
            entries = _entries(view, strategy, decided_at, cost_frac, skipped)
            found += [signal for signal in entries if signal.symbol not in left]
    return Scan(
        signals=_in_order(found),
        skipped=dict(skipped),
        at_close=_in_order(at_close),
    )


def _unruled(view: View, known: Sequence[Strategy], held: Sequence[Held]) -> Counter[str]:
    """How many positions no rule can leave: their symbol has no row, their strategy no rule."""
    ids = {strategy.id for strategy in known}
    return Counter(
        "held_without_row" if h.symbol not in view.symbols else "held_without_rule"
        for h in held
        if h.symbol not in view.symbols or h.strategy_id not in ids
    )


def _in_order(found: Sequence[Signal]) -> tuple[Signal, ...]:
    """By symbol and strategy, each id once: several parts of a position leave together."""
    once = {signal.signal_id: signal for signal in found}.values()
    return tuple(sorted(once, key=lambda s: (s.symbol, s.strategy_id, s.signal_id)))


@dataclass(frozen=True, slots=True)
class _Cell:
    n: int
    sign: int
    confidence: float = 1.0
    strength: float = 1.0
    instrument: Instrument = Instrument.STOCK


def _entries(
    view: View,
    strategy: Strategy,
    decided_at: datetime,
    cost_frac: Mapping[str, float],
    skipped: Counter[str],
) -> list[Signal]:
    if strategy.needs.forecast:
        skipped.update(view.forecast_status.values())
        if len(view.forecast_status) == len(view.symbols):
            return []
    fired = strategy.entry(view.columns)
    incomplete, young = _incomplete(view, strategy)
    skipped["short_history"] += int(young.sum())
    skipped["nan_input"] += int((incomplete & ~young).sum())
    found = []
    for n in np.flatnonzero((fired.direction[-1] != 0) & ~incomplete).tolist():
        symbol, confidence = view.symbols[n], float(fired.confidence[-1, n])
        cell = _Cell(n, int(fired.direction[-1, n]), confidence, float(fired.strength[-1, n]))
        why, cell = _judged(view, strategy, cell, cost_frac.get(symbol, np.inf))
        if why is None:
            found.append(_signal(view, strategy, cell, SignalKind.ENTRY, decided_at))
        else:
            skipped[why] += 1
    return found


def _judged(
    view: View, strategy: Strategy, cell: _Cell, cost_frac: float
) -> tuple[str | None, _Cell]:
    """Why a cell that fired opens nothing (None: it does), and the cell after its forecast."""
    why = view.blocked.get(view.symbols[cell.n]) or _no_stop(view, strategy, cell.n)
    return (why, cell) if why else _confirmed(view, strategy, cell, cost_frac)


def why_none(
    view: View, strategies: Sequence[Strategy], symbol: str, *, cost_frac: float
) -> dict[str, str]:
    """By strategy, why a symbol of the view has no entry on its last row.

    `rule_not_met`, or what `Scan.skipped` counts; strategies that do open one are left out.
    """
    n = view.symbols.index(symbol)
    found = ((strategy.id, _why_none(view, strategy, n, cost_frac)) for strategy in strategies)
    return {name: why for name, why in found if why}


def _why_none(view: View, strategy: Strategy, n: int, cost_frac: float) -> str | None:
    if strategy.needs.forecast and view.symbols[n] in view.forecast_status:
        return view.forecast_status[view.symbols[n]]
    incomplete, young = _incomplete(view, strategy)
    if incomplete[n]:
        return "short_history" if young[n] else "nan_input"
    sign = int(strategy.entry(view.columns).direction[-1, n])
    return _judged(view, strategy, _Cell(n, sign), cost_frac)[0] if sign else "rule_not_met"


def _exits(
    view: View, strategy: Strategy, decided_at: datetime, held: Sequence[Held]
) -> list[Signal]:
    found = []
    for position in held:
        if position.symbol not in view.symbols:
            continue
        cell = _held_cell(view, position)
        leaves = bool(strategy.leave(view.columns, cell.sign)[-1, cell.n])
        if leaves and position.held_days >= strategy.exits.min_hold_days:
            found.append(_signal(view, strategy, cell, SignalKind.EXIT, decided_at))
    return found


def _levels_reached(
    view: View, strategy: Strategy, decided_at: datetime, held: Sequence[Held]
) -> list[Signal]:
    """Exits of options whose underlying is at its stop or target (section 7)."""
    found = []
    for position in held:
        if position.symbol not in view.symbols:
            continue
        cell = _held_cell(view, position)
        price = float(view.columns["adjusted_close"][-1, cell.n])
        level = _level_at(position, price, cell.sign)
        if level is not None:
            signal = _signal(view, strategy, cell, SignalKind.EXIT, decided_at)
            found.append(replace(signal, reason=f"exit: underlying {price:.2f} at its {level}"))
    return found


def _level_at(position: Held, price: float, sign: int) -> str | None:
    """The level that a price is at or beyond, in words; the stop comes first."""
    stop, target = position.stop_usd, position.target_usd
    if stop is not None and sign * (price - stop) <= 0:
        return f"stop {stop:.2f}"
    if target is not None and sign * (price - target) >= 0:
        return f"target {target:.2f}"
    return None


def _held_cell(view: View, position: Held) -> _Cell:
    n, sign = view.symbols.index(position.symbol), _sign(position.direction)
    return _Cell(n, sign, instrument=position.instrument)


def _signal(
    view: View, strategy: Strategy, cell: _Cell, kind: SignalKind, decided_at: datetime
) -> Signal:
    symbol, bar_key = view.symbols[cell.n], view.bar_day.isoformat()
    direction = Direction.LONG if cell.sign > 0 else Direction.SHORT
    at = {name: float(values[-1, cell.n]) for name, values in view.columns.items()}
    because = strategy.because(at, cell.sign)
    if kind is SignalKind.EXIT:
        because = f"exit: {strategy.because_left(at, cell.sign)}"
    entry_order, prices = _order(view, strategy, cell, kind)
    return Signal(
        signal_id=signal_id(
            kind=kind,
            strategy_id=strategy.id,
            symbol=symbol,
            direction=direction,
            bar_key=bar_key,
            instrument=cell.instrument,
        ),
        kind=kind,
        direction=direction,
        strategy_id=strategy.id,
        strategy_type="nightly",
        strategy_version=strategy.version,
        params_digest=params_digest(strategy),
        set_digest=view.set_digest if strategy.needs.forecast else None,
        source="intraday" if view.provisional else "close",
        symbol=symbol,
        asof=view.asof,
        bar_key=bar_key,
        decided_at=decided_at,
        provisional=view.provisional,
        instrument=cell.instrument,
        confidence=round(cell.confidence, 6),
        confidence_kind="probability" if strategy.needs.forecast else "prior",
        strength=round(cell.strength, 6),
        horizon_days=strategy.horizon_days,
        expires_at=_expires(view, decided_at),
        reason=because[:160],
        ref_price_usd=at["adjusted_close"],
        entry_order=entry_order,
        limit_price_usd=prices.limit_usd,
        stop_price_usd=prices.stop_usd,
        exits=strategy.exits,
        evidence=_evidence(view, strategy, cell.n),
    )


def _evidence(view: View, strategy: Strategy, n: int) -> dict[str, float]:
    """Every value that the rule read, and the merged forecasts; `x[-1]` is x a session before."""
    needs = strategy.needs
    names = {*needs.gold, *needs.forecast, *read_by_entry(strategy.params.entry_order), *_MERGED}
    read = {name: float(view.columns[name][-1, n]) for name in names}
    for back in range(1, needs.lookback):
        at = {f"{name}[-{back}]": view.columns[name][-1 - back, n] for name in needs.earlier}
        read |= {name: float(value) for name, value in at.items()}
    return {name: round(read[name], 6) for name in sorted(read) if np.isfinite(read[name])}


def _order(
    view: View, strategy: Strategy, cell: _Cell, kind: SignalKind
) -> tuple[str, EntryPrices]:
    """Entry order and its prices; an exit leaves at the market, whatever its entry waited for."""
    order, drift = strategy.params.entry_order, strategy.params.max_drift_frac
    if kind is SignalKind.EXIT:
        return "market" if order in {"limit", "stop"} else order, NO_PRICES
    ref = float(view.columns["adjusted_close"][-1, cell.n])
    if order == "collar":
        return order, collar_prices(cell.sign, ref_usd=ref, drift_frac=drift)
    if order != "stop":
        return order, entry_prices(order, cell.sign, ref_usd=ref, extreme_usd=ref)
    high, low = (float(view.columns[name][-1, cell.n]) for name in EXTREMES)
    extreme = high if cell.sign > 0 else low
    return order, entry_prices(order, cell.sign, ref_usd=ref, extreme_usd=extreme)


def _expires(view: View, decided_at: datetime) -> datetime:
    if view.provisional:
        return decided_at + timedelta(seconds=PROVISIONAL_S)
    return sessions.close_at(sessions.shift(view.asof, 1))


def params_digest(strategy: Strategy) -> str:
    """sha256 (16 hex) of a strategy's parameters and exits."""
    return _digest_of(strategy.params, strategy.exits)


@lru_cache(maxsize=64)
def _digest_of(params: Any, exits: ExitPolicy) -> str:
    values: Any = {"params": asdict(params), "exits": policy_values(exits)}
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _confirmed(
    view: View, strategy: Strategy, cell: _Cell, cost_frac: float
) -> tuple[str | None, _Cell]:
    """Why a forecast drops the cell (None: it stays), and the cell then (section 2.4)."""
    mode, n, sign = strategy.params.ml_confirm, cell.n, cell.sign
    if mode == "off":
        return None, cell
    status = view.forecast_status.get(view.symbols[n])
    if status is not None:
        return status, cell
    h = horizon_for(strategy.horizon_days)
    expected = sign * view.columns[f"expected_return_{h}d"][-1, n]
    rank = view.columns[f"rank_{h}d"][-1, n]
    rank = rank if sign > 0 else 1 - rank
    if not np.isfinite([expected, rank]).all():
        return "no_forecast", cell
    against = view.columns["consensus"][-1, n] == -sign
    agreed = view.columns["horizon_agreement"][-1, n] >= 2 and not against
    if mode == "veto" and (expected < 0 or against):
        return "ml_veto", cell
    if mode == "require" and not (expected >= cost_frac and rank >= 0.80 and agreed):
        return "ml_require", cell
    if mode == "blend":
        blended = 0.5 * cell.confidence + 0.5 * float(model_confidence(np.asarray(rank)))
        cell = replace(cell, confidence=blended)
    return None, cell


def _no_stop(view: View, strategy: Strategy, n: int) -> str | None:
    if strategy.exits.stop_frac is not None:
        return None
    atr = view.columns["atr_14"][-1, n]
    return None if np.isfinite(atr) and atr > 0 else "no_stop"


def _incomplete(view: View, strategy: Strategy) -> tuple[Bools, Bools]:
    """Symbols that lack something the entry reads, and those of them too young to have it; (S,)."""
    needs, rows = strategy.needs, view.history_rows
    lacks, young = np.zeros((2, len(rows)), dtype=bool)
    read = [(name, 0) for name in (*needs.gold, *read_by_entry(strategy.params.entry_order))]
    read += [(name, back) for name in needs.earlier for back in range(1, needs.lookback)]
    for name, back in read:
        missing = ~np.isfinite(view.columns[name][-1 - back])
        lacks |= missing
        young |= missing & (rows < WINDOW_ROWS.get(name, 1) + back)
    return lacks, young


def _sign(direction: Direction) -> int:
    return 1 if direction is Direction.LONG else -1
