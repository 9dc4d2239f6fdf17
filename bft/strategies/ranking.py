"""Signals to a ranked list: scores, gates, tags. One function serves `scan` and `rank`.

Source: strategies specification, sections 2.4 and 6.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bft.domain.trading import Direction, Instrument, Signal, SignalKind
from bft.strategies.signals import horizon_for

KNIFE = (("ret_1d_frac", -0.10), ("ret_5d_frac", -0.15), ("ret_20d_frac", -0.30))
MAX_PER_SECTOR, MAX_SECTOR_FRAC, MAX_CORRELATION = 2, 0.30, 0.85
MIN_COMMON_DAYS = 40
SHORT = "short_not_allowed"
Facts = Mapping[Any, Any]
"""One symbol's row of facts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """What is on already: symbols held or pending, cooling down, and sizes for the sector cap.

    `min_confidence` is what the account's profile asks of an instrument. `cooling` are (symbol,
    strategy), an empty strategy being any. `allow_short` names strategies that may sell stock
    short. `notional_usd` is the value that the entry of a signal id would add; `records` are
    (trades, mean R) of a strategy's walk-forward trades. `drift_frac` is how far from its reference
    an entry of a strategy may begin. `places` is how many positions a strategy may have, `open_by`
    (symbol, strategy) of those it has. `shown_only` says why entries of a strategy are not to be
    sent.
    """

    equity_usd: float
    max_positions: int = 10
    min_confidence: Mapping[Instrument, float] = field(default_factory=dict)
    open_usd: Mapping[str, float] = field(default_factory=dict)
    cooling: frozenset[tuple[str, str]] = frozenset()
    allow_short: frozenset[str] = frozenset()
    notional_usd: Mapping[str, float] = field(default_factory=dict)
    records: Mapping[str, tuple[int, float]] = field(default_factory=dict)
    drift_frac: Mapping[str, float] = field(default_factory=dict)
    places: Mapping[str, int] = field(default_factory=dict)
    open_by: frozenset[tuple[str, str]] = frozenset()
    shown_only: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One signal with its score and what becomes of it."""

    signal: Signal
    score: float
    edge: float
    agreeing: int
    tag: str
    tag_reason: str | None


def ranked(
    signals: Sequence[Signal],
    facts: pd.DataFrame,
    returns: pd.DataFrame,
    *,
    book: Book,
    top_n: int,
    gates: bool = True,
) -> list[Ranked]:
    """Order signals by score and tag them; exits come first, all `execute`.

    `facts` has a row per symbol (adv_20_usd, atr_frac, round_trip_cost_frac, sector, is_etf,
    leveraged, ret_1d_frac, ret_5d_frac, ret_20d_frac, expected_return_{h}d); `returns` holds daily
    returns (days, symbols). The first `top_n` that pass every gate are `execute`.
    """
    exits = [s for s in signals if s.kind is SignalKind.EXIT]
    entries = [s for s in signals if s.kind is SignalKind.ENTRY]
    named = {s.symbol for s in entries} | book.open_usd.keys()
    about = facts[facts.index.isin(named)].to_dict("index")  # a frame is slow, cell by cell
    scored = [_scored(s, about[s.symbol], book) for s in entries]
    done = [
        Ranked(signal=s, score=100.0, edge=0.5, agreeing=0, tag="execute", tag_reason=None)
        for s in sorted(exits, key=lambda s: s.symbol)
    ]
    kept, aside = _combined(scored, book)
    turnover = facts["adv_20_usd"].fillna(0.0).to_dict()
    kept.sort(key=lambda r: (-r.score, -turnover[r.signal.symbol], r.signal.symbol))
    gate = _Gates(about, returns, book, on=gates)
    picked = 0
    for row in kept:
        why = gate.refuses(row.signal) or ("top_n" if picked >= top_n else None)
        if why is None:
            picked += 1
            gate.accept(row.signal)
        done.append(_tagged(row, "execute" if why is None else "watch", why))
    return done + sorted(aside, key=lambda r: (-r.score, r.signal.symbol, r.signal.strategy_id))


def _scored(signal: Signal, at: Facts, book: Book) -> Ranked:
    sign = 1 if signal.direction is Direction.LONG else -1
    expected = at[f"expected_return_{horizon_for(signal.horizon_days)}d"]
    edge = 0.5
    if pd.notna(expected):
        edge = _clip01(0.5 + (sign * expected - at["round_trip_cost_frac"]) / 0.10)
    adv = at["adv_20_usd"]
    liquidity = _clip01((np.log10(adv) - 6) / 3) if pd.notna(adv) and adv > 0 else 0.0
    calm = 1 - _clip01(at["atr_frac"] / 0.06) if pd.notna(at["atr_frac"]) else 0.0
    trades, mean_r = book.records.get(signal.strategy_id, (0, 0.0))
    record = _clip01(0.5 + mean_r / 2) if trades >= 30 else 0.5
    score = 100 * (
        0.35 * signal.confidence
        + 0.15 * signal.strength
        + 0.20 * edge
        + 0.10 * liquidity
        + 0.10 * record
        + 0.10 * calm
    )
    return Ranked(signal=signal, score=score, edge=edge, agreeing=0, tag="", tag_reason=None)


def shown(signal: Signal, tag: str, why: str) -> Ranked:
    """A signal with a tag that no score has decided."""
    return Ranked(signal=signal, score=0.0, edge=0.5, agreeing=0, tag=tag, tag_reason=why)


def _combined(rows: Sequence[Ranked], book: Book) -> tuple[list[Ranked], list[Ranked]]:
    """One row per symbol; agreeing ones are merged into the best, opposite ones drop out.

    One that may not be sold short is as if it were not there. One that is idle for another reason
    agrees or conflicts as any, but takes none along that may enter.
    """
    by_symbol: dict[str, list[Ranked]] = {}
    for row in rows:
        by_symbol.setdefault(row.signal.symbol, []).append(row)
    kept: list[Ranked] = []
    aside: list[Ranked] = []
    for every in by_symbol.values():
        group = [row for row in every if not _sold_short(row.signal, book)]
        if group:
            barred = [row for row in every if row not in group]
            aside += [_tagged(row, "watch", SHORT) for row in barred]
        group = group or every
        if len({row.signal.direction for row in group}) > 1:
            aside += [_tagged(row, "conflict", "opposite directions") for row in group]
            continue
        agreeing = len(group) - 1
        free = [row for row in group if not _idle(row.signal, book)] or group
        aside += [_tagged(r, "watch", _idle(r.signal, book)) for r in group if r not in free]
        best, *others = sorted(free, key=lambda r: (-r.score, r.signal.strategy_id))
        bonus = min(10.0, 5.0 * agreeing)
        kept.append(
            Ranked(
                signal=best.signal,
                score=best.score + bonus,
                edge=best.edge,
                agreeing=agreeing,
                tag="",
                tag_reason=None,
            )
        )
        aside += [_tagged(row, "merged", f"into {best.signal.strategy_id}") for row in others]
    return kept, aside


def _sold_short(signal: Signal, book: Book) -> bool:
    """A stock sold short by a strategy that may not."""
    sold = (signal.direction, signal.instrument) == (Direction.SHORT, Instrument.STOCK)
    return sold and signal.strategy_id not in book.allow_short


def _idle(signal: Signal, book: Book) -> str | None:
    """Why it cannot become an order, whatever else is picked; others of the symbol may."""
    held = sum(strategy_id == signal.strategy_id for _, strategy_id in book.open_by)
    return _own_limit(signal, book, taken=held) or book.shown_only.get(signal.strategy_id)


def _own_limit(signal: Signal, book: Book, *, taken: int) -> str | None:
    """Why its own strategy may not enter, `taken` of its places being filled (gate 4)."""
    if (signal.symbol, signal.strategy_id) in book.cooling:
        return "cooldown"
    if signal.confidence < book.min_confidence.get(signal.instrument, 0.0):
        return "conf_min"
    if _drifts(signal, book):
        return "drift"
    if taken >= book.places.get(signal.strategy_id, book.max_positions):
        return "max_positions"
    unaffordable = book.notional_usd and not book.notional_usd.get(signal.signal_id)
    return "min_order" if unaffordable else None


def _drifts(signal: Signal, book: Book) -> bool:
    """Whether its trigger lies further beyond the reference than the strategy allows."""
    most = book.drift_frac.get(signal.strategy_id)
    if signal.stop_price_usd is None or most is None:
        return False
    sign = 1 if signal.direction is Direction.LONG else -1
    drift = sign * (signal.stop_price_usd / signal.ref_price_usd - 1)
    return round(drift, 9) > most  # 102 of 100 is 2 %


class _Gates:
    """The gates in order, with what was accepted so far."""

    def __init__(
        self, facts: Mapping[Any, Facts], returns: pd.DataFrame, book: Book, *, on: bool
    ) -> None:
        self._facts, self._book, self._on = facts, book, on
        self._returns = {name: returns[name].to_numpy() for name in returns if name in facts}
        self._value = dict(book.open_usd)
        self._taken = Counter(strategy_id for _, strategy_id in book.open_by)

    def refuses(self, signal: Signal) -> str | None:
        """First gate that refuses, or None (section 6: gates 1 to 4)."""
        if _sold_short(signal, self._book):
            return SHORT
        why = None
        if self._on:
            why = self._knife(signal) or self._sector_full(signal) or self._twin(signal.symbol)
        why = why or self._no_place(signal)
        return why or self._book.shown_only.get(signal.strategy_id)

    def accept(self, signal: Signal) -> None:
        """Count a pick."""
        self._value[signal.symbol] = self._book.notional_usd.get(signal.signal_id, 0.0)
        self._taken[signal.strategy_id] += 1

    def _no_place(self, signal: Signal) -> str | None:
        """Whether its symbol, its strategy or the book's places are taken or barred."""
        book = self._book
        if signal.symbol in book.open_usd:
            return "held_or_pending"
        if (signal.symbol, "") in book.cooling:
            return "cooldown"
        full = len(self._value) >= book.max_positions
        why = _own_limit(signal, book, taken=self._taken[signal.strategy_id])
        return why or ("max_positions" if full else None)

    def _knife(self, signal: Signal) -> str | None:
        sign = 1 if signal.direction is Direction.LONG else -1
        at = self._facts[signal.symbol]
        moves = ((sign * at[name], limit) for name, limit in KNIFE if pd.notna(at[name]))
        fell = any(round(move, 9) <= limit for move, limit in moves)  # 90 of 100 is -10 %
        return "falling_knife" if fell else None

    def _sector(self, symbol: str) -> str:
        if symbol not in self._facts:
            return "UNKNOWN"
        at = self._facts[symbol]
        return "ETF" if at["is_etf"] else at["sector"] or "UNKNOWN"

    def _sector_full(self, signal: Signal) -> str | None:
        """The sector's others: what is held or pending in the symbol itself is gate 4's."""
        symbol = signal.symbol
        if self._facts[symbol]["leveraged"]:
            return "leveraged_fund"
        sector = self._sector(symbol)
        most = 1 if sector in {"ETF", "UNKNOWN"} else MAX_PER_SECTOR
        others = [name for name in self._value if name != symbol and self._sector(name) == sector]
        value = sum(self._value[name] for name in others)
        value += self._book.notional_usd.get(signal.signal_id, 0.0)
        full = len(others) >= most or value > MAX_SECTOR_FRAC * self._book.equity_usd
        return "sector" if full else None

    def _twin(self, symbol: str) -> str | None:
        own = self._returns.get(symbol)
        for other in self._value:
            theirs = self._returns.get(other)
            if own is None or theirs is None or other == symbol:
                continue
            both = ~(np.isnan(own) | np.isnan(theirs))
            if both.sum() < MIN_COMMON_DAYS:
                continue
            if _correlation(own[both], theirs[both]) >= MAX_CORRELATION:
                return f"correlation with {other}"
        return None


def _correlation(x: Any, y: Any) -> float:
    """Pearson's; 0 where one of the two does not move."""
    x, y = x - x.mean(), y - y.mean()
    spread = float(np.sqrt((x @ x) * (y @ y)))
    return float(x @ y) / spread if spread else 0.0


def _tagged(row: Ranked, tag: str, why: str | None) -> Ranked:
    return Ranked(
        signal=row.signal,
        score=row.score,
        edge=row.edge,
        agreeing=row.agreeing,
        tag=tag,
        tag_reason=why,
    )


def _clip01(value: float) -> float:
    return min(1.0, max(0.0, float(value)))
