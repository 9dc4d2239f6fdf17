"""Forward factors of splits and dividends: 1.0 at the first bar, growing with each action.

Times a price as traded, C gives the forward series, which no later action changes; S is the same
for splits alone (data specification, 3.1).
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from bft.features.bars import Bars
from bft.features.facts import Bools, Floats, Ints, days, numbers, spans


@dataclass(frozen=True, slots=True, kw_only=True)
class Actions:
    """One symbol's corporate actions in ex-date order; shape (A,) each."""

    ex_day: Ints
    kind: tuple[str, ...]
    value: Floats

    def is_kind(self, kind: str) -> Bools:
        """Which of them are of one kind."""
        return np.array([each == kind for each in self.kind], dtype=bool)

    def where(self, chosen: Bools) -> "Actions":
        """Those chosen."""
        if chosen.all():
            return self
        kind = tuple(each for each, take in zip(self.kind, chosen, strict=True) if take)
        return Actions(ex_day=self.ex_day[chosen], kind=kind, value=self.value[chosen])


NO_ACTIONS = Actions(ex_day=np.empty(0, np.int64), kind=(), value=np.empty(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Factors:
    """S (splits) and C (splits, dividends, others) on each bar; shape (T,).

    `actions` are those that count: without dividends not smaller than the price before them.
    """

    split: Floats
    total: Floats
    actions: Actions


def actions_by_symbol(rows: pa.Table) -> dict[str, Actions]:
    """Actions of every symbol that has any, in order of ex-date and kind."""
    rows = rows.sort_by([(name, "ascending") for name in ("symbol", "ex_date", "kind")])
    ex_day, kind, value = days(rows["ex_date"]), rows["kind"].to_pylist(), numbers(rows["value"])
    return {
        symbol: Actions(ex_day=ex_day[a:b], kind=tuple(kind[a:b]), value=value[a:b])
        for symbol, (a, b) in spans(rows["symbol"]).items()
    }


def forward_factors(bars: Bars, actions: Actions) -> Factors:
    """S(t) = S(t-1) f and C(t) = C(t-1) f P/(P - f d), with P the close before as traded.

    f is the split ratio and d the dividend per new share of the actions on the first bar on or
    after their ex-date; of several days, a dividend is scaled by the splits up to its own. Those
    before the first bar are part of its price. As of: values at t use actions with ex-date <= t.
    """
    place = np.searchsorted(bars.day, actions.ex_day)
    inside = (place > 0) & (place < len(bars))
    step_split = _product(bars, place, actions, inside, "split")
    paid = np.zeros(len(bars))
    dividend = inside & actions.is_kind("dividend")
    np.add.at(paid, place[dividend], _paid(place, actions, inside, step_split))
    rows = np.flatnonzero(paid)
    before, given = bars.close[rows - 1], paid[rows]
    good = before - given > 0
    step = step_split * _product(bars, place, actions, inside, "other")
    step[rows[good]] *= before[good] / (before[good] - given[good])
    kept = ~(dividend & np.isin(place, rows[~good]))
    return Factors(
        split=np.multiply.accumulate(step_split),
        total=np.multiply.accumulate(step),
        actions=actions.where(kept),
    )


def split_on(actions: Actions, day: Ints, *, since: int) -> Floats:
    """S on any days, bars or not, 1.0 on day `since`; below it where a split lies in between.

    Serves figures quoted on the share basis of another day (`basis_on`, a dividend's ex-date).
    """
    if "split" not in actions.kind:
        return np.ones(len(day))
    splits = actions.where(actions.is_kind("split"))
    product = np.r_[1.0, np.cumprod(splits.value)]
    at, base = (np.searchsorted(splits.ex_day, days, side="right") for days in (day, since))
    found: Floats = product[at] / product[base]
    return found


def _paid(place: Ints, actions: Actions, inside: Bools, step_split: Floats) -> Floats:
    """Each dividend per share of the bar before: times the splits on its bar up to its ex-date."""
    dividends = np.flatnonzero(inside & actions.is_kind("dividend"))
    paid: Floats = actions.value[dividends] * step_split[place[dividends]]
    splits = inside & actions.is_kind("split")
    for n in np.flatnonzero(step_split[place[dividends]] != 1):
        row = dividends[n]
        until = splits & (place == place[row]) & (actions.ex_day <= actions.ex_day[row])
        paid[n] = actions.value[row] * np.prod(actions.value[until])
    return paid


def _product(bars: Bars, place: Ints, actions: Actions, inside: Bools, kind: str) -> Floats:
    step = np.ones(len(bars))
    if kind not in actions.kind:
        return step
    chosen = inside & actions.is_kind(kind)
    np.multiply.at(step, place[chosen], actions.value[chosen])
    return step
