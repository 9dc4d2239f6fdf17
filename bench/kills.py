"""300 kill -9 of the runner or one of its children, each followed by a resume.

Counts wrong bytes and repeated finished work (goal 0) and how long a resumed run takes until its
next step starts (goal 3 s). `python bench/kills.py [KILLS]`; stops after ten minutes. Ratio last.
"""

import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from kills import children, gone, made, repeated, run, small, start, states

GOAL_S, MOST_S = 3.0, 600.0


def resumed_s(root: Path, before: set[Path], since: float) -> float | None:
    """Seconds until the new run started a step, or None where it had none to start."""
    while time.monotonic() < since + 30:
        text = "".join(path.read_text() for path in states(root) - before)
        if '"event":"started"' in text:
            return time.monotonic() - since
        if '"event":"ended"' in text:
            return None
        time.sleep(0.005)
    return None


def main() -> int:
    wanted_kills = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    draw, began = random.Random(300), time.monotonic()  # noqa: S311  when to kill
    kills = wrong = again = 0
    waits: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        run(small(Path(name) / "golden"), "small")
        golden = made(Path(name) / "golden")
        place = 0
        while kills < wanted_kills and time.monotonic() - began < MOST_S:
            place += 1
            root = small(Path(name) / f"r{place}")
            killed = False
            while True:
                before, since = states(root), time.monotonic()
                process = start(root, "small")
                if killed:
                    waited = resumed_s(root, before, since)
                    waits += [] if waited is None else [waited]
                time.sleep(draw.uniform(0, 0.4))
                young = children(process.pid)
                killed = process.poll() is None and kills < wanted_kills
                if killed:
                    os.kill(draw.choice([process.pid, *young]), signal.SIGKILL)
                    kills += 1
                process.communicate(timeout=60)
                if not gone(young):
                    wrong += 1
                if process.returncode == 0:
                    break
            wrong += made(root) != golden
            again += len(repeated(root))
    worst = max(waits, default=0.0)
    told = {"kills": kills, "wrong": wrong, "repeated": again, "resume_worst_s": round(worst, 3)}
    print(json.dumps(told))
    print(f"ratio to the goal: {worst / GOAL_S if not wrong + again else 99:.2f}")
    return int(bool(wrong or again) or worst > GOAL_S)


if __name__ == "__main__":
    sys.exit(main())
