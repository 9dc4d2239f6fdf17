"""Quotes of a running session: asked for, and kept for five sessions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING

from bft.domain import sessions
from bft.domain.delivery import QUOTED, Skips, Want
from bft.ports import Source, Store, Tick
from bft.steps.record import published

if TYPE_CHECKING:
    import pyarrow as pa

KEPT_SESSIONS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """Rows of the table quotes without judgement, and what was left out."""

    rows: "pa.Table"
    skips: Skips = field(default_factory=Skips)


def ask(
    source: Source, store: Store, symbols: Sequence[str], *, asof: date, at: datetime, tick: Tick
) -> Told:
    """Ask for the quotes of symbols at an instant (a live source: now).

    Raises:
        UnavailableError: the source does not answer.
    """
    import pyarrow as pa

    lots = [symbols[n : n + QUOTED] for n in range(0, len(symbols), QUOTED)]
    wants = [Want(topic="quotes", name=",".join(lot), at=at) for lot in lots]
    skips, tables = Skips(), []
    for answer in source.fetch(wants, asof=asof, fresh=True, tick=tick):
        skips.take(answer.refused)
        if answer.skipped:
            skips.add(answer.skipped, answer.want.name.split(","))
        if "quotes" in answer.tables:
            tables.append(_raw(answer.tables["quotes"], answer.source, at, store))
    schema = store.read("quotes", asof=date.min).schema
    return Told(rows=pa.concat_tables(tables) if tables else schema.empty_table(), skips=skips)


def keep(store: Store, rows: "pa.Table", session: date) -> dict[str, str]:
    """Add quotes to those of their session; drop sessions older than five."""
    import pyarrow as pa

    part, oldest = f"arrived={session}", sessions.shift(session, 1 - KEPT_SESSIONS)
    base = store.manifest("quotes", asof=sessions.shift(session, -1))
    names = [ref.partition for ref in base.objects] if base else []
    there = store.manifest("quotes", asof=session)
    broken = there is not None and part in store.faults(there)  # what was quoted comes no more
    before = [] if broken else [store.read("quotes", asof=session, partitions=[part])]
    drops = [name for name in names if name < f"arrived={oldest}"]
    both = _distinct(pa.concat_tables([*before, rows]))
    made = store.publish("quotes", asof=session, partitions={part: both}, drops=drops)
    return published(store, made, [part])


def _raw(rows: "pa.Table", source: str, at: datetime, store: Store) -> "pa.Table":
    """Rows with all columns of the table; each was known at its stamp, and arrived at `at`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    schema, count = store.read("quotes", asof=date.min).schema, rows.num_rows
    given = {
        "known_at": rows["at"],
        "arrived_at": pa.repeat(pa.scalar(at, schema.field("arrived_at").type), count),
        "source": pa.repeat(pa.scalar(source), count),
        "revision": pa.repeat(pa.scalar(0), count),
        "backfilled": pa.repeat(pa.scalar(value=False), count),
        "status": pa.repeat(pa.scalar("ok"), count),
        **{name: rows[name] for name in rows.column_names},
    }
    if "volume" in given:
        given["volume"] = pc.round(given["volume"])
    columns = [
        given[each.name].cast(each.type) if each.name in given else pa.nulls(count, each.type)
        for each in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _distinct(rows: "pa.Table") -> "pa.Table":
    """The first row of each (symbol, at): a retry may be told the same once more."""
    import numpy as np
    import pyarrow as pa

    numbered = rows.append_column("place", pa.array(np.arange(rows.num_rows)))
    kept = numbered.group_by(["symbol", "at"]).aggregate([("place", "min")])["place_min"]
    return rows.take(kept.combine_chunks().sort())
