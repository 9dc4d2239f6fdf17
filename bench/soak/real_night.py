"""A whole night on a file of real prices: time, largest process, RankIC of each model.

`python bench/soak/real_night.py FILE ASOF [PROFILE]` (realdata); FILE as `--source files:` takes
it. With 404 symbols and five years it takes a quarter of an hour. The last line is the largest
process against 3 GiB.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from typing import Any

GOAL_GIB = 3.0


def bft(*words: str) -> dict[str, Any]:
    """The JSON line of a verb."""
    argv = [sys.executable, "-m", "bft", *words, "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)  # noqa: S603  our own
    if done.returncode:
        raise SystemExit(done.stdout.strip() or done.stderr.strip()[-500:])
    line: dict[str, Any] = json.loads(done.stdout.strip().rpartition("\n")[2])
    return line


def main(file: str, asof: str, profile: str = "realdata") -> None:
    print(f"{file}: load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as root:
        began = time.perf_counter()
        named = ("--asof", asof, "--source", f"files:{file}", "--profile", profile)
        bft("run", "nightly", "--root", root, *named)
        print(f"night: {(time.perf_counter() - began) / 60:.1f} min")
        # the largest of all processes that were waited for, the models' among them
        peak_gib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
        for model in bft("models", "--root", root)["models"]:
            card = bft("models", "--root", root, "show", model["name"])["card"]
            told = next(line for line in card.splitlines() if line.startswith("| RankIC |"))
            print(f"  {model['name']}: {told.strip('| ')}")
    print(f"ratio: {peak_gib / GOAL_GIB:.2f} of {GOAL_GIB:g} GiB ({peak_gib:.2f} GiB)")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        print("skipped: give a file of real prices and its last session")
    else:
        main(*sys.argv[1:4])
