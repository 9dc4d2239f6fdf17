"""Evaluation of nine models with bootstrap: 189 test days x 550 symbols, 2000 draws (E1: <= 30 s).

A is `evaluate` with two baselines; B computes the daily RankIC of the same samples alone, with
scipy's spearmanr, day by day. Parity first. Prints the ratio to the goal last.
Run: python bench/evaluate.py
"""

import statistics
import time

import numpy as np
from scipy import stats

from bft.domain.forecast import MODELS, Kind, ModelName
from bft.models import blocks
from bft.models.evaluate import Evidence, evaluate

DAYS, NAMES, FIRST, RUNS, GOAL_S = 189, 550, 4300, 5, 30.0
LABEL = {
    "mu_y": 0.001,
    "s": 0.03,
    "threshold": 0.015,
    "pi": 0.3,
    "edges": [-0.01, 0.01],
    "shares": [0.35, 0.3, 0.35],
}
MEANS = {Kind.BINARY: [-0.02, 0.03], Kind.BUCKETS: [-0.03, 0.0, 0.03]}
SETTINGS = {"bootstrap_draws": 2000, "seed": 1}


def make_block(name: ModelName, opens: np.ndarray, label: dict) -> blocks.TestBlock:
    rng, h = np.random.default_rng(MODELS.index(name)), name.horizon_days
    day, symbol = (x.ravel() for x in np.meshgrid(range(DAYS), range(NAMES), indexing="ij"))
    y = opens[symbol, day + 1 + h] / opens[symbol, day + 1] - 1
    calibrated = 0.05 * y + 0.02 * rng.normal(size=len(y))
    if name.kind is not Kind.REGRESSION:
        calibrated = rng.dirichlet([3] * (2 if name.kind is Kind.BINARY else 3), len(y))
    vol20 = rng.uniform(0.01, 0.03, len(y))
    made = blocks.Forecasts(
        k=0, day=day + FIRST, symbol=symbol, y=y, calibrated=calibrated, vol20=vol20
    )
    return blocks.judged(made, name.kind, label, 1.6 if name.kind is Kind.REGRESSION else np.nan)


def main() -> None:
    rng = np.random.default_rng(0)
    opens = 50 * np.exp(np.cumsum(rng.normal(0, 0.02, (NAMES, DAYS + 32)), axis=1))
    prices = blocks.Prices(first=FIRST, opens=opens)
    labels = {name: LABEL | {"class_means": MEANS.get(name.kind)} for name in MODELS}
    cases = {name: make_block(name, opens, labels[name]) for name in MODELS}

    def nine() -> list[dict]:
        return [
            evaluate(
                name,
                [block],
                prices=prices,
                settings=SETTINGS,
                evidence=Evidence(
                    valid=block,
                    baselines={"ridge": -block.y, "momentum": rng.normal(size=len(block.y))},
                ),
            )
            for name, block in cases.items()
        ]

    def day_by_day() -> list[float]:
        found = []
        for block in cases.values():
            score = block.score.reshape(DAYS, NAMES)
            y = block.y.reshape(DAYS, NAMES)
            found.append(
                float(np.mean([stats.spearmanr(a, b)[0] for a, b in zip(score, y, strict=True)]))
            )
        return found

    ours = [found["metrics"]["rank_ic"] for found in nine()]
    gap = max(abs(a - b) for a, b in zip(ours, day_by_day(), strict=True))
    print(f"parity with scipy's spearmanr: largest difference {gap:.1e}")
    if gap > 1e-9:
        raise SystemExit("parity lost")
    times = [(timed(nine), timed(day_by_day)) for _ in range(RUNS)]
    a, b = (statistics.median(side) for side in zip(*times, strict=True))
    print(f"evaluate nine: median {a:.2f} s; RankIC alone with scipy: {b:.2f} s")
    print(f"ratio to the goal of {GOAL_S:g} s: {a / GOAL_S:.2f}")


def timed(work) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
