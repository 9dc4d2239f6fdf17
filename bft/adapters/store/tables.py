"""Tables over objects: immutable Parquet partitions, and a manifest per table and asof.

Arrow is imported where rows are touched: finding out that work is finished needs manifests only.
"""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import date
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from bft.adapters.store.folder import sha256
from bft.domain import forecast, gold, market, trading
from bft.domain.errors import ConfigError, DataError
from bft.ports import Manifest, ObjectRef

if TYPE_CHECKING:
    import pyarrow as pa

SCHEMA_VERSION = 1
Lease = Callable[[], AbstractContextManager[Callable[[], None]]]
"""Makes a lease of the State port: what it yields raises once the lease is lost."""
WRITERS = 2  # threads that read or write objects of one table
TABLES = {
    table.name: table
    for table in (
        *market.RAW_TABLES,
        market.GOLD_TARGETS,
        market.QUALITY,
        gold.GOLD,
        forecast.FORECASTS,
        forecast.OUTCOMES,
        trading.SIGNALS,
        trading.PICKS,
    )
}
_RAW = frozenset(table.name for table in market.RAW_TABLES)
_MADE_BY = {
    **dict.fromkeys(("gold", "gold_targets"), "gold --full"),
    "gold_legacy": "gold --legacy",
    "quality": "validate",
    **dict.fromkeys(("forecasts", "outcomes"), "predict"),
    "forecasts_shadow": "predict --shadow",
    "signals": "scan",
    "picks": "rank",
}
"""The verb that makes a table of others, with its options."""
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
TABLES |= {
    name: market.Table(name=name, key=t.key, columns=t.columns, partition=t.partition)
    for name, t in (("forecasts_shadow", forecast.FORECASTS), ("gold_legacy", gold.GOLD))
}


class _Objects(Protocol):
    """What tables need of an object store."""

    root: Any

    def get(self, key: str) -> bytes: ...
    def put(self, key: str, data: bytes) -> str: ...
    def create(self, key: str, data: bytes) -> bool: ...
    def delete(self, key: str) -> None: ...
    def keys(self, prefix: str) -> list[str]: ...
    def digest(self, key: str) -> str | None: ...
    def path(self, key: str) -> Path: ...


@contextmanager
def _alone() -> Iterator[Callable[[], None]]:
    yield lambda: None


def schema(table: str) -> pa.Schema:
    """Arrow schema of a table."""
    import pyarrow as pa

    return pa.schema([(name, _types()[kind]) for name, kind in TABLES[table].columns])


@cache
def _types() -> dict[str, pa.DataType]:
    import pyarrow as pa

    return {
        "f4": pa.float32(),
        "f8": pa.float64(),
        "i1": pa.int8(),
        "i2": pa.int16(),
        "i4": pa.int32(),
        "i8": pa.int64(),
        "d": pa.date32(),
        "ts": pa.timestamp("us", tz="UTC"),
        "s": pa.string(),
        "b": pa.bool_(),
    }


class TableStore:
    """The Store port over any object store; without `lease`, it has the root to itself."""

    def __init__(self, objects: _Objects, *, lease: Lease = _alone) -> None:
        self._objects = objects
        self._lease, self._turn = lease, threading.RLock()
        self._check: Callable[[], None] | None = None
        self.root = str(objects.root)
        self.get, self.put, self.create = objects.get, objects.put, objects.create
        self.delete, self.keys, self.digest = objects.delete, objects.keys, objects.digest
        self.path = objects.path
        self._verified: set[tuple[str, str]] = set()

    def put_folder(self, key: str, folder: Path) -> dict[str, str]:
        """Publish the files of a folder, in path order."""
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {
            name: self.put(name, path.read_bytes())
            for path in files
            for name in [f"{key}/{path.relative_to(folder).as_posix()}"]
        }

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the lease; what is nested in it, and on this thread, shares it."""
        with self._turn:
            if self._check is not None:
                yield
                return
            with self._lease() as self._check:
                try:
                    yield
                finally:
                    self._check = None

    def publish(
        self,
        table: str,
        *,
        asof: date,
        partitions: Mapping[str, pa.Table],
        replaces: bool = False,
        drops: Sequence[str] = (),
    ) -> Manifest:
        """Write the partitions, then the manifest that names them."""
        named = cache(lambda: self._named(table))
        with ThreadPoolExecutor(WRITERS) as pool:  # encoding and hashing leave the interpreter
            refs = pool.map(
                lambda name: self._write(table, name, partitions[name], named), partitions
            )
            written = dict(zip(partitions, refs, strict=True))
        with self.exclusive():
            base = None if replaces else self._before(table, asof)
            held = base.objects if base else ()
            kept = {ref.partition: ref for ref in held if ref.partition not in drops}
            # Its own manifest last: it tells, after a kill too, that the later ones have it all.
            self._extend(table, asof, written)
            return self._put_manifest(table, asof, {**kept, **written})

    def manifest(self, table: str, *, asof: date | None = None) -> Manifest | None:
        """Newest manifest at or before `asof`."""
        found = [day for day in self._asofs(table) if asof is None or day <= asof]
        return self._load(table, found[-1]) if found else None

    def read(
        self,
        table: str,
        *,
        asof: date | None = None,
        columns: Sequence[str] | None = None,
        symbols: Sequence[str] | None = None,
        since: date | None = None,
        partitions: Sequence[str] | None = None,
    ) -> pa.Table:
        """Rows of the manifest, filtered, sorted by key; of one key as they arrived."""
        import pyarrow as pa

        from bft.adapters.store.order import by_key
        from bft.adapters.store.rows import Wanted

        manifest = self.manifest(table, asof=asof)
        spec, arrow = TABLES[table], schema(table)
        asked = [arrow.field(name) for name in (columns if columns is not None else arrow.names)]
        wanted = [
            ref
            for ref in (manifest.objects if manifest else ())
            if partitions is None or ref.partition in partitions
        ]
        wanted.sort(key=lambda ref: ref.partition.partition("=")[2])  # a month before its days
        day = next((name for name in ("date", "asof") if name in arrow.names), None)
        test = Wanted(symbols=symbols, since=since, day=day)
        names = list(dict.fromkeys([*(f.name for f in asked), *spec.key, *test.tested()]))
        words = [name for name in spec.key if pa.types.is_string(arrow.field(name).type)]
        with ThreadPoolExecutor(WRITERS) as pool:
            found = pool.map(
                lambda ref: test.load(self._sound_path(manifest, ref), names, words), wanted
            )
            parts = list(found)
        if not parts:
            # not `empty_table`, which would import pandas
            return pa.Table.from_batches([], pa.schema(asked))
        rows = by_key(pa.concat_tables(parts).unify_dictionaries(), spec.key)
        return rows.select([field.name for field in asked]).cast(pa.schema(asked)).combine_chunks()

    def _write(
        self,
        table: str,
        partition: str,
        rows: pa.Table,
        named: Callable[[], Collection[tuple[str, str]]],
    ) -> ObjectRef:
        data = _parquet(table, rows)
        digest = sha256(data)
        key = f"tables/{table}/{partition}.parquet"
        # An object that another manifest names is immutable: other bytes get another name. Created,
        # not put: of two writers at once, one finds the name taken. A broken object, of which a
        # manifest says that it is of these bytes, gets them back: earlier nights name it too.
        there = self.digest(key) == digest or self.create(key, data)
        if not there and self.digest(key) != digest:
            if (key, digest) not in named():
                key = f"tables/{table}/{partition}.{digest[:12]}.parquet"
            self.put(key, data)
        return ObjectRef(
            partition=partition, key=key, digest=digest, rows=rows.num_rows, size=len(data)
        )

    def _named(self, table: str) -> frozenset[tuple[str, str]]:
        """Keys and digests of all that manifests of a table name; a damaged one names nothing."""
        found: set[tuple[str, str]] = set()
        for day in self._asofs(table):
            with suppress(DataError):
                found |= {(ref.key, ref.digest) for ref in self._load(table, day).objects}
        return frozenset(found)

    def _sound_path(self, manifest: Manifest | None, ref: ObjectRef) -> Path:
        """The object as a file; its digest is checked once a process."""
        path = self.path(ref.key)
        if (ref.key, ref.digest) not in self._verified:
            if manifest and (fault := self._fault(manifest, ref)):
                raise DataError(fault)
            self._verified.add((ref.key, ref.digest))
        return path

    def _asofs(self, table: str) -> list[date]:
        prefix = f"manifests/{table}/asof="
        keys = self.keys(prefix)
        return sorted(
            date.fromisoformat(key.removeprefix(prefix).removesuffix(".json")) for key in keys
        )

    def _before(self, table: str, asof: date) -> Manifest | None:
        found = [day for day in self._asofs(table) if day < asof]
        return self._load(table, found[-1]) if found else None

    def _load(self, table: str, asof: date) -> Manifest:
        key = _manifest_key(table, asof)
        try:
            body = json.loads(self.get(key))
        except ValueError as error:
            raise DataError(
                f"{key} is no whole manifest ({error}); restore it from a backup, or make {table} "
                f"of {asof} again with --fresh"
            ) from error
        if body["schema"] > SCHEMA_VERSION:
            raise ConfigError(
                f"manifest {table} {asof} has schema {body['schema']}, "
                f"this bft knows {SCHEMA_VERSION}; upgrade bft"
            )
        objects = tuple(ObjectRef(**ref) for ref in body["objects"])
        return Manifest(table=table, asof=asof, objects=objects, digest=body["digest"])

    def _put_manifest(self, table: str, asof: date, refs: Mapping[str, ObjectRef]) -> Manifest:
        objects = tuple(refs[name] for name in sorted(refs))
        listed = [{name: getattr(ref, name) for name in ref.__slots__} for ref in objects]
        digest = sha256(json.dumps([(r.partition, r.digest) for r in objects]).encode())
        body = {"schema": SCHEMA_VERSION, "table": table, "digest": digest, "objects": listed}
        if self._check is not None:
            self._check()
        self.put(_manifest_key(table, asof), (json.dumps(body, indent=1) + "\n").encode())
        return Manifest(table=table, asof=asof, objects=objects, digest=digest)

    def _extend(self, table: str, asof: date, written: Mapping[str, ObjectRef]) -> None:
        """Hand partitions of asof on to later manifests that lack them."""
        days = self._asofs(table)
        own = self._load(table, asof).objects if asof in days else ()
        before = {ref.partition for ref in own}
        sound = cache(self._sound)
        for later in (day for day in days if day > asof):
            refs = {ref.partition: ref for ref in self._load(table, later).objects}
            lacking = {
                name: ref
                for name, ref in written.items()
                if _lacks(table, refs, name, again=name in before, sound=sound)
            }
            if lacking:
                self._put_manifest(table, later, {**refs, **lacking})

    def _sound(self, ref: ObjectRef) -> bool:
        return self.digest(ref.key) == ref.digest

    def faults(self, manifest: Manifest) -> dict[str, str]:
        """Partitions whose object is not the manifest's: what is wrong, and what mends it."""
        found = {ref.partition: self._fault(manifest, ref) for ref in manifest.objects}
        return {partition: text for partition, text in found.items() if text}

    def _fault(self, manifest: Manifest, ref: ObjectRef) -> str | None:
        digest = self.digest(ref.key)
        if digest == ref.digest:
            return None
        what = "is absent" if digest is None else f"has digest {digest[:16]}"
        found = f"object {ref.key} {what}, its manifest says {ref.digest[:16]}"
        return f"{found}; restore it from a backup, {self._mend(manifest, ref)}"

    def _mend(self, manifest: Manifest, ref: ObjectRef) -> str:
        """What writes an object again, where what it was made of is still there."""
        table, named = manifest.table, _DAY.search(ref.partition)
        day = named[0] if named and not table.startswith("gold") else str(manifest.asof)
        if table == market.QUOTES.name:  # a scan keeps its own
            return f"or scan again while {day} runs: the next quotes take its place"
        if "slot=" in ref.partition and "slot=close" not in ref.partition:
            return "for quotes of that hour come no more"
        if table in _MADE_BY:
            verb, _, options = _MADE_BY[table].partition(" ")
            again = f"or make it again: bft {verb} --asof {day} {options}".rstrip()
        else:
            again = f"or fetch it again: bft pull --asof {self._writer(table, ref)}"
        return f"{again} --fresh, then go on"

    def _writer(self, table: str, ref: ObjectRef) -> date:
        """Day of the pull that wrote an object: the first manifest that names it."""
        same = (ref.partition, ref.digest)
        return next(
            day
            for day in self._asofs(table)
            if same in {(one.partition, one.digest) for one in self._load(table, day).objects}
        )


def _manifest_key(table: str, asof: date) -> str:
    return f"manifests/{table}/asof={asof}.json"


def _lacks(
    table: str,
    refs: Mapping[str, ObjectRef],
    name: str,
    *,
    again: bool,
    sound: Callable[[ObjectRef], bool],
) -> bool:
    """Must a later manifest take a partition? `again`: it was handed on before.

    A month in one object holds all days of derived tables, but of pulled ones only what was there
    when it was merged: a night that is filled in afterwards is not in it. A pulled object that is
    broken is replaced; of derived tables the later day's own step makes its own.
    """
    pulled = table in _RAW
    if name in refs:
        return pulled and not sound(refs[name])
    merged = f"month={name.partition('=')[2][:7]}" in refs
    return not merged or (pulled and not again)


def _parquet(table: str, rows: pa.Table) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from bft.adapters.store.order import by_key, repeats

    arrow = schema(table)
    if rows.schema.names != arrow.names:
        odd = sorted(set(rows.schema.names) ^ set(arrow.names))
        raise DataError(f"table {table}: columns differ from its schema: {odd or 'order'}")
    try:
        rows = rows.cast(arrow).combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"table {table}: {error}") from error
    key = TABLES[table].key
    rows = by_key(rows, key)
    if "revision" not in arrow.names and (repeated := repeats(rows, key)):
        raise DataError(f"table {table}: {repeated} repeated keys {list(key)}")
    sink = io.BytesIO()
    # A dictionary pays for words, days and instants; numbers seldom repeat.
    words = [name for name, kind in TABLES[table].columns if kind in {"s", "d", "ts"}]
    pq.write_table(rows, sink, compression="zstd", store_schema=False, use_dictionary=words)
    return sink.getvalue()
