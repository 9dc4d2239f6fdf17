"""Twelve no-op nodes, one process each, against twelve bare Python starts.

Goal: at most 1.8 s in all, and at most 0.12 s a step over a bare start. Ratio last.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from graphs import dag, execute, step, task

ROUNDS, NODES, GOAL_S, STEP_GOAL_S = 5, 12, 1.8, 0.12


def bare() -> float:
    began = time.perf_counter()
    for _ in range(NODES):
        subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - began


def graph() -> float:
    chain = [task(f"n{n}", f"n{n - 1}" if n else "", template="nothing") for n in range(NODES)]
    nothing = step("nothing", "-c pass", container={"command": [sys.executable]})
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        ran = execute(Path(folder), nothing, dag("main", *chain))
        took = time.perf_counter() - began
    if str(ran.result.phase) != "Succeeded":
        raise SystemExit(f"the graph failed: {ran.result}")
    return took


def main() -> int:
    pairs = [(bare(), graph()) for _ in range(ROUNDS)]
    plain, ours = (sorted(column) for column in zip(*pairs, strict=True))
    over = (median(ours) - median(plain)) / NODES
    print(f"12 bare starts  {plain[0]:.3f} {median(plain):.3f} {plain[-1]:.3f} s")
    print(f"12 node graph   {ours[0]:.3f} {median(ours):.3f} {ours[-1]:.3f} s (goal {GOAL_S})")
    print(f"over a bare start, per step: {over:.3f} s (goal {STEP_GOAL_S})")
    ratio = max(median(ours) / GOAL_S, over / STEP_GOAL_S)
    print(f"ratio to the goal: {ratio:.2f}")
    return int(ratio > 1)


if __name__ == "__main__":
    sys.exit(main())
