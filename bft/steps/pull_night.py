"""What one pull holds on to: its day and instants, what it left out, what it publishes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bft.domain.delivery import Skips
from bft.domain.market import Table
from bft.features.arrivals import Arrivals
from bft.features.known import exchange_day
from bft.ports import Store
from bft.steps.months import closing


@dataclass(kw_only=True)
class Night:
    """One pull: `base` is the session before asof, whose tables a delivery is compared with.

    `past`: asof was over by the source's clock, so everything counts as backfilled. `partial`:
    only some facts are asked for; `only`: of these symbols, what the same day holds of others
    stays.
    """

    store: Store
    asof: date
    base: date
    instant: datetime
    source: str
    bulk: bool
    past: bool
    partial: bool
    only: Sequence[str] | None = None
    skips: Skips = field(default_factory=Skips)
    tables: dict[str, pa.Table] = field(default_factory=dict)
    revisions: int = 0

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
        """Stamp new rows and hold them for publishing; `known_at` covers `found.rows`."""
        self.revisions += found.count("revised")
        rows = found.rows.assign(
            known_at=known_at,
            arrived_at=self.arrived(found.rows.index),
            source=self.source,
            backfilled=backfilled,
        )
        self.tables[table.name] = arrow(rows, table, self.store)

    def publish(self) -> dict[str, str]:
        """Write each table's partition of asof; a table without news keeps its manifest."""
        objects: dict[str, str] = {}
        partition = f"arrived={self.asof}"
        for name, rows in sorted(self.tables.items()):
            last = self.store.manifest(name, asof=self.asof)
            again = last is not None and last.asof == self.asof
            if not (rows.num_rows or again):
                continue
            held = self._held(name, partition) if again else rows.slice(0, 0)
            closed, drops = closing(self.store, name, asof=self.asof)
            parts = {partition: pa.concat_tables([held, rows]), **closed}
            made = self.store.publish(name, asof=self.asof, partitions=parts, drops=drops)
            objects |= {o.key: o.digest for o in made.objects if o.partition in parts}
        return objects

    def _held(self, table: str, partition: str) -> pa.Table:
        """What an earlier pull of this day holds of symbols that this one leaves alone."""
        rows = self.store.read(table, asof=self.asof, partitions=[partition])
        if self.only is None or "symbol" not in rows.column_names:
            return rows.slice(0, 0)
        mine = pc.is_in(rows["symbol"], pa.array(list(self.only), pa.string()))
        return rows.filter(pc.invert(mine))

    def arrived(self, index: pd.Index) -> pd.Series:
        """The run's instant, once per row."""
        return pd.Series(pd.Timestamp(self.instant).as_unit("us"), index=index)

    def arrived_on(self, index: pd.Index) -> pd.Series:
        """New York date of arrival, once per row."""
        return exchange_day(self.arrived(index))


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


def counts(tables: Mapping[str, pa.Table]) -> dict[str, int]:
    """Rows by table."""
    return {name: rows.num_rows for name, rows in sorted(tables.items())}


def _column(values: pd.Series, kind: pa.DataType) -> pa.Array:
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_convert(None)
    made = pa.array(values, from_pandas=True)
    if isinstance(made, pa.ChunkedArray):
        made = made.combine_chunks()
    return made.cast(kind)
