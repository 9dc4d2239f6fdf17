"""Pulled partitions that come late, twice, or are broken: what later manifests hold of them."""

from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bft.adapters.store.folder import FolderObjects
from bft.adapters.store.tables import TableStore, schema
from bft.domain.errors import DataError

MONDAY, WEDNESDAY = date(2025, 1, 6), date(2025, 1, 8)


@pytest.fixture
def store(tmp_path: Path) -> TableStore:
    return TableStore(FolderObjects(tmp_path))


def macro(value: float) -> pa.Table:
    row = dict.fromkeys(schema("macro").names) | {"series": "cpi", "revision": 0, "value": value}
    return pa.Table.from_pylist([row | {"reference_on": MONDAY}], schema=schema("macro"))


def values(store: TableStore, day: date) -> list[float]:
    return sorted(store.read("macro", asof=day)["value"].to_pylist())


def test_broken_pulled_object_names_the_pull_that_wrote_it(store: TableStore) -> None:
    store.publish("macro", asof=MONDAY, partitions={"arrived=1": macro(1.0)})
    late = store.publish("macro", asof=WEDNESDAY, partitions={"arrived=3": macro(3.0)})
    assert store.faults(late) == {}
    store.delete(late.objects[0].key)
    assert store.faults(late).keys() == {"arrived=1"}
    with pytest.raises(DataError, match=f"a backup, or .*: bft pull --asof {MONDAY} --fresh, "):
        store.read("macro", asof=WEDNESDAY)


def test_night_filled_in_after_its_month_was_merged_reaches_later_manifests(
    store: TableStore,
) -> None:
    """What arrived then is in no merged month; pulled again, it is not handed on twice."""
    store.publish("macro", asof=WEDNESDAY, partitions={"month=2025-01": macro(3.0)})
    for value in (1.0, 2.0):
        store.publish("macro", asof=MONDAY, partitions={f"arrived={MONDAY}": macro(value)})
        assert values(store, MONDAY) == [value]
        assert values(store, WEDNESDAY) == [1.0, 3.0]


def test_publication_that_was_killed_half_way_is_completed_by_the_next(
    store: TableStore, tmp_path: Path
) -> None:
    store.publish("macro", asof=WEDNESDAY, partitions={"month=2025-01": macro(3.0)})
    objects = FolderObjects(tmp_path)
    puts: list[str] = []

    class Dying:
        def __getattr__(self, name: str) -> Any:
            return getattr(objects, name)

        def put(self, key: str, data: bytes) -> str:
            puts.append(key)
            if len(puts) == 2:
                raise KeyboardInterrupt
            return objects.put(key, data)

    part = {f"arrived={MONDAY}": macro(1.0)}
    with pytest.raises(KeyboardInterrupt):
        TableStore(Dying()).publish("macro", asof=MONDAY, partitions=part)
    assert len([key for key in puts if key.startswith("manifests/")]) == 2
    store.publish("macro", asof=MONDAY, partitions=part)
    assert values(store, MONDAY) == [1.0]
    assert values(store, WEDNESDAY) == [1.0, 3.0]
