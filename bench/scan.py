"""Scan of 550 symbols by six strategies, at the close and on the quotes of a running session.

One market of 550 x 2,520 bars. Parity first: the overlay of the last session's bars as quotes
equals a full build that holds them. Then, interleaved: rules and ranking with features in memory,
the cycle after the answers (overlay, facts, rules, ranking), and a full recompute from the raw
tables. Wall and processor time are printed, goals judged by processor time: all of it is one
thread, and a busy machine only adds waiting. The last lines are the goals (strategies
specification, 5 and 9; data specification, 7).
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from fakes import FakePorts, arguments, make_ports, no_tick
from panels import forecast
from panels import table as rows_of
from raw_market import publish_market

from bft.adapters.store.tables import schema
from bft.domain import sessions
from bft.features.build import build_gold
from bft.steps import gold, gold_tables, record, scan, scan_intraday
from bft.strategies import enabled
from bft.strategies.facts import symbol_facts
from bft.strategies.signals import signals_at
from bft.strategies.view import view_of

RUNS, SCANS = 5, 100
FREE = {"volume_pct", "row_flags"}  # projected; marked provisional


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds of a call."""
    wall, processor = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - processor


def prepared(folder: Path, *, small: bool) -> tuple[FakePorts, date]:
    """Ports on a root with gold and forecasts of the session before the last, and the last."""
    ports = make_ports(folder)
    last = publish_market(ports.store, **({"symbols": 60, "rows": 520} if small else {}))
    asof = sessions.shift(last, -1)
    args = arguments(gold.STEP, "--full", asof=asof, history_start="2000-01-01", fresh=True)
    record.execute(ports, "gold", gold.STEP, args, no_tick)
    names = ports.store.read("bars", asof=asof, since=asof, columns=["symbol"])[
        "symbol"
    ].to_pylist()
    ranks = [(n + 0.5) / len(names) for n in range(len(names))]
    made = [
        forecast(s, asof=asof, rank_3d=r, rank_10d=r, lift_bin_3d=1.2)
        for s, r in zip(names, ranks, strict=True)
    ]
    part = {"p": rows_of("forecasts", made)}
    ports.store.publish("forecasts", asof=asof, partitions=part)
    return ports, last


def quotes_of(ports: FakePorts, last: date, at: datetime) -> pa.Table:
    """The last session's bars as quotes of an instant."""
    bars = ports.store.read("bars", asof=last, since=last)
    given = {
        "last": bars["close"],
        "at": pa.repeat(pa.scalar(at, pa.timestamp("us", tz="UTC")), bars.num_rows),
        "bulk": pa.repeat(pa.scalar(value=True), bars.num_rows),
    }
    columns = []
    for field in schema("quotes"):
        found = given.get(field.name)
        if found is None and field.name in bars.column_names:
            found = bars[field.name]
        none = pa.nulls(bars.num_rows, field.type)
        columns.append(none if found is None else found.cast(field.type))
    return pa.Table.from_arrays(columns, schema=schema("quotes"))


class Bench:
    """What all sides share: the night read, the quotes, the options."""

    def __init__(self, ports: FakePorts, last: date) -> None:
        self.ports, self.last, self.asof = ports, last, sessions.shift(last, -1)
        self.at = sessions.open_at(last) + timedelta(hours=2)
        self.strategies = enabled("core")
        words = ("--mode", "intraday", "--quotes", "--slot", "1130")
        self.args = arguments(scan.STEP, *words, asof=self.asof, history_start="2000-01-01")
        self.night = scan_intraday.read_night(ports, self.args, self.strategies)
        self.quotes = quotes_of(ports, last, self.at)

    def lay(self) -> Any:
        return scan_intraday.lay(
            self.night, self.quotes, session=self.last, at=self.at, slot="1130"
        )

    def cycle(self) -> Any:
        """From answers to ranked rows."""
        return scan_intraday.decide(self.night, self.lay(), self.strategies, self.args)

    def recomputed(self) -> pa.Table:
        """Every row of every day from the raw tables, the last session's bars among them."""
        tables = gold_tables.known_tables(self.ports.store, self.last, history_start="2000-01-01")
        return build_gold(tables)

    def full(self) -> Any:
        """A full recompute, and the scan of its last day."""
        made = self.recomputed()
        none = schema("forecasts").empty_table()
        known = {"asof": self.last, "lookback": scan.lookback_of(self.strategies)}
        view = view_of(made, none, quarantined=(), **known)
        facts, returns = symbol_facts(made, none, self.night.stored.universe, asof=self.last)
        facts = scan.priced(facts)
        return self.rules(scan.Inputs(view=view, facts=facts, returns=returns, quarantined=()))

    def rules(self, inputs: Any) -> Any:
        """Rules and ranking, features in memory."""
        cost = inputs.facts["round_trip_cost_frac"].to_dict()
        found = signals_at(inputs.view, self.strategies, decided_at=self.at, cost_frac=cost)
        terms = scan.Terms(equity_usd=1e5, top_n=5, standing=self.night.standing)
        return scan.rank(inputs, found.signals, self.strategies, terms)


def same(bench: Bench) -> None:
    """The overlay's columns are those of a full build that holds the quotes as bars."""
    made = bench.recomputed()
    whole, laid = made.filter(pc.equal(made["date"], bench.last)), bench.lay().laid.rows
    names = [n for n in whole.column_names if n not in FREE]
    odd = [n for n in names if not whole[n].equals(laid[n])]
    if odd or not whole.num_rows:
        raise SystemExit(f"overlay differs from a full build in {odd}")


def said(name: str, times: list[tuple[float, float]]) -> float:
    """Print both kinds of time; returns the median of processor seconds."""
    for kind, seconds in zip(("wall", "processor"), zip(*times, strict=True), strict=True):
        low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
        print(
            f"{name}, {kind}: min {1e3 * low:.1f} median {1e3 * middle:.1f} max {1e3 * high:.1f} ms"
        )
    return statistics.median(processor for _, processor in times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="60 symbols x 520 sessions")
    small = parser.parse_args().small
    with tempfile.TemporaryDirectory(prefix="bench-scan-") as folder:
        bench = Bench(*prepared(Path(folder), small=small))
        same(bench)
        inputs, rows, _ = bench.cycle()
        scans, cycles, full = [], [], []
        for n in range(SCANS):
            scans.append(timed(lambda: bench.rules(inputs)))
            if n % (SCANS // RUNS) == 0:
                cycles.append(timed(bench.cycle))
                full.append(timed(bench.full))
    symbols = len(inputs.view.symbols)
    print(f"{symbols} symbols, {len(bench.strategies)} strategies, {len(rows)} rows of signals")
    one, two, three = (
        said(name, times)
        for name, times in (
            ("rules and ranking in memory", scans),
            ("cycle after the answers", cycles),
            ("full recompute and scan", full),
        )
    )
    p95 = sorted(processor for _, processor in scans)[int(0.95 * SCANS)]
    print("overlay equals a full build bit for bit, the projected volume_pct apart")
    print(f"cycle after the answers {two:.2f} s (goal 0.5 s), {three / two:.1f}x a full recompute")
    print(f"scan p95 of {SCANS}: {1e3 * p95:.1f} ms (goal 50 ms)")
    print(f"full recompute / scan: {three / one:.0f}x (goal 50x)")


if __name__ == "__main__":
    main()
