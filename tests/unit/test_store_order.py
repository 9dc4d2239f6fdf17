"""Rows in key order against Arrow's own sort."""

from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from bft.adapters.store.folder import FolderObjects
from bft.adapters.store.order import by_key, repeats
from bft.adapters.store.tables import TableStore, schema

dates = st.none() | st.dates()
rows = st.lists(st.tuples(st.none() | st.text("AB-", max_size=3), dates, st.integers(-5, 5)))


@settings(deadline=None, derandomize=True, max_examples=100)
@given(rows)
def test_by_key_orders_as_arrow_does_nulls_last(found: list) -> None:
    names = ["symbol", "day", "n"]
    columns = list(zip(*found, strict=True)) or [(), (), ()]
    types = (pa.string(), pa.date32(), pa.int16())
    table = pa.table({n: pa.array(c, t) for n, c, t in zip(names, columns, types, strict=True)})
    expected = table.sort_by([(name, "ascending") for name in names])
    assert by_key(table, names).equals(expected)
    assert repeats(expected, names) == len(found) - len(set(found))


def test_keys_too_wide_for_one_number_are_sorted_too() -> None:
    instants = [datetime(9000, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC), None]
    at = pa.array(instants, pa.timestamp("us", tz="UTC"))
    table = pa.table({"a": at, "b": at, "n": [1, 2, 3]})
    assert by_key(table, ["a", "b"])["n"].to_pylist() == [2, 1, 3]
    assert repeats(table, ["a", "b"]) == 0


def test_rows_of_one_key_come_as_they_arrived(tmp_path: Path) -> None:
    """Red: `arrived=2025-02-05` came before `month=2025-01`, for its name does."""
    store, arrow = TableStore(FolderObjects(tmp_path)), schema("universe")
    parts = {
        name: pa.Table.from_pylist([{"symbol": "A", "revision": n}], schema=arrow)
        for n, name in enumerate(["month=2025-01", "arrived=2025-01-30", "arrived=2025-02-05"])
    }
    store.publish("universe", asof=date(2025, 2, 5), partitions=parts)
    assert store.read("universe")["revision"].to_pylist() == [0, 1, 2]
