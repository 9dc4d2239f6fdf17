"""Reading gold at asof A: prices as they were shown on that day (data specification, 3.1.3)."""

from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bft.domain.errors import DataError
from bft.domain.gold import COLUMNS, LOOKAHEAD
from bft.features.facts import Floats, numbers, spans

BASIS = b"basis"
"""Key of the schema metadata that names the day whose prices a table shows."""


def rebase(gold: pa.Table, *, asof: date) -> pa.Table:
    """Rows up to asof with back-adjusted prices as known at asof; other columns are as stored.

    Columns of basis C are multiplied by C(t)/C(A), those of basis S by S(t)/S(A), in f8, A being
    the symbol's last row. `gold` holds rows on their own day's basis, sorted by symbol and date;
    any subset of columns that has symbol, date and the factors. adj_factor and split_factor stay
    those of the row, so a rebased table must not be rescaled or made into inputs again.
    """
    own_basis(gold)
    rows = gold.filter(pc.less_equal(gold["date"], asof))
    scales = {"C": _scale(rows, "adj_factor"), "S": _scale(rows, "split_factor")}
    for column in COLUMNS:
        if column.basis in scales and column.name in rows.schema.names:
            place = rows.schema.get_field_index(column.name)
            kind = rows.schema.field(place).type
            values = numbers(rows[column.name]) * scales[column.basis]
            scaled = pa.array(values, type=pa.float64(), from_pandas=True).cast(kind)
            rows = rows.set_column(place, rows.schema.field(place), scaled)
    return rows.replace_schema_metadata({BASIS: str(asof)})


def own_basis(gold: pa.Table) -> None:
    """Check that rows are on their own day's basis.

    Raises:
        DataError: the table has been rebased.
    """
    found = (gold.schema.metadata or {}).get(BASIS)
    if found:
        raise DataError(f"gold is on the basis of {found.decode()}; hand in the rows as stored")


def with_targets(gold: pa.Table, targets: pa.Table) -> pa.Table:
    """Gold with columns 75-77 filled from gold_targets as known at asof."""
    key = _keys(gold)
    for name in LOOKAHEAD:
        rows = targets.filter(pc.equal(targets["horizon"], int(name.split("_")[1])))
        place = pc.index_in(key, value_set=_keys(rows))
        values = rows["value"].combine_chunks().take(place)
        at = gold.schema.get_field_index(name)
        gold = gold.set_column(at, gold.schema.field(at), values)
    return gold


def _scale(rows: pa.Table, name: str) -> Floats:
    factor = numbers(rows[name])
    last = np.array([b - 1 for _, b in spans(rows["symbol"]).values()], dtype=np.int64)
    sizes = np.diff(last, prepend=-1)
    return factor / np.repeat(factor[last], sizes)


def _keys(rows: pa.Table) -> pa.Array:
    day = rows["date"].cast(pa.int32()).cast(pa.string())
    joined = pc.binary_join_element_wise(rows["symbol"], day, " ")
    return joined.combine_chunks()
