"""What every Store does, whatever lies under it."""

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import boto3
import pyarrow as pa
import pytest
from fakes import NOW, FixedClock

from bft.adapters.store.bucket import BucketObjects
from bft.adapters.store.folder import FolderObjects
from bft.adapters.store.state import SqlState, folder_url
from bft.adapters.store.tables import TableStore, schema
from bft.domain.errors import ConfigError, DataError, RefusedError, UnavailableError

MONDAY, TUESDAY, WEDNESDAY = date(2025, 1, 6), date(2025, 1, 7), date(2025, 1, 8)


@pytest.fixture(scope="module")
def s3_endpoint() -> Iterator[str]:
    """A local S3 server over HTTP (moto), with the bucket `bft`."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["folder", "s3"])
def open_objects(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[], Any]:
    """Opens the same root again, as another process would."""
    if request.param == "folder":
        return lambda: FolderObjects(tmp_path / "root")
    endpoint = request.getfixturevalue("s3_endpoint")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1").create_bucket(Bucket="bft")
    url = f"s3://bft/{hashlib.sha256(str(tmp_path).encode()).hexdigest()[:12]}"
    return lambda: BucketObjects(url, endpoint=endpoint, region="us-east-1")


@pytest.fixture
def open_store(open_objects: Callable[[], Any]) -> Callable[[], TableStore]:
    return lambda: TableStore(open_objects())


@pytest.fixture
def store(open_store: Callable[[], TableStore]) -> TableStore:
    return open_store()


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


def test_damaged_manifest_is_named_and_keeps_no_other_day_from_being_made(
    store: TableStore,
) -> None:
    """Red: a bare JSONDecodeError, also of a build that reads nothing of that day."""
    for day, y in ((MONDAY, 0.1), (TUESDAY, 0.2)):
        rows = outcomes((day, "A", 3, y))
        store.publish("outcomes", asof=day, partitions={"known=1": rows}, replaces=True)
    store.put(f"manifests/outcomes/asof={MONDAY}.json", b'{"schema": 1, "obj')
    again = {"known=1": outcomes((TUESDAY, "A", 3, 0.9))}
    store.publish("outcomes", asof=TUESDAY, partitions=again, replaces=True)
    assert store.read("outcomes", asof=TUESDAY)["y"].to_pylist() == pytest.approx([0.9])
    with pytest.raises(DataError, match=f"outcomes/asof={MONDAY}.json is no whole manifest"):
        store.read("outcomes", asof=MONDAY)


def test_publishing_again_writes_the_same_bytes(store: TableStore) -> None:
    part = {"known=1": outcomes((MONDAY, "B", 3, 0.1), (MONDAY, "A", 3, 0.2))}
    first = store.publish("outcomes", asof=MONDAY, partitions=part)
    files = {key: store.get(key) for key in store.keys("")}
    assert store.publish("outcomes", asof=MONDAY, partitions=part) == first
    assert {key: store.get(key) for key in store.keys("")} == files


def test_two_writers_at_once_leave_both_manifests_readable(
    open_store: Callable[[], TableStore],
) -> None:
    first, second = open_store(), open_store()
    look = first.digest

    def looked_too_early(key: str) -> str | None:
        found = look(key)
        first.digest = look
        second.publish("outcomes", asof=TUESDAY, partitions={"p": outcomes((MONDAY, "B", 3, 2.0))})
        return found

    first.digest = looked_too_early
    first.publish("outcomes", asof=MONDAY, partitions={"p": outcomes((MONDAY, "A", 3, 1.0))})
    symbols = [open_store().read("outcomes", asof=day)["symbol"] for day in (MONDAY, TUESDAY)]
    assert [found.to_pylist() for found in symbols] == [["A"], ["B"]]


class Interrupted:
    """Objects that do something once, in the middle of a publication: when `key` is read."""

    def __init__(self, objects: Any, key: str, then: Callable[[], None]) -> None:
        self._objects, self._key, self._then = objects, key, then

    def __getattr__(self, name: str) -> Any:
        return getattr(self._objects, name)

    def get(self, key: str) -> bytes:
        data: bytes = self._objects.get(key)
        if key == self._key:
            self._key = ""
            self._then()
        return data


def test_publications_at_once_take_turns_and_both_reach_later_manifests(
    open_objects: Callable[[], Any], tmp_path: Path
) -> None:
    """Each extends the manifest of a later day: read, changed, written."""
    state = SqlState(folder_url(tmp_path), clock=FixedClock())

    def opened(objects: Any) -> TableStore:
        return TableStore(objects, lease=lambda: state.lease("tables", wait_s=30))

    late = {"w": outcomes((WEDNESDAY, "W", 3, 0.0))}
    opened(open_objects()).publish("outcomes", asof=WEDNESDAY, partitions=late)
    second = Thread(
        target=opened(open_objects()).publish,
        args=("outcomes",),
        kwargs={"asof": TUESDAY, "partitions": {"b": outcomes((TUESDAY, "B", 3, 2.0))}},
    )

    def overtake() -> None:
        second.start()
        second.join(timeout=0.5)  # without a lease it is done by then

    key = f"manifests/outcomes/asof={WEDNESDAY}.json"
    first = opened(Interrupted(open_objects(), key, overtake))
    first.publish("outcomes", asof=MONDAY, partitions={"a": outcomes((MONDAY, "A", 3, 1.0))})
    second.join()
    state.close()
    found = TableStore(open_objects()).read("outcomes", asof=WEDNESDAY)["symbol"].to_pylist()
    assert found == ["A", "B", "W"]


def test_nothing_is_published_without_the_lease(
    open_objects: Callable[[], Any], tmp_path: Path
) -> None:
    """Another process holds it, or it was lost meanwhile; parts of a step share one lease."""
    here = folder_url(tmp_path)
    state, late = (
        SqlState(here, clock=FixedClock(at)) for at in (NOW, NOW + timedelta(minutes=10))
    )
    store = TableStore(open_objects(), lease=lambda: state.lease("tables"))
    part = {"a": outcomes((MONDAY, "A", 3, 1.0))}
    with late.lease("tables"), pytest.raises(RefusedError, match=f"pid {os.getpid()} on "):
        store.publish("outcomes", asof=MONDAY, partitions=part)
    with store.exclusive():
        store.publish("outcomes", asof=MONDAY, partitions=part)
        with pytest.raises(RefusedError, match="tables is held"), state.lease("tables"):
            pass
        with late.lease("tables"), pytest.raises(RefusedError, match="tables was lost"):
            store.publish("outcomes", asof=TUESDAY, partitions=part)
    assert store.keys("manifests/") == [f"manifests/outcomes/asof={MONDAY}.json"]
    state.close()
    late.close()


def test_late_partition_reaches_later_manifests(store: TableStore) -> None:
    store.publish("outcomes", asof=TUESDAY, partitions={"known=2": outcomes((MONDAY, "B", 3, 0.2))})
    store.publish("outcomes", asof=MONDAY, partitions={"known=1": outcomes((MONDAY, "A", 3, 0.1))})
    assert store.read("outcomes", asof=TUESDAY)["symbol"].to_pylist() == ["A", "B"]


def test_dropped_partitions_are_gone_from_the_new_manifest_alone(store: TableStore) -> None:
    for n, day in enumerate((MONDAY, TUESDAY), start=1):
        part = {f"known={day}": outcomes((day, "A", 3, 0.1 * n))}
        store.publish("outcomes", asof=day, partitions=part)
    both = store.read("outcomes", asof=TUESDAY)
    days = [f"known={day}" for day in (MONDAY, TUESDAY)]
    store.publish("outcomes", asof=WEDNESDAY, partitions={"month=2025-01": both}, drops=days)
    merged = store.manifest("outcomes", asof=WEDNESDAY)
    assert [ref.partition for ref in merged.objects] == ["month=2025-01"]
    assert store.read("outcomes", asof=WEDNESDAY).equals(both)
    assert store.read("outcomes", asof=TUESDAY).equals(both)


def test_late_day_of_a_merged_month_does_not_reach_later_manifests(store: TableStore) -> None:
    whole = outcomes((MONDAY, "A", 3, 0.1), (TUESDAY, "A", 3, 0.2))
    store.publish("outcomes", asof=WEDNESDAY, partitions={"month=2025-01": whole})
    late = {f"known={MONDAY}": outcomes((MONDAY, "A", 3, 0.1))}
    store.publish("outcomes", asof=MONDAY, partitions=late)
    assert store.read("outcomes", asof=WEDNESDAY).num_rows == 2
    assert store.read("outcomes", asof=MONDAY).num_rows == 1


def test_rows_are_sorted_by_key_even_where_the_key_is_not_asked_for(store: TableStore) -> None:
    for n, day in enumerate((TUESDAY, MONDAY)):
        part = {f"known={n}": outcomes((day, "A", 3, float(n)))}
        store.publish("outcomes", asof=day, partitions=part)
    assert store.read("outcomes", columns=["y"])["y"].to_pylist() == [1.0, 0.0]


def test_altered_object_is_named_with_both_digests(
    store: TableStore, open_store: Callable[[], TableStore]
) -> None:
    done = store.publish(
        "outcomes", asof=MONDAY, partitions={"known=1": outcomes((MONDAY, "A", 3, 0.1))}
    )
    ref = done.objects[0]
    store.put(ref.key, b"PAR1 not any more")
    again = open_store()
    with pytest.raises(DataError, match=rf"{ref.key} has digest .*{ref.digest[:16]}"):
        again.read("outcomes", asof=MONDAY)


def test_altered_object_made_again_is_sound_for_earlier_nights_too(store: TableStore) -> None:
    """Red: the bytes got another name, and the next night began with the broken object again."""
    part = {f"known={MONDAY}": outcomes((MONDAY, "A", 3, 0.1))}
    first = store.publish("outcomes", asof=MONDAY, partitions=part)
    store.put(first.objects[0].key, b"PAR1 not any more")
    later = store.publish("outcomes", asof=TUESDAY, partitions=part, replaces=True)
    assert later.objects == first.objects
    assert store.faults(first) == {}


def test_altered_object_says_what_can_be_done(store: TableStore) -> None:
    """Red: it named no command, but `the step that writes outcomes`."""
    part = f"known={MONDAY}"
    made = store.publish(
        "outcomes", asof=MONDAY, partitions={part: outcomes((MONDAY, "A", 3, 0.1))}
    )
    store.delete(made.objects[0].key)
    words = f"is absent.* make it again: bft predict --asof {MONDAY} --fresh, then"
    with pytest.raises(DataError, match=words):
        store.read("outcomes", asof=TUESDAY)


@pytest.mark.parametrize(
    ("table", "partition", "told"),
    [
        ("signals", f"asof={MONDAY},slot=close", f"again: bft scan --asof {MONDAY} --fresh, then"),
        ("signals", f"asof={MONDAY},slot=1005", "from a backup, for quotes of that hour come no"),
        ("quotes", f"arrived={MONDAY}", f"from a backup, or scan again while {MONDAY} runs"),
        ("picks", f"asof={MONDAY}", f"bft rank --asof {MONDAY} --fresh, then"),
        ("quality", f"asof={MONDAY}", f"bft validate --asof {MONDAY} --fresh, then"),
        ("forecasts_shadow", f"asof={MONDAY}", f"bft predict --asof {MONDAY} --shadow --fresh"),
        ("gold", "month=2025-01", f"bft gold --asof {TUESDAY} --full --fresh, then"),
        ("gold_targets", f"known={MONDAY}", f"bft gold --asof {TUESDAY} --full --fresh"),
    ],
)
def test_lost_object_names_the_command_that_makes_it(
    store: TableStore, table: str, partition: str, told: str
) -> None:
    made = store.publish(table, asof=TUESDAY, partitions={partition: schema(table).empty_table()})
    store.delete(made.objects[0].key)
    assert told in store.faults(made)[partition]


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


def test_folder_is_published_and_read_back_as_files(store: TableStore, tmp_path: Path) -> None:
    made = tmp_path / "made"
    (made / "plots").mkdir(parents=True)
    (made / "model.json").write_text("{}")
    (made / "plots" / "loss.png").write_bytes(b"png")
    written = store.put_folder("models/abc", made)
    assert sorted(written) == ["models/abc/model.json", "models/abc/plots/loss.png"]
    folder = store.path("models/abc")
    assert (folder / "plots" / "loss.png").read_bytes() == b"png"
    assert all(store.digest(key) == digest for key, digest in written.items())


def test_bucket_that_does_not_answer_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    objects = BucketObjects("s3://bft/x", endpoint="http://127.0.0.1:1", region="us-east-1")
    with pytest.raises(UnavailableError, match="s3://bft/x"):
        objects.put("key", b"data")


def test_root_that_is_not_writable_is_a_configuration_fault(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ConfigError, match="not writable"):
        FolderObjects(tmp_path / "file").put("key", b"data")


ODD_KEYS = ["../outside", "a/../../outside", "a/../b", "/etc/outside", "", "a//b", "./a", "a/"]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_key_that_is_no_plain_path_below_the_root_is_refused(store: TableStore, key: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: store.get(key),
        lambda: store.put(key, b"data"),
        lambda: store.create(key, b"data"),
        lambda: store.delete(key),
        lambda: store.digest(key),
        lambda: store.path(key),
    ]
    for call in calls:
        with pytest.raises(DataError, match="is no path below the root"):
            call()
    with pytest.raises(DataError, match="is no path below the root"):
        store.keys("../")
    assert store.keys("") == []


def test_link_that_leaves_the_root_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "out").symlink_to(tmp_path)
    with pytest.raises(DataError, match="leaves the root"):
        FolderObjects(tmp_path / "root").put("out/side", b"data")


def test_copies_made_at_once_do_not_disturb_each_other(
    open_store: Callable[[], TableStore],
) -> None:
    """Two processes of a node look at the same large artifact for the first time."""
    store = open_store()
    made = {f"models/abc/{n}": bytes([n]) * 1000 for n in range(25)}
    for key, data in made.items():
        store.put(key, data)
    start = Barrier(4)

    def copied(mine: TableStore) -> dict[str, bytes]:
        start.wait()
        folder = mine.path("models/abc")
        return {key: (folder / key.rpartition("/")[2]).read_bytes() for key in made}

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(copied, [open_store() for _ in range(4)])) == [made] * 4
    assert len(list(store.path("models/abc").iterdir())) == len(made)


def test_full_disk_is_unavailable_and_leaves_nothing_partial(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    mount = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path], capture_output=True
    )
    if mount.returncode:
        pytest.skip("this machine does not let root mount a tmpfs")
    try:
        objects = FolderObjects(tmp_path / "root")
        objects.put("small", b"x")
        with pytest.raises(UnavailableError, match=r"disk .* is full, writing large"):
            objects.put("large", b"x" * 200_000)
        assert [p.name for p in (tmp_path / "root").iterdir()] == ["small"]
    finally:
        subprocess.run(["umount", tmp_path], check=True)
