"""The training loop of one model on one fold (models specification, section 4).

Epochs of optimiser steps with warm-up and cosine, early stopping on validation loss, the collapse
rules, and checkpoints from which a run continues to bitwise equal weights and curve on a CPU.
"""

import hashlib
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from bft.domain.forecast import Kind, ModelName
from bft.domain.runs import Json
from bft.models import checkpoint
from bft.models.collapse import spread_of
from bft.models.losses import entropy, log_probabilities, loss_of
from bft.models.optimizers import Optimizer
from bft.models.runtime import Windows, precision_of
from bft.models.samples import Samples

IMPROVEMENT = 1e-5
LR_MIN = 1e-6
CHUNK = 1024
COLLAPSE_IN_A_ROW = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Task:
    """What one run needs; `digest` covers settings and data: only equal ones are resumed."""

    name: ModelName
    profile: Mapping[str, Any]
    label: Mapping[str, Any]
    seed: int
    train: Samples
    train_targets: NDArray[Any]
    valid: Samples
    valid_targets: NDArray[Any]
    windows: Windows
    device: torch.device
    work: Path
    digest: str


@dataclass(slots=True, kw_only=True)
class Progress:
    """Where a run is; everything but weights, optimiser and generators."""

    epoch: int = 0
    step: int = 0
    cursor: int = 0
    loss_sum: float = 0.0
    norms: list[float] = field(default_factory=list)
    best_loss: float = math.inf
    best_epoch: int = 0
    waited: int = 0
    lr_scale: float = 1.0
    recovered: bool = False
    collapsed_in_a_row: int = 0
    eased: bool = False
    entropy_weight: float = 0.0
    status: str = "running"
    history: list[Json] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Status (trained, collapsed, diverged), the best epoch, the curve, how it began."""

    status: str
    best_epoch: int
    best_loss: float
    history: list[Json]
    resumed: str


class _NonFiniteError(Exception):
    """A loss or gradient is not finite."""


@dataclass(slots=True, kw_only=True)
class _Run:
    task: Task
    net: nn.Module
    optimizer: Optimizer
    scaler: Any  # torch.amp.GradScaler; off but for fp16
    progress: Progress
    stride: NDArray[np.int64]
    saved_at: float
    loading_s: float = 0.0


def model_seed(seed: int, name: ModelName, kind: str, fold: int) -> int:
    """First 8 bytes of sha256("seed:model:type:fold"), top bit 0."""
    digest = hashlib.sha256(f"{seed}:{name}:{kind}:{fold}".encode()).digest()
    return int.from_bytes(digest[:8], "big") & (2**63 - 1)


def train(task: Task, net: nn.Module, on_epoch: Callable[[Json], None]) -> Result:
    """Train `net` in place to its best weights; calls `on_epoch` once for each new epoch.

    Checkpoints in `task.work` with the task's digest are continued.
    """
    run = _begin(task, net)
    resumed = _resume(run)
    while run.progress.status == "running":
        try:
            _epoch(run, on_epoch)
        except _NonFiniteError:
            _recover(run)
    best = checkpoint.load(task.work / checkpoint.BEST)
    if best is not None and best["digest"] == task.digest:
        net.load_state_dict(best["net"])
    net.eval()
    p = run.progress
    return Result(
        status=p.status,
        best_epoch=p.best_epoch,
        best_loss=p.best_loss,
        history=p.history,
        resumed=resumed,
    )


def outputs(net: nn.Module, windows: Windows, rows: NDArray[np.int64]) -> Tensor:
    """Raw outputs (n, out) of evaluation mode in float32 on the CPU, in chunks of 1024."""
    net.eval()
    with torch.inference_mode():
        parts = [
            net(windows(rows[n : n + CHUNK])).float().cpu() for n in range(0, len(rows), CHUNK)
        ]
    return torch.cat(parts)


def learning_rate(step: int, *, base: float, warm: int, total: int) -> float:
    """Linear from 0 to `base` over `warm` steps, then cosine to 1e-6 at `total`."""
    if step < warm:
        return base * (step + 1) / warm
    share = min(1.0, (step - warm) / max(1, total - warm))
    return LR_MIN + 0.5 * (base - LR_MIN) * (1 + math.cos(math.pi * share))


def _begin(task: Task, net: nn.Module) -> _Run:
    return _Run(
        task=task,
        net=net,
        optimizer=Optimizer(net, task.profile),
        scaler=torch.amp.GradScaler(enabled=precision_of(task.device) is torch.float16),
        progress=Progress(entropy_weight=task.profile["entropy_weight"]),
        stride=task.train.day % task.profile["stride"],
        saved_at=time.monotonic(),
    )


def _order(run: _Run, epoch: int) -> NDArray[np.int64]:
    """Samples of an epoch: sessions = epoch mod stride, permuted by Philox(model seed, epoch)."""
    chosen = np.flatnonzero(run.stride == epoch % run.task.profile["stride"])
    bits = np.random.Philox(key=np.array([run.task.seed, epoch], dtype=np.uint64))
    return chosen[np.random.Generator(bits).permutation(len(chosen))]


def _steps_before(run: _Run, epoch: int) -> int:
    stride, batch = run.task.profile["stride"], run.task.profile["batch"]
    counts = np.bincount(run.stride, minlength=stride)
    return sum(-(-int(counts[n % stride]) // batch) for n in range(epoch))


def _epoch(run: _Run, on_epoch: Callable[[Json], None]) -> None:
    p, profile = run.progress, run.task.profile
    begun, first = time.monotonic(), p.cursor
    run.loading_s = 0.0
    order = _order(run, p.epoch)
    run.net.train()
    warm = _steps_before(run, profile["warmup_epochs"])
    total = _steps_before(run, profile["epochs"])
    for rows in _batches(order, p, profile["batch"]):
        rate = learning_rate(p.step, base=profile["lr"], warm=warm, total=total)
        run.optimizer.lr = p.lr_scale * rate
        loss, norm = _step(run, rows)
        p.loss_sum += loss * len(rows)
        p.norms.append(norm)
        p.cursor += len(rows)
        p.step += 1
        if p.cursor < len(order):
            _save_timed(run)
    trained_s = time.monotonic() - begun
    entry = _measure(run, lr=run.optimizer.lr, samples=len(order))
    _decide(run, entry)
    entry |= {
        "samples_per_s": (len(order) - first) / max(trained_s, 1e-9),
        "loader_share_frac": run.loading_s / max(trained_s, 1e-9),
        "epoch_s": time.monotonic() - begun,
        "gpu_memory_mb": _gpu_memory_mb(run.task.device),
    }
    p.history.append(entry)
    p.epoch, p.cursor, p.loss_sum, p.norms = p.epoch + 1, 0, 0.0, []
    if p.epoch == profile["epochs"] and p.status == "running":
        p.status = "trained"
    _save(run, checkpoint.EPOCH)
    on_epoch(entry)


def _batches(
    order: NDArray[np.int64], progress: Progress, size: int
) -> Iterator[NDArray[np.int64]]:
    for start in range(progress.cursor, len(order), size):
        yield order[start : start + size]


def _step(run: _Run, chosen: NDArray[np.int64]) -> tuple[float, float]:
    task, net = run.task, run.net
    begun = time.perf_counter()
    x = task.windows(task.train.rows[chosen])
    y = torch.from_numpy(task.train_targets[chosen]).to(task.device)
    run.loading_s += time.perf_counter() - begun
    with torch.autocast(
        task.device.type, dtype=precision_of(task.device), enabled=task.device.type == "cuda"
    ):
        out = net(x)
    losses = _losses(task, out, y)
    loss = losses.mean()
    if run.progress.entropy_weight and task.name.kind is not Kind.REGRESSION:
        logp = log_probabilities(out, loss=task.profile["loss"])
        loss = loss - run.progress.entropy_weight * entropy(logp).mean()
    value = loss.item()
    run.optimizer.zero_grad()
    torch.autograd.backward(run.scaler.scale(loss))
    run.scaler.unscale_(run.optimizer)
    norm = torch.nn.utils.clip_grad_norm_(net.parameters(), task.profile["grad_clip"]).item()
    if not math.isfinite(value) or not (math.isfinite(norm) or run.scaler.is_enabled()):
        raise _NonFiniteError
    run.scaler.step(run.optimizer)
    run.scaler.update()
    return value, norm


def _losses(task: Task, out: Tensor, y: Tensor) -> Tensor:
    out = out.float()
    shaped = out[:, 0] if task.name.kind is Kind.REGRESSION else out
    return loss_of(task.name.kind, task.profile)(shaped, y)


def _measure(run: _Run, *, lr: float, samples: int) -> Json:
    task, p = run.task, run.progress
    out = outputs(run.net, task.windows, task.valid.rows)
    losses = _losses(task, out, torch.from_numpy(task.valid_targets))
    spread = spread_of(task.name.kind, out, task.valid, task.label, task.profile)
    norms = np.quantile(p.norms, [0.5, 0.99])
    entry = {
        "epoch": p.epoch + 1,
        "train_loss": p.loss_sum / samples,
        "valid_loss": float(losses.double().mean()),
        "lr": lr,
        "grad_norm_p50": float(norms[0]),
        "grad_norm_p99": float(norms[1]),
        **spread.as_metrics(),
    }
    # A scaled gradient overflows now and then, and a flat label has no spread: unknown, not NaN.
    known = {key for key, value in entry.items() if key == "valid_loss" or math.isfinite(value)}
    return {key: value if key in known else None for key, value in entry.items()}


def _decide(run: _Run, entry: Json) -> None:
    p, profile = run.progress, run.task.profile
    if not math.isfinite(entry["valid_loss"]):
        raise _NonFiniteError
    if entry["valid_loss"] < p.best_loss - IMPROVEMENT:
        p.best_loss, p.best_epoch, p.waited = entry["valid_loss"], entry["epoch"], 0
        content = {"digest": run.task.digest, "net": run.net.state_dict()}
        checkpoint.save(run.task.work, checkpoint.BEST, content)
    else:
        p.waited += 1
        if p.waited >= profile["patience"]:
            p.status = "trained"
    if profile["collapse"] == "off" or entry["epoch"] < max(5, profile["warmup_epochs"] + 2):
        return
    p.collapsed_in_a_row = p.collapsed_in_a_row + 1 if entry["collapsed"] else 0
    if p.collapsed_in_a_row < COLLAPSE_IN_A_ROW:
        return
    if p.eased:
        p.status = "collapsed"
        return
    p.eased, p.collapsed_in_a_row, p.waited, p.status = True, 0, 0, "running"
    p.lr_scale *= 0.1
    p.entropy_weight = max(2 * p.entropy_weight, 0.05)


def _save_timed(run: _Run) -> None:
    if time.monotonic() - run.saved_at >= run.task.profile["checkpoint_every_s"]:
        _save(run, checkpoint.RECENT)


def _save(run: _Run, name: str) -> None:
    cuda = run.task.device.type == "cuda"
    content = {
        "digest": run.task.digest,
        "net": run.net.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "scaler": run.scaler.state_dict(),
        "progress": asdict(run.progress),
        "rng": torch.get_rng_state(),
        "rng_cuda": torch.cuda.get_rng_state() if cuda else None,
    }
    checkpoint.save(run.task.work, name, content)
    run.saved_at = time.monotonic()


def _resume(run: _Run) -> str:
    content, found = checkpoint.newest(run.task.work, run.task.digest)
    if content is None:
        torch.manual_seed(run.task.seed)
        _save(run, checkpoint.EPOCH)
    else:
        _restore(run, content)
    return found


def _restore(run: _Run, content: Json) -> None:
    run.net.load_state_dict(content["net"])
    run.optimizer.load_state_dict(content["optimizer"])
    run.scaler.load_state_dict(content["scaler"])
    run.progress = Progress(**content["progress"])
    torch.set_rng_state(content["rng"])
    if content["rng_cuda"] is not None and run.task.device.type == "cuda":
        torch.cuda.set_rng_state(content["rng_cuda"])


def _recover(run: _Run) -> None:
    """Back to the last epoch's end with half the rate, once; a second time it is diverged."""
    if run.progress.recovered:
        run.progress.status = "diverged"
        return
    content = checkpoint.load(run.task.work / checkpoint.EPOCH)
    if content is None:
        run.progress.status = "diverged"
        return
    _restore(run, content)
    run.progress.recovered, run.progress.lr_scale = True, 0.5 * run.progress.lr_scale
    _save(run, checkpoint.EPOCH)


def _gpu_memory_mb(device: torch.device) -> float:
    return torch.cuda.max_memory_allocated(device) / 2**20 if device.type == "cuda" else 0.0
