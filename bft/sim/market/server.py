"""`bft serve market-sim`: the vendor on HTTP."""

import argparse
import asyncio
import json
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import uvicorn

from bft.domain import sessions
from bft.domain.errors import ConfigError, UnavailableError, UsageError
from bft.domain.numbers import AT_LEAST_0, COUNT_OR_0, PORT, SEED, Number
from bft.domain.origin import SIMULATOR
from bft.ports import Ports, Summary
from bft.sim.market import faults
from bft.sim.market.moment import Moment
from bft.sim.market.vendor import Reply, Vendor
from bft.sim.market.world import Plan

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
SLOW_CHUNKS, SLOW_WAIT_S, HANG_S = 400, 0.5, 3600
FLAGS = {
    "seed": "--seed",
    "stocks": "--symbols",
    "start": "--start",
    "kappa_fast": "--kappa-fast",
    "kappa_slow": "--kappa-slow",
}
_STOCKS = Number(whole=True, low=3, high=5000)


def serve(ports: Ports, argv: Sequence[str]) -> Summary:
    """Answer until SIGTERM or Ctrl-C; says its address on stderr when ready.

    Raises:
        ConfigError: a bad fault list. UnavailableError: the port is taken.
    """
    args = _parser().parse_args(argv)
    vendor = _vendor(ports, args)
    try:
        listener = socket.create_server((args.host, args.port), backlog=256)
    except OSError as error:
        raise UnavailableError(
            f"{args.host}:{args.port}: {error.strerror}; try --port 0"
        ) from error
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # accepted sockets inherit it
    url = f"http://{args.host}:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        application(vendor),
        log_level="error",
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    for stop in (signal.SIGTERM, signal.SIGINT):  # uvicorn stops, then raises them once more
        signal.signal(stop, lambda _number, _frame: None)
    sys.stderr.write(f"market-sim ready on {url} (simulated data, today {vendor.now().day})\n")
    sys.stderr.flush()
    uvicorn.Server(config).run(sockets=[listener])
    return Summary(values={"url": url, "answered": vendor.answered, "faults": vendor.faults.served})


def application(vendor: Vendor) -> Callable[[Mapping[str, Any], Receive, Send], Awaitable[None]]:
    """The vendor as an ASGI application."""

    async def app(scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            body = await _body(receive) if scope["method"] in {"POST", "PUT"} else b""
            await _send(_route(vendor, scope, body), receive, send)

    return app


def command(plan: Plan) -> str:
    """The command that serves a plan's world: what differs from the defaults is given."""
    made, usual = asdict(plan), asdict(Plan())
    given = [(flag, made[key]) for key, flag in FLAGS.items() if made[key] != usual[key]]
    return " ".join((SIMULATOR, *(f"{flag} {value}" for flag, value in given)))


def _route(vendor: Vendor, scope: Mapping[str, Any], body: bytes) -> Reply:
    path = scope["path"]
    params = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
    if path == "/query":
        asof = dict(scope["headers"]).get(b"x-bft-asof")
        return vendor.query(params, asof.decode() if asof else None)
    if path == "/healthz":
        told = {"status": "ok", "simulated": True, "day": str(vendor.now().day)}
        return Reply(json.dumps(told | {"world": command(vendor.plan)}))
    if path == "/sim/truth":
        return vendor.truth(params.get("date", str(vendor.now().day)))
    if path == "/sim/ceiling":
        return vendor.ceiling()
    if path == "/sim/faults":
        return _faults(vendor, body)
    return Reply(json.dumps({"error": f"no such path: {path}"}), status=404)


def _faults(vendor: Vendor, body: bytes) -> Reply:
    """Show the faults and what they did; a body replaces them and forgets past attempts."""
    if body:
        try:
            vendor.faults = faults.parse(body, seed=vendor.plan.seed, where="/sim/faults")
        except ConfigError as error:
            return Reply(json.dumps({"error": str(error)}), status=400)
        vendor.attempts.clear()
    return Reply(json.dumps({"faults": vendor.faults.listed(), "served": vendor.faults.served}))


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _send(reply: Reply, receive: Receive, send: Send) -> None:
    if reply.pace == "hang":
        await asyncio.wait({asyncio.ensure_future(_gone(receive))}, timeout=HANG_S)
        return
    body = reply.body.encode()
    headers = {
        "Content-Type": reply.kind,
        "Content-Length": str(len(body)),
        "X-Simulated": "bft",
        **reply.headers,
    }
    pairs = [(name.lower().encode(), text.encode()) for name, text in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": pairs})
    if reply.pace == "slow_body":
        size = -(-len(body) // SLOW_CHUNKS)
        for at in range(0, len(body), size):
            await send(_chunk(body[at : at + size], more=True))
            await asyncio.sleep(SLOW_WAIT_S)
        body = b""
    await send(_chunk(body, more=False))


def _chunk(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _vendor(ports: Ports, args: argparse.Namespace) -> Vendor:
    first = sessions.on_or_after(args.start)
    if first > (args.today or ports.clock.now().date()):
        raise UsageError(f"--start {args.start} is after --today; for example --start 2016-01-04")
    plan = Plan(
        seed=args.seed,
        stocks=args.symbols,
        start=first,
        kappa_fast=args.kappa_fast,
        kappa_slow=args.kappa_slow,
    )
    text, where = "[]", "--faults"
    if args.faults is not None:
        where = str(args.faults)
        try:
            text = args.faults.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"--faults {where}: {error.strerror}") from error
    listed = faults.parse(text, seed=args.seed, where=where)

    def now() -> Moment:
        fixed = args.today
        return Moment(sessions.evening(fixed) if fixed else ports.clock.now())

    return Vendor(plan, now, listed, calls_per_minute=args.rate)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("bft serve market-sim", description=__doc__)
    add = parser.add_argument
    add("--port", type=PORT, default=9100, help="0 picks a free one")
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--seed", type=SEED, default=7)
    add(
        "--symbols",
        type=_STOCKS,
        default=60,
        help="stocks, besides 13 funds",
    )
    add("--start", type=date.fromisoformat, default=date(2016, 1, 4), help="first session")
    add("--today", type=date.fromisoformat, help="stay at the evening of that day (the clock)")
    add("--faults", type=Path, help="JSON list of {kind, rate, functions?, symbols?, days?}")
    add("--rate", type=COUNT_OR_0, default=0, help="calls per minute (no limit)")
    add("--kappa-fast", type=AT_LEAST_0, default=0.04, help="strength of the reversal signal")
    add("--kappa-slow", type=AT_LEAST_0, default=0.015, help="strength of the earnings signal")
    return parser
