"""What `bft train` sends to compute: arrays, folds, one task per model, and their keys."""

import argparse
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from bft.domain import sessions
from bft.domain.errors import DataError, UsageError
from bft.domain.forecast import MODELS, ModelName
from bft.domain.runs import Json, Needs, Task
from bft.models.model_set import digest_of
from bft.ports import Manifest, Ports, Store
from bft.steps import gold_tables, registry
from bft.steps.lacking import need
from bft.steps.record import PACKAGE, code_digest

if TYPE_CHECKING:
    from bft.dataset.arrays import Arrays

CALL = "bft.models.fit:fit_model"
MODEL_CODE = ("domain", "dataset", "models")
ARRAY_CODE = ("domain", "dataset", "features", "steps.gold_tables")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Tasks by model name, with the facts that every run of this call is tagged with.

    A `study` is published and tracked, and makes no candidates (ADR 13).
    """

    tasks: dict[str, Task]
    tags: dict[str, str]
    study: bool


def names_of(word: str) -> list[ModelName]:
    """The nine, or the one that is named.

    Raises:
        UsageError: no such model; names the nearest.
    """
    by_name = {str(name): name for name in MODELS}
    if word == "all":
        return list(MODELS)
    if word not in by_name:
        near = get_close_matches(word, [*by_name, "all"], n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"no model {word!r}{hint} One of all, {', '.join(by_name)}")
    return [by_name[word]]


def profile_of(args: argparse.Namespace, name: ModelName) -> Json:
    """Effective profile: the file, then the flags, then `--override`."""
    from bft.models.profiles import effective

    flags = {
        "type": args.type,
        "folds": args.folds,
        "device": args.device,
        "baselines": "[]" if args.no_baselines else None,
    }
    overrides = [f"{key}={value}" for key, value in flags.items() if value is not None]
    folder = registry.data_folder(args.profiles_dir, "profiles")
    return effective(args.profile, str(name), [*overrides, *args.override], folder)


def plan(ports: Ports, args: argparse.Namespace, *, created: datetime) -> Plan:
    """Build or open the arrays and lay out one task per model.

    Raises:
        DataError: gold is stale, breaks its contract, or is too short for the folds.
        ConfigError: an unknown profile or key.
    """
    from bft.dataset.arrays import open_arrays

    profiles = {name: profile_of(args, name) for name in names_of(args.name)}
    manifest = need(ports, "gold", args.asof)
    clock = next(iter(profiles.values()))["clock"]
    folder = _arrays(ports.store, manifest, clock)
    arrays = open_arrays(folder)
    facts = {
        "asof": str(args.asof),
        "created_utc": created.isoformat(),
        "seed": args.seed,
        "gold_digest": manifest.digest,
        "simulated": arrays.simulated,
        "survivors_only": _survivors_only(ports.store, args.asof),
        "code": {"version": version("bft"), "lock": lock_digest()},
        "arrays": str(folder),
    }
    tasks = {
        str(name): _task(ports.store, args, name, profile, arrays, facts)
        for name, profile in profiles.items()
    }
    tags = {
        "profile": args.profile,
        "asof": str(args.asof),
        "seed": str(args.seed),
        "gold_digest": manifest.digest,
        "code_version": version("bft"),
        "lock_digest": lock_digest(),
        "simulated": str(arrays.simulated).lower(),
        "market_proxy": str(arrays.market_proxy).lower(),
    }
    return Plan(tasks=tasks, tags=tags, study=args.cpcv)


def lock_digest() -> str:
    """Digest of the locked requirements, where the checkout or image has them."""
    file = PACKAGE.parent / "requirements" / "train.txt"
    return digest_of(file.read_text(encoding="utf-8")) if file.exists() else "absent"


def arrays_folder(ports: Ports, asof: date, *, clock: str = "next_open") -> Path:
    """Arrays of the gold at or before a day, built on first use.

    Raises:
        DataError: there is no gold, or it breaks its contract.
    """
    manifest = ports.store.manifest("gold", asof=asof)
    if manifest is None:
        raise DataError(f"no gold at or before {asof}; run: bft gold --asof {asof}")
    return _arrays(ports.store, manifest, clock)


def _arrays(store: Store, manifest: Manifest, clock: str) -> Path:
    from bft.dataset.arrays import arrays_digest, build, cached_arrays
    from bft.dataset.members import with_members
    from bft.features.inputs import model_inputs

    code = code_digest(ARRAY_CODE)
    asof = manifest.asof
    digest = arrays_digest(
        gold_digest=manifest.digest,
        facts_digest=digest_of(gold_tables.digests(store, asof, ("macro", "universe"))),
        asof=asof,
        clock=clock,
        code=code,
    )

    def make(folder: Path) -> None:
        gold = store.read("gold", asof=asof)
        inputs = model_inputs(gold, macro=gold_tables.macro_read(store, asof))
        held = with_members(gold, gold_tables.known_universe(store, asof))
        build(held, inputs, folder, asof=asof, gold_digest=manifest.digest, clock=clock)

    return cached_arrays(store.path("cache/arrays"), digest, make)


def _survivors_only(store: Store, asof: date) -> bool:
    """Nobody ever left the universe: it was drawn from those that survived."""
    left = gold_tables.known_universe(store, asof)["to"]
    return bool(left.null_count == len(left))


def _task(
    store: Store,
    args: argparse.Namespace,
    name: ModelName,
    profile: Json,
    arrays: "Arrays",
    facts: Json,
) -> Task:
    settled = {
        **facts,
        "name": str(name),
        "type": profile["type"],
        "profile": profile,
        "folds": _folds(args, name, profile, arrays),
        "threads": profile["cpus"],
    }
    cache = store.path("cache")
    unkeyed = {"arrays", "created_utc"}
    about = {key: value for key, value in settled.items() if key not in unkeyed}
    key = digest_of([about, arrays.digest, code_digest(MODEL_CODE)])
    spec = {
        **settled,
        "windows": str(cache / "windows"),
        "work": str(cache / "work" / str(name)),
        "out": str(cache / "out" / key),
    }
    needs = Needs(
        cpus=profile["cpus"],
        memory_mb=profile["memory_mb"],
        gpu_memory_mb=profile["gpu_memory_mb"],
    )
    return Task(key=key, call=CALL, spec=spec, needs=needs)


def _folds(
    args: argparse.Namespace, name: ModelName, profile: Json, arrays: "Arrays"
) -> Sequence[Json]:
    from bft.dataset import splits

    newest = min(arrays.asof, _number(args.train_end, arrays.asof))
    first = int(arrays.dates.min())
    start = splits.train_start(first, newest, profile["train_start_offset"])
    start = max(start, _number(args.train_start, start))
    cut = splits.cpcv if args.cpcv else splits.walk_forward
    return [fold.as_json() for fold in cut(start, newest, name.horizon_days, profile)]


def _number(day: date | None, default: int) -> int:
    return default if day is None else sessions.number(sessions.on_or_before(day))


def forget(tasks: Sequence[Task]) -> None:
    """Drop checkpoints and finished folds, for `--no-resume`."""
    for folder in {task.spec["work"] for task in tasks}:
        shutil.rmtree(folder, ignore_errors=True)


def finished(store: Store, key: str) -> Json | None:
    """What a training key gave, if its artifact is still in the root."""
    name = f"training/{key}.json"
    if store.digest(name) is None:
        return None
    found: Json = json.loads(store.get(name))
    digest = found["digest"]
    there = digest is None or store.digest(f"models/{digest}/SHA256SUMS") == digest
    return found if there else None
