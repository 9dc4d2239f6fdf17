"""Predict of 550 symbols by nine nets of production size (goal N1: <= 5 s on 2 threads).

A is the step: set, artifacts, gold, inputs, forwards, merge, published files. B is the nine bare
forwards on the same windows. Parity first: the ranks of float32 and float64 forwards.
Run: PYTHONPATH=tests python bench/predict.py
"""

import statistics
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import torch
from fakes import FakePorts, arguments, make_ports, no_tick
from goldroots import publish_gold
from model_sets import arrays_of, put_set_of_nets
from registries import with_registry
from scipy.stats import spearmanr

from bft.dataset.windows import gather
from bft.domain.forecast import MODEL_NAMES
from bft.models import artifact
from bft.models.model_set import read_set
from bft.steps import predict

SYMBOLS, DAYS, LOOKBACK, THREADS, RUNS, GOAL_S = 550, 420, 60, 2, 5, 5.0
LARGE = {"width": 128, "layers": 3, "ff": 256, "heads": 4}
MIDDLE = {"width": 64, "layers": 2, "ff": 128, "heads": 4}
SIZES = {name: LARGE if name in {"reg_3d", "reg_10d"} else MIDDLE for name in MODEL_NAMES}


def make_root(folder: Path) -> tuple[FakePorts, date, str]:
    ports = with_registry(make_ports(folder))
    asof = publish_gold(ports, symbols=SYMBOLS, days=DAYS)
    rows = ports.store.read("gold", asof=asof)
    months = pc.strftime(rows["date"], "%Y-%m")
    parts = {f"month={m}": rows.filter(pc.equal(months, m)) for m in pc.unique(months).to_pylist()}
    ports.store.publish("gold", asof=asof, partitions=parts, replaces=True)
    options = {"lookback": LOOKBACK, "threads": THREADS}
    return ports, asof, put_set_of_nets(ports, asof, sizes=SIZES, **options)


def timed(work) -> tuple[float, float]:
    """Wall and CPU seconds; on a shared machine only the second is a fact about the code."""
    begun, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begun, time.process_time() - used


def main() -> None:
    torch.set_num_threads(THREADS)
    with tempfile.TemporaryDirectory() as home:
        ports, asof, digest = make_root(Path(home) / "root")
        entries = read_set(ports.store, digest).entries
        models = [artifact.load(ports.store.path(f"models/{e.digest}")) for e in entries]
        arrays = arrays_of(ports, asof)
        windows = gather(arrays.inputs, arrays.offsets[1:] - 1, LOOKBACK)
        windows = models[0].normalise(windows, arrays.symbols)
        for model in models:
            net = model.net.double()
            with torch.inference_mode():
                exact = net(torch.from_numpy(windows).double()).numpy()
            net.float()
            same = spearmanr(exact[:, 0], model.raw(windows)[:, 0])[0]
            print(f"{model.name} Spearman with float64 {same:.6f} (goal >= 0.999)")
            if same < 0.999:
                raise SystemExit(f"parity lost: {model.name}")

        def step() -> None:
            ports.store.delete(f"manifests/forecasts/asof={asof}.json")
            fresh = make_ports(Path(home) / "root", state=ports.state, tracker=ports.tracker)
            args = arguments(predict.STEP, "--asof", str(asof), "--set", digest)
            timings.append(predict.STEP.run(fresh, args, no_tick).values["timings_s"])

        def forwards() -> None:
            for model in models:
                model.raw(windows)

        timings: list[dict[str, float]] = []
        step()
        both = [(timed(step), timed(forwards)) for _ in range(RUNS)]
    parts = {k: round(float(np.median([t[k] for t in timings[1:]])), 3) for k in timings[0]}
    (ours, cpu), (bare, bare_cpu) = (
        (statistics.median(t[0] for t in side), statistics.median(t[1] for t in side))
        for side in zip(*both, strict=True)
    )
    walls = [a[0] for a, _ in both]
    print(f"predict {SYMBOLS} x 9: median {ours:.2f} s, min {min(walls):.2f}, max {max(walls):.2f}")
    print(f"its parts: {parts}; CPU {cpu:.2f} s")
    print(f"bare forwards: median {bare:.2f} s, CPU {bare_cpu:.2f} s")
    print(f"ratio to the goal of {GOAL_S:g} s: {ours / GOAL_S:.2f}")


if __name__ == "__main__":
    main()
