"""A small run that can be killed: starts it, looks at its processes and at what it left."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from graphs import dag, step, task, write

from bft.domain.runs import Json

REPOSITORY = Path(__file__).resolve().parents[1]
DRIVER = str(REPOSITORY / "tests" / "flow_driver.py")
ENV = {"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"}


def small(root: Path, *, waits: int = 3) -> Path:
    """a -> b(0..2) -> c, d beside them; every node works `waits` times 10 ms."""
    (root / "workflows").mkdir(parents=True)
    one = step("one", f"work {{{{inputs.parameters.n}}}} {waits}", inputs="n", outputs="said")
    again = {"limit": 2, "backoff": {"duration": "10ms"}}
    again["expression"] = "asInt(lastRetry.exitCode) in [75, 137, 143]"
    one["retryStrategy"] = again
    graph = dag(
        "main",
        task("a", template="one", given={"n": "a"}),
        task("b", "a", template="one", withItems=["x", "y", "z"], given={"n": "b{{item}}"}),
        task(
            "c", "b.Succeeded", template="one", given={"n": "c{{tasks.a.outputs.parameters.said}}"}
        ),
        task("d", template="one", given={"n": "d"}),
    )
    write(root / "workflows" / "small.yaml", one, graph)
    return root


def start(root: Path, *words: str, env: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, DRIVER, str(root), *words, "--json"],
        env=env or ENV,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def run(root: Path, *words: str) -> tuple[int, Json]:
    process = start(root, *words)
    out, err = process.communicate(timeout=60)
    assert not err, err.decode()
    return process.returncode, json.loads(out)


def made(root: Path) -> dict[str, bytes]:
    folders = [root / "made", root / "markers"]
    files = [p for f in folders for p in sorted(f.rglob("*")) if not p.name.startswith(".tmp-")]
    return {str(p.relative_to(root)): p.read_bytes() for p in files if p.is_file()}


def repeated(root: Path) -> list[str]:
    finished: set[str] = set()
    found = []
    for line in (root / "ledger").read_text().splitlines():
        event, name = line.split()
        if event == "finished":
            finished.add(name)
        elif name in finished:
            found.append(name)
    return found


def children(pid: int) -> list[int]:
    """Processes that any thread of `pid` started."""
    found: list[int] = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            found += [int(word) for word in path.read_text().split()]
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def gone(pids: list[int], *, seconds: float = 10) -> bool:
    end = time.monotonic() + seconds
    while any(alive(pid) for pid in pids) and time.monotonic() < end:
        time.sleep(0.01)
    return not any(alive(pid) for pid in pids)


def states(root: Path) -> set[Path]:
    """State files of all runs."""
    return set((root / "runs").glob("*/state.jsonl"))


def ledger(root: Path) -> str:
    path = root / "ledger"
    return path.read_text() if path.exists() else ""


def wait_for(fact: Callable[[], bool], *, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
