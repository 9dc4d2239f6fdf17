"""Signal to order bytes at the gateway, and the kill switch (executor specification, 16 and 9).

Executor, gateway simulator and this script are three processes; a tap between the first two tells
when bytes reach the gateway's socket. Bounds: signal sent to the API -> first order byte, commit
and fsync included: p50 5 ms, p99 25 ms; -> acknowledgement readable in the book: p99 50 ms; kill
latched after request, file or signal: p99 250 ms; the last of 50 entries cancelled: 1.5 s, at most
45 messages in any second. `--count N` signals (200), `--kills N` (99), `--entries N` (50). The last
line is the worst ratio of a figure to its bound.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from api import commit_ms, publish, told
from wire_tap import CANCEL, PLACE
from wired_process import Wired, machine, wired

from bft.sim.gateway.catalogue import listed

SYMBOLS = [symbol for symbol, _ in listed() if " " not in symbol][:20]
ACKED = frozenset({"ACKED", "PARTIAL", "FILLED", "CANCEL_PENDING", "CANCELLED"})
EVERY_S = 0.2  # three orders each: the pacer lets 35 messages/s leave, and none shall wait for it
Figure = tuple[str, float, float]
"""What, its value, its bound."""
Figures = Callable[[Wired, argparse.Namespace], Awaitable[list[Figure]]]


async def latencies(at: Wired, count: int) -> list[Figure]:
    """One signal at a time, each cancelled before the next."""
    bytes_ms, acks_ms, due_s = list[float](), list[float](), 0.0
    for number in range(count):
        symbol = SYMBOLS[number % len(SYMBOLS)]
        await at.fresh(symbol)
        await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
        due_s = time.perf_counter() + EVERY_S
        began_s = time.perf_counter()
        code, answer = await at.signal(symbol)
        if code != 201:
            raise SystemExit(f"signal {number}: {code} {answer}")
        await at.until(lambda a=answer: at.state(a["id"]) in ACKED, seconds=10, every_s=0.0005)
        acks_ms.append((time.perf_counter() - began_s) * 1000)
        bytes_ms.append((at.tap.of(PLACE, began_s)[0].at_s - began_s) * 1000)
        at.tap.passed.clear()
        await at.http.delete(f"/v1/orders/{answer['id']}")
        await at.until(lambda a=answer: at.state(a["id"]) == "CANCELLED", seconds=10)
    p50, p99 = told(bytes_ms)
    ack_p50, ack_p99 = told(acks_ms)
    print(f"signal -> bytes at the socket: {count}, p50 {p50:.1f} p99 {p99:.1f} ms (goals 5, 25)")
    print(f"signal -> acknowledgement stored: p50 {ack_p50:.1f} p99 {ack_p99:.1f} ms (goal 50)")
    return [("bytes p50 ms", p50, 5), ("bytes p99 ms", p99, 25), ("ack p99 ms", ack_p99, 50)]


async def kill_latches(at: Wired, count: int) -> list[Figure]:
    """Pull the switch by request, file and signal in turn; clear it each time."""
    latch_ms: list[float] = []
    for number in range(count):
        began_s = time.perf_counter()
        await pull(at, ("request", "file", "signal")[number % 3])
        await at.until(lambda: latched(at), seconds=5, every_s=0.001)
        latch_ms.append((time.perf_counter() - began_s) * 1000)
        await clear(at)
    p50, p99 = told(latch_ms)
    print(f"kill latched: {count}, p50 {p50:.1f} p99 {p99:.1f} ms (goal 250)")
    return [("latch p99 ms", p99, 250)]


async def pull(at: Wired, how: str) -> None:
    if how == "request":
        await at.http.post("/v1/kill", json={})
    elif how == "file":
        (at.root / "KILL").write_text("bench\n")
    else:
        at.send_signal()


async def latched(at: Wired) -> bool:
    return bool((await at.get("/v1/kill"))["latched"])


async def clear(at: Wired) -> None:
    (at.root / "KILL").unlink(missing_ok=True)
    generation = (await at.get("/v1/kill"))["generation"]
    answer = await at.http.request("DELETE", "/v1/kill", params={"confirm": generation})
    if answer.status_code != 200:
        raise SystemExit(f"kill was not cleared: {answer.text}")


async def last_cancel(at: Wired, entries: int) -> list[Figure]:
    """Kill with so many entries live; the last cancel at the socket, and the fullest second."""
    await at.resting(entries)
    await asyncio.sleep(1.5)  # the pacer's window empties
    at.tap.passed.clear()
    began_s = time.perf_counter()
    await pull(at, "request")
    await at.until(lambda: len(at.tap.of(CANCEL)) >= entries, seconds=20, every_s=0.005)
    sent_s = [one.at_s for one in at.tap.passed if one.at_s >= began_s]
    took_s = at.tap.of(CANCEL)[entries - 1].at_s - began_s
    fullest = max(sum(1 for b in sent_s if a <= b < a + 1) for a in sent_s)
    await at.until(lambda: not at.live(), seconds=30)
    print(f"last of {entries} cancels: {took_s:.2f} s (goal 1.5), at most {fullest} messages/s")
    await clear(at)
    return [("last cancel s", took_s, 1.5), ("messages/s", fullest, 45)]


async def figures(at: Wired, args: argparse.Namespace) -> list[Figure]:
    found = await latencies(at, args.count)
    found += await kill_latches(at, args.kills)
    return found + await last_cancel(at, args.entries)


def measure(parser: argparse.ArgumentParser, figures: Figures) -> None:
    """Print figures of the three processes; the last line is the worst ratio to a bound."""
    args = parser.parse_args()

    async def measured(folder: Path) -> list[Figure]:
        async with wired(folder, SYMBOLS, publish) as at:
            found = await figures(at, args)
            print(f"memory {at.process.rss_mib():.0f} MiB")
            await at.stop()
        return found

    print(f"before: {machine()}")
    with tempfile.TemporaryDirectory() as name:
        found = asyncio.run(measured(Path(name)))
        print("bare commit p50 {:.2f} p99 {:.2f} ms".format(*commit_ms(Path(name))))
    print(f"after: {machine()}")
    what, value, bound = max(found, key=lambda figure: figure[1] / figure[2])
    print(f"ratio: {value / bound:.2f} of the goal ({what} {value:.2f}, goal {bound:g})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--kills", type=int, default=99)
    parser.add_argument("--entries", type=int, default=50)
    measure(parser, figures)


if __name__ == "__main__":
    main()
