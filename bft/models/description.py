"""model.json: everything a model is, and nothing that was measured with a clock."""

import hashlib
from typing import Any

import numpy as np
import torch

from bft.dataset.arrays import FEATURE_SET
from bft.dataset.normalise import CLIP, dump_statistics
from bft.dataset.splits import embargo, purge, spans_of
from bft.domain import sessions
from bft.domain.runs import Json
from bft.models.artifact import SCHEMA
from bft.models.fold import FoldData, Job, code_digest
from bft.models.nets import sizes_of
from bft.models.runtime import describe, precision_of


def model_json(job: Job, data: FoldData, record: Json) -> Json:
    """Describe a trained fold; calibration and conformal are filled in after it."""
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
            "id": FEATURE_SET,
            "names": list(job.arrays.features),
            "dead": list(data.normalised.statistics.dead),
        },
        "normalisation": {
            "clip": CLIP,
            "fit_window": _dates(fold["normalise"]),
            "sum": hashlib.sha256(dump_statistics(data.normalised.statistics)).hexdigest(),
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
        "code": {**spec["code"], "torch": torch.__version__, "training": code_digest()},
    }


def _dates(block: Any) -> list[list[str]]:
    return [[str(sessions.session(day)) for day in span] for span in spans_of(block)]
