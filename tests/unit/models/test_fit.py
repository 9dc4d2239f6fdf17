"""Fits on synthetic arrays: artifact, parity, resume, skill and the lack of it."""

import hashlib
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from synthetic import make_arrays, training_spec

from bft.dataset import arrays as store
from bft.dataset.windows import gather
from bft.domain.errors import ConfigError, DataError
from bft.domain.forecast import MODELS, Kind, ModelName
from bft.domain.runs import Event, Json
from bft.models import artifact
from bft.models.export_manifest import faults
from bft.models.fit import fit_model
from bft.models.fold import Job, fold_data
from bft.models.loop import learning_rate, model_seed
from bft.models.runtime import windows_on

QUICK = ("plots=[]", "baselines=[]", "bootstrap_draws=50")
SLOW = ("epochs=3", "patience=4", "dropout=0.1", "layer_drop=0.1", "checkpoint_every_s=0")
UNTIMED = ("epoch_s", "samples_per_s", "loader_share_frac", "gpu_memory_mb")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Arrays of 12 symbols and 460 sessions in which tomorrow's shock is shown."""
    folder = tmp_path_factory.mktemp("home")
    make_arrays(folder / "arrays", symbols=12, days=460, planted=0.5)
    return folder


def spec_of(home: Path, work: Path, name: str, *overrides: str) -> Json:
    made = store.open_arrays(home / "arrays")
    spec: Any = training_spec(home, made, name, *QUICK, *overrides)
    return spec | {"work": str(work / "work"), "out": str(work / "out")}


def fitted(home: Path, work: Path, name: str, *overrides: str) -> Json:
    return fit_model(spec_of(home, work, name, *overrides), lambda _event: None)


def curve(result: Json) -> list[Json]:
    entries = result["folds"][-1]["history"]
    return [{k: v for k, v in entry.items() if k not in UNTIMED} for entry in entries]


@pytest.fixture(scope="module")
def trained(home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Json, list[Event]]:
    events: list[Event] = []
    spec = spec_of(
        home, tmp_path_factory.mktemp("fit"), "reg_3d", "plots=[loss]", "baselines=[ridge]"
    )
    return fit_model(spec, events.append), events


@pytest.fixture(scope="module")
def whole(home: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Json, Path]:
    """An uninterrupted run that checkpoints at every step, and its work folder."""
    work = tmp_path_factory.mktemp("whole")
    return fitted(home, work, "bin_3d", *SLOW), work


def test_a_bucket_model_loads_and_gives_probabilities(home: Path, tmp_path: Path) -> None:
    result = fitted(home, tmp_path, "buck_30d")
    assert result["status"] == "trained"
    model = artifact.load(Path(result["folder"]), digest=result["digest"])
    p = model.calibrated(model.raw(np.zeros((3, 20, 52), np.float32)))
    assert p.shape == (3, 3)
    np.testing.assert_allclose(p.sum(axis=1), 1)


def test_artifact_holds_what_the_specification_names(trained: tuple[Json, list[Event]]) -> None:
    result, _ = trained
    folder = Path(result["folder"])
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert {
        *("model.json", "weights.pt", "stats.npz", "probe.npz", "evaluation.json", "card.md"),
        *("plots/loss.png", "plots/index.html", "export_manifest.json", "blocks.npz"),
        *("history.json", "SHA256SUMS", "EVIDENCE_SUMS"),
    } == files
    assert faults(json.loads((folder / "export_manifest.json").read_text())) == []
    model = json.loads((folder / "model.json").read_text())
    assert model["schema"] == "bft.model/1"
    assert model["label"]["s"] > 0
    assert model["conformal"]["level"] == 0.9
    assert model["split"]["purge"] == 4
    assert {k for k in result["metrics"] if k.startswith("test_")} == set(result["metrics"])


def test_an_event_is_told_for_every_epoch(trained: tuple[Json, list[Event]]) -> None:
    _, events = trained
    assert [(e.state, e.epoch, e.epochs, e.step) for e in events] == [
        ("progress", 1, 2, 0),
        ("progress", 2, 2, 0),
    ]
    told = set(events[0].metrics)
    assert {"train_loss", "valid_loss", "valid_rank_ic", "lr", "grad_norm_p99"} <= told


def test_inference_normalises_a_training_window_bit_for_bit(
    home: Path, trained: tuple[Json, list[Event]]
) -> None:
    made = store.open_arrays(home / "arrays")
    model = artifact.load(Path(trained[0]["folder"]))
    (matrix,) = [np.load(f) for f in (home / "windows").glob("*/Z.npy")]
    rows = np.array([100, 700, 5000])
    names = [made.symbols[place] for place in made.owner[rows]]
    served = model.normalise(gather(made.inputs, rows, 20), names)
    np.testing.assert_array_equal(served, gather(matrix, rows, 20))


def test_training_windows_are_the_rows_that_end_at_their_row(home: Path) -> None:
    inputs = store.open_arrays(home / "arrays").inputs.copy()
    ends = np.array([19, 4000, len(inputs) - 1, 25])
    found = windows_on(torch.device("cpu"), inputs, 20)(ends)
    np.testing.assert_array_equal(found.numpy(), np.stack([inputs[n - 19 : n + 1] for n in ends]))


def test_a_finished_key_is_not_trained_again(home: Path, whole: tuple[Json, Path]) -> None:
    first, work = whole
    events: list[Event] = []
    later = spec_of(home, work, "bin_3d", *SLOW) | {"created_utc": "2026-01-01T23:00:00+00:00"}
    second = fit_model(later, events.append)
    assert (first["status"], second["status"]) == ("trained", "cached")
    assert events == []
    assert second["digest"] == first["digest"]
    changed = fit_model(later | {"seed": 2}, events.append)
    assert changed["status"] == "trained"
    assert changed["digest"] != first["digest"]


class Killed(BaseException):
    """Stands for kill -9 at the end of an epoch."""


def test_a_run_killed_at_random_points_ends_as_if_it_never_was(
    home: Path, tmp_path: Path, whole: tuple[Json, Path]
) -> None:
    """Children are killed -9 while they train, checkpointing at every step."""
    spec = spec_of(home, tmp_path, "bin_3d", *SLOW)
    draw = random.Random(5)
    for _ in range(3):
        child = os.fork()
        if child == 0:
            fit_model(spec, lambda _event: None)
            os._exit(0)
        _wait_for_checkpoint(tmp_path / "work", draw.uniform(0.02, 0.25))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    result = fit_model(spec, lambda _event: None)
    assert "resumed at step" in result["folds"][-1]["resumed"] or result["status"] == "cached"
    assert curve(result) == curve(whole[0])
    assert result["digest"] == whole[0]["digest"]
    assert not list(tmp_path.rglob("*.ckpt"))


def _wait_for_checkpoint(work: Path, more_s: float) -> None:
    deadline = time.monotonic() + 30
    while not list(work.rglob("*.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.005)
    time.sleep(more_s)


def test_damaged_checkpoints_are_said_and_change_nothing(
    home: Path, tmp_path: Path, whole: tuple[Json, Path]
) -> None:
    spec = spec_of(home, tmp_path, "bin_3d", *SLOW)

    def stop(_event: Event) -> None:
        raise Killed

    for damaged in ("epoch.ckpt", "*.ckpt"):
        with pytest.raises(Killed):
            fit_model(spec, stop)
        for file in tmp_path.rglob(damaged):
            file.write_bytes(file.read_bytes()[:-7])
    result = fit_model(spec, lambda _event: None)
    assert result["folds"][-1]["resumed"].startswith("2 damaged, started afresh")
    assert curve(result) == curve(whole[0])
    assert result["digest"] == whole[0]["digest"]


def test_a_planted_signal_is_found_and_shuffled_labels_give_none(tmp_path: Path) -> None:
    made = make_arrays(tmp_path / "arrays", symbols=16, days=460, planted=0.9, noise=4)
    learn = ("epochs=5", "patience=5", "stride=1", "batch=128", "lr=5e-3", "test_sessions=60")
    found = fitted(tmp_path, tmp_path / "planted", "reg_3d", *learn)
    noise = 1 / np.sqrt(found["metrics"]["test_ic_days"] * 15)  # of a mean RankIC, 16 names a day
    assert found["metrics"]["test_rank_ic"] > 5 * noise
    rng = np.random.default_rng(3)
    y = made.y.copy()
    for column in range(3):
        known = np.flatnonzero(np.isfinite(y[:, column]))
        y[known, column] = y[rng.permutation(known), column]
    _copy(tmp_path / "arrays", tmp_path / "shuffled" / "arrays", "y", y)
    nothing = fitted(tmp_path / "shuffled", tmp_path / "s", "reg_3d", *learn)
    assert abs(nothing["metrics"]["test_rank_ic"]) <= 2 * noise


def _copy(source: Path, target: Path, name: str, values: np.ndarray) -> None:
    shutil.copytree(source, target)
    np.save(target / f"{name}.npy", values)
    meta = json.loads((target / "meta.json").read_text())
    (target / "meta.json").write_text(json.dumps(meta | {"digest": f"changed {name}"}))


def test_a_fold_that_reaches_past_the_arrays_is_refused(home: Path, tmp_path: Path) -> None:
    spec = spec_of(home, tmp_path, "reg_3d")
    spec["folds"][0]["train"][1] += 1000
    with pytest.raises(DataError, match="reaches session"):
        fit_model(spec, lambda _event: None)


def test_arrays_that_reach_past_asof_are_refused(home: Path, tmp_path: Path) -> None:
    spec = spec_of(home, tmp_path, "reg_3d") | {"asof": "2025-12-30"}
    with pytest.raises(DataError, match="after asof"):
        fit_model(spec, lambda _event: None)


def test_too_many_dead_inputs_are_refused(home: Path, tmp_path: Path) -> None:
    made = store.open_arrays(home / "arrays")
    inputs = made.inputs.copy()
    inputs[:, :9] = np.nan
    _copy(home / "arrays", tmp_path / "arrays", "X", inputs)
    with pytest.raises(DataError, match="9 inputs have no training data"):
        fitted(tmp_path, tmp_path, "reg_3d")


def test_too_few_symbols_are_refused(tmp_path: Path) -> None:
    made = make_arrays(tmp_path / "arrays", symbols=9, days=460)
    spec: Any = training_spec(tmp_path, made, "reg_3d", *QUICK)
    with pytest.raises(DataError, match="9 symbols have training samples, 10 are needed"):
        fit_model(spec, lambda _event: None)


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is there")
def test_cuda_asked_for_and_absent_is_refused(home: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cuda is absent"):
        fitted(home, tmp_path, "reg_3d", "device=cuda")


def test_a_diverging_run_has_no_model(home: Path, tmp_path: Path) -> None:
    result = fitted(home, tmp_path, "reg_3d", "lr=10", "grad_clip=1e6", "optimizer=sgd", "loss=mse")
    assert result["status"] == "diverged"
    assert result["digest"] is None
    assert not (tmp_path / "out").exists()


def test_a_net_that_says_one_thing_is_eased_once_and_then_collapsed(
    home: Path, tmp_path: Path
) -> None:
    made = store.open_arrays(home / "arrays")
    _copy(home / "arrays", tmp_path / "arrays", "X", np.zeros_like(made.inputs))
    flat = ("epochs=20", "patience=20", "collapse=stop", "batch=1024")
    result = fitted(tmp_path, tmp_path, "bin_3d", *flat)
    history = result["folds"][-1]["history"]
    assert result["status"] == "collapsed"
    assert result["digest"] is None
    assert len(history) == 10  # three from epoch 5: eased after 7; three more: stopped after 10
    rates = [entry["lr"] for entry in history]
    assert rates[7] < 0.11 * rates[6]
    assert rates[6] > 0.7 * rates[4]


@pytest.fixture(autouse=True)
def _no_leftovers() -> Iterator[None]:
    yield
    assert torch.get_deterministic_debug_mode() == 0


def test_the_rate_warms_up_linearly_and_falls_as_a_cosine() -> None:
    rates = [learning_rate(n, base=1.0, warm=4, total=10) for n in range(11)]
    assert rates[:4] == [0.25, 0.5, 0.75, 1.0]
    assert rates[4] == 1.0
    assert rates[7] == pytest.approx(0.5, abs=1e-5)
    assert rates[10] == pytest.approx(1e-6)


def test_seeds_are_the_head_of_a_sha256() -> None:
    digest = hashlib.sha256(b"7:reg_3d:encoder:2").digest()
    expected = int.from_bytes(digest[:8], "big") & ~(1 << 63)
    assert model_seed(7, ModelName(Kind.REGRESSION, 3), "encoder", 2) == expected


def test_further_seeds_are_tried_in_the_first_week_of_a_month_only(
    home: Path, tmp_path: Path
) -> None:
    """The test begins on 2025-10-15 (session 6485), 2025-10-01 with ten sessions more."""
    for sessions_more, count in ((0, 1), (10, 3)):
        work = tmp_path / str(count)
        spec = spec_of(home, work, "reg_3d", "epochs=1", "seeds=3")
        spec["folds"] = [_earlier(spec["folds"][0], sessions_more)]
        result = fit_model(spec, lambda _event: None)
        seeds = json.loads((Path(result["folder"]) / "evaluation.json").read_text())["seeds"]
        assert [row["seed"] for row in seeds] == list(range(1, count + 1))
        assert len({row["rank_ic"] for row in seeds}) == count


def _earlier(fold: Json, by: int) -> Json:
    """The fold with all edges but the first moved to the past."""
    return {
        "k": fold["k"],
        "train": [fold["train"][0], fold["train"][1] - by],
        "normalise": [fold["normalise"][0], fold["normalise"][1] - by],
        "valid": [day - by for day in fold["valid"]],
        "test": [day - by for day in fold["test"]],
    }


def test_a_key_covers_the_folds_own_rows_and_labels_and_no_later_ones(
    home: Path, tmp_path: Path
) -> None:
    made = store.open_arrays(home / "arrays")
    spec = spec_of(home, tmp_path, "reg_3d")
    fold = spec["folds"][0]
    rows = {
        "train": int(np.flatnonzero(made.dates == fold["train"][1])[5]),
        "test": int(np.flatnonzero(made.dates == fold["test"][0])[5]),
    }
    job = Job(spec=spec, name=MODELS[0], arrays=made, device=torch.device("cpu"), emit=print)
    keys = {"plain": fold_data(job, fold).key}
    for block, row in rows.items():
        for field in ("inputs", "y"):
            values = getattr(made, field).copy()
            values[row] += 0.001
            changed = replace(made, digest=f"{block} {field}", **{field: values})
            keys[f"{block} {field}"] = fold_data(replace(job, arrays=changed), fold).key
    assert keys["test inputs"] == keys["test y"] == keys["plain"]
    assert len({keys["plain"], keys["train inputs"], keys["train y"]}) == 3
