"""Checkpoints: written aside, synced, renamed, with their sha256 in front.

`epoch.ckpt` is the newest epoch end, `recent.ckpt` the newest one inside an epoch (or the epoch
end before), `best.ckpt` the weights with the lowest validation loss.
"""

import hashlib
import io
import pickle
from pathlib import Path
from typing import Any

import torch

from bft.dataset.folders import disk_faults, sync
from bft.domain.runs import Json

EPOCH, RECENT, BEST = "epoch.ckpt", "recent.ckpt", "best.ckpt"
_SUM_BYTES = 32


def save(folder: Path, name: str, content: Json) -> None:
    """Write one checkpoint; an epoch's end becomes the recent one when replaced.

    Raises:
        UnavailableError: the disk is full; the older checkpoints stand.
    """
    data = io.BytesIO()
    torch.save(content, data)
    body = data.getvalue()
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f".tmp-{name}"
    try:
        with disk_faults(folder / name):
            aside.write_bytes(hashlib.sha256(body).digest() + body)
            sync(aside)
            if name == EPOCH and (folder / EPOCH).exists():
                (folder / EPOCH).replace(folder / RECENT)
            aside.replace(folder / name)
            sync(folder)
    finally:
        aside.unlink(missing_ok=True)


def load(file: Path) -> Json | None:
    """Content of a checkpoint, or None where it is absent or damaged."""
    try:
        data = file.read_bytes()
        head, body = data[:_SUM_BYTES], data[_SUM_BYTES:]
        if hashlib.sha256(body).digest() != head:
            return None
        content: Any = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
        return None
    return dict(content)


def newest(folder: Path, digest: str) -> tuple[Json | None, str]:
    """Newest intact checkpoint with that digest, and in words what was found."""
    files = [folder / name for name in (EPOCH, RECENT)]
    present = [file for file in files if file.exists()]
    if not present:
        return None, "none"
    found = [content for file in present if (content := load(file)) is not None]
    damaged = f"{len(present) - len(found)} damaged, " if len(found) < len(present) else ""
    fitting = [content for content in found if content["digest"] == digest]
    if not fitting:
        reason = "made with other settings or data" if found else "unreadable"
        return None, f"{damaged}started afresh: checkpoint {reason}"
    best = max(fitting, key=lambda content: content["progress"]["step"])
    return best, f"{damaged}resumed at step {best['progress']['step']}"
