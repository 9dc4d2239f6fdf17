"""Goal: 200 requests/s for 60 s, 90 % reads, 10 % signals to the paper broker: p99 <= 15 ms.

Executor specification, section 16. `python bench/api.py [SECONDS]`; load and server share the
machine. Half of the signals enter, each in a symbol of its own, the others leave again, so that the
book stays as large as an account's. Latency counts from the instant a request was due. Prints start
and memory too.
"""

import asyncio
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
from executor_process import running
from fakes import make_ports

from bft.adapters.store.tables import schema
from bft.domain import sessions

RATE, P99_MS = 200, 15.0
NIGHT = date(2026, 1, 5)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
SYMBOLS = [f"Q{a}{b}" for a in LETTERS for b in LETTERS]
READS = ("/v1/orders?limit=20", "/v1/positions", "/v1/health", "/v1/health/ready", "/v1/kill")


def publish(root: Path, symbols: Sequence[str] = SYMBOLS) -> None:
    """A night of flat prices that lets the rules pass."""
    ports = make_ports(root)
    days = sessions.sessions(NIGHT - timedelta(days=45), NIGHT)[-21:]
    rows = [
        {
            "date": day,
            "symbol": name,
            **dict.fromkeys(("open", "high", "low", "adjusted_close"), 100.0),
            "volume": 5_000_000,
            "atr_14": 2.0,
            "sector": "TECHNOLOGY",
            "split_factor": 1.0,
            "row_flags": 0,
        }
        for name in symbols
        for day in days
    ]
    listed = [{"symbol": name, "revision": 0} for name in symbols]
    tables = {"gold": rows, "universe": listed, "actions": []}
    for name, found in tables.items():
        arrow = schema(name)
        whole = [{column: row.get(column) for column in arrow.names} for row in found]
        table = pa.Table.from_pylist(whole, schema=arrow)
        ports.store.publish(name, asof=NIGHT, partitions={"all": table}, replaces=True)


class Connection:
    """One kept-alive connection; answers come in order."""

    def __init__(self, port: int, token: str) -> None:
        self._port, self._head = port, f"Host: x\r\nAuthorization: Bearer {token}\r\n"
        self._turn = asyncio.Lock()

    async def ask(self, path: str, body: object = None) -> tuple[int, bytes]:
        async with self._turn:
            if not hasattr(self, "_reader"):
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            data = b"" if body is None else json.dumps(body).encode()
            method = "GET" if body is None else "POST"
            head = f"{method} {path} HTTP/1.1\r\n{self._head}Content-Type: application/json\r\n"
            self._writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
            answer = await self._reader.readuntil(b"\r\n\r\n")
            size = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            return int(answer[9:12]), await self._reader.readexactly(size)


async def load(port: int, token: str, seconds: int) -> tuple[list[float], list[float], list[str]]:
    """Latencies of reads and signals in ms, and what went wrong."""
    pool = itertools.cycle([Connection(port, token) for _ in range(16)])
    reads: list[float] = []
    signals: list[float] = []
    wrong: list[str] = []
    now = json.loads((await next(pool).ask("/v1/health"))[1])["now"]
    began = time.perf_counter() + 0.5

    async def one(number: int) -> None:
        due = began + number / RATE
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        signal = number % 10 == 0
        path = "/v1/signal" if signal else READS[number % len(READS)]
        body = signal_of(number) | {"decided_at": now} if signal else None
        code, text = await next(pool).ask(path, body)
        (signals if signal else reads).append((time.perf_counter() - due) * 1000)
        if code not in {200, 201, 202}:
            wrong.append(f"{path} {code} {text[:200]!r}")

    async def tick(number: int) -> None:
        """A price for the symbol of a signal, a moment before."""
        await asyncio.sleep(max(0.0, began + number / RATE - 0.02 - time.perf_counter()))
        bid = 101 if number % 20 else 100  # each trade wins: no streak of losses halts the load
        price = {"symbol": symbol_of(number), "price": bid, "bid": bid, "ask": bid + 0.02}
        await next(pool).ask("/v1/tick", price)

    count = RATE * seconds
    await asyncio.gather(*(tick(n) for n in range(0, count, 10)), *(one(n) for n in range(count)))
    return reads, signals, wrong


def symbol_of(number: int) -> str:
    """Symbol of a signal: entered by its request, left by one that comes a second later."""
    place = number // 20 if number % 20 == 0 else (number - RATE - 10) // 20
    return SYMBOLS[place % len(SYMBOLS)]


def signal_of(number: int) -> dict[str, object]:
    """An entry, or the exit of what was entered a second before."""
    body: dict[str, object] = {"symbol": symbol_of(number), "signal_id": f"b{number}"}
    if number % 20:
        return body | {"side": "SELL", "kind": "exit"}
    return body | {
        "side": "BUY",
        "kind": "entry",
        "quantity": 10,
        "price": 100.02,
        "stop_frac": 0.05,
        "confidence": 0.9,
    }


def commit_ms(folder: Path) -> tuple[float, float]:
    """p50 and p99 of a bare write and fsync of 4 KiB on this disk."""
    took = []
    with (folder / "fsync").open("wb") as file:
        for _ in range(300):
            began = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - began) * 1000)
    return told(took)


def cpu_s(pid: int) -> float:
    """Seconds of CPU a process has used: a load that shares the machine does not change it much."""
    words = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def told(values: list[float]) -> tuple[float, float]:
    """p50 and p99."""
    return statistics.median(values), statistics.quantiles(values, n=100)[98]


def main(seconds: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "root"
        publish(root)
        latency = {"BFT_PAPER_LATENCY_MS": "0-0", "BFT_PAPER_CASH_USD": "100000000"}
        with running(root, "--profile", "bench", **latency) as executor:
            print(f"live after {executor.live_s:.2f} s (goal 1.5)")
            executor.until_ready()
            executor.until_night()
            port = int(executor.url.rpartition(":")[2])
            before = cpu_s(executor.process.pid)
            reads, signals, wrong = asyncio.run(load(port, executor.admin_token(), seconds))
            used_s = cpu_s(executor.process.pid) - before
            count = len(reads) + len(signals)
            print(f"CPU {1000 * used_s / count:.2f} ms per request of either kind")
            print(f"memory {executor.rss_mib():.0f} MiB (goal 150)")
        print("bare commit p50 {:.2f} p99 {:.2f} ms".format(*commit_ms(Path(name))))
    for title, values in (("reads", reads), ("signals", signals)):
        print(f"{title}: {len(values)}, p50 {told(values)[0]:.1f} p99 {told(values)[1]:.1f} ms")
    print(f"errors: {len(wrong)} {wrong[:3]}")
    p99 = told(reads + signals)[1]
    print(f"ratio: {p99 / P99_MS:.2f} of the goal (p99 {p99:.1f} ms, goal {P99_MS} ms)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
