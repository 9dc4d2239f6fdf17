"""Fit one of the nine on its folds and write its artifact: the task that compute back-ends run.

Reads mapped arrays and the shared normalised cache, writes checkpoints and finished folds under
`work/<training key>/` and the artifact under `out`. A finished key is never trained again.
"""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bft.dataset.arrays import open_arrays
from bft.dataset.folders import publish
from bft.dataset.splits import EDGE_SESSIONS, spans_of
from bft.dataset.windows import gather
from bft.domain import sessions
from bft.domain.errors import DataError
from bft.domain.forecast import MODELS, Kind
from bft.domain.runs import Event, Json
from bft.models import artifact, loop
from bft.models.artifact import PROBES, Model
from bft.models.calibrate import fit_calibration, fit_conformal, volatility
from bft.models.description import model_json
from bft.models.evidence import FoldTest, finish, rank_ic_of
from bft.models.fold import FoldData, Job, fold_data
from bft.models.nets import build_net, sizes_of
from bft.models.runtime import choose_device, fixed, windows_on
from bft.models.samples import targets

Emit = Callable[[Event], None]
UNTIMED = datetime.fromtimestamp(0, UTC)
"""The compute back-end stamps events with the clock; a worker has none."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fit:
    """One finished fold; `model` is None when it collapsed or diverged."""

    data: FoldData
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


def _job(spec: Json, emit: Emit) -> Job:
    names = {str(name): name for name in MODELS}
    arrays = open_arrays(Path(spec["arrays"]))
    asof = sessions.number(datetime.fromisoformat(spec["asof"]).date())
    if arrays.asof > asof:
        raise DataError(
            f"{spec['name']}: the arrays reach {sessions.session(arrays.asof)}, after asof "
            f"{spec['asof']}; build them as of that day"
        )
    device = choose_device(spec["profile"]["device"])
    return Job(spec=spec, name=names[spec["name"]], arrays=arrays, device=device, emit=emit)


def _fit_fold(job: Job, fold: Mapping[str, Any]) -> _Fit:
    data = fold_data(job, fold)
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


def _train(job: Job, data: FoldData, home: Path) -> Json:
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
        "labels": dict(data.states),
        "seconds": time.monotonic() - begun,
    }
    if result.status == "trained":
        record["digest"] = _keep(job, data, net, record, home)
    publish_json(home / "fit.json", record)
    for rest in (*home.glob("*.ckpt"), *home.glob(".tmp-*")):
        shutil.rmtree(rest) if rest.is_dir() else rest.unlink()
    return record


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


def _event(job: Job, data: FoldData, entry: Json) -> Event:
    known = {name: value for name, value in entry.items() if value is not None}
    numbers = {name: float(value) for name, value in known.items() if name != "epoch"}
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


def _keep(job: Job, data: FoldData, net: torch.nn.Module, record: Json, home: Path) -> str:
    """Calibrate on validation and write the fold's model; return its digest."""
    spec = model_json(job, data, record)
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


def _finish(job: Job, fits: list[_Fit]) -> Json:
    """Evaluate all folds that have a model and publish the newest one's artifact."""
    tests = [test for fit in fits if (test := _test_of(fit)) is not None]
    history = fits[-1].record["history"]
    walked = [fit for fit in fits[:-1] if len(spans_of(fit.data.fold["test"])) == 1]
    older = {str(fit.data.fold["k"]): fit.folder for fit in walked if fit.model is not None}
    evaluation, write = finish(job.spec, job.arrays, tests, history, older)
    evaluation["seeds"] = _seeds(job, fits[-1], evaluation)
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


def _test_of(fit: _Fit) -> FoldTest | None:
    if fit.model is None:
        return None
    return FoldTest(
        k=fit.data.fold["k"],
        model=fit.model,
        normalised=fit.data.normalised,
        train=fit.data.train,
        valid=fit.data.valid,
        test=fit.data.test,
        spans=spans_of(fit.data.fold["test"]),
    )


def _seeds(job: Job, newest: _Fit, evaluation: Json) -> list[Json]:
    """RankIC of the newest fold under each random seed, once a month; else of its own seed.

    The first weekly edge of a month is the one whose week began in another month.
    """
    first = spans_of(newest.data.fold["test"])[0][0]
    month, before = (sessions.session(day).month for day in (first, first - EDGE_SESSIONS))
    own = evaluation["folds"][-1]["metrics"]["rank_ic"]
    found = [{"seed": job.spec["seed"], "status": newest.status, "rank_ic": own}]
    for extra in range(1, job.profile["seeds"] if month != before else 1):
        seed = job.spec["seed"] + extra
        fit = _fit_fold(replace(job, spec={**job.spec, "seed": seed}), newest.data.fold)
        test = _test_of(fit)
        value = None if test is None else rank_ic_of(test, job.arrays, job.profile["min_names"])
        found.append({"seed": seed, "status": fit.status, "rank_ic": value})
    return found
