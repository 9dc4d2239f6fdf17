"""`bft gold`: one row per symbol and session, from the raw tables as known at asof.

Reads the raw tables. Writes gold and gold_targets: the new day's partition, those that a restated
fact touches, and a closed month in one object; a re-run writes the same bytes. `--legacy` builds
gold_legacy with the naive rules instead, for comparing migrations only.
"""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from bft.domain import sessions
from bft.domain.runs import Json
from bft.ports import Manifest, Ports, Step, Store, Summary, Tick
from bft.steps import gold_layout, gold_tables, record
from bft.steps.arguments import CLOSED, NEWEST, add_asof
from bft.steps.gold_export import add_export, export

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from bft.features.rows import Rows
    from bft.features.targets import Targets
    from bft.steps.gold_changes import Change

CODE = ("features", "steps.gold", "steps.gold_tables", "steps.gold_layout", "steps.gold_changes")
NAMES_SHOWN = 20


def _arguments(parser: argparse.ArgumentParser) -> None:
    add_asof(parser, default=f"{CLOSED}; with --export {NEWEST}")
    parser.add_argument("--full", action="store_true", help="build every day again")
    parser.add_argument(
        "--legacy",
        dest="name",
        action="store_const",
        const="legacy",
        help="build gold_legacy by the naive rules (comparison only)",
    )
    add_export(parser)


def _inputs(ports: Ports, args: argparse.Namespace) -> Mapping[str, str]:
    return gold_tables.digests(ports.store, args.asof)


def _run(ports: Ports, args: argparse.Namespace, tick: Tick) -> Summary:
    from bft.steps.gold_changes import Change, change

    store, asof = ports.store, args.asof
    tick(0, 4, "reading")
    tables = gold_tables.known_tables(store, asof, history_start=args.history_start)
    gold_tables.check_history(ports, tables["bars"], asof)
    gold_tables.check_current(ports, tables["bars"], asof)
    found = Change(since=None, because="asked for")
    with store.exclusive():  # what the session before is continued from must stay as it is
        if not args.full and args.name is None:
            found = change(store, args, tables, code=record.code_digest(("domain", *CODE)))
        tick(1, 4, "gold")
        if args.name:
            written = [_write_legacy(store, tables, asof)]
        else:
            written = [_write(store, "gold", tables, asof, found)]
            tick(2, 4, "gold_targets")
            written.append(_write(store, "gold_targets", tables, asof, found))
    tick(3, 4, "export")
    exported = export(store, asof, args.export, table=written[0].manifest.table)
    return Summary(
        values=_values(written, found) | exported,
        rows=sum(ref.rows for ref in written[0].manifest.objects),
        skipped=_skipped(tables),
        objects={key: digest for each in written for key, digest in each.objects(store).items()},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written:
    """What was published of one table; `since`: only partitions from that day on (None: all)."""

    manifest: Manifest
    partitions: tuple[str, ...]
    since: date | None

    def objects(self, store: Store) -> dict[str, str]:
        return record.published(store, self.manifest, self.partitions)

    @property
    def size(self) -> int:
        return sum(ref.size for ref in self.manifest.objects if ref.partition in self.partitions)


def _write(
    store: Store, table: str, tables: Mapping[str, "pa.Table"], asof: date, found: "Change"
) -> _Written:
    """Build and publish a table from the first changed day on."""
    from bft.features.build import gold_rows
    from bft.features.targets import build_targets

    merged_on = gold_layout.MERGED_ON[table]
    base = store.manifest(table, asof=sessions.shift(asof, -1)) if found.since else None
    held = [ref.partition for ref in base.objects] if base else []
    since = found.since if base else None
    if since is not None:
        since = gold_layout.first_day(since, asof=asof, merged_on=merged_on, held=held)
    rows: Rows | Targets
    if table == "gold":
        rows = gold_rows(tables, since=since)
        prefix, days = "date", rows.get("date")
    else:
        rows = build_targets(tables, since=since)
        prefix, days = "known", rows.known
    order, spans = _split(days, asof=asof, prefix=prefix, merged_on=merged_on)
    ordered = rows.table(order)
    parts = {name: ordered.slice(a, b - a) for name, (a, b) in spans.items()}
    manifest = store.publish(
        table,
        asof=asof,
        partitions=parts,
        replaces=since is None,
        drops=gold_layout.superseded(held, since=since) if since else (),
    )
    return _Written(manifest=manifest, partitions=tuple(parts), since=since)


def _write_legacy(store: Store, tables: Mapping[str, "pa.Table"], asof: date) -> _Written:
    """Build and publish gold_legacy whole; it is never continued."""
    from bft.features.basis import rebase, with_targets
    from bft.features.build import build_gold
    from bft.features.legacy import naive
    from bft.features.targets import build_targets

    gold = with_targets(rebase(build_gold(tables), asof=asof), build_targets(tables).table())
    parts = {"all": naive(gold, tables)}
    manifest = store.publish("gold_legacy", asof=asof, partitions=parts, replaces=True)
    return _Written(manifest=manifest, partitions=tuple(parts), since=None)


def _split(
    days: "np.ndarray[Any, Any]", *, asof: date, prefix: str, merged_on: int
) -> "tuple[np.ndarray[Any, Any], dict[str, tuple[int, int]]]":
    """Order of rows by partition, and where each partition begins and ends in it."""
    import numpy as np

    if not len(days):
        return days, {}
    offset = days - days.min()
    held = np.flatnonzero(np.bincount(offset))
    names = [
        gold_layout.partition_of(day, asof=asof, prefix=prefix, merged_on=merged_on)
        for day in (held + int(days.min())).astype("datetime64[D]").tolist()
    ]
    known = {name: place for place, name in enumerate(dict.fromkeys(names))}
    table = np.zeros(held[-1] + 1, dtype=np.int16)
    table[held] = [known[name] for name in names]
    place = table[offset]
    order = np.argsort(place, kind="stable")
    edges = np.searchsorted(place[order], np.arange(len(known) + 1)).tolist()
    return order, {name: (edges[n], edges[n + 1]) for name, n in known.items()}


def _values(written: "list[_Written]", found: "Change") -> Json:
    since = written[0].since
    restated = dict(sorted(found.restated.items())[:NAMES_SHOWN])
    return {
        "built": "from" if since else "full",
        "since": str(since) if since else None,
        "because": found.because,
        "restated": len(found.restated),
        "restated_symbols": {symbol: str(day) for symbol, day in restated.items()},
        "partitions": sum(len(each.partitions) for each in written),
        "bytes": sum(each.size for each in written),
        "digest": written[0].manifest.digest,
    }


def _skipped(tables: Mapping[str, "pa.Table"]) -> dict[str, int]:
    from bft.features.bars import unusable_closes
    from bft.features.labels import labels_by_symbol

    labels = labels_by_symbol(tables["fundamentals"], tables["universe"])
    counts = {
        "unusable_close": unusable_closes(tables["bars"]).num_rows,
        "unknown_sector": sum(label.odd is not None for label in labels.values()),
    }
    return {reason: count for reason, count in counts.items() if count}


STEP = Step(
    effect="replace",
    summary="Build the gold table: one row per symbol and session, as known at its close.",
    arguments=_arguments,
    run=_run,
    reads_newest=lambda args: args.export is not None,
    inputs=_inputs,
    reads=gold_tables.READS,
    writes=("gold", "gold_targets"),
    outputs={
        "rows": "rows of gold at asof",
        "built": "full, or from a day on",
        "since": "first day written, if not all",
        "because": "why from that day",
        "restated": "symbols whose older rows changed",
        "bytes": "bytes of the partitions written",
        "digest": "digest of gold at asof",
    },
    settings=("history_start",),
    code=CODE,
)
