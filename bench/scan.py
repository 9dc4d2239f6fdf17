"""Scan of 550 symbols by six strategies, features in memory, against a full recompute.

The recompute builds the indicators the rules read from 2520 sessions of prices with TA-Lib first.
Prints the p95 of 100 scans and, last, the ratio (goals: <= 50 ms and >= 50x).
"""

import statistics
import time
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import talib
from panels import ASOF, forecast, gold_rows, table

from bft.strategies import enabled
from bft.strategies.signals import signals_at
from bft.strategies.view import View, view_of

SYMBOLS, SESSIONS, RUNS = 550, 2520, 100
AT = datetime(2025, 3, 14, 22, tzinfo=UTC)


def make_view(rng: np.random.Generator) -> View:
    gold, predicted = [], []
    for n in range(SYMBOLS):
        symbol, rank = f"S{n:03d}", (n + 0.5) / SYMBOLS
        close, rsi = float(rng.uniform(93, 107)), float(rng.uniform(20, 80))
        gold += gold_rows(symbol, adjusted_close=close, rsi_14=rsi, adx_14=30.0)
        predicted.append(forecast(symbol, rank_3d=rank, rank_10d=rank, lift_bin_3d=1.2))
    tables = table("gold", gold), table("forecasts", predicted)
    return view_of(*tables, asof=ASOF, lookback=2, quarantined=())


def indicators(prices: np.ndarray) -> pa.Table:
    for close in prices:
        talib.RSI(close, 14)
        talib.ADX(close * 1.01, close * 0.99, close, 14)
        talib.CCI(close * 1.01, close * 0.99, close, 14)
        talib.BBANDS(close, 20)
        talib.MIN(close, 252)
        talib.ATR(close * 1.01, close * 0.99, close, 14)


def main() -> None:
    rng = np.random.Generator(np.random.PCG64(1))
    view, strategies = make_view(rng), enabled("core")
    prices = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, (SYMBOLS, SESSIONS)), axis=1))
    cost = dict.fromkeys(view.symbols, 0.001)
    scans, full = [], []
    for n in range(RUNS):
        start = time.perf_counter()
        found = signals_at(view, strategies, decided_at=AT, cost_frac=cost)
        scans.append(time.perf_counter() - start)
        if n % 20 == 0:
            start = time.perf_counter()
            indicators(prices)
            signals_at(view, strategies, decided_at=AT, cost_frac=cost)
            full.append(time.perf_counter() - start)
    p95 = sorted(scans)[int(0.95 * RUNS)]
    print(f"signals {len(found.signals)}; scan p50 {statistics.median(scans) * 1e3:.1f} ms")
    print(f"scan p95 {p95 * 1e3:.1f} ms (goal 50); full recompute {statistics.median(full):.2f} s")
    print(
        f"ratio full / scan: {statistics.median(full) / statistics.median(scans):.0f}x (goal 50x)"
    )


if __name__ == "__main__":
    main()
