"""`--verify-indicators`: what the vendor says of some symbols' indicators, against ours."""

import hashlib
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from bft.domain.delivery import Want
from bft.domain.errors import ConfigError
from bft.domain.market import ACTIONS, BARS
from bft.features import facts, verify
from bft.features.bars import bars_by_symbol
from bft.features.factors import NO_ACTIONS, actions_by_symbol
from bft.ports import Source, Store, Tick
from bft.steps.pull_universe import chosen

CALLS = (
    *("sma_20", "sma_50", "sma_200", "ema_20", "ema_50", "ema_200", "macd", "rsi_14", "adx_14"),
    *("atr_14", "cci_14", "bbands_20"),
)
"""The twelve indicator calls of a vendor that is asked symbol by symbol."""


def symbols_of(words: str, symbols: Sequence[str], *, asof: date) -> tuple[str, ...]:
    """All symbols, N of them by a hash of asof, or the named ones."""
    if words == "all":
        return tuple(symbols)
    if not words.isdigit():
        return chosen(words) or ()
    order = sorted(symbols, key=lambda s: hashlib.sha256(f"{asof} {s}".encode()).digest())
    return tuple(sorted(order[: int(words)]))


def verified(
    source: Source, store: Store, symbols: Sequence[str], *, asof: date, tick: Tick
) -> list[dict[str, Any]]:
    """One line per symbol and indicator: basis, values compared, share outside, doubtful.

    Raises:
        ConfigError: the source has no indicators.
    """
    if "indicators" not in source.topics:
        raise ConfigError(f"source {source.name} has no indicators; leave out --verify-indicators")
    series = ("",) if source.bulk else CALLS
    wants = [Want(topic="indicators", name=s, series=each) for s in symbols for each in series]
    told: dict[str, dict[str, tuple[facts.Ints, facts.Floats]]] = {}
    for answer in source.fetch(wants, asof=asof, fresh=False, tick=tick):
        if answer.tables:
            told.setdefault(answer.want.name, {}).update(_told(answer.tables["indicators"]))
    rows = store.read("actions", asof=asof, symbols=symbols)
    actions = actions_by_symbol(facts.as_known(rows, ACTIONS, asof=asof))
    rows = store.read("bars", asof=asof, symbols=symbols)
    return [
        {
            "symbol": bars.symbol,
            "indicator": found.indicator,
            "basis": found.basis,
            "compared": found.compared,
            "outside_frac": round(found.outside_frac, 4),
            "doubtful": found.doubtful,
        }
        for bars in bars_by_symbol(facts.as_known(rows, BARS, asof=asof))
        for found in verify.compared(
            told.get(bars.symbol, {}), bars, actions.get(bars.symbol, NO_ACTIONS)
        )
    ]


def _told(rows: pa.Table) -> dict[str, tuple[facts.Ints, facts.Floats]]:
    rows = rows.sort_by("date")
    days = facts.days(rows["date"])
    names = [name for name in rows.column_names if name not in {"symbol", "date"}]
    columns = {name: facts.numbers(rows[name]) for name in names}
    return {name: (days[np.isfinite(v)], v[np.isfinite(v)]) for name, v in columns.items()}
