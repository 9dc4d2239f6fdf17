"""What one pull holds on to: its day and instants, what it left out, what it publishes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bft.domain import market, sessions
from bft.domain.delivery import Skips
from bft.domain.market import Table
from bft.features.arrivals import Arrivals
from bft.features.known import exchange_day
from bft.ports import Store
from bft.steps import gold_layout

COMPLETE_FRAC = 0.98
"""Share of active symbols that need a bar for asof (data specification, 1.3)."""
_KEYS = {table.name: table.key for table in market.RAW_TABLES}


@dataclass(kw_only=True)
class Night:
    """One pull: `base` is the session before asof, whose tables a delivery is compared with.

    `past`: asof was over by the source's clock, so everything counts as backfilled. `partial`:
    only some facts are asked for. `asked`: of a table, the symbols it was asked for; what the
    same day already holds of others stays. `later`: partitions made while they are published, for
    they would not fit into memory together. `absent`: topics the source lacks. `again`: the call as
    of another day, in words.
    """

    store: Store
    asof: date
    base: date
    instant: datetime
    source: str
    bulk: bool
    past: bool
    partial: bool
    again: Callable[[date | None], str]
    asked: dict[str, Sequence[str]] = field(default_factory=dict)
    skips: Skips = field(default_factory=Skips)
    tables: dict[str, pa.Table] = field(default_factory=dict)
    later: dict[str, Mapping[str, pa.Table]] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    revisions: int = 0

    @property
    def cutoff(self) -> datetime:
        """Nothing that came out later is taken."""
        return sessions.evening(self.asof) if self.past else self.instant

    def stored(
        self,
        table: Table,
        *,
        columns: Sequence[str] = (),
        symbols: Sequence[str] | None = None,
        since: date | None = None,
    ) -> pd.DataFrame:
        """Rows known before this pull, days as datetime64."""
        rows = self.store.read(
            table.name,
            asof=self.base,
            columns=[*columns, "status", "revision"] if columns else None,
            symbols=symbols,
            since=since,
        )
        return frame(rows)

    def first_load(
        self, rows: pd.DataFrame, stored: pd.DataFrame, column: str = "symbol"
    ) -> pd.Series:
        """Whether a row is backfilled: its symbol or series is new here, or asof is past."""
        if self.past:
            return pd.Series(data=True, index=rows.index)
        return ~rows[column].isin(stored[column].unique())

    def keep(
        self, table: Table, found: Arrivals, *, known_at: pd.Series, backfilled: pd.Series
    ) -> None:
        """Hold new rows for publishing."""
        self.revisions += found.count("revised")
        self.rows[table.name] = len(found.rows)
        self.tables[table.name] = self.stamped(
            table, found, known_at=known_at, backfilled=backfilled
        )

    def stamped(
        self, table: Table, found: Arrivals, *, known_at: pd.Series, backfilled: pd.Series
    ) -> pa.Table:
        """New rows with when they were known and arrived; `known_at` covers `found.rows`."""
        rows = found.rows.assign(
            known_at=known_at,
            arrived_at=self.arrived(found.rows.index),
            source=self.source,
            backfilled=backfilled,
        )
        return arrow(rows, table, self.store)

    def publish(self) -> dict[str, str]:
        """Write each table's partition of asof, and closed months as one object.

        A table without news keeps its manifest. Bars come last: that those of asof are there tells
        readers that the whole night is (`record.reading`), after a kill too.
        """
        objects: dict[str, str] = {}
        for name, later in self.later.items():  # these may still fail: first
            made = self.store.publish(name, asof=self.asof, partitions=later)
            objects |= {o.key: o.digest for o in made.objects if o.partition in later}
            self.rows[name] = sum(o.rows for o in made.objects if o.partition in later)
        for name in sorted(self.tables, key=lambda name: (name == market.BARS.name, name)):
            rows = self.tables[name]
            last = self.store.manifest(name, asof=self.asof)
            again = last is not None and last.asof == self.asof
            if not (rows.num_rows or again):
                continue
            today = f"arrived={self.asof}"
            held = self._held(name, today, rows) if again else rows.slice(0, 0)
            months = self._closed_months(name)
            parts = {month: self._merged(name, days) for month, days in months.items()}
            parts[today] = pa.concat_tables([held, rows])
            drops = [day for days in months.values() for day in days if day not in parts]
            made = self.store.publish(name, asof=self.asof, partitions=parts, drops=drops)
            objects |= {o.key: o.digest for o in made.objects if o.partition in parts}
        return objects

    def _closed_months(self, table: str) -> dict[str, list[str]]:
        """Partitions before asof that are due to become their month's one object, by month.

        Chains stay apart: a month of them is larger than a night's memory.
        """
        base = self.store.manifest(table, asof=self.base)
        held = [o.partition for o in base.objects] if base and table != market.OPTIONS.name else []
        due: dict[str, list[str]] = {}
        for partition in held:
            kind, _, day = partition.partition("=")
            if kind == "arrived":
                month = gold_layout.partition_of(
                    date.fromisoformat(day),
                    asof=self.asof,
                    prefix="arrived",
                    merged_on=gold_layout.MERGED_ON["raw"],
                )
                if month != partition:
                    due.setdefault(month, [month] if month in held else []).append(partition)
        return due

    def _merged(self, table: str, partitions: list[str]) -> pa.Table:
        return self.store.read(table, asof=self.base, partitions=partitions)

    def _held(self, table: str, partition: str, now: pa.Table) -> pa.Table:
        """What an earlier pull of this day holds of symbols that this one leaves alone.

        Of such a symbol this one may yet tell an entry, that ends: it tells it in its place.
        """
        if table not in self.asked or "symbol" not in now.schema.names:
            return now.slice(0, 0)  # unread: what is broken can be replaced
        asked = pa.array(list(self.asked[table]), pa.string())
        rows = self.store.read(table, asof=self.asof, partitions=[partition])
        rows = rows.filter(pc.invert(pc.is_in(rows["symbol"], asked)))
        beside = now.filter(pc.invert(pc.is_in(now["symbol"], asked)))
        key = list(_KEYS[table])
        told = {tuple(row.values()) for row in beside.select(key).to_pylist()}
        if not told:
            return rows
        kept = [tuple(row.values()) not in told for row in rows.select(key).to_pylist()]
        return rows.filter(pa.array(kept, pa.bool_()))

    def arrived(self, index: pd.Index) -> pd.Series:
        """The run's instant, once per row."""
        return pd.Series(pd.Timestamp(self.instant).as_unit("us"), index=index)

    def arrived_on(self, index: pd.Index) -> pd.Series:
        """New York date of arrival, once per row."""
        return exchange_day(self.arrived(index))


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Symbols asked for, those trading at asof, and which of these have a bar for it.

    `late` ones have none because the vendor did not deliver. `newest`: of a source that hands over
    everything, the last day with a bar. `current` were not asked for: they have their bar, and only
    stale ones are wanted.
    """

    symbols: Sequence[str]
    active: Sequence[str]
    with_bar: Sequence[str]
    late: Sequence[str] = ()
    current: Sequence[str] = ()
    newest: Mapping[str, date] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether enough active symbols have a bar."""
        known = bool(self.active or self.current)
        return known and len(self.with_bar) >= COMPLETE_FRAC * len(self.active)

    @property
    def awaited(self) -> bool:
        """Whether enough would have one, once the late ones are delivered."""
        return len(self.with_bar) + len(self.late) >= COMPLETE_FRAC * len(self.active)

    @property
    def lacking(self) -> list[str]:
        """Active symbols without a bar, in order."""
        return sorted(set(self.active) - set(self.with_bar))

    @property
    def words(self) -> str:
        """What is there and what is not, for people."""
        return (
            f"{len(self.with_bar)} of {len(self.active)} active symbols have a bar, expected "
            f"{COMPLETE_FRAC:.0%}; without: {self.lacking[:20]}"
        )


def frame(rows: pa.Table) -> pd.DataFrame:
    """Arrow rows as a frame; days are datetime64, not objects."""
    made: pd.DataFrame = rows.to_pandas(date_as_object=False)
    return made


def arrow(rows: pd.DataFrame, table: Table, store: Store) -> pa.Table:
    """A frame as rows of a table; columns it lacks are null."""
    schema = store.read(table.name, asof=date.min).schema
    columns = [
        pa.nulls(len(rows), spec.type)
        if spec.name not in rows
        else _column(rows[spec.name], spec.type)
        for spec in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema).sort_by(
        [(name, "ascending") for name in (*table.key, "revision")]
    )


def _column(values: pd.Series, kind: pa.DataType) -> pa.Array:
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_convert(None)
    made = pa.array(values, from_pandas=True)
    if isinstance(made, pa.ChunkedArray):
        made = made.combine_chunks()
    return made.cast(kind)
