"""Promotion, rollback and audit (goals R1-R3), and a pool's start (T5).

R1: 64 threads promote at once; R2: `bft rollback` from the start of its process to the commit;
R3: the chain of 10 000 audit rows; T5: seconds until two workers answered, torch not imported.
The last line is the worst ratio to a goal (below 1 is inside).
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]

from fakes import make_ports  # noqa: E402
from registries import ASOF, EVENING, put_set, with_registry  # noqa: E402

from bft.adapters.compute.placement import Capacity  # noqa: E402
from bft.adapters.compute.pool import PoolCompute  # noqa: E402
from bft.adapters.store.state import SqlState  # noqa: E402
from bft.domain.errors import RefusedError  # noqa: E402
from bft.domain.runs import Task  # noqa: E402
from bft.models import audit  # noqa: E402
from bft.wiring import SystemClock  # noqa: E402

REPEATS = 5
COMMITTED = """
import sys, time
from bft.steps import registry
def committed(ports):
    sys.stdout.write(f"{time.monotonic()}\\n")
    return "done"
registry.after_move = committed
from bft.cli import main
main(["rollback", "--root", sys.argv[1], "--asof", sys.argv[2], "--json"])
"""


def check(good: object, why: str) -> None:
    if not good:
        raise SystemExit(f"void: {why}")


def race(folder: Path) -> float:
    url = f"sqlite:///{folder / 'race.db'}"
    states = [SqlState(url, clock=SystemClock()) for _ in range(64)]
    entry = {"ts_utc": EVENING, "action": "promote"}

    def one(place: int) -> int:
        try:
            states[place].move_pointer(
                expected_revision=0, set_digest=str(place), entry=entry, key=str(place)
            )
        except RefusedError:
            return 0
        return 1

    begun = time.perf_counter()
    with ThreadPoolExecutor(64) as threads:
        winners = sum(threads.map(one, range(64)))
    seconds = time.perf_counter() - begun
    check(winners == 1, f"{winners} winners")
    return seconds


def rollback(folder: Path) -> float:
    ports = with_registry(make_ports(folder / "root"))
    ports.clock = SystemClock()
    for revision, word in enumerate("ab"):
        digest = put_set(ports, word, gates="paper")
        entry = {"ts_utc": EVENING, "action": "promote"}
        ports.state.move_pointer(
            expected_revision=revision, set_digest=digest, entry=entry, key=word
        )
    begun = time.monotonic()
    words = [sys.executable, "-c", COMMITTED, ports.store.root, ASOF]
    done = subprocess.run(words, capture_output=True, text=True, check=True)  # noqa: S603  our own argv
    at, line = done.stdout.splitlines()
    check(json.loads(line)["status"] == "rolled_back", line)
    return float(at) - begun


def verify(rows: list[dict]) -> float:
    begun = time.perf_counter()
    found = audit.fault(rows)
    seconds = time.perf_counter() - begun
    check(found is None, str(found))
    return seconds


def chain(count: int) -> list[dict]:
    rows, before, last = [], None, audit.GENESIS
    for seq in range(1, count + 1):
        row = {"seq": seq, "ts_utc": "2025-01-06", "action": "promote", "actor": "bft"}
        row |= {"from": before, "to": f"{seq:064x}", "revision": seq, "prev_hash": last}
        rows.append({**row, "hash": audit.row_hash(row)})
        before, last = row["to"], rows[-1]["hash"]
    return rows


def pool_ready() -> float:
    begun = time.perf_counter()
    pool = PoolCompute(clock=SystemClock(), capacity=Capacity(cpus=2, memory_mb=4096))
    tasks = [Task(key=str(n), call="compute_tasks:process", spec={"seconds": 0.05}) for n in (1, 2)]
    outcomes = pool.run(tasks, lambda _event: None, lambda _outcome: None)
    seconds = time.perf_counter() - begun - 0.05
    check(all(outcome.value for outcome in outcomes), "a task failed")
    return seconds


def main() -> None:
    rows = chain(10_000)
    goals = {"R1 race s": 2.0, "R2 rollback s": 1.0, "R3 audit s": 1.0, "T5 pool s": 0.6}
    seen: dict[str, list[float]] = {name: [] for name in goals}
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as name:
            values = race(Path(name)), rollback(Path(name)), verify(rows), pool_ready()
        for key, value in zip(goals, values, strict=True):
            seen[key].append(value)
    for key, values in seen.items():
        middle = statistics.median(values)
        print(f"{key:14} min {min(values):.3f} median {middle:.3f} max {max(values):.3f}")
    print(f"{max(statistics.median(seen[key]) / goal for key, goal in goals.items()):.2f}")


if __name__ == "__main__":
    main()
