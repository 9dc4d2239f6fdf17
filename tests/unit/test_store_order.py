"""Rows in key order against Arrow's own sort."""

from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from bft.adapters.store.order import by_key, repeats

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
