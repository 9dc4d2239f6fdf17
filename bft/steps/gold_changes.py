"""From which day on gold differs from the last one built: what arrived, and what it touches."""

import argparse
import json
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from bft.domain import sessions
from bft.ports import Manifest, Store
from bft.steps import gold_tables, record

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

BASED = ("earnings", "statements", "fundamentals")
"""Tables whose per-share figures are quoted on the share basis of some day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """First day whose rows may differ (None: all), why, and symbols with older rows that do."""

    since: date | None
    because: str
    restated: "Mapping[str, date]" = field(default_factory=dict)


def change(
    store: Store, args: argparse.Namespace, tables: "Mapping[str, pa.Table]", *, code: str
) -> Change:
    """Compare the raw tables with those of the newest gold before asof.

    Only a gold of the same code, settings and inputs can be continued; anything else is built
    from scratch.
    """
    base = store.manifest("gold", asof=sessions.shift(args.asof, -1))
    if base is None or record.reading(store, args.asof) is None:
        return Change(since=None, because="no earlier gold" if base is None else "a past day")
    why = _cannot_continue(store, base, args, code)
    if why:
        return Change(since=None, because=why)
    found = _arrived(store, base.asof, args.asof)
    if found is None or _relabelled(store, base.asof, tables) or _rebased(found, tables):
        return Change(since=None, because="labels, share basis or merged arrivals changed")
    following = sessions.shift(base.asof, 1)
    touched = [pair for name, rows in found.items() for pair in _touched(name, rows)]
    since = min([following, *(day for _, day in touched)])
    restated: dict[str, date] = {}
    for symbol, day in touched:
        if symbol and day < following:
            restated[symbol] = min(day, restated.get(symbol, day))
    return Change(since=since, because=f"gold of {base.asof}", restated=restated)


def _cannot_continue(store: Store, base: Manifest, args: argparse.Namespace, code: str) -> str:
    key = f"lineage/gold/{base.asof}.json"
    if store.digest(key) is None:
        return f"gold of {base.asof} has no lineage"
    last = json.loads(store.get(key))
    if last["code"] != code or last["args"]["history_start"] != args.history_start:
        return f"code or settings changed since {base.asof}"
    if last["inputs"] != gold_tables.digests(store, base.asof):
        return f"tables of {base.asof} changed"
    return ""


def _arrived(store: Store, before: date, asof: date) -> "dict[str, pa.Table] | None":
    """Rows of each table that the gold before did not know; None where a merge hides them."""
    found = {}
    for name in gold_tables.READS:
        was, now = store.manifest(name, asof=before), store.manifest(name, asof=asof)
        held = {(ref.partition, ref.digest) for ref in was.objects} if was else set()
        refs = now.objects if now else ()
        new = [ref.partition for ref in refs if (ref.partition, ref.digest) not in held]
        merged = [partition for partition in new if partition.startswith("month=")]
        if any(partition >= f"month={before:%Y-%m}" for partition in merged):
            return None
        fresh = [partition for partition in new if partition not in merged]
        if fresh:
            found[name] = store.read(name, asof=asof, partitions=fresh)
    return found


def _touched(name: str, rows: "pa.Table") -> "list[tuple[str, date]]":
    """(symbol, first day) of every row that gold may use; no symbol for macro."""
    if name == "universe":
        return []
    if name != "actions":  # a refused one still makes a price step suspected
        rows = rows.filter(_accepted(rows))
    symbols = rows["symbol"].to_pylist() if "symbol" in rows.schema.names else [""] * rows.num_rows
    dated = {"bars": "date", "options_summary": "date", "actions": "ex_date"}
    if name in dated:
        days = rows[dated[name]].to_pylist()
    else:
        days = [_first_session(at) for at in rows["known_at"].to_pylist()]
    return list(zip(symbols, days, strict=True))


def _accepted(rows: "pa.Table") -> "pa.ChunkedArray":
    import pyarrow.compute as pc

    return pc.equal(rows["status"], "ok")


def _first_session(known_at: datetime) -> date:
    """First session at whose close a fact is known."""
    day = sessions.last_closed(known_at)
    return day if sessions.close_at(day) == known_at else sessions.shift(day, 1)


def _rebased(found: "Mapping[str, pa.Table]", tables: "Mapping[str, pa.Table]") -> bool:
    """Whether a new split lies before the share basis of a figure of its symbol."""
    import pyarrow.compute as pc

    if "actions" not in found:
        return False
    splits = found["actions"].filter(pc.equal(found["actions"]["kind"], "split")).to_pylist()
    for name in BASED:
        basis = tables[name].select(["symbol", "basis_on"])
        newest = basis.group_by("symbol").aggregate([("basis_on", "max")]).to_pylist()
        until = {row["symbol"]: row["basis_on_max"] or date.max for row in newest}
        if any(until.get(s["symbol"], date.min) >= s["ex_date"] for s in splits):
            return True
    return False


def _relabelled(store: Store, before: date, tables: "Mapping[str, pa.Table]") -> bool:
    """Whether a symbol that had rows before is called otherwise now, or bears another name."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from bft.features.labels import Label, labels_by_symbol
    from bft.features.renames import known_renames

    known = gold_tables.known_facts(store, before, ("fundamentals", "universe"))
    if known_renames(known["universe"]) != known_renames(tables["universe"]):
        return True
    was = labels_by_symbol(known["fundamentals"], known["universe"])
    now = labels_by_symbol(tables["fundamentals"], tables["universe"])
    odd = {s for s in {*was, *now} if was.get(s, Label()) != now.get(s, Label())}
    if not odd:
        return False
    bars = tables["bars"]
    named = pc.is_in(bars["symbol"], pa.array(sorted(odd)))
    return bool(pc.any(pc.and_(named, pc.less_equal(bars["date"], before))).as_py())
