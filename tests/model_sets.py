"""Sets of nine untrained nets in a root: what inference is tried on."""

import tempfile
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch
from fakes import FakePorts

from bft.dataset.arrays import FEATURE_SET, Arrays, from_gold
from bft.dataset.normalise import Statistics, fit_statistics
from bft.dataset.windows import eligible, gather
from bft.domain import sessions
from bft.domain.forecast import MODELS, Kind, ModelName
from bft.features.inputs import model_inputs
from bft.models import artifact
from bft.models.model_set import Entry, ModelSet, write_set
from bft.models.nets import build_net, sizes_of

CREATED = "2025-12-31T22:00:00+00:00"
TINY = {"width": 8, "layers": 1, "ff": 16, "heads": 2}
LABELS: dict[Kind, dict[str, Any]] = {
    Kind.REGRESSION: {},
    Kind.BINARY: {"threshold": 0.015, "pi": 0.3, "class_means": [-0.02, 0.03]},
    Kind.BUCKETS: {"edges": [-0.01, 0.01], "class_means": [-0.03, 0.0, 0.04]},
}
CALIBRATIONS: dict[Kind, dict[str, Any]] = {
    Kind.REGRESSION: {"method": "identity", "slope": 1.0},
    Kind.BINARY: {"method": "platt", "a": 0.7, "b": -0.8},
    Kind.BUCKETS: {"method": "vector", "temperature": 1.5, "bias": [0.1, -0.1, 0.0]},
}


def arrays_of(ports: FakePorts, asof: date) -> Arrays:
    """All stored gold as arrays."""
    gold = ports.store.read("gold", asof=asof)
    gold = gold.drop_columns([name for name in gold.column_names if name.startswith("future_")])
    return from_gold(gold, model_inputs(gold), asof=asof, gold_digest="all")


def model_of(
    name: ModelName,
    arrays: Arrays,
    statistics: Statistics,
    *,
    sizes: Mapping[str, Any] | None = None,
    lookback: int = 20,
    first_test: int,
    created: str = CREATED,
    seed: int = 0,
    threads: int = 1,
) -> artifact.Model:
    """An untrained net in the clothes of a trained one."""
    profile = {
        "type": "encoder",
        "market_layers": 0,
        "dropout": 0.0,
        "layer_drop": 0.0,
        "buckets": 3,
        "loss": "mse",
        **(sizes or TINY),
    }
    net_sizes = sizes_of(profile, name.kind, arrays.features)
    torch.manual_seed(1000 * seed + MODELS.index(name))
    spec = {
        "schema": artifact.SCHEMA,
        "name": str(name),
        "kind": str(name.kind),
        "horizon": name.horizon_days,
        "type": "encoder",
        "created_utc": created,
        "net": net_sizes,
        "lookback": lookback,
        "feature_set": {
            "id": FEATURE_SET,
            "names": list(arrays.features),
            "dead": list(statistics.dead),
        },
        "normalisation": {"clip": 5.0, "sum": f"seed {seed}"},
        "label": {"mu_y": 0.001, "s": 0.03, **LABELS[name.kind]},
        "split": {"fold": seed, "test": [[str(sessions.session(first_test)), "2025-12-31"]]},
        "training": {"loss": "mse", "threads": threads},
        "calibration": CALIBRATIONS[name.kind],
        "conformal": {"q": 1.6, "n": 500, "level": 0.9},
    }
    net = build_net(net_sizes, name.kind).eval()
    return artifact.Model(name=name, spec=spec, statistics=statistics, net=net)


def put_set_of_nets(
    ports: FakePorts,
    asof: date,
    *,
    absent: Sequence[str] = (),
    older_folds: int = 0,
    sizes: Mapping[str, Mapping[str, Any]] | None = None,
    **options: Any,
) -> str:
    """Write nine artifacts and their set; a test block starts every 20 sessions before asof.

    `sizes` are the nets' sizes by name (TINY). Returns the set's digest.
    """
    arrays = arrays_of(ports, asof)
    newest = sessions.number(asof)
    spans = [(int(arrays.dates.min()), newest - 100)]
    statistics, _ = fit_statistics(arrays, spans, min_rows=60)
    lookback = options.get("lookback", 20)
    ends = eligible(arrays, lookback=lookback, dead=statistics.dead).nonzero()[0][: artifact.PROBES]
    names = [arrays.symbols[n] for n in arrays.owner[ends]]
    probe = (gather(arrays.inputs, ends, lookback), names)
    entries = []
    for name in MODELS:
        digest = None
        if str(name) not in absent:
            with tempfile.TemporaryDirectory() as home:
                folder = Path(home) / str(name)
                for fold in range(older_folds + 1):
                    own = folder if fold == older_folds else folder / "folds" / str(fold)
                    made = model_of(
                        name,
                        arrays,
                        statistics,
                        first_test=newest - 20 * (older_folds + 1 - fold),
                        seed=fold,
                        sizes=(sizes or {}).get(str(name)),
                        **options,
                    )
                    digest = _write_into(own, made, probe)
                ports.store.put_folder(f"models/{digest}", folder)
        entries.append(
            Entry(
                name=str(name),
                version=digest and "1",
                digest=digest,
                train_end=digest and "2025-06-30",
                origin="candidate" if digest else "absent",
            )
        )
    return write_set(
        ports.store,
        ModelSet(
            created_utc=CREATED,
            asof=str(asof),
            entries=tuple(entries),
            feature_set=FEATURE_SET,
            gate_report_digest="0" * 64,
            paper_only=True,
        ),
    )


def _write_into(folder: Path, model: artifact.Model, probe: Any) -> str:
    """Write an artifact beside folders that are already there."""
    aside = folder.parent / f"{folder.name}.made"
    digest = artifact.write(aside, model, probe=probe)
    folder.mkdir(parents=True, exist_ok=True)
    for file in aside.iterdir():
        file.rename(folder / file.name)
    aside.rmdir()
    return digest
