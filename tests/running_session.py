"""A root whose next session runs: gold and close signals of asof, quotes in a file."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from fakes import FakePorts, arguments, make_ports, no_tick
from markets import flat, raw

from bft.domain.market import SECTOR_FUNDS
from bft.ports import Summary
from bft.steps import gold, record, scan

ASOF, TODAY = date(2018, 2, 6), date(2018, 2, 7)
FALLEN = {"FELL": 94.0, "GONE": 94.0, "NEAR": 97.4}
"""Closes at asof of those whose band was crossed that day; the others stay near 100."""
NAMES = (*FALLEN, "HELD", "NEWS", "QUIET")
QUOTES = {"FELL": 94.5, "GONE": 96.5, "NEAR": 98.9, "HELD": 108.0, "NEWS": 94.0, "QUIET": 100.2}


def closes(name: str) -> list[float]:
    wave = [100 + 0.4 * np.sin(n + len(name)) for n in range(79)]
    return [*wave, FALLEN.get(name, 100.1)]


def market(root: Path) -> FakePorts:
    """Gold and close signals of asof."""
    ports = make_ports(root)
    bars = [
        row for name in NAMES for row in flat(closes(name), symbol=name, last=ASOF, volume=10**6)
    ]
    sectors = dict(zip(NAMES, SECTOR_FUNDS, strict=False))
    members = [{"symbol": s, "sector": sector, "is_etf": False} for s, sector in sectors.items()]
    for name, rows in (("bars", bars), ("universe", members)):
        part = {f"arrived={ASOF}": raw(name, rows, asof=ASOF)}
        ports.store.publish(name, asof=ASOF, partitions=part)
    run(ports, "gold", gold.STEP)
    run(ports, "scan", scan.STEP)
    return ports


def run(ports: FakePorts, verb: str, step: Any, *words: str) -> Summary:
    found = arguments(step, *words, asof=ASOF, history_start="2016-01-01")
    if verb == "scan":
        found.strategies = found.strategies or "bollinger"
    return record.execute(ports, verb, step, found, no_tick)


def tell(ports: FakePorts, quotes: Mapping[str, float], *, at: str = "10:04:30") -> None:
    """Write the file of quotes."""
    lines = [f"{name},2018-02-07T{at}-05:00,{last},400000" for name, last in quotes.items()]
    path = ports.sources["files"].path / "quotes.csv"
    path.write_text("\n".join(["symbol,timestamp,price,volume", *lines]))


def intraday(ports: FakePorts, *words: str, slot: str = "1005") -> Summary:
    mode = ("--mode", "intraday", "--quotes", "--source", "files", "--slot", slot)
    return run(ports, "scan", scan.STEP, *mode, *words)


def rows_of(ports: FakePorts, slot: str = "1005") -> dict[tuple[str, str], dict[str, Any]]:
    part = f"asof={ASOF},slot={slot}"
    table = ports.store.read("signals", asof=ASOF, partitions=[part])
    return {(row["symbol"], row["kind"]): row for row in table.to_pylist()}
