"""Vendor simulator against its goals: ready in 3 s, 400 MiB, 300 compact answers a second.

The server runs beside the asking process; its own CPU time gives the answers per second of one
core. The last line is the worst of the three ratios (goal met at >= 1).
"""

import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

READY_S, RSS_MIB, ANSWERS_PER_S = 3.0, 400.0, 300.0
ROUNDS, CALLS = 5, 600
COMMAND = [sys.executable, "-m", "bft", "serve", "market-sim", "--port", "0", "--symbols", "60"]
COMMAND += ["--start", "2016-01-04", "--today", "2025-12-31"]


def start() -> tuple[subprocess.Popen[str], int, float]:
    began = time.monotonic()
    server = subprocess.Popen(  # noqa: S603  our own command line
        COMMAND, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    line = server.stderr.readline() if server.stderr else ""
    found = re.search(r"http://[^:]+:(\d+)", line)
    if not found:
        raise SystemExit(f"no server: {line}")
    return server, int(found[1]), time.monotonic() - began


def peak_mib(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(port: int, pid: int) -> tuple[float, float]:
    """Answers a second: of the server's core, and as the client sees them."""
    link = http.client.HTTPConnection("127.0.0.1", port)
    link.request("GET", "/sim/truth")
    names = list(json.loads(link.getresponse().read())["truth"])
    busy, began = cpu_s(pid), time.monotonic()
    for n in range(CALLS):
        symbol = names[n % len(names)]
        link.request("GET", f"/query?function=TIME_SERIES_DAILY_ADJUSTED&symbol={symbol}")
        body = link.getresponse().read()
        if body.count(b"1. open") != 100:
            raise SystemExit(f"no compact answer: {body[:200]!r}")
    return CALLS / (cpu_s(pid) - busy), CALLS / (time.monotonic() - began)


def measure() -> tuple[float, float, float, float]:
    server, port, ready_s = start()
    try:
        per_core, seen = ask(port, server.pid)
        return ready_s, peak_mib(server.pid), per_core, seen
    finally:
        server.terminate()
        server.wait(10)


def main() -> None:
    columns = list(zip(*(measure() for _ in range(ROUNDS)), strict=True))
    names = ("ready s", "peak MiB", "answers/s/core", "answers/s seen")
    for name, values in zip(names, columns, strict=True):
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{name:16} min {low:8.2f}  median {middle:8.2f}  max {high:8.2f}")
    ready_s, peak, per_core, _ = (statistics.median(values) for values in columns)
    ratios = READY_S / ready_s, RSS_MIB / peak, per_core / ANSWERS_PER_S
    print("ratios to goal: ready {:.2f}  memory {:.2f}  answers {:.2f}".format(*ratios))
    print(f"{min(ratios):.2f}")


if __name__ == "__main__":
    main()
