"""`bft scan --mode intraday --quotes`: rules on the overlay of a running session.

Everything that needs no quote is read first; then quotes are asked for, laid over gold, and the
same strategy classes run on them. Pending entries whose condition or drift fails are dropped,
option levels judged, the state of the rest shown, provisional entries emitted.
"""

import argparse
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from datetime import time as day_time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bft.domain import origin, sessions
from bft.domain.errors import DataError, StaleDataError, UnavailableError, UsageError
from bft.domain.runs import FailedStep, Json
from bft.domain.trading import Signal
from bft.ports import Ports, Source, Summary, Tick
from bft.steps import gold_tables, quotes, scan
from bft.steps.book import Terms, equity_of, stored_entries
from bft.steps.failures import failed_steps, shown_only
from bft.steps.lacking import instead
from bft.steps.record import pull_of
from bft.steps.scan import WATCH, Inputs, Stored
from bft.steps.standing import Standing, standing_of

if TYPE_CHECKING:
    import pyarrow as pa

    from bft.features.overlay import History, Overlay
    from bft.strategies.ranking import Ranked
    from bft.strategies.view import View

FIRST_SCAN, LAST_ENTRY = timedelta(minutes=5), timedelta(minutes=10)
"""After the open; before the close, from then on only exits."""
UNUSABLE = ("no_quote", "stale_quote", "bad_quote", "halted")
"""Reasons to have no row that are the quote's."""
SAID_FRAC, BLOCKED_FRAC, GIVEN_UP_FRAC = 0.10, 0.20, 0.50
"""Shares of symbols: said first, no entries this cycle, exit 75 (strategies 5, data 7.4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """What was known at the close of asof, read before the quotes come."""

    stored: Stored
    history: "History"
    active: tuple[str, ...]
    standing: Standing
    pending: tuple[Signal, ...]
    leaving: tuple[Any, ...]
    failed: tuple[FailedStep, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """One scan: when it decides, and what the quotes gave."""

    session: date
    slot: str
    at: datetime
    laid: "Overlay"
    thin_frac: float
    warning: str | None

    def shown_only(self, strategies: Sequence[Any]) -> dict[str, str]:
        """Why entries of strategies are shown, not sent."""
        if self.thin_frac > BLOCKED_FRAC:
            return dict.fromkeys((s.id for s in strategies), "too_few_quotes")
        if self.at >= sessions.close_at(self.session) - LAST_ENTRY:
            return dict.fromkeys((s.id for s in strategies), "exits_only")
        return {s.id: "intraday_entries" for s in strategies if not s.params.intraday_entries}


def run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    """One intraday scan; see `scan.run`.

    Raises:
        UsageError: no session is running at the scan's instant.
        StaleDataError: gold does not end at the last closed session.
        UnavailableError: half of the symbols or more have no usable quote.
    """
    from bft.strategies import enabled

    strategies = enabled(args.strategies, args.param)
    source = ports.source(source_spec(ports, args))
    session = sessions.shift(args.asof, 1)
    instant_of(ports, source, session, args.slot)
    night = read_night(ports, args, strategies)
    tick(1, 4, "quotes")
    asked = instant_of(ports, source, session, args.slot)
    symbols = night.history.symbols
    told = quotes.ask(source, ports.store, symbols, asof=args.asof, at=asked, tick=tick)
    began = time.monotonic()
    at = instant_of(ports, source, session, args.slot)
    cycle = lay(night, told.rows, session=session, at=at, slot=args.slot)
    tick(3, 4, "rules")
    inputs, rows, values = decide(night, cycle, strategies, args)
    values["ms"] = round(1000 * (time.monotonic() - began), 1)
    objects: dict[str, str] = {}
    if not args.dry_run:
        objects = quotes.keep(ports.store, told.rows, session)
        objects |= scan.write(ports, args.asof, cycle.slot, rows, inputs.view)
    skipped = {**values.pop("cells_skipped"), **told.skips.counts}
    skipped |= Counter(cycle.laid.without_row.values())
    return scan.summary(values, rows, skipped, objects, night.standing)


def inputs(ports: Ports, args: argparse.Namespace) -> Mapping[str, str | None]:
    """Digests of what is read; quotes of now, or of a file, are never taken for those of before."""
    source = ports.source(source_spec(ports, args))
    again = source.replayed and not source.bulk and args.slot  # a simulator repeats itself
    close = ports.store.manifest("signals", asof=args.asof)
    wanted = f"asof={args.asof},slot=close"
    found = [ref.digest for ref in (close.objects if close else ()) if ref.partition == wanted]
    raw = gold_tables.digests(ports.store, args.asof)
    told = f"{source.name} {args.slot}" if again else None
    return {**raw, "quotes": told, "signals": next(iter(found), "absent")}


def source_spec(ports: Ports, args: argparse.Namespace) -> str:
    """The source named, else that of asof's pull: quotes continue its bars."""
    if args.source:
        return str(args.source)
    about, held = pull_of(ports.store, args.asof), origin.remembered(ports.store)
    if about:
        return str(about["args"].get("source") or "")
    if held is None:
        next_step = instead(ports, "gold", args.asof)
        raise DataError(f"no pull of {args.asof} names a source; {next_step}; or give --source")
    return held.spec(Path.cwd())


def instant_of(ports: Ports, source: Source, session: date, slot: str | None) -> datetime:
    """The run's instant: the clock, or the slot's time of day where the source is replayed.

    Raises:
        StaleDataError: another session has closed since asof.
        UsageError: the session is not running then.
    """
    at = ports.clock.now()
    if slot is not None:
        of_slot = datetime.combine(session, _time(slot), sessions.NEW_YORK)
        at = of_slot.astimezone(at.tzinfo) if source.replayed else at
    first, last = sessions.open_at(session) + FIRST_SCAN, sessions.close_at(session)
    if at >= last and not source.replayed:
        newest = sessions.last_closed(at)
        raise StaleDataError(f"session {session} is over; its quotes are gone, use --asof {newest}")
    if not first <= at < last:
        told = f"{at.astimezone(sessions.NEW_YORK):%Y-%m-%d %H:%M}"
        hint = "; a replay needs --slot, such as --slot 1005" if source.replayed else ""
        raise UsageError(
            f"{told} New York is outside {session} {first.astimezone(sessions.NEW_YORK):%H:%M}-"
            f"{last.astimezone(sessions.NEW_YORK):%H:%M}, when it is scanned{hint}"
        )
    return at


def read_night(ports: Ports, args: argparse.Namespace, strategies: Sequence[Any]) -> Night:
    """Read all that is needed besides quotes.

    Raises:
        StaleDataError: gold or bars do not end at asof.
    """
    from bft.features.overlay import history_of

    standing = standing_of(ports, args)
    leaving = standing.leaving(strategies, args.param)
    stored = scan.read_stored(ports, args.asof, [*strategies, *leaving])
    tables = gold_tables.known_tables(ports.store, args.asof, history_start=args.history_start)
    gold_tables.check_current(ports, tables["bars"], args.asof)
    return Night(
        stored=stored,
        history=history_of(tables, asof=args.asof),
        active=active_symbols(tables, args.asof),
        standing=standing,
        pending=tuple(standing.waiting(stored_entries(ports.store, args.asof))),
        leaving=tuple(leaving),
        failed=failed_steps(ports.store, args.asof, before="screen"),
    )


def active_symbols(tables: "Mapping[str, pa.Table]", asof: date) -> tuple[str, ...]:
    """Members at asof that have bars; without a universe those with a bar in 20 sessions."""
    import pyarrow.compute as pc

    bars, members = tables["bars"], tables["universe"].to_pylist()
    if members:
        newest = {(row["symbol"], row["from"]): row for row in members}.values()
        listed = {m["symbol"] for m in newest if _member(m, asof)}
        return tuple(sorted(listed & set(pc.unique(bars["symbol"]).to_pylist())))
    recent = bars.filter(pc.greater(bars["date"], sessions.shift(asof, -20)))
    return tuple(sorted(pc.unique(recent["symbol"]).to_pylist()))


def lay(night: Night, rows: "pa.Table", *, session: date, at: datetime, slot: str | None) -> Cycle:
    """Lay quotes over gold.

    Raises:
        UnavailableError: half of the symbols or more have no usable quote.
    """
    from bft.features.overlay import overlay

    local = at.astimezone(sessions.NEW_YORK)
    laid = overlay(night.history, rows, at=at, active=night.active)
    laid = _without(laid, night.stored.quarantined)
    total = len({*night.history.symbols, *night.active})
    counts = Counter(laid.without_row.values())
    unusable = sum(counts[reason] for reason in UNUSABLE)
    told = f"{unusable} of {total} symbols have no usable quote: " + ", ".join(
        f"{name} {counts[name]}" for name in UNUSABLE if counts[name]
    )
    if unusable >= GIVEN_UP_FRAC * total:
        raise UnavailableError(f"{local:%Y-%m-%d %H:%M} New York: {told}; nothing was decided")
    return Cycle(
        session=session,
        slot=slot or f"{local:%H%M}",
        at=at,
        laid=laid,
        thin_frac=len(laid.without_row) / total,
        warning=told if unusable >= SAID_FRAC * total else None,
    )


def decide(
    night: Night, cycle: Cycle, strategies: Sequence[Any], args: argparse.Namespace
) -> "tuple[Inputs, list[Ranked], Json]":
    """Run the rules on the overlay; rows of signals, and what the JSON line says."""
    from bft.strategies.ranking import shown
    from bft.strategies.signals import signals_at

    inputs, instead = _seen(night, cycle, strategies, args)
    found = signals_at(
        inputs.view,
        strategies,
        decided_at=cycle.at,
        cost_frac=inputs.facts["round_trip_cost_frac"].to_dict(),
        held=night.standing.held,
        leaving=night.leaving,
    )
    terms = Terms(
        equity_usd=equity_of(args.equity, night.standing),
        top_n=args.top_n,
        standing=night.standing,
        pending=night.pending,
        shown_only={**cycle.shown_only(strategies), **shown_only(strategies, night.failed)},
    )
    rows = _pending_rows(night, cycle, strategies, (inputs.view, instead))
    waiting = {row.signal.signal_id for row in rows}
    rows += [shown(signal, WATCH, "decided_at_close") for signal in found.at_close]
    fired = [signal for signal in found.signals if signal.signal_id not in waiting]
    rows = [*scan.rank(inputs, fired, strategies, terms), *rows]
    said = scan.said(inputs.view, found, strategies, rows)
    told = scan.warnings(inputs.view, cycle.warning, *(one.told for one in night.failed))
    values: Json = {"warning": told} if told else {}
    values |= {"session": str(cycle.session), "slot": cycle.slot, "provisional": True, **said}
    values["pending"] = len(night.pending)
    values["held"] = len(night.standing.held)
    values["equity_usd"] = terms.equity_usd
    return inputs, rows, {**values, "cells_skipped": dict(found.skipped)}


def _pending_rows(
    night: Night, cycle: Cycle, strategies: Sequence[Any], views: "tuple[View, View]"
) -> "list[Ranked]":
    """Pending entries judged: those of today on the rows they saw, those of asof in their place."""
    from bft.strategies.pending import judged

    view, instead = views
    today = [s for s in night.pending if s.bar_key == cycle.session.isoformat()]
    before = [s for s in night.pending if s not in today]
    rows = judged(instead, strategies, before, basis_frac=_basis(night, cycle))
    return rows + judged(view, strategies, today, basis_frac=dict.fromkeys(view.symbols, 1.0))


def _seen(
    night: Night, cycle: Cycle, strategies: Sequence[Any], args: argparse.Namespace
) -> "tuple[Inputs, View]":
    """Views and facts; the rules see the usual volume in place of volume so far."""
    from bft.strategies.facts import symbol_facts
    from bft.strategies.view import running_views, with_volume

    stored, today, asof = night.stored, cycle.laid.rows, night.history.asof
    facts, returns = symbol_facts(
        stored.gold, stored.forecasts, stored.universe, asof=asof, today=today
    )
    view, instead = running_views(
        stored.gold,
        stored.forecasts,
        with_volume(today, facts["adv_20"]),
        asof=asof,
        lookback=scan.lookback_of([*strategies, *night.leaving]),
        quarantined=stored.quarantined,
    )
    if not view.symbols:
        raise DataError(f"no symbol has gold at {asof} and a usable quote; see skipped")
    made = Inputs(
        view=view, facts=scan.priced(facts), returns=returns, quarantined=stored.quarantined
    )
    return scan.watched(made, args.watchlist), instead


def _basis(night: Night, cycle: Cycle) -> dict[str, float]:
    """By symbol: what takes a price of asof to the basis of the running session."""
    import pyarrow.compute as pc

    gold = night.stored.gold
    before = gold.filter(pc.equal(gold["date"], night.history.asof))
    old = dict(zip(before["symbol"].to_pylist(), before["adj_factor"].to_pylist(), strict=True))
    rows = cycle.laid.rows
    new = zip(rows["symbol"].to_pylist(), rows["adj_factor"].to_pylist(), strict=True)
    return {symbol: old[symbol] / factor for symbol, factor in new if symbol in old}


def _without(laid: "Overlay", quarantined: Sequence[str]) -> "Overlay":
    """The overlay less the quarantined; their bars still made the market's return."""
    from dataclasses import replace

    import pyarrow as pa
    import pyarrow.compute as pc

    out = pc.is_in(laid.rows["symbol"], pa.array(list(quarantined), pa.string()))
    why = {
        **laid.without_row,
        **dict.fromkeys(laid.rows.filter(out)["symbol"].to_pylist(), "quarantined"),
    }
    return replace(laid, rows=laid.rows.filter(pc.invert(out)), without_row=why)


def _member(row: Mapping[str, Any], asof: date) -> bool:
    began = row["from"] is None or row["from"] <= asof
    return began and (row["to"] is None or row["to"] > asof)


def _time(slot: str) -> day_time:
    try:
        return datetime.strptime(slot, "%H%M").time()  # noqa: DTZ007  a time of day, no instant
    except ValueError:
        raise UsageError(f"--slot {slot!r} is no HHMM, such as --slot 1005") from None
