"""What gate, promote, rollback, train and models share: candidates, reports, moves, the mirror.

Torch and MLflow are imported by none of it before a pointer has moved.
"""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from bft.domain.errors import BftError, ConfigError, DataError
from bft.domain.forecast import MODEL_NAMES
from bft.domain.runs import Json
from bft.models import audit
from bft.models.model_set import (
    Entry,
    ModelSet,
    absent_artifacts,
    canonical,
    digest_of,
    read_set,
    report_digest,
)
from bft.ports import Pointer, Ports, Store
from bft.steps.record import PACKAGE

MIRROR = "registry/mirror.json"
SET_MODEL = "bft-set"
MIRROR_WAIT_S = 30.0


def model_name(name: str) -> str:
    """Name of one of the nine in MLflow."""
    return f"bft-{name}"


def candidates(store: Store) -> dict[str, Json]:
    """Newest trained version of each name."""
    keys = {name: f"candidates/{name}.json" for name in MODEL_NAMES}
    return {name: json.loads(store.get(key)) for name, key in keys.items() if store.digest(key)}


def put_candidate(ports: Ports, row: Json) -> None:
    """Make a version the candidate, unless one of a newer day is."""
    name = row["name"]
    known = candidates(ports.store).get(name)
    if known is None or known["asof"] <= row["asof"]:
        ports.tracker.set_alias(model_name(name), "candidate", row["version"])
        ports.store.put(f"candidates/{name}.json", canonical(row))


def tag_candidates(ports: Ports, key: str, texts: Mapping[str, str]) -> str:
    """Tag the newest version of each name in MLflow; `done`, or why that waits.

    A tag that stands is not set again. MLflow is no authority: its absence stops no gate.
    """
    try:
        for name, row in candidates(ports.store).items():
            versions = ports.tracker.versions(model_name(name)) if name in texts else []
            for one in versions:
                if one.version == row["version"] and one.tags.get(key) != texts[name]:
                    ports.tracker.tag_version(one.name, one.version, key, texts[name])
    except BftError as error:
        return f"waits: {error}"
    return "done"


def entry_of(name: str, row: Json, *, origin: str) -> Entry:
    """Set entry of a candidate row."""
    return Entry(
        name=name,
        version=row["version"],
        digest=row["digest"],
        train_end=row["train_end"],
        origin=origin,
    )


def production(ports: Ports) -> tuple[Pointer, ModelSet | None]:
    """The pointer and the set it names."""
    pointer = ports.state.pointer("production")
    found = read_set(ports.store, pointer.set_digest) if pointer.set_digest else None
    return pointer, found


def demoted(ports: Ports, digest: str) -> bool:
    """Whether the set's models were rolled back, as this set or another one, and not since back.

    A set judged anew has another digest for the same nine artifacts.
    """
    own = read_set(ports.store, digest).digests()

    @cache
    def alike(other: str) -> bool:
        return other == digest or read_set(ports.store, other).digests() == own

    return audit.demoted(ports.state.audit(), alike)


def data_folder(setting: str, name: str) -> Path:
    """Folder of the checkout's `mlflow/NAME`, or the one that is set.

    Raises:
        ConfigError: there is none.
    """
    folder = Path(setting) if setting else PACKAGE.parent / "mlflow" / name
    if not folder.is_dir():
        raise ConfigError(f"no folder {folder}; set BFT_{name.upper()}_DIR")
    return folder


def read_yaml(file: Path) -> Any:
    """Parse a YAML file.

    Raises:
        ConfigError: absent (names what there is) or not YAML.
    """
    import yaml

    try:
        return yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        known = ", ".join(sorted(path.stem for path in file.parent.glob("*.yaml")))
        raise ConfigError(f"no {file.stem} in {file.parent}; there are {known}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: {error}") from error


def put_report(store: Store, asof: str, report: Json, set_digest: str | None) -> dict[str, str]:
    """Store a gate report under its digest and as the newest of its day."""
    digest = report_digest(report)
    newest = {"report_digest": digest, "set_digest": set_digest}
    rows = {f"gates/{digest}.json": report, f"gates/asof={asof}/newest.json": newest}
    return {key: store.put(key, canonical(row)) for key, row in rows.items()}


def read_report(store: Store, digest: str) -> Json:
    """A gate report by digest.

    Raises:
        DataError: absent or altered.
    """
    report: Json = json.loads(store.get(f"gates/{digest}.json"))
    if digest not in {report_digest(report), digest_of(report)}:  # the latter: older roots
        raise DataError(
            f"gate report {digest[:16]} was altered; run: bft gate --asof {report.get('asof')} "
            "--fresh"
        )
    return report


def newest_report(store: Store, asof: str) -> Json:
    """Digests of the newest gate report of a day and of the set it proposes; empty: none is."""
    key = f"gates/asof={asof}/newest.json"
    there = store.digest(key) is not None
    newest: Json = json.loads(store.get(key)) if there else {}
    return newest


def last_judged(store: Store) -> date | None:
    """The newest day that has a gate report, or None."""
    keys = [key for key in store.keys("gates/asof=") if key.endswith("/newest.json")]
    days = [key.removeprefix("gates/asof=").partition("/")[0] for key in keys]
    return date.fromisoformat(max(days)) if days else None


def live_key(asof: object) -> str:
    """Object that holds a day's live gate report."""
    return f"gates/asof={asof}/live.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A move of the pointer that is to be made."""

    action: str
    actor: str
    to: str
    expected_revision: int
    key: str
    reason: str
    at: datetime
    report_digest: str | None = None
    verdicts: Mapping[str, str] | None = None
    approvals: Sequence[str] = ()
    previous: str | None = None


def move(ports: Ports, wanted: Move) -> tuple[Pointer, bool]:
    """Move `production` in one transaction with its audit row.

    Raises:
        RefusedError: conflict, another revision is in place.
    """
    entry = {
        "ts_utc": wanted.at.isoformat(),
        "actor": wanted.actor,
        "action": wanted.action,
        "report_digest": wanted.report_digest,
        "verdicts": dict(wanted.verdicts or {}),
        "approvals": list(wanted.approvals),
        "reason": wanted.reason,
    }
    return ports.state.move_pointer(
        expected_revision=wanted.expected_revision,
        set_digest=wanted.to,
        entry=entry,
        key=wanted.key,
        previous=wanted.previous,
    )


def after_move(ports: Ports, *, wait_s: float = MIRROR_WAIT_S) -> str:
    """Make exports and MLflow say what the pointer says; `done`, or why that waits.

    The pointer has moved: no fault here may look as if it had not.
    """
    try:
        mirror(ports, wait_s=wait_s)
    except BftError as error:
        return f"waits: {error}"
    return "done"


def mirror(ports: Ports, *, wait_s: float = MIRROR_WAIT_S) -> None:
    """Write the exports and MLflow's aliases from the SQL pointer, one process at a time.

    Whoever comes last reads the newest pointer, so an older one never stays (ADR 0010).

    Raises:
        RefusedError: another process is at it, or took over.
        UnavailableError: MLflow does not answer; `bft models --repair` mirrors later.
    """
    with ports.state.lease("promotion", wait_s=wait_s) as check:
        _export(ports, check)
        _mirror(ports, check)


def _export(ports: Ports, check: Callable[[], None]) -> None:
    pointer, current = production(ports)
    rows = ports.state.audit()
    entries = [
        {"name": e.name, "version": e.version, "digest": e.digest, "train_end": e.train_end}
        for e in (current.entries if current else ())
    ]
    registry = {
        "schema": "bft.registry/1",
        "revision": pointer.revision,
        "aliases": aliases(ports),
        "models": entries,
        "moved_utc": rows[-1]["ts_utc"] if rows else None,
        "history": [
            {key: row[key] for key in ("seq", "ts_utc", "actor", "action", "from", "to", "reason")}
            for row in rows
        ],
    }
    text = json.dumps(registry, indent=1, sort_keys=True) + "\n"
    check()
    ports.store.put("exports/registry.json", text.encode())
    ports.store.put("exports/production.alias", f"{pointer.set_digest or ''}\n".encode())


def aliases(ports: Ports) -> dict[str, str | None]:
    """Set digest of each alias the SQL pointer knows."""
    return {alias: ports.state.pointer(alias).set_digest for alias in ("production", "previous")}


def _mirror(ports: Ports, check: Callable[[], None]) -> None:
    wanted: dict[str, dict[str, str | None]] = {model_name(n): {} for n in MODEL_NAMES}
    wanted[SET_MODEL] = {}
    for alias, digest in aliases(ports).items():
        found = read_set(ports.store, digest) if digest else None
        for name in MODEL_NAMES:
            version = found.entry(name).version if found else None
            wanted[model_name(name)][alias] = version
        wanted[SET_MODEL][alias] = _set_version(ports, digest, found) if digest and found else None
    for name, by_alias in wanted.items():
        there = ports.tracker.aliases(name)
        for alias, version in by_alias.items():
            if there.get(alias) != version:
                check()
                ports.tracker.set_alias(name, alias, version)
    revision = ports.state.pointer("production").revision
    check()
    ports.store.put(MIRROR, canonical({"revision": revision, "aliases": wanted}))


def requests(ports: Ports) -> dict[str, str]:
    """Versions to which a person moved the alias `production`, by MLflow name.

    An alias that still stands where it was last mirrored is no request.
    """
    if ports.store.digest(MIRROR) is None:
        return {}
    mirrored = json.loads(ports.store.get(MIRROR))["aliases"]
    now = {name: ports.tracker.aliases(name).get("production") for name in mirrored}
    return {
        name: version
        for name, version in now.items()
        if version is not None and version != mirrored[name].get("production")
    }


def chain_fault(ports: Ports) -> str | None:
    """What is wrong with the audit chain or with the pointer it should end at."""
    rows, pointer = ports.state.audit(), ports.state.pointer("production")
    found = audit.fault(rows)
    if found:
        return found
    last = rows[-1] if rows else {"seq": 0, "to": None, "revision": 0}
    if (pointer.audit_seq, pointer.set_digest) != (last["seq"], last["to"]):
        return f"the pointer names row {pointer.audit_seq}, the audit ends at row {last['seq']}"
    return None


def _set_version(ports: Ports, digest: str, found: ModelSet) -> str:
    for version in ports.tracker.versions(SET_MODEL):
        if version.tags.get("digest") == digest:
            return version.version
    run = ports.tracker.start(
        f"set {found.asof}", run_key=f"set-{digest}", tags={"bft.kind": "set", "asof": found.asof}
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "set.json").write_bytes(ports.store.get(f"sets/{digest}.json"))
        made = ports.tracker.register(
            SET_MODEL,
            Path(folder),
            run=run,
            tags=_set_tags(digest, found),
            description=_about(found),
        )
    ports.tracker.finish(run)
    return made.version


def _set_tags(digest: str, found: ModelSet) -> dict[str, str]:
    report = found.gate_report_digest
    paper = str(found.paper_only).lower()
    return {"digest": digest, "asof": found.asof, "gate_report": report, "paper_only": paper}


def _about(found: ModelSet) -> str:
    lines = [f"Nine models as of {found.asof}" + (", paper only" if found.paper_only else "")]
    lines += [
        f"- {e.name}: version {e.version or '-'}, {(e.digest or 'absent')[:16]}, {e.origin}"
        for e in found.entries
    ]
    return "\n".join(lines)


def intact(ports: Ports, digest: str) -> ModelSet:
    """A set whose artifacts are all in the root.

    Raises:
        DataError: names what is absent or altered.
    """
    found = read_set(ports.store, digest)
    gone = absent_artifacts(ports.store, found)
    if gone:
        raise DataError(
            f"set {digest[:16]}: artifacts of {', '.join(gone)} are absent or altered; "
            "restore them, or name another set with --to"
        )
    return found
