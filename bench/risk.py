"""All 32 rules on one order (goal: p50 <= 0.2 ms), for stocks, futures and options.

Parity first: every case is allowed, and a case that only the kill switch forbids is denied by it.
Prints p50 and p99 of each case, the slowest p50's ratio to the goal last.
Run: PYTHONPATH=tests python bench/risk.py
"""

import statistics
import time
from dataclasses import replace

from risk_cases import (
    context,
    future_context,
    future_order,
    holding,
    option_context,
    option_order,
    order,
)

from bft.domain.orders import Reason
from bft.risk.decide import evaluate

RUNS, WARM, GOAL_MS = 5_000, 500, 0.2
NINE = tuple(holding(f"S{n}", sector=f"X{n % 4}") for n in range(9))


def measured(asked, seen) -> list[float]:
    times = []
    for _ in range(WARM + RUNS):
        begun = time.perf_counter_ns()
        evaluate(asked, seen)
        times.append((time.perf_counter_ns() - begun) / 1e6)
    return sorted(times[WARM:])


def main() -> None:
    full = context()
    full = replace(full, book=replace(full.book, positions=NINE))
    cases = {
        "stock, empty book": (order(), context()),
        "stock, nine positions": (order(), full),
        "future": (future_order(), future_context()),
        "option": (option_order(), option_context()),
    }
    medians = []
    for name, (asked, seen) in cases.items():
        killed = replace(seen, fences=replace(seen.fences, kill_latched=True))
        if not evaluate(asked, seen).allowed or evaluate(asked, killed).reason is not Reason.KILL:
            raise SystemExit(f"parity lost: {name}")
        times = measured(asked, seen)
        medians.append(statistics.median(times))
        print(f"{name}: p50 {medians[-1]:.3f} ms, p99 {times[int(0.99 * RUNS)]:.3f} ms")
    print(f"ratio to the goal of {GOAL_MS:g} ms: {max(medians) / GOAL_MS:.2f}")


if __name__ == "__main__":
    main()
