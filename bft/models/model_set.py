"""The model set: nine entries that are promoted, read and rolled back together.

A set lies in the root as `sets/<digest>.json`, canonical JSON whose sha256 is the digest. Nothing
here imports torch or MLflow: `rollback` must commit within a second of its start.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Protocol

from bft.domain.errors import DataError
from bft.domain.forecast import MODEL_NAMES
from bft.domain.runs import Json, check_finite

SCHEMA = "bft.set/1"
EXPIRES_DAYS, AGES_DAYS = 90, 30  # models specification, 9: excluded; warned about
ABSENT_AT_MOST = 2
QUORUM = MappingProxyType({"models": 7, "kinds_per_horizon": 2})
WEIGHTS = MappingProxyType(dict.fromkeys(MODEL_NAMES, 1.0))
MEASURED = frozenset({"batch_550_ms", "p95_ms", "max_ms", "artifact_mb"})
"""Gate metrics that a repeated training does not repeat: times, the size of notes on them."""


class _Objects(Protocol):
    """What is asked of a store."""

    def get(self, key: str) -> bytes: ...
    def put(self, key: str, data: bytes) -> str: ...
    def digest(self, key: str) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One of the nine; `digest` None means absent. `origin` is candidate, incumbent or absent."""

    name: str
    version: str | None
    digest: str | None
    train_end: str | None
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSet:
    """A set manifest."""

    created_utc: str
    asof: str
    entries: tuple[Entry, ...]
    feature_set: str
    gate_report_digest: str
    paper_only: bool
    weights: Mapping[str, float] = field(default_factory=lambda: dict(WEIGHTS))
    quorum: Mapping[str, int] = field(default_factory=lambda: dict(QUORUM))

    def entry(self, name: str) -> Entry:
        """Entry of that name."""
        return next(entry for entry in self.entries if entry.name == name)

    def digests(self) -> dict[str, str | None]:
        """Artifact digest by name."""
        return {entry.name: entry.digest for entry in self.entries}


def canonical(value: Any) -> bytes:
    """Canonical JSON: sorted keys, no spaces, UTF-8.

    Raises:
        DataError: a number that JSON cannot hold; names the path to it.
    """
    check_finite(value)
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def digest_of(value: Any) -> str:
    """sha256 hex of a value's canonical JSON."""
    return hashlib.sha256(canonical(value)).hexdigest()


def report_digest(report: Json) -> str:
    """Digest of a gate report without what a clock measured; those rules' verdicts count.

    A set holds it, and every forecast holds the set's digest: with the times in it a night that
    was killed and resumed would not end in the bytes of one that was not (specification, 8.1).
    """
    rules = [
        {**row, "value": None, "margin": None} if row.get("metric") in MEASURED else row
        for row in report["rules"]
    ]
    return digest_of({**report, "rules": rules})


def to_json(model_set: ModelSet) -> Json:
    """The manifest as JSON."""
    return {"schema": SCHEMA, **asdict(model_set)}


def from_json(body: Json) -> ModelSet:
    """Read a manifest.

    Raises:
        DataError: unknown schema or key, not the nine names once each, too many absent.
    """
    if body.get("schema") != SCHEMA:
        raise DataError(f"a model set of schema {body.get('schema')!r}; this bft reads {SCHEMA}")
    rest = {key: value for key, value in body.items() if key != "schema"}
    known = {f.name for f in fields(ModelSet)}
    if set(rest) != known:
        raise DataError(f"model set: unknown or missing keys {sorted(set(rest) ^ known)}")
    entries = tuple(Entry(**entry) for entry in rest["entries"])
    model_set = ModelSet(**{**rest, "entries": entries})
    _check(model_set)
    return model_set


def write_set(store: _Objects, model_set: ModelSet) -> str:
    """Write a set; returns its digest."""
    _check(model_set)
    data = canonical(to_json(model_set))
    return store.put(set_key(hashlib.sha256(data).hexdigest()), data)


def read_set(store: _Objects, digest: str) -> ModelSet:
    """Read a set and check that it is the one named.

    Raises:
        DataError: absent, altered, or not a set of nine.
    """
    data = store.get(set_key(digest))
    if hashlib.sha256(data).hexdigest() != digest:
        raise DataError(f"model set {digest[:16]} was altered; restore it, or roll back")
    return from_json(json.loads(data))


def set_key(digest: str) -> str:
    """Object that holds a set."""
    return f"sets/{digest}.json"


def absent_artifacts(store: _Objects, model_set: ModelSet) -> list[str]:
    """Names whose artifact is not in the root, or is another than the set says."""
    return [
        entry.name
        for entry in model_set.entries
        if entry.digest and not _intact(store, entry.digest)
    ]


def age_days(store: _Objects, digest: str, *, at: datetime) -> int:
    """Whole days from an artifact's training to `at`.

    Raises:
        DataError: the artifact is absent or has no `created_utc`.
    """
    about = json.loads(store.get(f"models/{digest}/model.json"))
    try:
        return (at - datetime.fromisoformat(about["created_utc"])).days
    except (KeyError, ValueError) as error:
        raise DataError(
            f"models/{digest[:16]}/model.json has no created_utc; train again"
        ) from error


def _intact(store: _Objects, digest: str) -> bool:
    if store.digest(f"models/{digest}/SHA256SUMS") != digest:
        return False
    lines = store.get(f"models/{digest}/SHA256SUMS").decode().splitlines()
    named = [line.split("  ", 1) for line in lines]
    return all(store.digest(f"models/{digest}/{path}") == found for found, path in named)


def _check(model_set: ModelSet) -> None:
    names = [entry.name for entry in model_set.entries]
    if sorted(names) != sorted(MODEL_NAMES):
        raise DataError(
            f"a model set has the nine models once each, this one {len(names)}: {names}"
        )
    absent = [entry.name for entry in model_set.entries if entry.digest is None]
    if len(absent) > ABSENT_AT_MOST:
        raise DataError(f"a model set may lack {ABSENT_AT_MOST} models, this one lacks {absent}")
    date.fromisoformat(model_set.asof)
