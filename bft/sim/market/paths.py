"""Prices: returns day by day with the planted signal, then dividends and splits as traded."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bft.sim.market.draws import Floats
from bft.sim.market.shocks import Shocks, Traits
from bft.sim.market.signal import HISTORY_ROWS, fast, z

SPLITS_PER_DAY = 1 / (8 * 252)
FORWARD_SPLITS = np.array([2, 3, 1.5, 4, 10])
SHORT_SPLITS = np.array([2, 3, 1.5])  # ten for one would leave a cheap share too cheap
DIVIDEND_EVERY_ROWS = 63
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Returns:
    """Total-return level, volume in first-day shares, f and g; (T, N), f and g NaN where unknown.

    `level` and `volume` go on where a stock is not listed.
    """

    level: Floats
    volume: Floats
    fast: Floats
    slow: Floats


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """As traded, (T, A); NaN where not listed. `factor` is C, `shares` is S of the specification.

    `dividend` is USD per new share, `split` new shares per old, both on the ex-day's row.
    """

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    volume: Floats
    dividend: Floats
    split: Floats
    factor: Floats
    shares: Floats


def returns(
    fixed: Traits, chance: Shocks, listed: Mask, surprise_pct: Floats, kappas: tuple[float, float]
) -> Returns:
    """Walk through the days; row t+1 follows from the signal at t."""
    shape = chance.rest.shape
    level, log_volume = np.ones(shape), np.zeros(shape)
    volume = np.exp(fixed.log_volume) * np.ones(shape)
    quick, slow = np.full(shape, np.nan), np.full(shape, np.nan)
    pull = np.zeros(shape[1])
    for t in range(1, shape[0]):
        own = fixed.sd * (pull + chance.rest[t])
        level[t] = level[t - 1] * np.maximum(1 + chance.common[t] + own, 0.4)
        move = 0.12 * (np.abs(level[t] / level[t - 1] - 1) / fixed.sd - 0.9)
        log_volume[t] = 0.6 * log_volume[t - 1] + chance.volume[t] + move
        volume[t] *= np.exp(log_volume[t])
        if t < HISTORY_ROWS:
            continue
        rows = slice(t + 1 - HISTORY_ROWS, t + 1)
        live = np.flatnonzero(listed[t] & listed[rows.start])
        quick[t, live] = fast(level[rows, live], volume[rows, live])
        slow[t, live] = z(surprise_pct[t, live])
        pull = np.zeros(shape[1])
        pull[live] = kappas[0] * quick[t, live] + kappas[1] * slow[t, live]
    return Returns(level=level, volume=volume, fast=quick, slow=slow)


def as_traded(
    fixed: Traits, chance: Shocks, made: Returns, listed: Mask, numbers: NDArray[np.int64]
) -> Bars:
    """Turn levels into prices: price = level / C, and C moves with each dividend and split."""
    shape = made.level.shape
    factor, shares = np.ones(shape), np.ones(shape)
    split, dividend = np.ones(shape), np.zeros(shape)
    opening, close = np.empty(shape), np.empty(shape)
    opening[0] = close[0] = fixed.price_usd
    due = (numbers[:, None] + fixed.dividend_phase) % DIVIDEND_EVERY_ROWS == 0
    lately = listed & np.vstack([np.zeros_like(listed[:1]), listed[:-1]])  # no ex-day on day one
    by_luck = chance.split < SPLITS_PER_DAY
    long, short = (_pick(some, chance.split_kind) for some in (FORWARD_SPLITS, SHORT_SPLITS))
    for t in range(1, shape[0]):
        before = close[t - 1]
        # below one dollar the exchange insists on a reverse split
        now = lately[t] & (by_luck[t] | (before < 1))
        if now.any():
            split[t, now] = _ratio(before, long[t], short[t])[now]
        base = before / split[t]
        paid = np.where(due[t] & lately[t], fixed.yield_frac / 4, 0)
        dividend[t] = np.round(base * paid, 4)
        factor[t] = factor[t - 1] * split[t] * before / (before - split[t] * dividend[t])
        shares[t] = shares[t - 1] * split[t]
        close[t] = np.round(made.level[t] * fixed.price_usd / factor[t], 4)
        gap = 0.3 * np.log(close[t] / (base - dividend[t])) + 0.3 * fixed.sd * chance.overnight[t]
        opening[t] = np.round((base - dividend[t]) * np.exp(gap), 4)
    high = np.maximum(opening, close) * np.exp(0.4 * fixed.sd * chance.up)
    low = np.minimum(opening, close) * np.exp(-0.4 * fixed.sd * chance.down)
    hidden = np.where(listed, 1.0, np.nan)
    return Bars(
        open=opening * hidden,
        high=np.round(high, 4) * hidden,
        low=np.round(low, 4) * hidden,
        close=close * hidden,
        volume=np.round(made.volume * shares) * hidden,
        dividend=dividend,
        split=split,
        factor=factor,
        shares=shares,
    )


def _ratio(price: Floats, long: Floats, short: Floats) -> Floats:
    forward = np.where(price >= 200, long, short)
    return np.where(price >= 25, forward, np.where(price >= 5, 1 / 5, 1 / 10))


def _pick(choices: Floats, chance: Floats) -> Floats:
    return choices[(chance * len(choices)).astype(np.intp)]
