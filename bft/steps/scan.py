"""Run the strategies on the close of asof."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from bft.domain.errors import DataError, StaleDataError
from bft.domain.numbers import COUNT_OR_0, MONEY
from bft.ports import Ports, Step, Summary, Tick
from bft.steps.arguments import add_asof
from bft.steps.record import published, run_instant, table_digests

if TYPE_CHECKING:
    import pandas as pd

    from bft.domain.trading import Signal
    from bft.strategies.ranking import Ranked
    from bft.strategies.view import View

READS = ("gold", "forecasts", "universe", "quality")


def arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `bft scan`."""
    add_asof(parser)
    parser.add_argument("--mode", choices=["close"], default="close", help="decide on final closes")
    parser.add_argument("--strategies", help="names with commas, or core")
    parser.add_argument("--param", action="append", default=[], help="NAME.KEY=VALUE")
    parser.add_argument("--top-n", type=COUNT_OR_0, default=5, help="entries tagged execute")
    parser.add_argument("--equity", type=MONEY, default=100_000.0, help="USD, for sizes shown")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")


def run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    """Signals of the enabled strategies, ranked and tagged, as table and CSV.

    Raises:
        StaleDataError: gold does not end at asof.
        DataError: no symbol has a row at asof.
    """
    import pyarrow as pa

    from bft.strategies import enabled
    from bft.strategies.signals import signals_at
    from bft.strategies.tables import signal_rows, signals_csv

    strategies = enabled(args.strategies, args.param)
    inputs = load(ports, args.asof, strategies)
    tick(1, 3, "rules")
    decided_at = run_instant(ports, args.asof)
    scan = signals_at(
        inputs.view,
        strategies,
        decided_at=decided_at,
        cost_frac=inputs.facts["round_trip_cost_frac"].to_dict(),
    )
    rows = rank(inputs, scan.signals, strategies, equity_usd=args.equity, top_n=args.top_n)
    table = signal_rows(rows, slot=args.mode, simulated=inputs.view.simulated)
    objects: dict[str, str] = {}
    if not args.dry_run:
        part = f"asof={args.asof},slot={args.mode}"
        frame = pa.Table.from_pandas(table, preserve_index=False)
        csv = f"reports/{args.asof}/signals.csv"
        with ports.store.exclusive():
            done = ports.store.publish("signals", asof=args.asof, partitions={part: frame})
            objects = published(ports.store, done, [part])
            objects[csv] = ports.store.put(csv, signals_csv(table))
    by_strategy = {s.id: int((table["strategy_id"] == s.id).sum()) for s in strategies}
    values = {
        "symbols": len(inputs.view.symbols),
        "signals": by_strategy,
        "entries": int((table["kind"] == "entry").sum()),
        "exits": int((table["kind"] == "exit").sum()),
        "tags": table["tag"].value_counts().sort_index().to_dict(),
        "quarantined": len(inputs.quarantined),
        "simulated": inputs.view.simulated,
        "send": bool((table["tag"] == "execute").any()),
    }
    return Summary(values=values, rows=len(table), skipped=scan.skipped, objects=objects)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What scan and rank read: the view, facts by symbol, and their daily returns."""

    view: "View"
    facts: "pd.DataFrame"
    returns: "pd.DataFrame"
    quarantined: tuple[str, ...]


def load(ports: Ports, asof: date, strategies: Sequence[Any], *, risk_free: float = 0.0) -> Inputs:
    """Read gold, forecasts and labels as known at asof.

    Raises:
        StaleDataError: gold does not end at asof.
        DataError: no symbol has a row at asof.
    """
    from bft.domain import sessions
    from bft.risk.costs import round_trip_cost_frac
    from bft.strategies.facts import GOLD_COLUMNS, HISTORY_DAYS, symbol_facts
    from bft.strategies.view import needed_columns, view_of

    manifest = ports.store.manifest("gold", asof=asof)
    if manifest is None or manifest.asof != asof:
        have = manifest.asof if manifest else "none"
        raise StaleDataError(f"gold {asof} is absent (newest: {have}); run: bft gold --asof {asof}")
    columns = sorted({*needed_columns(strategies), *GOLD_COLUMNS})
    since = sessions.shift(asof, 1 - HISTORY_DAYS)
    gold = ports.store.read("gold", asof=asof, columns=columns, since=since)
    forecasts = ports.store.read("forecasts", asof=asof, since=asof)
    universe = ports.store.read("universe", asof=asof)
    quarantined = _quarantined(ports, asof)
    lookback = max(s.needs.lookback for s in strategies)
    view = view_of(gold, forecasts, asof=asof, lookback=lookback, quarantined=quarantined)
    if not view.symbols:
        raise DataError(f"no symbol has a gold row at {asof}; run: bft gold --asof {asof}")
    facts, returns = symbol_facts(gold, forecasts, universe, asof=asof, risk_free=risk_free)
    cost = round_trip_cost_frac(facts["adv_20_usd"], facts["adjusted_close"])
    facts = facts.assign(round_trip_cost_frac=cost)
    return Inputs(view=view, facts=facts, returns=returns, quarantined=quarantined)


def rank(
    inputs: Inputs,
    signals: "Sequence[Signal]",
    strategies: Sequence[Any],
    *,
    equity_usd: float,
    top_n: int,
) -> "list[Ranked]":
    """Rank and tag signals with the one function of the strategies package."""
    from bft.strategies.ranking import Book, ranked

    sized = sizes(inputs.facts, signals, equity_usd=equity_usd)
    prices = inputs.facts["adjusted_close"]
    book = Book(
        equity_usd=equity_usd,
        max_positions=max(s.params.max_positions for s in strategies),
        allow_short=frozenset(s.id for s in strategies if s.params.allow_short),
        notional_usd={
            s.signal_id: sized[s.signal_id][0] * float(prices[s.symbol])
            for s in signals
            if s.signal_id in sized
        },
    )
    return ranked(signals, inputs.facts, inputs.returns, book=book, top_n=top_n)


def sizes(
    facts: "pd.DataFrame", signals: "Sequence[Signal]", *, equity_usd: float
) -> dict[str, tuple[int, float]]:
    """Shares and stop distance of each entry by signal id: risk sizing on its own stop."""
    from bft.domain.trading import SignalKind

    return {
        signal.signal_id: sized(
            facts.loc[signal.symbol],
            signal.ref_price_usd * (signal.exits.stop_frac or 0.0),
            equity_usd=equity_usd,
        )
        for signal in signals
        if signal.kind is SignalKind.ENTRY
    }


def sized(at: "pd.Series", stop_usd: float, *, equity_usd: float) -> tuple[int, float]:
    """Shares at risk sizing with distance max(|ref - stop|, ATR); 0 without either."""
    from decimal import Decimal

    from bft.risk.sizing import Account, Setup, Sizing, Terms, size

    atr = 0.0 if at.isna()["atr_14"] else float(at["atr_14"])
    distance = max(stop_usd, atr)
    equity = Decimal(str(equity_usd))
    setup = Setup(
        ref_price_usd=Decimal(str(at["adjusted_close"])),
        stop_distance_usd=Decimal(str(distance)),
        atr_14_usd=Decimal(str(atr)),
        adv_20=None if at.isna()["adv_20"] else Decimal(str(at["adv_20"])),
    )
    account = Account(equity_usd=equity, cash_usd=equity)
    return size(setup, account, Terms(mode=Sizing.RISK)).qty, distance


def _quarantined(ports: Ports, asof: date) -> tuple[str, ...]:
    rows = ports.store.read("quality", asof=asof, columns=["asof", "symbol", "severity"])
    found = {
        row["symbol"]
        for row in rows.to_pylist()
        if row["asof"] == asof and row["severity"] == "quarantine" and row["symbol"]
    }
    return tuple(sorted(found))


STEP = Step(
    effect="replace",
    summary="Run the strategies on the close of asof: ranked, tagged signals with reasons.",
    arguments=arguments,
    run=run,
    inputs=lambda ports, args: table_digests(ports.store, READS, args),
    reads=READS,
    writes=("signals",),
    outputs={"send": "whether a signal is tagged execute", "signals": "signals by strategy"},
    settings=("strategies",),
    code=("features", "strategies", "risk", "steps.scan"),
)
