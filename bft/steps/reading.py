"""What `screen` and `report` read alike: gold on the asof basis, and where the night came from."""

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from bft.domain import origin
from bft.ports import Ports, Store
from bft.steps.record import pull_of

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
    about, held = pull_of(store, asof), origin.remembered(store)
    found = about["args"].get("source") or "alphavantage" if about else held and held.source
    return str(found or "unknown").partition(":")[0]
