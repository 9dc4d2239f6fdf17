"""Shipped simulators for tests: in this process, or as `bft serve` on a free port."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

from bft.domain import sessions
from bft.sim.market import faults
from bft.sim.market.moment import Moment
from bft.sim.market.vendor import Vendor
from bft.sim.market.world import Plan

TODAY = date(2022, 12, 30)


def vendor(*listed: dict[str, Any], today: date = TODAY, rate: int = 0, **plan: Any) -> Vendor:
    """A vendor with the given faults that stays at the evening of `today`."""
    made = Plan(**{"start": date(2018, 1, 2), **plan})
    found = faults.parse(json.dumps(listed), seed=made.seed, where="test")
    moment = Moment(sessions.evening(today))
    return Vendor(made, lambda: moment, found, calls_per_minute=rate)


def ask(one: Vendor, function: str, symbol: str = "", asof: object = None, **params: str) -> Any:
    """The answer's text, parsed where it is JSON."""
    words = {"function": function, **({"symbol": symbol} if symbol else {}), **params}
    reply = one.query(words, None if asof is None else str(asof))
    return json.loads(reply.body) if reply.kind == "application/json" else reply.body


@contextmanager
def market_sim(*options: str) -> Iterator[str]:
    """URL of a running `bft serve market-sim`."""
    with served("market-sim", ["--today", str(TODAY), *options]) as (url, _):
        yield url


@contextmanager
def served(name: str, options: Sequence[str]) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """URL and process of `bft serve NAME --port 0`; ended by SIGTERM."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bft", "serve", name, "--port", "0", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stderr.readline() if process.stderr else ""
        found = re.search(r"http://\S+:\d+", line)
        assert found, line + (process.stderr.read() if process.stderr else "")
        yield found[0], process
    finally:
        process.terminate()
        process.communicate(timeout=20)
