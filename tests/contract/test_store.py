"""What every Store does, whatever lies under it."""

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from bft.adapters.store.folder import FolderObjects
from bft.adapters.store.tables import TableStore, schema
from bft.domain.errors import ConfigError, DataError

MONDAY, TUESDAY, WEDNESDAY = date(2025, 1, 6), date(2025, 1, 7), date(2025, 1, 8)


@pytest.fixture
def store(tmp_path: Path) -> TableStore:
    return TableStore(FolderObjects(tmp_path / "root"))


def outcomes(*rows: tuple[date, str, int, float]) -> pa.Table:
    names = ["asof", "symbol", "h", "y"]
    columns = dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    return pa.table(columns, schema=schema("outcomes"))


def test_objects_round_trip_list_and_create_once(store: TableStore) -> None:
    digest = store.put("a/b", b"one")
    assert store.get("a/b") == b"one"
    assert store.digest("a/b") == digest
    assert store.create("a/b", b"two") is False
    assert store.create("a/c", b"two") is True
    assert store.keys("a/") == ["a/b", "a/c"]
    store.delete("a/b")
    store.delete("a/b")
    assert store.digest("a/b") is None
    with pytest.raises(DataError, match="a/b"):
        store.get("a/b")


def test_read_returns_the_day_as_it_was_known(store: TableStore) -> None:
    store.publish("outcomes", asof=MONDAY, partitions={"known=1": outcomes((MONDAY, "A", 3, 0.1))})
    first = store.manifest("outcomes", asof=MONDAY)
    store.publish("outcomes", asof=TUESDAY, partitions={"known=2": outcomes((MONDAY, "B", 3, 0.2))})
    assert store.read("outcomes", asof=MONDAY)["symbol"].to_pylist() == ["A"]
    assert store.read("outcomes", asof=WEDNESDAY)["symbol"].to_pylist() == ["A", "B"]
    assert store.manifest("outcomes", asof=MONDAY) == first


def test_replaced_partition_leaves_the_older_manifest_readable(store: TableStore) -> None:
    store.publish("outcomes", asof=MONDAY, partitions={"known=1": outcomes((MONDAY, "A", 3, 0.1))})
    store.publish("outcomes", asof=TUESDAY, partitions={"known=1": outcomes((MONDAY, "A", 3, 0.9))})
    assert store.read("outcomes", asof=MONDAY)["y"].to_pylist() == pytest.approx([0.1])
    assert store.read("outcomes", asof=TUESDAY)["y"].to_pylist() == pytest.approx([0.9])


def test_publishing_again_writes_the_same_bytes(store: TableStore) -> None:
    part = {"known=1": outcomes((MONDAY, "B", 3, 0.1), (MONDAY, "A", 3, 0.2))}
    first = store.publish("outcomes", asof=MONDAY, partitions=part)
    files = {key: store.get(key) for key in store.keys("")}
    assert store.publish("outcomes", asof=MONDAY, partitions=part) == first
    assert {key: store.get(key) for key in store.keys("")} == files


def test_late_partition_reaches_later_manifests(store: TableStore) -> None:
    store.publish("outcomes", asof=TUESDAY, partitions={"known=2": outcomes((MONDAY, "B", 3, 0.2))})
    store.publish("outcomes", asof=MONDAY, partitions={"known=1": outcomes((MONDAY, "A", 3, 0.1))})
    assert store.read("outcomes", asof=TUESDAY)["symbol"].to_pylist() == ["A", "B"]


def test_altered_object_is_named_with_both_digests(store: TableStore, tmp_path: Path) -> None:
    done = store.publish(
        "outcomes", asof=MONDAY, partitions={"known=1": outcomes((MONDAY, "A", 3, 0.1))}
    )
    ref = done.objects[0]
    store.put(ref.key, b"PAR1 not any more")
    again = TableStore(FolderObjects(tmp_path / "root"))
    with pytest.raises(DataError, match=rf"{ref.key} has digest .*{ref.digest[:16]}"):
        again.read("outcomes", asof=MONDAY)


def test_repeated_key_and_odd_column_are_refused(store: TableStore) -> None:
    twice = outcomes((MONDAY, "A", 3, 0.1), (MONDAY, "A", 3, 0.2))
    with pytest.raises(DataError, match="1 repeated keys"):
        store.publish("outcomes", asof=MONDAY, partitions={"known=1": twice})
    odd = twice.rename_columns(["asof", "symbol", "h", "x"])
    with pytest.raises(DataError, match=r"\['x', 'y'\]"):
        store.publish("outcomes", asof=MONDAY, partitions={"known=1": odd})
    assert store.keys("") == []


def test_newer_schema_is_refused_with_both_versions(store: TableStore) -> None:
    store.put(
        "manifests/outcomes/asof=2025-01-06.json", b'{"schema": 9, "objects": [], "digest": ""}'
    )
    with pytest.raises(ConfigError, match="schema 9, this bft knows 1"):
        store.manifest("outcomes", asof=MONDAY)


def test_read_selects_columns_symbols_and_days(store: TableStore) -> None:
    rows = outcomes((MONDAY, "A", 3, 0.1), (TUESDAY, "A", 3, 0.2), (TUESDAY, "B", 3, 0.3))
    store.publish("outcomes", asof=WEDNESDAY, partitions={"known=1": rows})
    found = store.read("outcomes", columns=["y"], symbols=["A"], since=TUESDAY)
    assert found["y"].to_pylist() == pytest.approx([0.2])
