"""A root whose gold is a random walk: what training steps are tried on."""

from datetime import date

import numpy as np
import pyarrow as pa
from fakes import FakePorts
from synthetic import LAST, random_gold

from bft.adapters.store.tables import schema
from bft.domain.gold import INPUTS


def publish_gold(
    ports: FakePorts, *, symbols: int = 24, days: int = 560, seed: int = 1, planted: float = 0.3
) -> date:
    """Publish gold of every column (null where the walk has none) and return its day."""
    walk, inputs = random_gold(symbols=symbols, days=days, seed=seed, planted=planted)
    arrow = schema("gold")
    count = walk.num_rows
    cells: dict[str, pa.Array] = {}
    for field in arrow:
        if field.name in walk.column_names:
            cells[field.name] = walk[field.name].combine_chunks().cast(field.type)
        elif field.name in INPUTS:
            values = inputs[:, INPUTS.index(field.name)].astype(np.float64)
            whole = pa.types.is_integer(field.type)
            cells[field.name] = pa.array(np.sign(values) if whole else values).cast(field.type)
        else:
            cells[field.name] = pa.nulls(count, field.type)
    ones = pa.array(np.ones(count))
    for name in ("split_factor", "adj_factor"):
        cells[name] = ones.cast(arrow.field(name).type)
    cells["volume"] = pa.array(np.full(count, 1_000_000)).cast(arrow.field("volume").type)
    rows = pa.table(cells, schema=arrow)
    ports.store.publish("gold", asof=LAST, partitions={"all": rows}, replaces=True)
    return LAST
