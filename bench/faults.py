"""Faults: seeded days at a misbehaving gateway (executor specification, sections 12 and 16).

Each seed trades, breaks, crashes and recovers one executor with its book, the gateway's adapter and
the simulated gateway; then I-a to I-d are checked, and on every hundredth seed I-e by a second run.
`--seeds N` (2,000), `--first N`. Any violation ends with 1 and names the seeds. The last line is
the ratio of what 200 seeds took to their bound of 120 s on two cores.
"""

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]

from soak import Outcome, many  # noqa: E402

BOUND_S, BOUND_SEEDS, AGAIN = 120.0, 200, 100
KINDS = {"I-a": "doubled", "I-b": "book", "I-c": "unprotected", "I-d": "undecided"}
KINDS |= {"lost": "lost fills", "misattributed": "misattributed", "duplicate": "duplicates"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    args = parser.parse_args()
    seeds = range(args.first, args.first + args.seeds)
    cores = min(2, os.cpu_count() or 1)
    began = time.perf_counter()
    outcomes = list(many(seeds, processes=cores))
    took_s = time.perf_counter() - began
    report(outcomes, took_s)
    differing = repeated(outcomes, cores)
    print(f"journals that differ on a second run: {differing or 0}")
    failed = [o for o in outcomes if o.problems]
    for outcome in failed[:20]:
        print(f"seed {outcome.seed}: {outcome.problems[0][:200]}")
    print(f"ratio {took_s / len(outcomes) * BOUND_SEEDS / BOUND_S:.2f}")
    raise SystemExit(1 if failed or differing else 0)


def report(outcomes: list[Outcome], took_s: float) -> None:
    happened = sum((o.counts for o in outcomes), Counter[str]())
    print(f"{len(outcomes)} seeds in {took_s:.0f} s: {dict(happened.most_common())}")
    found = Counter(p.partition(":")[0] for o in outcomes for p in o.problems)
    told = {name: found.pop(kind, 0) for kind, name in KINDS.items()}
    print(f"violations: {told}, other {found.total()}")


def repeated(outcomes: list[Outcome], cores: int) -> list[int]:
    """Seeds whose journal has other bytes when they run again."""
    once = {o.seed: o.journal for o in outcomes[::AGAIN]}
    return [o.seed for o in many(once, processes=cores) if o.journal != once[o.seed]]


if __name__ == "__main__":
    main()
