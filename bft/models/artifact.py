"""The model artifact: a folder of state_dict, statistics, probe and JSON, verified by sums.

SHA256SUMS covers model.json, weights.pt, stats.npz and probe.npz; the artifact digest is its
sha256. EVIDENCE_SUMS covers everything else, measured numbers included (models specification, 6).
"""

import hashlib
import io
import json
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from bft.dataset.folders import file_sum, publish
from bft.dataset.normalise import Statistics, dump_statistics, load_statistics, normalise
from bft.domain.errors import DataError
from bft.domain.forecast import MODELS, Kind, ModelName
from bft.domain.gold import INPUTS
from bft.domain.runs import Json
from bft.models.calibrate import apply_calibration
from bft.models.nets import build_net
from bft.models.runtime import fixed

SCHEMA = "bft.model/1"
SUMS, EVIDENCE = "SHA256SUMS", "EVIDENCE_SUMS"
CORE = ("model.json", "probe.npz", "stats.npz", "weights.pt")
PROBES = 8
PROBE_TOLERANCE = 1e-5
CHUNK = 1024

Floats32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Model:
    """A loaded model; `spec` is model.json."""

    name: ModelName
    spec: Json
    statistics: Statistics
    net: nn.Module

    def normalise(self, windows: Floats32, symbols: Sequence[str]) -> Floats32:
        """Raw windows (N, T, F) of these symbols -> normalised, as in training bit for bit."""
        mu, sigma, _ = self.statistics.of(symbols)
        return normalise(windows, mu[:, None, :], sigma[:, None, :])

    def raw(self, windows: Floats32) -> Floats32:
        """Normalised windows (N, T, F) -> uncalibrated outputs (N, out), on the CPU."""
        self.net.eval()
        data = torch.from_numpy(np.ascontiguousarray(windows))
        with fixed(self.spec["training"]["threads"]), torch.inference_mode():
            parts = [self.net(data[n : n + CHUNK]) for n in range(0, len(data), CHUNK)]
        return np.asarray(torch.cat(parts).numpy())

    def calibrated(self, raw: Floats32) -> NDArray[np.float64]:
        """Points (N,) in return units, or probabilities (N, K)."""
        outputs = raw.astype(np.float64)
        found = apply_calibration(self.name.kind, outputs, self.spec["calibration"], self.spec)
        return np.asarray(found, dtype=np.float64)


def write(folder: Path, model: Model, *, probe: tuple[Floats32, Sequence[str]]) -> str:
    """Publish a model as a folder and return its digest.

    `probe` are raw windows (8, T, F) and their symbols.
    """
    weights = io.BytesIO()
    torch.save({name: value.cpu() for name, value in model.net.state_dict().items()}, weights)
    files = {
        "model.json": json.dumps(model.spec, sort_keys=True, indent=1).encode(),
        "weights.pt": weights.getvalue(),
        "stats.npz": dump_statistics(model.statistics),
        "probe.npz": _probe(model, *probe),
    }

    def fill(aside: Path) -> None:
        for name, data in files.items():
            (aside / name).write_bytes(data)
        (aside / SUMS).write_text(_sums(aside, CORE), encoding="utf-8")
        seal(aside)

    publish(folder, fill)
    return file_sum(folder / SUMS)


def seal(folder: Path) -> None:
    """Write the sums of every file that is not part of the digest."""
    files = (str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    others = sorted(name for name in files if name not in {*CORE, SUMS, EVIDENCE})
    (folder / EVIDENCE).write_text(_sums(folder, others), encoding="utf-8")


def verify(folder: Path, *, digest: str | None = None) -> str:
    """Check the four files against their sums, and those against `digest`; return it.

    Raises:
        DataError: absent, or `corrupt`; names the file.
    """
    try:
        text = (folder / SUMS).read_bytes()
    except OSError as error:
        raise DataError(f"model {folder.name} is missing: no {SUMS} in {folder}") from error
    found = hashlib.sha256(text).hexdigest()
    if digest is not None and found != digest:
        raise DataError(f"model {folder.name} is corrupt: {SUMS} has digest {found[:16]}")
    if sorted(line.partition("  ")[2] for line in text.decode().splitlines()) != sorted(CORE):
        raise DataError(f"model {folder.name} is corrupt: {SUMS} names other files")
    for line in text.decode().splitlines():
        expected, _, name = line.partition("  ")
        if not (folder / name).is_file() or file_sum(folder / name) != expected:
            raise DataError(f"model {folder.name} is corrupt: {name} differs from its sum")
    return found


def load(folder: Path, *, digest: str | None = None) -> Model:
    """Verify, rebuild and probe a model.

    Raises:
        DataError: missing; `corrupt` (sums, digest, weights, probe); unknown schema or features.
    """
    verify(folder, digest=digest)
    spec = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    if spec.get("schema") != SCHEMA:
        raise DataError(f"model {folder.name}: schema {spec.get('schema')!r}, known: {SCHEMA}")
    unknown = [name for name in spec["feature_set"]["names"] if name not in INPUTS]
    if unknown:
        raise DataError(f"model {folder.name} needs the input {unknown[0]}, which gold lacks")
    model = Model(
        name=_name(spec["name"]),
        spec=spec,
        statistics=load_statistics((folder / "stats.npz").read_bytes()),
        net=_net(folder, spec),
    )
    _check_probe(folder, model)
    return model


def _name(text: str) -> ModelName:
    known = {str(name): name for name in MODELS}
    if text not in known:
        raise DataError(f"model.json names {text!r}; known: {', '.join(known)}")
    return known[text]


def _net(folder: Path, spec: Json) -> nn.Module:
    net = build_net(spec["net"], Kind(spec["kind"]))
    try:
        state = torch.load(folder / "weights.pt", map_location="cpu", weights_only=True)
        net.load_state_dict(state, strict=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError) as error:
        raise DataError(f"model {folder.name} is corrupt: weights.pt: {error}") from error
    return net.eval()


def _probe(model: Model, windows: Floats32, symbols: Sequence[str]) -> bytes:
    normal = model.normalise(windows, symbols)
    out = io.BytesIO()
    np.savez(
        out,
        raw=windows,
        symbols=np.array(symbols, dtype=np.str_),
        normalised=normal,
        calibrated=model.calibrated(model.raw(normal)),
    )
    return out.getvalue()


def _check_probe(folder: Path, model: Model) -> None:
    with np.load(folder / "probe.npz", allow_pickle=False) as probe:
        normal = model.normalise(probe["raw"], [str(name) for name in probe["symbols"]])
        same = np.array_equal(normal, probe["normalised"])
        gap = np.abs(model.calibrated(model.raw(normal)) - probe["calibrated"]).max()
    if not (same and gap <= PROBE_TOLERANCE):
        raise DataError(f"model {folder.name} is corrupt: probe outputs differ by {gap:.2g}")


def _sums(folder: Path, names: Sequence[str]) -> str:
    return "".join(f"{file_sum(folder / name)}  {name}\n" for name in sorted(names))
