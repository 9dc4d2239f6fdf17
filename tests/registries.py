"""A registry for tests: artifacts, sets and reports in a root, a tracker in memory."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fakes import FakePorts

from bft.adapters.store.state import SqlState
from bft.domain.errors import UnavailableError
from bft.domain.forecast import MODEL_NAMES
from bft.domain.runs import ModelVersion
from bft.models.model_set import Entry, ModelSet, write_set
from bft.steps import registry

ASOF = "2026-01-05"
EVENING = "2026-01-05T23:00:00+00:00"


@dataclass
class MemoryTracker:
    """The Tracker port in memory; `down` makes it answer nothing."""

    down: bool = False
    models: dict[str, list[ModelVersion]] = field(default_factory=dict)
    moved: dict[str, dict[str, str]] = field(default_factory=dict)
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def start(
        self, name: str, *, run_key: str, tags: Mapping[str, str], parent: str | None = None
    ) -> str:
        about = {"name": name, "tags": dict(tags), "parent": parent, "metrics": {}, "params": {}}
        self.runs.setdefault(run_key, about)
        return run_key

    def params(self, run: str, values: Mapping[str, object]) -> None:
        self.runs[run]["params"].update(values)

    def describe(self, run: str, text: str) -> None:
        self.runs[run]["description"] = text

    def dataset(self, run: str, name: str, *, digest: str, about: Mapping[str, object]) -> None:
        self.runs[run]["dataset"] = (name, digest, dict(about))

    def metrics(self, run: str, values: Sequence[Any]) -> None:
        for one in values:
            self.runs[run]["metrics"].setdefault((one.name, one.step), one.value)

    def artifacts(self, run: str, folder: Path, *, to: str = "") -> None:
        names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
        self.runs[run].setdefault("artifacts", {})[to] = names

    def finish(self, run: str, *, status: str = "FINISHED") -> None:
        self.runs[run]["status"] = status

    def register(
        self, name: str, folder: Path, *, run: str, tags: Mapping[str, str], description: str = ""
    ) -> ModelVersion:
        self._ask()
        known = self.models.setdefault(name, [])
        for one in known:
            if one.tags["digest"] == tags["digest"]:
                return one
        version = str(len(known) + 1)
        made = ModelVersion(name=name, version=version, run_id=run, tags=dict(tags))
        known.insert(0, made)
        return made

    def versions(self, name: str) -> list[ModelVersion]:
        self._ask()
        return list(self.models.get(name, []))

    def aliases(self, name: str) -> dict[str, str]:
        self._ask()
        return dict(self.moved.get(name, {}))

    def set_alias(self, name: str, alias: str, version: str | None) -> None:
        self._ask()
        there = self.moved.setdefault(name, {})
        there.pop(alias, None)
        if version is not None:
            there[alias] = version

    def tag_version(self, name: str, version: str, key: str, value: str) -> None:
        self._ask()
        for one in self.models[name]:
            if one.version == version:
                one.tags[key] = value  # type: ignore[index]  # a dict here

    def _ask(self) -> None:
        if self.down:
            raise UnavailableError("MLflow does not answer")


def with_registry(ports: FakePorts) -> FakePorts:
    """Give ports an SQL state in their root and a tracker in memory."""
    url = f"sqlite:///{Path(ports.store.root) / 'state.db'}"
    Path(ports.store.root).mkdir(parents=True, exist_ok=True)
    ports.state = SqlState(url, clock=ports.clock)
    ports.tracker = MemoryTracker()
    return ports


def put_artifact(ports: FakePorts, word: str, *, created: str = EVENING) -> str:
    """An artifact folder whose digest depends on `word`."""
    about = {"created_utc": created, "name": word}
    files = {"model.json": json.dumps(about).encode(), "weights.pt": word.encode()}
    sums = "".join(f"{hashlib.sha256(b).hexdigest()}  {n}\n" for n, b in sorted(files.items()))
    digest = hashlib.sha256(sums.encode()).hexdigest()
    evaluation = json.dumps({"metrics": {"rank_ic": 0.02}}).encode()
    more = {
        "SHA256SUMS": sums.encode(),
        "evaluation.json": evaluation,
        "card.md": b"# " + word.encode(),
    }
    for name, data in {**files, **more}.items():
        ports.store.put(f"models/{digest}/{name}", data)
    return digest


def put_set(
    ports: FakePorts,
    word: str,
    *,
    verdict: str = "pass",
    gates: str = "bootstrap",
    created: str = EVENING,
    absent: Sequence[str] = (),
    note: str = "",
    reg_3d: str = "",
) -> str:
    """A gated set as `bft gate` leaves it; artifacts depend on `word` (one also on `reg_3d`)."""
    made = {
        name: put_artifact(
            ports, f"{name} {word}{reg_3d if name == 'reg_3d' else ''}", created=created
        )
        for name in MODEL_NAMES
        if name not in absent
    }
    for name, digest in made.items():
        ports.tracker.register(f"bft-{name}", Path(), run="r", tags={"digest": digest})
    entries = tuple(
        Entry(
            name=name,
            version=str(len(ports.tracker.versions(f"bft-{name}"))) if name in made else None,
            digest=made.get(name),
            train_end="2025-12-01" if name in made else None,
            origin="candidate" if name in made else "absent",
        )
        for name in MODEL_NAMES
    )
    pointer = ports.state.pointer("production")
    report = {
        "schema": "bft.gate_report/1",
        "models": [],
        "asof": ASOF,
        "gates": gates,
        "verdict": verdict,
        "revision": pointer.revision,
        "note": note,
        "rules": [{"id": "leak", "model": "reg_3d", "verdict": verdict, "reason": "leak"}],
    }
    model_set = ModelSet(
        created_utc=EVENING,
        asof=ASOF,
        entries=entries,
        feature_set="f",
        gate_report_digest=registry.digest_of(report),
        paper_only=gates != "nightly",
    )
    digest = write_set(ports.store, model_set)
    registry.put_report(ports.store, ASOF, report, digest)
    return digest
