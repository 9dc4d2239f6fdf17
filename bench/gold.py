"""Gold at 550 symbols x 2,520 sessions: kernels, full build, append, reads, gate, memory.

Both sides of a ratio run in one process, interleaved, after parity is checked. pandas-ta-classic is
not locked: `pip install --target DIR --no-deps pandas-ta-classic`, then PYTHONPATH=DIR. The last
lines are the ratios to the goals (data specification, 11). `--small` is a quick look.
"""

import argparse
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import talib
from fakes import FakePorts, arguments, make_ports, no_tick
from raw_market import publish_market

from bft.domain import sessions
from bft.features import indicators
from bft.features.factors import NO_ACTIONS, actions_by_symbol, forward_factors
from bft.features.prices import forward_series
from bft.steps import gold, gold_tables, record, validate

RUNS = 5
Series = dict[str, np.ndarray]


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def interleaved(one: Callable[[], object], two: Callable[[], object], runs: int = RUNS) -> tuple:
    pairs = [(timed(one), timed(two)) for _ in range(runs)]
    return tuple(sorted(side) for side in zip(*pairs, strict=True))


def said(name: str, seconds: list[float]) -> None:
    low, high = seconds[0], seconds[-1]
    print(f"{name}: min {low:.3f} median {statistics.median(seconds):.3f} max {high:.3f} s")


def forward(ports: FakePorts, asof: date) -> list[Series]:
    from bft.features.bars import bars_by_symbol

    known = gold_tables.known_tables(ports.store, asof, history_start="2000-01-01")
    actions = actions_by_symbol(known["actions"])
    return [
        forward_series(bars, forward_factors(bars, actions.get(bars.symbol, NO_ACTIONS)))
        for bars in bars_by_symbol(known["bars"])
    ]


def our_kernels(market: list[Series]) -> list[dict[str, np.ndarray]]:
    return [indicators.kernels(series) for series in market]


def bare(s: Series) -> dict[str, np.ndarray]:
    o, h, lo, c, v = (s[name] for name in ("open", "high", "low", "close", "volume"))
    macd, line, _ = talib.MACD(c, 12, 26, 9)
    upper, middle, lower = talib.BBANDS(c, 20, 2, 2)
    return {
        **{f"sma_{n}": talib.SMA(c, n) for n in (20, 50, 200)},
        **{f"ema_{n}": talib.EMA(c, n) for n in (20, 50, 200)},
        "macd": macd,
        "macd_9_ema": line,
        "rsi_14": talib.RSI(c, 14),
        "adx_14": talib.ADX(h, lo, c, 14),
        "atr_14": talib.ATR(h, lo, c, 14),
        "cci_14": talib.CCI(h, lo, c, 14),
        "bbands_upper_20": upper,
        "bbands_middle_20": middle,
        "bbands_lower_20": lower,
        "52_week_high": talib.MAX(s["year_high"], 252),
        "52_week_low": talib.MIN(s["year_low"], 252),
        "close_1_roc": talib.ROC(c, 1),
        "open_1_roc": talib.ROC(o, 1),
        "high_1_roc": talib.ROC(h, 1),
        "low_1_roc": talib.ROC(lo, 1),
        "volume_1_roc": talib.ROC(v, 1),
        "close_3_roc": talib.ROC(c, 3),
        "close_10_roc": talib.ROC(c, 10),
    }


def pandas_ta(market: list[Series]) -> list[pd.DataFrame]:
    import pandas_ta_classic as ta

    made = []
    for s in market:
        f = {name: pd.Series(values) for name, values in s.items()}
        o, h, lo, c, v = (f[name] for name in ("open", "high", "low", "close", "volume"))
        columns = [
            *(ta.sma(c, length=n, talib=False) for n in (20, 50, 200)),
            *(ta.ema(c, length=n, talib=False) for n in (20, 50, 200)),
            ta.macd(c, talib=False),
            ta.rsi(c, length=14, talib=False),
            ta.adx(h, lo, c, length=14, talib=False),
            ta.atr(h, lo, c, length=14, talib=False),
            ta.cci(h, lo, c, length=14, talib=False),
            ta.bbands(c, length=20, talib=False),
            f["year_high"].rolling(252).max(),
            f["year_low"].rolling(252).min(),
            *(ta.roc(x, length=1, talib=False) for x in (c, o, h, lo, v)),
            *(ta.roc(c, length=n, talib=False) for n in (3, 10)),
        ]
        made.append(pd.concat(columns, axis=1))
    return made


def run(ports: FakePorts, asof: date, *words: str, step: object = gold.STEP) -> dict:
    args = arguments(step, *words, asof=asof, history_start="2000-01-01", fresh=True)
    verb = "gold" if step is gold.STEP else "validate"
    summary = record.execute(ports, verb, step, args, no_tick)
    return record.line_of(summary)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="60 symbols x 520 sessions")
    small = parser.parse_args().small
    with tempfile.TemporaryDirectory(prefix="bench-gold-") as folder:
        ports = make_ports(Path(folder))
        sizes = {"symbols": 60, "rows": 520} if small else {}
        last = publish_market(ports.store, **sizes)
        ratios = measure(ports, last, runs=2 if small else RUNS)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(f"peak memory {peak:.2f} GiB (goal 3)")
    print("\n".join(ratios))


def measure(ports: FakePorts, last: date, *, runs: int) -> list[str]:
    before = sessions.shift(last, -1)
    full = sorted(timed(lambda: run(ports, before, "--full")) for _ in range(runs))
    said("full gold", full)
    first = run(ports, before, "--full")
    appended = sorted(timed(lambda: run(ports, last)) for _ in range(runs))
    said("append of a day, month merge included", appended)
    line = run(ports, last)
    written, whole = line["bytes"], first["bytes"]
    whole_again = run(ports, last, "--full")
    if whole_again["digest"] != line["digest"]:
        raise SystemExit("append differs from a full build")
    ratios = kernel_ratio(ports, before, runs)
    ratios += pandas_ratio(ports, before, statistics.median(full))
    reads(ports, last)
    gate = sorted(timed(lambda: run(ports, last, step=validate.STEP)) for _ in range(runs))
    said("validate (goal 10 s)", gate)
    ratios.append(f"append bytes / full bytes: {written / whole:.2%} (goal 1 %), bit-identical")
    ratios.append(f"append {statistics.median(appended):.2f} s (goal 3 s)")
    return ratios


def kernel_ratio(ports: FakePorts, asof: date, runs: int) -> list[str]:
    market = forward(ports, asof)
    for series, ours in zip(market, our_kernels(market), strict=True):
        odd = [n for n, found in bare(series).items() if found.tobytes() != ours[n].tobytes()]
        if odd:
            raise SystemExit(f"kernels differ from TA-Lib: {odd}")
    ours, theirs = interleaved(
        lambda: our_kernels(market), lambda: [bare(series) for series in market], runs
    )
    said("24 kernels", ours)
    said("bare TA-Lib", theirs)
    ratio = statistics.median(ours) / statistics.median(theirs)
    return [f"kernels / bare TA-Lib: {ratio:.2f}x (goal 1.2x), equal bit for bit"]


def pandas_ratio(ports: FakePorts, asof: date, full_s: float) -> list[str]:
    try:
        import pandas_ta_classic  # noqa: F401  asked for once, used below
    except ImportError:
        print("pandas-ta-classic is not installed: see the head of this file", file=sys.stderr)
        return ["pandas-ta-classic / full gold: not measured"]
    market = forward(ports, asof)
    few = market[:20]
    took = timed(lambda: pandas_ta(few)) * len(market) / len(few)
    print(f"pandas-ta-classic, the 24, from 20 symbols: {took:.1f} s")
    return [f"pandas-ta-classic / full gold: {took / full_s:.1f}x (goal 10x)"]


def reads(ports: FakePorts, asof: date) -> None:
    five = ["adjusted_close", "sma_20", "rsi_14", "volume_pct", "beta"]
    store = ports.store
    store.read("gold", asof=asof, columns=five)  # digests are checked once per process
    some = sorted(timed(lambda: store.read("gold", asof=asof, columns=five)) for _ in range(RUNS))
    said("5 columns, all rows (goal 0.25 s)", some)
    one = sorted(timed(lambda: store.read("gold", asof=asof, symbols=["TAB"])) for _ in range(RUNS))
    said("one symbol, all columns (goal 0.8 s)", one)


if __name__ == "__main__":
    main()
