"""What the root itself knows of a symbol's night: its signals and rank, or why there is none.

No executor is asked: tables of the night tell it (strategies specification, sections 1 and 5).
"""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from bft.domain.errors import DataError
from bft.domain.market import EXCLUDED
from bft.domain.runs import Json
from bft.domain.symbols import symbol_of
from bft.ports import Ports, Store
from bft.steps import failures, lacking, record
from bft.steps.lists import file_digest
from bft.steps.scan import load, watched

LEAST_PREFIX = 4
"""Characters of a signal id that are taken for its beginning, as at the executor."""
SHOWN_SIGNALS = 4
AFTERWARDS = "it would give one now, but did not when it was scanned"
UNREAD = "the scan's watchlist {} is not here, or has changed: a symbol off it gives no signal"
WORDS = {
    "rule_not_met": "rule not met at the close",
    "nan_input": "an input unknown on that day",
    "short_history": "too short a history for an input",
    "no_forecast": "no forecast of it",
    "stale_forecast": "its forecast is of another day",
    "stale_model": "its forecast is of models over 90 days old",
    "suspected_split": "held back, a split is suspected",
    "quarantined": "held back, its prices are quarantined (quality report)",
    "not_on_watchlist": "not on the watchlist of the scan",
    "ml_veto": "fired, and the forecast is against it (ml_confirm=veto)",
    "ml_require": "fired, and the forecast does not carry it (ml_confirm=require)",
}
"""Why a strategy gave no signal, in words; others as they are."""
SIGNAL = tuple("slot signal_id kind direction strategy_id tag tag_reason reason".split())
PICK = tuple("rank tag tag_reason direction qty price_usd stop_usd target_usd score".split())


def night_of(ports: Ports, name: str, asof: date) -> Json | None:
    """Signals and pick of a symbol, or of the signal whose id begins so; None: unknown here.

    `no_signal` says why there is none.
    """
    rows = _day_rows(ports.store, "signals", asof)
    mine = [row for row in rows if _is(row["signal_id"], name)]
    symbol = mine[0]["symbol"] if mine else symbol_of(name)
    mine = mine or [row for row in rows if row["symbol"] == symbol]
    if symbol is None or not (mine or symbol in symbols_of(ports.store)):
        return None
    ranked = _day_rows(ports.store, "picks", asof)
    pick = next((row for row in ranked if row["symbol"] == symbol), None)
    return {
        "asof": str(asof),
        "symbol": symbol,
        "failed": [one.told for one in failures.failed_steps(ports.store, asof)],
        "signals": [{key: row[key] for key in SIGNAL} for row in mine],
        "no_signal": None if mine else _no_signal(ports, symbol, asof),
        "pick": pick and {key: pick[key] for key in PICK},
        "plan_equity_usd": pick and record.rank_of(ports.store, asof).get("equity_usd"),
        "ranked": len(ranked),
    }


def told(night: Json) -> Iterator[str]:
    """The same for people, one fact a line."""
    from bft.reports.shown import tag_reason

    head = f"{night['symbol']}, night of {night['asof']}: "
    rows = night["signals"]
    yield head + (f"{len(rows)} signal{'s' * (len(rows) > 1)}" if rows else "no signal")
    for row in rows[:SHOWN_SIGNALS]:
        slot = "at the close" if row["slot"] == "close" else f"in the scan of {row['slot']}"
        yield f"  {row['direction']} {row['kind']} by {row['strategy_id']} {slot}: {row['reason']}"
        why = tag_reason(row["tag_reason"])
        yield f"  tagged {row['tag']}" + (f": {why}" if why else "") + f" ({row['signal_id']})"
    if len(rows) > SHOWN_SIGNALS:
        yield f"  and {len(rows) - SHOWN_SIGNALS} more, --json"
    yield from (f"  {line}" for line in _told_none(night["no_signal"] or {}))
    if night["pick"]:
        yield f"  {_pick(night['pick'], night['ranked'])}"
        if equity := night["plan_equity_usd"]:
            plan = f"of a plan with {float(equity):,.0f} USD"
            yield f"  units {plan}; an executor sizes anew by its account and limits"
    yield from (f"  of that night {text}" for text in night["failed"])


def _told_none(none: Json) -> Iterator[str]:
    """Each reason with its strategies."""
    if not none:
        return
    if none["because"]:
        yield none["because"]
        return
    by_reason: dict[str, list[str]] = {}
    for name in none["ran"]:
        by_reason.setdefault(none["strategies"].get(name, AFTERWARDS), []).append(name)
    for why, names in by_reason.items():
        yield f"{WORDS.get(why, why.replace('_', ' '))}: {', '.join(names)}"
    if none["unread"]:
        yield none["unread"]


def _pick(pick: Mapping[str, Any], ranked: int) -> str:
    prices = ", ".join(
        f"{name} {pick[key]:.2f}"
        for name, key in (("stop", "stop_usd"), ("target", "target_usd"))
        if pick[key] is not None
    )
    size = f"{pick['qty']} units at {pick['price_usd']:.2f}"
    return f"rank {pick['rank']} of {ranked}, {pick['tag']}: {size}" + (prices and f", {prices}")


def _is(signal_id: str, name: str) -> bool:
    return len(name) >= LEAST_PREFIX and signal_id.startswith(name)


def _day_rows(store: Store, table: str, asof: date) -> list[dict[str, Any]]:
    """Rows of exactly that day."""
    manifest = store.manifest(table, asof=asof)
    if manifest is None or manifest.asof != asof:
        return []
    columns = {"signals": ("asof", "symbol", *SIGNAL), "picks": ("asof", "symbol", *PICK)}[table]
    rows = store.read(table, asof=asof, columns=list(columns)).to_pylist()
    return [row for row in rows if row["asof"] == asof]


def symbols_of(store: Store) -> frozenset[str]:
    """Symbols the root has heard of: listed, or with rows of gold."""
    import pyarrow.compute as pc

    tables = [name for name in ("universe", "gold") if store.manifest(name)]
    read = (store.read(name, columns=["symbol"])["symbol"] for name in tables)
    return frozenset(symbol for column in read for symbol in pc.unique(column).to_pylist())


def _no_signal(ports: Ports, symbol: str, asof: date) -> Json:
    """Why a symbol that the root knows has no signal of the night: `because`, or by strategy."""
    from bft.strategies import enabled
    from bft.strategies.signals import why_none

    made = record.scan_of(ports.store, asof)
    given = made.get("args", {})
    listed = given.get("watchlist")
    here = listed is None or _is_file(listed, made["inputs"]["watchlist"])
    try:
        lacking.need(ports, "signals", asof)
        strategies = enabled(given.get("strategies") or "core", given.get("param") or ())
        inputs = watched(load(ports, asof, strategies), listed if here else None)
    except DataError as error:
        return {"because": str(error)}
    if symbol not in inputs.view.symbols:
        fund = "no strategy looks at this fund; it is there for others' context"
        return {"because": fund if symbol in EXCLUDED else f"gold has no row of it on {asof}"}
    cost_frac = float(inputs.facts["round_trip_cost_frac"][symbol])
    return {
        "because": None,
        "strategies": why_none(inputs.view, strategies, symbol, cost_frac=cost_frac),
        "ran": [strategy.id for strategy in strategies],
        "unread": None if here else UNREAD.format(listed),
    }


def _is_file(path: str, digest: str) -> bool:
    """Whether a file is there, and as it was."""
    try:
        return file_digest(path) == digest
    except DataError:
        return False
