"""What is measured about a trained model: evaluation, plots, card, export manifest."""

import json
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from bft.dataset.arrays import Arrays
from bft.dataset.folders import file_sum
from bft.dataset.normalise import Normalised
from bft.dataset.splits import Span
from bft.dataset.windows import gather
from bft.domain.runs import Json
from bft.models import metrics, paths
from bft.models.artifact import CORE, Model
from bft.models.baselines import Rows, baseline_scores, cache_key
from bft.models.blocks import Forecasts, TestBlock, judged, panel, pool, prices, write_blocks
from bft.models.calibrate import volatility
from bft.models.card import card
from bft.models.drift import psi_by_column, reference
from bft.models.evaluate import Evidence, evaluate
from bft.models.export_manifest import export_manifest
from bft.models.live import OWN_INPUTS
from bft.models.plots import write_plots
from bft.models.runtime import fixed
from bft.models.samples import Samples

WARM_UPS, CALLS, BATCH_ROWS = 20, 200, 550
INPUT_POINTS = 101  # quantiles kept of each input: ten bins need no more


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FoldTest:
    """A fold's model and samples."""

    k: int
    model: Model
    normalised: Normalised
    train: Samples
    valid: Samples
    test: Samples
    spans: tuple[Span, ...]


def finish(
    spec: Mapping[str, Any],
    arrays: Arrays,
    folds: Sequence[FoldTest],
    history: Sequence[Json],
    older: Mapping[str, Path],
) -> tuple[Json, Callable[[Path], None]]:
    """evaluation.json, and a function that writes all evidence files into a folder."""
    newest, profile = folds[-1], spec["profile"]
    moved = volatility(arrays.closes, arrays.offsets[:-1])
    scored = [_scored(spec, arrays, fold, moved) for fold in folds if len(fold.test)]
    routes = paths.routes(scored)
    pieces = routes[0] if routes else scored
    blocks, model = [piece.block for piece in pieces], newest.model
    name = model.name
    market = _prices(arrays, blocks, name.horizon_days)
    settings = profile | {key: spec[key] for key in ("seed", "simulated", "survivors_only")}
    evaluation = evaluate(
        name,
        blocks,
        prices=market,
        settings=settings,
        evidence=Evidence(
            valid=block_of(newest, newest.valid, arrays, moved),
            baselines=paths.joined(pieces, profile["baselines"]),
            drift=_drift(newest),
            latency=latency(model, newest.normalised, newest.valid),
        ),
    )
    evaluation["inputs"] = _input_reference(newest, arrays)
    if routes:
        evaluation["cpcv"] = paths.summary(name, routes, prices=market, settings=settings)
        evaluation["metrics"]["pbo"] = evaluation["cpcv"]["pbo"]

    def write(folder: Path) -> None:
        _dump(folder / "evaluation.json", evaluation)
        _dump(folder / "history.json", list(history))
        write_blocks(folder / "blocks.npz", blocks, arrays.symbols)
        (folder / "card.md").write_text(card(model.spec, evaluation), encoding="utf-8")
        write_plots(folder / "plots", history, evaluation, names=profile["plots"])
        hashes = {name: file_sum(folder / name) for name in CORE}
        manifest = export_manifest(model.spec, evaluation, blocks, hashes)
        _dump(folder / "export_manifest.json", manifest)
        for k, source in older.items():
            shutil.copytree(source, folder / "folds" / k)

    return evaluation, write


def block_of(
    fold: FoldTest, samples: Samples, arrays: Arrays, moved: NDArray[np.floating[Any]]
) -> TestBlock:
    """Calibrated forecasts of samples, with what evaluation asks beside them."""
    matrix, lookback = fold.normalised.matrix, fold.model.spec["lookback"]
    chunks = (samples.rows[n : n + 1024] for n in range(0, len(samples), 1024))
    raw = np.concatenate([fold.model.raw(gather(matrix, rows, lookback)) for rows in chunks])
    made = Forecasts(
        k=fold.k,
        day=samples.day,
        symbol=samples.symbol,
        y=samples.y,
        calibrated=fold.model.calibrated(raw),
        vol20=moved[samples.rows],
    )
    spec = fold.model.spec
    q = spec["conformal"]["q"] if spec["conformal"] else np.nan
    return judged(made, fold.model.name.kind, spec["label"], q)


def rank_ic_of(fold: FoldTest, arrays: Arrays, min_names: int) -> float | None:
    """Mean daily RankIC of a fold's test block."""
    moved = volatility(arrays.closes, arrays.offsets[:-1])
    block = block_of(fold, fold.test, arrays, moved)
    grids = (panel(block, values, len(arrays.symbols)) for values in (block.score, block.y))
    return metrics.mean(metrics.daily_rank_ic(*grids, min_names=min_names))


def latency(model: Model, normalised: Normalised, valid: Samples) -> dict[str, float]:
    """Milliseconds of one window on one thread (200 calls after 20), and of 550 windows."""
    lookback = model.spec["lookback"]
    one = gather(normalised.matrix, valid.rows[:1], lookback)
    many = gather(normalised.matrix, np.resize(valid.rows, BATCH_ROWS), lookback)
    with fixed(1), torch.inference_mode():
        times = [_timed(model, one) for _ in range(WARM_UPS + CALLS)][WARM_UPS:]
        batch = _timed(model, many)
    p50, p95, p99 = (float(q) for q in np.quantile(times, [0.5, 0.95, 0.99]))
    return {
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "max_ms": float(max(times)),
        "batch_550_ms": batch,
    }


def _timed(model: Model, windows: NDArray[np.float32]) -> float:
    begun = time.perf_counter()
    model.net(torch.from_numpy(windows))
    return 1000 * (time.perf_counter() - begun)


def _prices(arrays: Arrays, blocks: Sequence[TestBlock], horizon: int) -> Any:
    days = pool(blocks).day
    span = (int(days.min()), int(days.max()) + 1 + horizon)
    return prices(arrays.dates, arrays.offsets, arrays.opens, arrays.closes, span)


def _scored(
    spec: Mapping[str, Any], arrays: Arrays, fold: FoldTest, moved: NDArray[np.floating[Any]]
) -> paths.Scored:
    names = spec["profile"]["baselines"]
    return paths.Scored(
        block=block_of(fold, fold.test, arrays, moved),
        spans=fold.spans,
        baselines=_fold_baselines(spec, arrays, fold, names) if names else {},
    )


def _fold_baselines(
    spec: Mapping[str, Any], arrays: Arrays, fold: FoldTest, names: Sequence[str]
) -> Mapping[str, Any]:
    label = fold.model.spec["label"]
    rows = Rows(
        z=fold.normalised.matrix,
        closes=arrays.closes,
        offsets=arrays.offsets,
        lookback=fold.model.spec["lookback"],
        train=fold.train.rows,
        target=np.clip(fold.train.y / label["s"], -5, 5),
        test=fold.test.rows,
    )
    seed, inputs = spec["seed"], fold.normalised.digest
    key = cache_key(rows, names, inputs=inputs, seed=seed)
    file = Path(spec["windows"]).parent / "baselines" / f"{key}.npz"
    return baseline_scores(rows, names, seed=seed, threads=spec["threads"], file=file)


def _drift(fold: FoldTest) -> dict[str, float]:
    """PSI of each living feature's newest value: test against training samples."""
    z, statistics = fold.normalised.matrix, fold.normalised.statistics
    found = psi_by_column(z[fold.train.rows], z[fold.test.rows], statistics.features)
    return {name: value for name, value in found.items() if name not in statistics.dead}


def _input_reference(fold: FoldTest, arrays: Arrays) -> dict[str, list[float]]:
    """Quantiles of each living input of the stock itself, over the training samples."""
    dead, rows = fold.normalised.statistics.dead, arrays.inputs[fold.train.rows]
    return {
        name: reference(rows[:, arrays.features.index(name)], count=INPUT_POINTS)
        for name in OWN_INPUTS
        if name not in dead
    }


def _dump(file: Path, content: Any) -> None:
    text = json.dumps(content, sort_keys=True, indent=1, allow_nan=False)
    file.write_text(text, encoding="utf-8")
