"""Recovery at the gateway, and the exit monitor (executor specification, section 16).

Executor, gateway simulator and this script are three processes with a tap between the first two.
Bounds: 500 orders reconciled 5 s after a restart's connection; reconnect -> ARMED 10 s; disconnect
-> not ready 5 s, -> page 60 s; the monitor's loop with 20 positions and ticks 50 ms. `--orders N`
(501: brackets of three), `--cuts N` (5), `--seconds N` of ticks (30), `--no-page` spares a minute.
The last line is the worst ratio to a bound.
"""

import argparse
import asyncio
import json
import time

from wire_latency import SYMBOLS, Figure, measure
from wired_process import ASK, Wired

LEGS = 3
TRIES = 15  # of a second each, which an entry waits for its first quote
LOOP = "bft_executor_monitor_loop_seconds"


async def restarted(at: Wired, orders: int) -> list[Figure]:
    """Stop with so many orders live, start again; from the connection to ARMED."""
    await at.resting(-(-orders // LEGS))
    live = len(at.control.get("/state").json()["open_orders"])
    await at.stop()
    connections = len(at.tap.opened_at_s)
    began_s = await at.start()
    await at.until(at.armed, seconds=60)
    armed_s = time.perf_counter()
    took_s = armed_s - at.tap.opened_at_s[connections]
    print(f"{live} orders reconciled {took_s:.2f} s after the connection (goal 5)")
    print(f"armed {armed_s - began_s:.2f} s after the start")
    return [("reconciled s", took_s, 5)]


async def cuts(at: Wired, count: int) -> list[Figure]:
    """Cut the line, again and again; the orders stay live all the while."""
    down, back = [], []
    for _ in range(count):
        connections = len(at.tap.opened_at_s)
        cut_s = time.perf_counter()
        at.tap.cut()
        await at.until(lambda: not_ready(at), seconds=30, every_s=0.005)
        down.append(time.perf_counter() - cut_s)
        await at.until(lambda n=connections: len(at.tap.opened_at_s) > n, seconds=60)
        await at.until(at.armed, seconds=60, every_s=0.01)
        back.append(time.perf_counter() - at.tap.opened_at_s[connections])
    print(f"disconnect -> not ready: worst of {count} {max(down):.2f} s (goal 5)")
    print(f"reconnect -> ARMED: worst of {count} {max(back):.2f} s (goal 10)")
    return [("not ready s", max(down), 5), ("armed s", max(back), 10)]


async def paged(at: Wired) -> list[Figure]:
    """Keep the gateway away until somebody is told."""
    before = pages(at, "BrokerDown")
    at.tap.refuses, cut_s = True, time.perf_counter()
    at.tap.cut()
    await at.until(lambda: pages(at, "BrokerDown") > before, seconds=90)
    took_s, at.tap.refuses = time.perf_counter() - cut_s, False
    print(f"disconnect -> page: {took_s:.1f} s (goal 60)")
    await at.until(at.armed, seconds=60)
    return [("page s", took_s, 60)]


def pages(at: Wired, alert: str) -> int:
    """How often the alert went to the outbox."""
    found = at.book.execute("SELECT body FROM outbox").fetchall()
    return sum(1 for (body,) in found if json.loads(body).get("name") == alert)


async def not_ready(at: Wired) -> bool:
    return (await at.http.get("/v1/health/ready")).status_code == 503


async def monitored(at: Wired, seconds: float) -> list[Figure]:
    """Hold a position in each symbol while prices move; the monitor's own count of its loops."""
    await at.cancel_all()
    for symbol in SYMBOLS:
        await entered(at, symbol)
    await at.until(lambda: held(at) == len(SYMBOLS), seconds=30)
    before, end = await loops(at), time.perf_counter() + seconds
    while time.perf_counter() < end:
        at.quote_all()
        await asyncio.sleep(0.25)
    after = await loops(at)
    turns, spent_s = after["count"] - before["count"], after["sum"] - before["sum"]
    within = [le for le in after if le[0].isdigit() and after[le] - before[le] >= turns * 0.99]
    p99_ms = min(map(float, within), default=float("inf")) * 1000
    mean = f"mean {spent_s / turns * 1000:.1f} ms, p99 <= {p99_ms:.0f} ms"
    print(f"monitor loop with {len(SYMBOLS)} positions: {turns:.0f} turns, {mean} (goal 50)")
    return [("monitor loop ms", p99_ms, 50)]


async def entered(at: Wired, symbol: str) -> None:
    """Enter; after a cut quotes come back at two subscriptions a second."""
    for _ in range(TRIES):
        at.quote(symbol)
        code, answer = await at.signal(symbol, price=ASK + 0.05)
        if code == 201:
            return
        if answer["error"] != "stale_data":
            break
    raise SystemExit(f"{symbol}: {code} {answer}")


def held(at: Wired) -> int:
    found = at.book.execute("SELECT qty FROM positions").fetchall()
    return sum(1 for (qty,) in found if float(qty))


async def loops(at: Wired) -> dict[str, float]:
    """Count, sum and buckets of the monitor's loops."""
    text = (await at.http.get("/v1/metrics/prom")).text
    found = {}
    for line in text.splitlines():
        if line.startswith(LOOP) and "_created" not in line:
            name, _, value = line.removeprefix(f"{LOOP}_").partition(" ")
            found[name.removeprefix('bucket{le="').removesuffix('"}')] = float(value)
    return found


async def figures(at: Wired, args: argparse.Namespace) -> list[Figure]:
    found = await restarted(at, args.orders)
    found += await cuts(at, args.cuts)
    found += [] if args.no_page else await paged(at)
    return found + await monitored(at, args.seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=501)
    parser.add_argument("--cuts", type=int, default=5)
    parser.add_argument("--no-page", action="store_true")
    parser.add_argument("--seconds", type=float, default=30.0)
    measure(parser, figures)


if __name__ == "__main__":
    main()
