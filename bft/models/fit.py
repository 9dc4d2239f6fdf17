"""Fit one of the nine on its folds and write its artifact: the task that compute back-ends run.

Reads mapped arrays and the shared normalised cache, writes checkpoints and finished folds under
`work/<training key>/` and the artifact under `out`. A finished key is never trained again.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bft.dataset import arrays as dataset
from bft.dataset.arrays import Arrays, open_arrays
from bft.dataset.folders import publish
from bft.dataset.normalise import Normalised, shared
from bft.dataset.splits import Span, embargo, purge, spans_of
from bft.dataset.windows import gather
from bft.domain import sessions
from bft.domain.errors import DataError
from bft.domain.forecast import MODELS, Kind, ModelName
from bft.domain.runs import Event, Json
from bft.models import artifact, loop
from bft.models.artifact import PROBES, SCHEMA, Model
from bft.models.calibrate import fit_calibration, fit_conformal, volatility
from bft.models.evidence import FoldTest, finish
from bft.models.nets import NETS, build_net, sizes_of
from bft.models.runtime import choose_device, describe, fixed, precision_of
from bft.models.samples import Samples, label_facts, select, targets, usable

Emit = Callable[[Event], None]
UNTIMED = datetime.fromtimestamp(0, UTC)
"""The compute back-end stamps events with the clock; a worker has none."""
_CODE = (
    "dataset/*.py",
    "models/encoder.py",
    "models/cross.py",
    "models/nets.py",
    "models/losses.py",
    "models/loop.py",
    "models/samples.py",
    "models/calibrate.py",
    "models/collapse.py",
)
"""Sources that decide a trained fold; part of its training key."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Job:
    spec: Mapping[str, Any]
    name: ModelName
    arrays: Arrays
    device: torch.device
    emit: Emit

    @property
    def profile(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.spec["profile"]
        return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Data:
    """One fold's samples, the shared cache, and what its training labels say."""

    fold: Mapping[str, Any]
    normalised: Normalised
    train: Samples
    valid: Samples
    test: Samples
    label: Json
    key: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fit:
    """One finished fold; `model` is None when it collapsed or diverged."""

    data: _Data
    status: str
    folder: Path
    record: Json
    model: Model | None


def fit_model(spec: Json, emit: Emit) -> Json:
    """Train, calibrate and evaluate one model; write its artifact to `spec["out"]`.

    `spec`: name, profile (effective), arrays, windows, work, out (folders), asof, folds (oldest
    first), seed, threads, created_utc, code, gold_digest, simulated, survivors_only. Returns name,
    status (trained, cached, collapsed, diverged), folder, digest, valid_loss, epochs, seconds,
    metrics (test_*), folds with their histories.

    Raises:
        DataError: the data cannot train this model; says what is needed.
        ConfigError: the profile cannot be run here.
    """
    begun = time.monotonic()
    with fixed(spec["threads"]):
        job = _job(spec, emit)
        fits = [_fit_fold(job, fold) for fold in spec["folds"]]
        newest = fits[-1]
        result = {
            "name": spec["name"],
            "status": newest.status,
            "folder": None,
            "digest": None,
            "valid_loss": newest.record["valid_loss"],
            "epochs": len(newest.record["history"]),
            "train_end": str(sessions.session(spans_of(newest.data.fold["train"])[-1][1])),
            "training_key": newest.data.key,
            "folds": [fit.record for fit in fits],
            "metrics": {},
        }
        if newest.model is not None:
            result |= _finish(job, fits)
    return result | {"seconds": time.monotonic() - begun}


def _job(spec: Json, emit: Emit) -> _Job:
    names = {str(name): name for name in MODELS}
    arrays = open_arrays(Path(spec["arrays"]))
    asof = sessions.number(datetime.fromisoformat(spec["asof"]).date())
    if arrays.asof > asof:
        raise DataError(
            f"{spec['name']}: the arrays reach {sessions.session(arrays.asof)}, after asof "
            f"{spec['asof']}; build them as of that day"
        )
    device = choose_device(spec["profile"]["device"])
    return _Job(spec=spec, name=names[spec["name"]], arrays=arrays, device=device, emit=emit)


def _fit_fold(job: _Job, fold: Mapping[str, Any]) -> _Fit:
    data = _data(job, fold)
    home = Path(job.spec["work"]) / data.key
    record = _read(home / "fit.json")
    if record is None:
        record = _train(job, data, home)
        status = record["status"]
    else:
        status = "cached" if record["status"] == "trained" else record["status"]
    good = record["status"] == "trained"
    folder = home / "model"
    return _Fit(
        data=data,
        status=status,
        folder=folder,
        record=record | {"status": status},
        model=artifact.load(folder, digest=record["digest"]) if good else None,
    )


def _data(job: _Job, fold: Mapping[str, Any]) -> _Data:
    profile, arrays, name = job.profile, job.arrays, job.name
    spans = {block: spans_of(fold[block]) for block in ("train", "valid", "test", "normalise")}
    late = max(last for span in spans.values() for _, last in span)
    if late > arrays.asof:
        raise DataError(f"{name}: fold {fold['k']} reaches session {late}, after {arrays.asof}")
    normalised = shared(
        arrays,
        spans["normalise"],
        min_rows=profile["symbol_min_rows"],
        cache=Path(job.spec["windows"]),
    )
    dead = normalised.statistics.dead
    if len(dead) > profile["max_dead_features"]:
        raise DataError(
            f"{name}: {len(dead)} inputs have no training data ({', '.join(dead)}), at most "
            f"{profile['max_dead_features']} may; load them or set max_dead_features"
        )
    NETS[profile["type"]].check(arrays.features, dead)
    ready = usable(arrays, name, profile, dead)
    train, valid, test = (
        select(arrays, name, spans[block], ready, asof=arrays.asof)
        for block in ("train", "valid", "test")
    )
    train = _strong(train, profile["min_abs_label"])
    label = label_facts(name, train, profile)
    if not len(valid):
        raise DataError(f"{name}: fold {fold['k']} has no validation sample; widen valid_sessions")
    key = _key(job, fold, spans["valid"], (train, valid))
    return _Data(
        fold=fold,
        normalised=normalised,
        train=train,
        valid=valid,
        test=test,
        label=label,
        key=key,
    )


def _strong(train: Samples, floor: float) -> Samples:
    keep = np.abs(train.y) >= floor
    return Samples(
        rows=train.rows[keep], day=train.day[keep], symbol=train.symbol[keep], y=train.y[keep]
    )


def _key(
    job: _Job, fold: Mapping[str, Any], valid: tuple[Span, ...], samples: tuple[Samples, ...]
) -> str:
    """Training key: settings, code, the fold's own rows and labels; no later row is in it."""
    spec, arrays = job.spec, job.arrays
    settings = {
        "profile": dict(job.profile),
        "model": str(job.name),
        "fold": dict(fold) | {"test": None},
        "features": dataset.FEATURE_SET,
        "seed": spec["seed"],
        "threads": spec["threads"],
        "device": job.device.type,
        "torch": torch.__version__,
        "code": _code(),
    }
    total = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    early = arrays.dates <= valid[-1][1]
    starts = np.concatenate([[0], np.cumsum(early)])
    total.update("\n".join(arrays.symbols).encode())
    for matrix in (arrays.dates, arrays.inputs):
        total.update(np.ascontiguousarray(matrix[early]).data)
    for part in samples:
        total.update(starts[part.rows].astype(np.int64).data)  # places among the early rows
        total.update(part.y.data)
    return total.hexdigest()


@cache
def _code() -> str:
    total, package = hashlib.sha256(), Path(__file__).parents[1]
    for pattern in _CODE:
        for file in sorted(package.glob(pattern)):
            total.update(f"{file.relative_to(package)}\n".encode() + file.read_bytes())
    return total.hexdigest()


def _train(job: _Job, data: _Data, home: Path) -> Json:
    seed = loop.model_seed(job.spec["seed"], job.name, job.profile["type"], data.fold["k"])
    torch.manual_seed(seed)
    net = build_net(sizes_of(job.profile, job.name.kind, job.arrays.features), job.name.kind)
    net = net.to(job.device)
    kind, label = job.name.kind, data.label
    task = loop.Task(
        name=job.name,
        profile=job.profile,
        label=label,
        seed=seed,
        train=data.train,
        train_targets=targets(kind, data.train.y, label),
        valid=data.valid,
        valid_targets=targets(kind, data.valid.y, label),
        windows=windows_on(job.device, data.normalised.matrix, job.profile["lookback"]),
        device=job.device,
        work=home,
        digest=data.key,
    )
    begun = time.monotonic()
    result = loop.train(task, net, lambda entry: job.emit(_event(job, data, entry)))
    net = net.cpu()
    record: Json = {
        "k": data.fold["k"],
        "status": result.status,
        "key": data.key,
        "digest": None,
        "best_epoch": result.best_epoch,
        "valid_loss": result.best_loss if result.best_epoch else None,
        "resumed": result.resumed,
        "history": result.history,
        "constant": list(data.normalised.constant),
        "seconds": time.monotonic() - begun,
    }
    if result.status == "trained":
        record["digest"] = _keep(job, data, net, record, home)
    publish_json(home / "fit.json", record)
    for file in home.glob("*.ckpt"):
        file.unlink()
    return record


def windows_on(device: torch.device, matrix: NDArray[np.float32], lookback: int) -> loop.Windows:
    """Gather of windows; the matrix lives on the GPU when it fits in half its free memory."""
    if device.type == "cpu":
        return lambda rows: torch.from_numpy(gather(matrix, rows, lookback))
    if matrix.nbytes > torch.cuda.mem_get_info(device)[0] / 2:
        return lambda rows: (
            torch.from_numpy(gather(matrix, rows, lookback))
            .pin_memory()
            .to(device, non_blocking=True)
        )
    resident = torch.from_numpy(matrix.copy()).to(device)
    back = torch.arange(1 - lookback, 1, device=device)

    def windows(rows: NDArray[np.int64]) -> Tensor:
        return resident[torch.from_numpy(rows).to(device)[:, None] + back]  # (B, T, F)

    return windows


def publish_json(file: Path, content: Json) -> None:
    """Write JSON aside and rename it."""
    aside = file.with_name(f".tmp-{file.name}")
    aside.write_text(json.dumps(content, sort_keys=True), encoding="utf-8")
    aside.replace(file)


def _read(file: Path) -> Json | None:
    try:
        found: Json = json.loads(file.read_text(encoding="utf-8"))
        if found["status"] == "trained":
            artifact.verify(file.parent / "model", digest=found["digest"])
    except (OSError, ValueError, KeyError, DataError):
        return None
    return found


def _event(job: _Job, data: _Data, entry: Json) -> Event:
    numbers = {name: float(value) for name, value in entry.items() if name != "epoch"}
    return Event(
        key=str(job.name),
        state="progress",
        at=UNTIMED,
        epoch=entry["epoch"],
        epochs=job.profile["epochs"],
        step=data.fold["k"],
        loss=entry["train_loss"],
        epoch_s=entry["epoch_s"],
        metrics=numbers,
    )


def _keep(job: _Job, data: _Data, net: torch.nn.Module, record: Json, home: Path) -> str:
    """Calibrate on validation and write the fold's model; return its digest."""
    spec = _model_json(job, data, record)
    statistics = data.normalised.statistics
    model = Model(name=job.name, spec=spec, statistics=statistics, net=net)
    local = windows_on(torch.device("cpu"), data.normalised.matrix, job.profile["lookback"])
    raw = loop.outputs(net, local, data.valid.rows).double().numpy()
    spec["calibration"] = fit_calibration(job.name.kind, raw, data.valid.y, spec)
    if job.name.kind is Kind.REGRESSION:
        moved = volatility(job.arrays.closes, job.arrays.offsets[:-1])[data.valid.rows]
        points = model.calibrated(raw.astype(np.float32))
        spec["conformal"] = fit_conformal(data.valid.y, points, moved, job.name.horizon_days)
    rows = data.valid.rows[np.linspace(0, len(data.valid) - 1, PROBES).astype(int)]
    names = [job.arrays.symbols[place] for place in job.arrays.owner[rows]]
    probe = (gather(job.arrays.inputs, rows, job.profile["lookback"]), names)
    return artifact.write(home / "model", model, probe=probe)


def _model_json(job: _Job, data: _Data, record: Json) -> Json:
    spec, profile, name, fold = job.spec, job.profile, job.name, data.fold
    best = record["history"][record["best_epoch"] - 1]
    train_days = spans_of(fold["train"])
    return {
        "schema": SCHEMA,
        "name": str(name),
        "kind": str(name.kind),
        "horizon": name.horizon_days,
        "type": profile["type"],
        "created_utc": spec["created_utc"],
        "profile": dict(profile),
        "net": sizes_of(profile, name.kind, job.arrays.features),
        "lookback": profile["lookback"],
        "feature_set": {
            "id": dataset.FEATURE_SET,
            "names": list(job.arrays.features),
            "dead": list(data.normalised.statistics.dead),
        },
        "normalisation": {
            "clip": 5.0,
            "fit_window": _dates(fold["normalise"]),
            "digest": data.normalised.digest,
        },
        "label": data.label,
        "split": {
            "fold": fold["k"],
            "purge": purge(name.horizon_days),
            "embargo": embargo(name.horizon_days, int(np.unique(job.arrays.dates).size)),
            "train_end": str(sessions.session(train_days[-1][1])),
            **{block: _dates(fold[block]) for block in ("train", "valid", "test")},
        },
        "training": {
            "loss": profile["loss"],
            "epochs": len(record["history"]),
            "best_epoch": record["best_epoch"],
            "key": data.key,
            "seed": spec["seed"],
            "device": describe(job.device),
            "precision": str(precision_of(job.device)).removeprefix("torch."),
            "threads": spec["threads"],
        },
        "data": {
            "gold_digest": spec["gold_digest"],
            "arrays_digest": job.arrays.digest,
            "rows": len(data.train),
            "symbols": len(np.unique(data.train.symbol)),
            "first": str(sessions.session(int(data.train.day[0]))),
            "last": str(sessions.session(int(data.train.day[-1]))),
            "simulated": spec["simulated"],
            "survivors_only": spec["survivors_only"],
            "market_proxy": job.arrays.market_proxy,
        },
        "calibration": None,
        "conformal": None,
        "metrics": {
            key: best[key] for key in ("valid_loss", "valid_rank_ic", "valid_auc") if key in best
        },
        "code": {**spec["code"], "torch": torch.__version__, "training": _code()},
    }


def _dates(block: Any) -> list[list[str]]:
    return [[str(sessions.session(day)) for day in span] for span in spans_of(block)]


def _finish(job: _Job, fits: list[_Fit]) -> Json:
    """Evaluate all folds that have a model and publish the newest one's artifact."""
    tests = [
        FoldTest(
            k=fit.data.fold["k"],
            model=fit.model,
            normalised=fit.data.normalised,
            train=fit.data.train,
            valid=fit.data.valid,
            test=fit.data.test,
        )
        for fit in fits
        if fit.model is not None
    ]
    history = fits[-1].record["history"]
    older = {str(fit.data.fold["k"]): fit.folder for fit in fits[:-1] if fit.model is not None}
    evaluation, write = finish(job.spec, job.arrays, tests, history, older)
    out, newest = Path(job.spec["out"]), fits[-1].folder

    def fill(aside: Path) -> None:
        for name in (*artifact.CORE, artifact.SUMS):
            shutil.copyfile(newest / name, aside / name)
        write(aside)
        artifact.seal(aside)

    publish(out, fill)
    numbers = {
        f"test_{name}": float(value)
        for name, value in evaluation["metrics"].items()
        if isinstance(value, int | float)
    }
    return {"folder": str(out), "digest": fits[-1].record["digest"], "metrics": numbers}
