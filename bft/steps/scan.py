"""`bft scan`: run the strategies on the close of asof, or on quotes of the session after it.

Reads gold, forecasts, labels and quality; with `--mode intraday --quotes` the raw tables too.
Writes one partition of signals and a CSV; a re-run writes the same bytes.
"""

import argparse
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from bft.domain import sessions
from bft.domain.errors import DataError, UnavailableError, UsageError
from bft.domain.numbers import COUNT_OR_0, MONEY
from bft.domain.runs import Json
from bft.ports import Ports, Step, Store, Summary, Tick
from bft.steps import failures, gold_tables
from bft.steps.arguments import add_asof
from bft.steps.book import Terms, book_of, equity_of, still_waiting
from bft.steps.lacking import need
from bft.steps.lists import file_digest, symbols_of
from bft.steps.quotes import KEPT_SESSIONS
from bft.steps.record import published, run_instant, table_digests
from bft.steps.standing import (
    EXECUTOR,
    NONE,
    Standing,
    add_standing,
    standing_digest,
    standing_of,
)

if TYPE_CHECKING:
    import pandas as pd

    from bft.domain.trading import Signal
    from bft.strategies.ranking import Ranked
    from bft.strategies.signals import Scan
    from bft.strategies.view import View

READS = ("gold", "forecasts", "universe", "quality")
EXECUTE, DROP, WATCH = "execute", "drop", "watch"
UNLISTED = "not_on_watchlist"
IN_SAMPLE = (
    "forecasts of {asof} are in-sample: their models had learned from that day or later ones"
)


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft scan`."""
    add_asof(parser)
    add = parser.add_argument
    add("--mode", choices=["close", "intraday"], default="close", help="final closes, or quotes")
    add("--quotes", action="store_true", help="lay the running session's quotes over gold")
    add("--slot", metavar="HHMM", help="name of an intraday scan; a replay's time of day")
    add("--source", help="whose quotes (that of asof's pull)")
    add("--strategies", help="names with commas, or core")
    add("--param", action="append", default=[], help="NAME.KEY=VALUE")
    add("--watchlist", metavar="FILE", help="scan only these symbols")
    add_standing(parser)
    add("--top-n", type=COUNT_OR_0, default=5, help="entries tagged execute")
    add("--equity", type=MONEY, help="USD, for sizes and sector caps (the executor's, else 100000)")
    add("--dry-run", action="store_true", help="write nothing")


def run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    """Signals of the enabled strategies, ranked and tagged, as table and CSV.

    Raises:
        StaleDataError: gold does not end at asof, or asof is not the last closed session.
        DataError: no symbol has a row at asof.
        UnavailableError: too few symbols have a usable quote.
    """
    if _on_quotes(args):
        from bft.steps import scan_intraday

        return scan_intraday.run(ports, args, tick)
    return _close(ports, args, tick)


def _on_quotes(args: argparse.Namespace) -> bool:
    if (args.mode == "intraday") != args.quotes or (args.slot and not args.quotes):
        raise UsageError("--mode intraday and --quotes go together; --slot is theirs")
    return bool(args.quotes)


def _close(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    from bft.strategies import enabled
    from bft.strategies.signals import signals_at

    strategies = enabled(args.strategies, args.param)
    standing = standing_of(ports, args)
    leaving = standing.leaving(strategies, args.param)
    inputs = watched(load(ports, args.asof, [*strategies, *leaving]), args.watchlist)
    tick(1, 3, "rules")
    began = time.monotonic()
    scan = signals_at(
        inputs.view,
        strategies,
        decided_at=run_instant(ports, args.asof),
        cost_frac=inputs.facts["round_trip_cost_frac"].to_dict(),
        held=standing.held,
        leaving=leaving,
    )
    failed = failures.failed_steps(ports.store, args.asof, before="scan")
    terms = Terms(
        equity_usd=equity_of(args.equity, standing),
        top_n=args.top_n,
        standing=standing,
        pending=still_waiting(ports.store, args.asof, standing),
        shown_only=failures.shown_only(strategies, failed),
    )
    rows = rank(inputs, scan.signals, strategies, terms)
    values = said(inputs.view, scan, strategies, rows)
    if told := warnings(inputs.view, *(one.told for one in failed)):
        values["warning"] = told
    values["ms"] = round(1000 * (time.monotonic() - began), 1)
    values["quarantined"] = len(inputs.quarantined)
    values["equity_usd"] = terms.equity_usd
    objects = {} if args.dry_run else write(ports, args.asof, "close", rows, inputs.view)
    absent = {"no_row": len(inputs.view.absent)} if inputs.view.absent else {}
    return summary(values, rows, {**scan.skipped, **absent}, objects, standing)


def warnings(view: "View", *others: str | None) -> str:
    """What a reader of the scan must know first, in one line; empty where there is nothing."""
    learned = IN_SAMPLE.format(asof=view.asof) if view.in_sample else None
    return "; ".join(filter(None, (learned, *others)))


def said(view: "View", scan: "Scan", strategies: Sequence[Any], rows: "Sequence[Ranked]") -> Json:
    """What the JSON line says of a scan, whatever its mode."""
    unusable = Counter(view.forecast_status.values())
    idle = {
        s.id: unusable.most_common(1)[0][0]
        for s in strategies
        if s.needs.forecast and unusable.total() == len(view.symbols)
    }
    tags = sorted(row.tag for row in rows)
    on, ids = [s.id for s in strategies], [row.signal.strategy_id for row in rows]
    return {
        "strategies": {"run": [name for name in on if name not in idle], "skipped": idle},
        "symbols": sum(view.blocked.get(name) != UNLISTED for name in view.symbols),
        "signals": {name: ids.count(name) for name in dict.fromkeys([*on, *sorted(ids)])},
        "entries": sum(row.signal.kind == "entry" for row in rows),
        "exits": sum(row.signal.kind == "exit" for row in rows),
        "tags": {tag: tags.count(tag) for tag in dict.fromkeys(tags)},
        "simulated": view.simulated,
        "send": any(tag in {EXECUTE, DROP} for tag in tags),
    }


def summary(
    values: Json,
    rows: "Sequence[Ranked]",
    skipped: Mapping[str, int],
    objects: Mapping[str, str],
    standing: Standing,
) -> Summary:
    """The step's summary; without a readable book it is to be tried again."""
    code = UnavailableError.exit_code if standing.error else 0
    return Summary(
        values=values,
        rows=len(rows),
        skipped=skipped,
        objects=objects,
        exit_code=code,
        error=standing.error,
    )


def write(
    ports: Ports, asof: date, slot: str, rows: "Sequence[Ranked]", view: "View"
) -> dict[str, str]:
    """Publish one slot's signals beside the other slots of asof, and as CSV.

    Slots of running sessions leave later manifests after five sessions, like their quotes.
    """
    import pyarrow as pa

    from bft.strategies.tables import signal_rows, signals_csv

    table = signal_rows(rows, slot=slot, simulated=view.simulated)
    part, store = f"asof={asof},slot={slot}", ports.store
    csv = f"reports/{asof}/signals{'' if slot == 'close' else f'-{slot}'}.csv"
    with store.exclusive():  # another slot's scan would lose what is read here
        parts = _other_slots(store, asof, part)
        parts[part] = pa.Table.from_pandas(table, preserve_index=False)
        done = store.publish("signals", asof=asof, partitions=parts, drops=_old_slots(store, asof))
        return {**published(store, done, [part]), csv: store.put(csv, signals_csv(table))}


def _other_slots(store: Store, asof: date, part: str) -> dict[str, Any]:
    manifest = store.manifest("signals", asof=asof)
    same_day = manifest.objects if manifest and manifest.asof == asof else ()
    others = [ref.partition for ref in same_day if ref.partition.startswith(f"asof={asof},")]
    return {
        name: store.read("signals", asof=asof, partitions=[name]) for name in others if name != part
    }


def _old_slots(store: Store, asof: date) -> list[str]:
    oldest = f"asof={sessions.shift(asof, 1 - KEPT_SESSIONS)}"
    base = store.manifest("signals", asof=sessions.shift(asof, -1))
    names = [ref.partition for ref in base.objects] if base else []
    return [name for name in names if name < oldest and not name.endswith("slot=close")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What scan and rank read: the view, facts by symbol, and their daily returns."""

    view: "View"
    facts: "pd.DataFrame"
    returns: "pd.DataFrame"
    quarantined: tuple[str, ...]


def load(
    ports: Ports,
    asof: date,
    strategies: Sequence[Any],
    *,
    risk_free: float = 0.0,
) -> Inputs:
    """Read gold, forecasts and labels as known at asof.

    Raises:
        StaleDataError: gold does not end at asof.
        DataError: no symbol has a row at asof.
    """
    from bft.strategies.facts import symbol_facts
    from bft.strategies.view import view_of

    stored = read_stored(ports, asof, strategies)
    view = view_of(
        stored.gold,
        stored.forecasts,
        asof=asof,
        lookback=lookback_of(strategies),
        quarantined=stored.quarantined,
    )
    if not view.symbols:
        raise DataError(f"no symbol has a gold row at {asof}; run: bft gold --asof {asof}")
    tables = (stored.gold, stored.forecasts, stored.universe)
    facts, returns = symbol_facts(*tables, asof=asof, risk_free=risk_free)
    return Inputs(view=view, facts=priced(facts), returns=returns, quarantined=stored.quarantined)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """Tables as known at asof: gold of the sessions that facts need, forecasts, labels."""

    gold: Any
    forecasts: Any
    universe: Any
    quarantined: tuple[str, ...]


def read_stored(ports: Ports, asof: date, strategies: Sequence[Any]) -> Stored:
    """Read what close and intraday scans have in common.

    Raises:
        StaleDataError: gold does not end at asof.
    """
    from bft.strategies.facts import GOLD_COLUMNS, HISTORY_DAYS
    from bft.strategies.view import needed_columns

    failures.check_data(ports.store, asof)
    need(ports, "gold", asof)
    columns = sorted({*needed_columns(strategies), *GOLD_COLUMNS})
    since = sessions.shift(asof, 1 - HISTORY_DAYS)
    return Stored(
        gold=ports.store.read("gold", asof=asof, columns=columns, since=since),
        forecasts=ports.store.read("forecasts", asof=asof, since=asof),
        universe=gold_tables.known_universe(ports.store, asof),
        quarantined=_quarantined(ports, asof),
    )


def lookback_of(strategies: Sequence[Any]) -> int:
    """Rows that the rules of these strategies look at."""
    return max(int(strategy.needs.lookback) for strategy in strategies)


def priced(facts: "pd.DataFrame") -> "pd.DataFrame":
    """Facts with the cost of a round trip."""
    from bft.risk.costs import round_trip_cost_frac

    cost = round_trip_cost_frac(facts["adv_20_usd"], facts["adjusted_close"])
    return facts.assign(round_trip_cost_frac=cost)


def watched(inputs: Inputs, path: str | None) -> Inputs:
    """Inputs whose symbols off the watchlist are blocked.

    Raises:
        DataError: the file cannot be read, or none of its symbols has a row.
    """
    if path is None:
        return inputs
    listed = set(symbols_of(path))
    off = dict.fromkeys(set(inputs.view.symbols) - listed, UNLISTED)
    if len(off) == len(inputs.view.symbols):
        raise DataError(f"{path}: none of its {len(listed)} symbols has a row to scan")
    return replace(inputs, view=replace(inputs.view, blocked={**off, **inputs.view.blocked}))


def rank(
    inputs: Inputs, signals: "Sequence[Signal]", strategies: Sequence[Any], terms: Terms
) -> "list[Ranked]":
    """Rank and tag signals with the one function of the strategies package."""
    from bft.strategies.ranking import ranked

    book = book_of(inputs.facts, signals, strategies, terms)
    return ranked(signals, inputs.facts, inputs.returns, book=book, top_n=terms.top_n)


def _quarantined(ports: Ports, asof: date) -> tuple[str, ...]:
    rows = ports.store.read("quality", asof=asof, columns=["asof", "symbol", "severity"])
    found = {
        row["symbol"]
        for row in rows.to_pylist()
        if row["asof"] == asof and row["severity"] == "quarantine" and row["symbol"]
    }
    return tuple(sorted(found))


def _inputs(ports: Ports, args: argparse.Namespace) -> Mapping[str, str | None]:
    found: dict[str, str | None] = {**table_digests(ports.store, READS, args)}
    found["watchlist"] = file_digest(args.watchlist)
    found["positions"] = standing_digest(args.positions)
    found["failed"] = failures.failures_digest(ports.store, args.asof, before="scan")
    if _on_quotes(args):
        from bft.steps import scan_intraday

        return {**found, **scan_intraday.inputs(ports, args)}
    if args.positions not in {NONE, EXECUTOR}:
        before = ports.store.manifest("signals", asof=sessions.shift(args.asof, -1))
        found["pending"] = before.digest if before else "absent"
    return found


STEP = Step(
    effect="replace",
    summary="Run the strategies on closes or quotes: ranked, tagged signals with reasons.",
    arguments=arguments,
    run=run,
    inputs=_inputs,
    reads=(*READS, *(name for name in gold_tables.READS if name not in READS)),
    writes=("signals", "quotes"),
    outputs={
        "send": "whether a signal is tagged execute or drop",
        "signals": "signals by strategy",
        "strategies": "which ran, and why others did not",
        "exits": "exits decided or shown",
        "tags": "rows by tag",
        "warning": "what a reader must know first",
    },
    settings=("strategies", "history_start", "api_url"),
    code=(
        *("features", "strategies", "risk", "steps.scan", "steps.scan_intraday"),
        *("steps.quotes", "steps.standing", "steps.standing_executor", "steps.gold_tables"),
        *("steps.failures", "steps.sizes", "steps.book"),
    ),
)
