"""T6, T7: the fits of all nine models on two workers of one thread, arrays in place.

demo: 60 symbols, 500 sessions, one fold (goal <= 20 s). `python bench/fits.py realdata`: 404
symbols, 1259 sessions, newest fold (goal <= 20 min). Random walk; early stopping may end a fit
sooner or later than on real prices. Includes start and imports of the workers, calibration,
evaluation, baselines and plots. Run: PYTHONPATH=tests python bench/fits.py [realdata]
"""

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from fakes import FixedClock
from synthetic import make_arrays, training_spec

from bft.adapters.compute.placement import Capacity
from bft.adapters.compute.pool import PoolCompute
from bft.dataset import splits
from bft.domain.forecast import MODEL_NAMES, MODELS
from bft.domain.runs import Needs, Task
from bft.models.profiles import effective, profiles_folder

SIZES = {"demo": (60, 500, 20.0), "realdata": (404, 1259, 1200.0)}


def tasks(home: Path, profile: str) -> list[Task]:
    symbols, days, _ = SIZES[profile]
    arrays = make_arrays(home / "arrays", symbols=symbols, days=days, planted=0.1)
    first, made = int(arrays.dates.min()), []
    for model in MODELS:
        values = effective(profile, str(model), (), profiles_folder())
        start = splits.train_start(first, arrays.asof, values["train_start_offset"])
        fold = splits.walk_forward(start, arrays.asof, model.horizon_days, values)[-1]
        spec = training_spec(home, arrays, str(model)) | {"profile": values}
        spec["folds"] = [fold.as_json()]
        needs = Needs(cpus=1, memory_mb=values["memory_mb"])
        made.append(Task(key=str(model), call="bft.models.fit:fit_model", spec=spec, needs=needs))
    return made


def main() -> None:
    profile = sys.argv[1] if len(sys.argv) > 1 else "demo"
    with tempfile.TemporaryDirectory() as home:
        jobs = tasks(Path(home), profile)
        clock = FixedClock(datetime(2026, 1, 5, 23, 30, tzinfo=UTC))
        capacity = Capacity(cpus=2, memory_mb=16_384, gpu_memory_mb=0, tasks=2)
        pool = PoolCompute(clock=clock, capacity=capacity)
        begun = time.perf_counter()
        outcomes = pool.run(jobs, lambda _event: None, lambda _outcome: None)
        wall = time.perf_counter() - begun
    for name, outcome in zip(MODEL_NAMES, outcomes, strict=True):
        found = outcome.value
        said = outcome.failure if found is None else f"{found['seconds']:6.1f} s {found['status']}"
        print(f"{name:>9}: {said}")
    goal = SIZES[profile][2]
    print(f"nine fits, {profile}: {wall:.1f} s")
    print(f"of the goal of {goal:.0f} s: {wall / goal:.2f}")


if __name__ == "__main__":
    main()
