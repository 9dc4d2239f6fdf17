"""What gates judge a set by: the merge of its models on their common test samples at 10 days.

The merged forecast of a horizon is the mean of the kinds' expected returns (models specification,
section 9); the portfolio of the ten-day merge stands for the set.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bft.dataset.arrays import Arrays
from bft.domain.forecast import MODELS, ModelName
from bft.domain.runs import Json
from bft.models import daily
from bft.models.blocks import TestBlock, pool, prices, read_blocks
from bft.models.gate_evidence import evaluation_readings, pairs
from bft.models.gates import Evidence, Profile, Reading

HORIZON_DAYS = 10
Floats = NDArray[np.float64]


def evidence(
    profile: Profile,
    folders: Mapping[str, Path],
    incumbents: Mapping[str, Path],
    arrays: Arrays,
    *,
    after: int,
) -> Evidence:
    """Readings of the proposed set's merge, compared with the incumbents' on common days.

    `folders`, `incumbents`: artifact folder by model name; `after`: the last session that the
    incumbents' validation reaches.
    """
    mine = merged(folders, arrays)
    if mine is None:
        return Evidence(readings={})
    theirs = merged(incumbents, arrays) if incumbents else None
    same = {name: str(path) for name, path in folders.items()} == {
        name: str(path) for name, path in incumbents.items()
    }
    return Evidence(
        readings={**evaluation_readings(mine), "rank_ic_10d": _rank_ic(mine)},
        pairs={} if same else pairs(profile, mine, incumbent=theirs, after=after, scope="set"),
        unpaired="same_model" if same else "no_incumbent",
    )


def merged(folders: Mapping[str, Path], arrays: Arrays) -> Json | None:
    """Evaluation of the ten-day merge, or None where no model of that horizon is there."""
    parts = [
        _samples(folders[str(name)], name, arrays)
        for name in MODELS
        if name.horizon_days == HORIZON_DAYS and str(name) in folders
    ]
    if not parts:
        return None
    keys = parts[0][0]
    for other, *_ in parts[1:]:
        keys = np.intersect1d(keys, other)
    if not len(keys):
        return None
    places = [np.searchsorted(part[0], keys) for part in parts]
    score = np.mean([part[1][at] for part, at in zip(parts, places, strict=True)], axis=0)
    first, at = parts[0], places[0]
    block = first[2].taken(at)
    return _evaluation(score, block, arrays, settings=first[3], folds=first[4])


def _samples(
    folder: Path, name: ModelName, arrays: Arrays
) -> tuple[NDArray[np.int64], Floats, TestBlock, Json, int]:
    """Sorted (day, symbol) keys, expected returns and the block in that order."""
    blocks, symbols = read_blocks(folder / "blocks.npz")
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    whole = pool(blocks)
    known = {symbol: place for place, symbol in enumerate(arrays.symbols)}
    place = np.array([known.get(symbol, -1) for symbol in symbols])[whole.symbol]
    inside = place >= 0
    keys = whole.day.astype(np.int64) * len(arrays.symbols) + place
    order = np.flatnonzero(inside)[np.argsort(keys[inside], kind="stable")]
    block = replace(whole.taken(order), symbol=place[order])
    settings = about["profile"] | {"seed": about["training"]["seed"]}
    return keys[order], block.expected.astype(np.float64), block, settings, len(blocks)


def _evaluation(
    score: Floats, block: TestBlock, arrays: Arrays, *, settings: Json, folds: int
) -> Json:
    span = (int(block.day.min()), int(block.day.max()) + 1 + HORIZON_DAYS)
    opens = prices(arrays.dates, arrays.offsets, arrays.opens, arrays.closes, span)
    whole = daily.daily_of(score, block, horizon=HORIZON_DAYS, prices=opens, settings=settings)
    count = len(np.unique(block.symbol))
    return {
        "horizon_days": HORIZON_DAYS,
        "metrics": {**daily.summary(whole, settings), "folds": folds, "symbols": count},
        "intervals": daily.intervals(whole, settings),
        "daily": daily.series(whole),
        "coverage": None,
        "latency": {},
        "baselines": {},
    }


def _rank_ic(evaluation: Json) -> Reading:
    return evaluation_readings(evaluation)["rank_ic"]
