"""What `screen` and `report` read alike: gold on the asof basis, and where the night came from."""

import json
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from bft.domain import origin
from bft.ports import Ports, Store

if TYPE_CHECKING:
    import pyarrow as pa

BASIS_COLUMNS = ("symbol", "date", "adj_factor", "split_factor", "row_flags")


def gold_asof(
    ports: Ports, asof: date, *, columns: Sequence[str], since: date | None = None
) -> "pa.Table":
    """Rows of gold up to asof, prices on the basis of asof; sorted by symbol and date."""
    from bft.features.basis import rebase

    names = list(dict.fromkeys([*BASIS_COLUMNS, *columns]))
    rows = ports.store.read("gold", asof=asof, columns=names, since=since)
    return rebase(rows, asof=asof) if rows.num_rows else rows


def source_of(store: Store, asof: date) -> str:
    """Source that the pull of asof names, else that of the root, or unknown."""
    key = f"lineage/pull/{asof}.json"
    if store.digest(key) is None:
        held = origin.remembered(store)
        return held.source.partition(":")[0] if held else "unknown"
    found = json.loads(store.get(key))["args"].get("source")
    return str(found or "alphavantage").partition(":")[0]
