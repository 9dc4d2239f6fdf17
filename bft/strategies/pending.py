"""Entries that wait for their fill, judged anew at the price of now (section 5)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bft.domain.trading import Direction, Signal
from bft.strategies.ranking import Ranked, shown
from bft.strategies.rules import Strategy
from bft.strategies.view import View

DROP, WATCH = "drop", "watch"
CONDITION = "condition no longer holds"


def judged(
    view: View,
    strategies: Sequence[Strategy],
    pending: Sequence[Signal],
    *,
    basis_frac: Mapping[str, float],
) -> list[Ranked]:
    """Pending entries in order, tagged `drop` where condition or drift fails, else `watch`.

    `view` has the provisional row in place of the one each was decided on; `basis_frac` takes a
    price of that row to the basis of now. One that cannot be judged stays: its limit guards it.
    """
    known = {strategy.id: strategy for strategy in strategies}
    fired = {
        name: known[name].entry(view.columns).direction[-1]
        for name in {signal.strategy_id for signal in pending} & known.keys()
    }
    return [
        shown(signal, *_verdict(view, known.get(signal.strategy_id), fired, signal, basis_frac))
        for signal in pending
    ]


def _verdict(
    view: View,
    strategy: Strategy | None,
    fired: Mapping[str, Any],
    signal: Signal,
    basis_frac: Mapping[str, float],
) -> tuple[str, str]:
    if strategy is None:
        return WATCH, "pending, its strategy is off"
    if signal.symbol not in view.symbols:
        return WATCH, "pending, no_row"
    n = view.symbols.index(signal.symbol)
    if not np.isfinite([view.columns[name][-1, n] for name in strategy.needs.gold]).all():
        return WATCH, "pending, nan_input"
    sign = 1 if signal.direction is Direction.LONG else -1
    price = float(view.columns["adjusted_close"][-1, n])
    drift = sign * (price / (signal.ref_price_usd * basis_frac[signal.symbol]) - 1)
    if round(drift, 9) > strategy.params.max_drift_frac:  # 102 of 100 is 2 %
        return DROP, f"drift {100 * drift:+.1f} %"
    if fired[strategy.id][n] != sign:
        return DROP, CONDITION
    return WATCH, f"pending, drift {100 * drift:+.1f} %"
